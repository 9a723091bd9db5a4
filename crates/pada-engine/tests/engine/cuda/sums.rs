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

/// Adds up lists of devices through the host.
struct ThroughHost {
    device: Rc<dyn Device>,
    group: ProcessGroup,
}

impl DeviceSum for ThroughHost {
    fn sum(&self, list: Address, len: usize) -> Result<(), CudaError> {
        let mut values = vec![0.0_f32; len];
        self.device.download(list, bytemuck::cast_slice_mut(&mut values))?;
        self.group.all_reduce_sum(&mut values)?;
        self.device.upload(list, bytemuck::cast_slice(&values))
    }
}

/// The pass of one of `size` processes, over as many images each.
fn pass(case: &Case, executor: &mut dyn Executor, graph: &Graph, index: usize, size: usize) {
    let (n, numel) = (case.labels.len() / size, case.shape.numel());
    let images = Images::given(&case.pixels[index * n * numel..][..n * numel], case.shape);
    let batch = Batch { images, labels: &case.labels[index * n..][..n] };
    let loss = LossSpec { scale: 1.0 / size as f32, ..LossSpec::default() };
    executor.zero_gradient();
    executor.gradients(graph, &batch, &loss).unwrap();
}

fn gradient(case: &Case, executor: &dyn Executor) -> Vec<f32> {
    case.layout.iter().flat_map(|(id, _)| executor.gradient(id).into_owned()).collect()
}

fn engine(case: &Case, group: &ProcessGroup) -> Option<(CudaEngine, ThroughHost)> {
    let device = device(Precision::F64)?;
    let engine =
        CudaEngine::with_device(device.clone(), case.layout.clone(), &case.weights, Precision::F64).unwrap();
    Some((engine, ThroughHost { device, group: group.clone() }))
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
    for size in [1, 2, 4] {
        let mut expected = vec![0.0; case.layout.numel()];
        for index in 0..size {
            let mut cpu = case.engine(Precision::F64, Isa::Portable);
            pass(&case, &mut cpu, &graph, index, size);
            expected.iter_mut().zip(gradient(&case, &cpu)).for_each(|(sum, part)| *sum += part);
        }
        let of = |group: &ProcessGroup| {
            let (mut engine, sum) = engine(&case, group)?;
            pass(&case, &mut engine, &graph, group.index(), size);
            engine.sum_gradient(&sum).unwrap();
            Some((gradient(&case, &engine), engine.gradient_norms()))
        };
        let groups = threads(size, Duration::from_secs(60));
        let results: Vec<_> = std::thread::scope(|scope| {
            let started: Vec<_> = groups.iter().map(|group| scope.spawn(|| of(group))).collect();
            started.into_iter().map(|process| process.join().unwrap()).collect()
        });
        let Some(results) = results.into_iter().collect::<Option<Vec<_>>>() else { return };
        for (gradient, norms) in &results {
            assert!(distance(gradient, &expected) < 1e-5, "{size} processes");
            assert_eq!(*gradient, results[0].0, "all processes have the same bits");
            for ((id, spec), norm) in case.layout.iter().zip(norms) {
                let squares = gradient[case.layout.range(id)].iter().map(|v| f64::from(*v).powi(2));
                let whole = squares.sum::<f64>().sqrt();
                assert!((norm - whole).abs() <= 1e-6 * whole, "{}: {norm}, not {whole}", spec.name);
            }
        }
    }
}

#[test]
fn a_process_that_is_missing_is_an_error_that_stays() {
    let (case, graph) = case();
    let group = &threads(2, Duration::from_millis(30))[1];
    let Some((mut engine, sum)) = engine(&case, group) else { return };
    pass(&case, &mut engine, &graph, 1, 2);
    let silent = DistError::Timeout { index: 1, peer: 0, seconds: 0.03 }.to_string();
    let error = engine.sum_gradient(&sum).unwrap_err().to_string();
    assert!(error.contains(&silent), "{error}");
    assert!(engine.deferred_error().unwrap_err().to_string().contains(&silent));
}
