//! Several emulated GPUs, each with its images, whose gradients are added up.

use std::rc::Rc;
use std::time::Duration;

use pada_dist::{DistError, ProcessGroup, threads};
use pada_emulated_gpu::device;
use pada_engine::Isa;
use pada_engine::cuda::{Address, CudaEngine, CudaError, Device, DeviceSum};
use pada_exec::{Batch, Executor, Images, LossSpec, Precision, State};
use pada_graph::{Graph, Lower, Shape};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};

use crate::case::{Case, distance};

/// Adds up lists of devices by way of the host.
struct ThroughHost {
    device: Rc<dyn Device>,
    world: ProcessGroup,
}

impl DeviceSum for ThroughHost {
    fn sum(&self, list: Address, len: usize) -> Result<(), CudaError> {
        let mut values = vec![0.0_f32; len];
        self.device.download(list, bytemuck::cast_slice_mut(&mut values))?;
        self.world.all_reduce_sum(&mut values)?;
        self.device.upload(list, bytemuck::cast_slice(&values))
    }
}

/// The pass of one of `ranks`, over as many images each.
fn pass(case: &Case, executor: &mut dyn Executor, graph: &Graph, rank: usize, ranks: usize) {
    let (n, numel) = (case.labels.len() / ranks, case.shape.numel());
    let images = Images::given(&case.pixels[rank * n * numel..][..n * numel], case.shape);
    let batch = Batch { images, labels: &case.labels[rank * n..][..n] };
    let loss = LossSpec { scale: 1.0 / ranks as f32, ..LossSpec::default() };
    executor.zero_gradient();
    executor.gradients(graph, &batch, &loss).unwrap();
}

fn gradient(case: &Case, executor: &dyn Executor) -> Vec<f32> {
    case.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect()
}

fn engine(case: &Case, world: &ProcessGroup) -> Option<(CudaEngine, ThroughHost)> {
    let device = device(Precision::F64)?;
    let engine =
        CudaEngine::with_device(device.clone(), case.layout.clone(), &case.weights, Precision::F64).unwrap();
    Some((engine, ThroughHost { device, world: world.clone() }))
}

fn case() -> (Case, Graph) {
    let net = Nb201Net::new(4, 1, Shape::new(3, 8, 8), 10, Norms::Affine);
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap().simplified();
    (Case::new(net.weights(), Shape::new(3, 8, 8), 12, 10, 6), graph)
}

#[test]
fn a_written_gradient_has_its_norms() {
    let (case, graph) = case();
    let Some((mut engine, _)) = engine(&case, &ProcessGroup::single()) else { return };
    pass(&case, &mut engine, &graph, 0, 1);
    let doubled: Vec<f32> = engine.read(State::Gradient).iter().map(|g| 2.0 * g).collect();
    let norms = engine.gradient_norms();
    engine.write(State::Gradient, &doubled);
    assert_eq!(gradient(&case, &engine), doubled);
    for (new, old) in engine.gradient_norms().into_iter().zip(norms) {
        assert!((new - 2.0 * old).abs() <= 1e-12 * old, "{new} {old}");
    }
}

#[test]
fn gradients_of_several_gpus_add_up_to_those_of_the_cpu() {
    let (case, graph) = case();
    for ranks in [1, 2, 4] {
        let mut expected = vec![0.0; case.layout.numel()];
        for rank in 0..ranks {
            let mut cpu = case.engine(Precision::F64, Isa::Portable);
            pass(&case, &mut cpu, &graph, rank, ranks);
            expected.iter_mut().zip(gradient(&case, &cpu)).for_each(|(sum, part)| *sum += part);
        }
        let of = |world: &ProcessGroup| {
            let (mut engine, sum) = engine(&case, world)?;
            pass(&case, &mut engine, &graph, world.index(), ranks);
            engine.sum_gradient(&sum).unwrap();
            Some((gradient(&case, &engine), engine.gradient_norms()))
        };
        let worlds = threads(ranks, Duration::from_secs(60));
        let found: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = worlds.iter().map(|world| scope.spawn(|| of(world))).collect();
            started.into_iter().map(|rank| rank.join().unwrap()).collect()
        });
        let Some(found) = found.into_iter().collect::<Option<Vec<_>>>() else { return };
        for (gradient, norms) in &found {
            assert!(distance(gradient, &expected) < 1e-5, "{ranks} ranks");
            assert_eq!(*gradient, found[0].0, "all ranks have the same bits");
            for ((id, spec), norm) in case.layout.iter().zip(norms) {
                let squares = gradient[case.layout.range(id)].iter().map(|v| f64::from(*v).powi(2));
                let whole = squares.sum::<f64>().sqrt();
                assert!((norm - whole).abs() <= 1e-6 * whole, "{}: {norm}, not {whole}", spec.name);
            }
        }
    }
}

#[test]
fn a_rank_that_is_missing_is_an_error_that_stays() {
    let (case, graph) = case();
    let world = &threads(2, Duration::from_millis(30))[1];
    let Some((mut engine, sum)) = engine(&case, world) else { return };
    pass(&case, &mut engine, &graph, 1, 2);
    let silent = DistError::Timeout { index: 1, peer: 0, seconds: 0.03 }.to_string();
    let error = engine.sum_gradient(&sum).unwrap_err().to_string();
    assert!(error.contains(&silent), "{error}");
    assert!(engine.deferred_error().unwrap_err().to_string().contains(&silent));
}
