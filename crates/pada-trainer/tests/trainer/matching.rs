//! The criterion of gradient matching against the public code's rule, written out for one pair of a batch and a path.

use std::sync::Mutex;

use pada_candle::CandleExecutor;
use pada_data::{Augment, Dataset};
use pada_exec::{Batch, Executor, Images, LossSpec, Precision};
use pada_graph::{Graph, GraphError, Lower, Shape, WeightLayout, WeightSpec};
use pada_models::{DartsNet, DartsSize, Nb201Net, Norms, init_weights};
use pada_space::{Arch, Darts, DartsCell, Nb201, SearchSpace, SubSpace};
use pada_trainer::RngStream;
use pada_trainer::split::{MatchingSettings, disagreements, split_by_gradients};
use rand::RngExt;

use crate::bright;

const BATCH: usize = 4;

fn images() -> Dataset {
    bright::images(12, 8).into()
}

fn executor(net: &dyn Lower) -> CandleExecutor {
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(4));
    CandleExecutor::new(net.weights().clone(), weights, Precision::F64)
}

fn is_connected(arch: &Arch) -> bool {
    Nb201::new().active(arch).unwrap().contains(&true)
}

fn settings<'a>(
    samples: usize,
    accepts: &'a dyn Fn(&Arch) -> bool,
    compares: &'a dyn Fn(&WeightSpec) -> bool,
) -> MatchingSettings<'a> {
    MatchingSettings { samples, batch: BATCH, augment: Augment::NONE, accepts, compares }
}

/// All weights of the cells, among which are the residual blocks.
fn in_cells(spec: &WeightSpec) -> bool {
    spec.name.starts_with("cells.")
}

/// `get_split_gradients` of the public code: the parameters of all cells and of the residual blocks, without those of the measured edge,
/// as one vector; the distance is 1 − cos.
#[test]
fn the_criterion_has_the_gradients_of_the_residual_blocks_and_not_those_of_the_measured_edge() {
    const EDGE: usize = 3;
    let net = Nb201Net::new(2, 1, Shape::new(3, 8, 8), 4, Norms::Plain);
    let (part, images) = (SubSpace::full(&Nb201::new()), images());
    let measure = |compares: &dyn Fn(&WeightSpec) -> bool| {
        let mut executor = executor(&net);
        let settings = settings(1, &is_connected, compares);
        let mut rng = RngStream::Split.stream(1);
        let found = disagreements(&mut executor, &net, &images, &part, &[EDGE], &settings, &mut rng).unwrap();
        (found[0].ops.clone(), found[0].distance.clone())
    };
    let (ops, ours) = measure(&in_cells);
    assert_eq!(ops, [0, 1, 2, 3, 4]);

    // The same path and the same images by hand.
    let mut rng = RngStream::Split.stream(1);
    let path = std::iter::repeat_with(|| part.sample(&mut rng)).find(is_connected).unwrap();
    let indices: Vec<u32> = (0..BATCH).map(|_| rng.random_range(0..images.len() as u32)).collect();
    let batch = images.load(&images.plan(&indices, &Augment::NONE, &mut rng).unwrap()).unwrap();
    let labels: Vec<u32> = indices.iter().map(|&i| u32::from(images.labels()[i as usize])).collect();
    let mut executor = executor(&net);
    let gradients: Vec<Vec<f64>> = (0..5)
        .map(|op| {
            executor.zero_gradient();
            let graph = net.lower(&path.with(EDGE, op).unwrap()).unwrap().simplified();
            let batch = Batch { images: Images::given(&batch.pixels, net.input()), labels: &labels };
            executor.gradients(&graph, &batch, &LossSpec::default()).unwrap();
            let measured = |spec: &WeightSpec| spec.owner.as_ref().is_some_and(|o| o.position == EDGE);
            let kept = net.weights().iter().filter(|(_, spec)| in_cells(spec) && !measured(spec));
            kept.flat_map(|(id, _)| executor.gradient(id).iter().map(|&g| f64::from(g)).collect::<Vec<_>>())
                .collect()
        })
        .collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 0..5 {
        for j in 0..i {
            let (a, b) = (&gradients[i], &gradients[j]);
            let expected = 1.0 - dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt());
            assert!((ours[i][j] - expected).abs() < 1e-9, "{i} {j}: {} {expected}", ours[i][j]);
            assert_eq!(ours[i][j], ours[j][i]);
        }
    }
    // Without the residual blocks the distances are others.
    let (_, without) = measure(&|spec| spec.owner.is_some());
    assert!((0..5).any(|i| (0..i).any(|j| (without[i][j] - ours[i][j]).abs() > 1e-3)), "{without:?}");
}

/// Remembers the architectures that are lowered.
struct Recorder<'a> {
    net: &'a DartsNet,
    seen: Mutex<Vec<Arch>>,
}

impl Lower for Recorder<'_> {
    fn weights(&self) -> &WeightLayout {
        self.net.weights()
    }

    fn input(&self) -> Shape {
        self.net.input()
    }

    fn lower(&self, arch: &Arch) -> Result<Graph, GraphError> {
        self.seen.lock().unwrap().push(arch.clone());
        self.net.lower(arch)
    }
}

#[test]
fn in_darts_only_operations_are_split_and_every_path_keeps_the_measured_edge() {
    let size =
        DartsSize { channels: 1, layers: 3, input: Shape::new(3, 8, 8), classes: 4, ..DartsSize::SEARCH };
    let net = DartsNet::new(size, Norms::Plain);
    let recorder = Recorder { net: &net, seen: Mutex::new(Vec::new()) };
    let (full, images) = (SubSpace::full(&Darts), images());
    let (anything, owned) = (|_: &Arch| true, |spec: &WeightSpec| spec.owner.is_some());
    let settings = settings(2, &anything, &owned);
    let mut rng = RngStream::Split.stream(2);
    // Node 5 reads two of five nodes, so most random paths do not keep this edge.
    let edge = Darts::edge_decision(DartsCell::Reduce, 3, 5).unwrap();
    let mut executor = executor(&net);
    disagreements(&mut executor, &recorder, &images, &full, &[edge], &settings, &mut rng).unwrap();
    let seen = recorder.seen.lock().unwrap();
    assert_eq!(seen.len(), 16, "eight operations for each of two pairs of a batch and a path");
    assert!(seen.iter().all(|path| full.is_active(edge, path).unwrap()));

    // Of two operations on two edges and all choices of inputs, a split takes operations.
    let mut part = SubSpace::with_ops(&Darts, &["skip_connect", "sep_conv_3x3"]).unwrap();
    for e in (0..34).filter(|&e| full.kind(e).is_some() && ![0, edge].contains(&e)) {
        part = part.restrict(e, &[DIGIT_OF_SKIP]).unwrap();
    }
    let halves = split_by_gradients(&mut executor, &net, &images, [&part, &part], &settings, &mut rng);
    let [a, b] = halves.unwrap().expect("two edges have two operations");
    let split: Vec<usize> = (0..34).filter(|&e| a.allowed()[e] != part.allowed()[e]).collect();
    assert!(split == [0] || split == [edge], "{split:?}");
    assert_eq!(a.allowed()[split[0]].len() + b.allowed()[split[0]].len(), 2);
    // Where only inputs are left to choose, nothing can be split.
    let inputs = part.restrict(0, &[DIGIT_OF_SKIP]).unwrap().restrict(edge, &[DIGIT_OF_SKIP]).unwrap();
    let halves = split_by_gradients(&mut executor, &net, &images, [&inputs, &inputs], &settings, &mut rng);
    assert!(halves.unwrap().is_none());
}

/// `skip_connect` in the order of DARTS's operations.
const DIGIT_OF_SKIP: u8 = 3;

#[test]
fn a_part_without_an_accepted_path_is_an_error() {
    let net = Nb201Net::new(1, 1, Shape::new(3, 8, 8), 4, Norms::Plain);
    let (part, images) = (SubSpace::full(&Nb201::new()), images());
    let settings = settings(1, &|_| false, &in_cells);
    let mut rng = RngStream::Split.stream(3);
    let found = disagreements(&mut executor(&net), &net, &images, &part, &[0], &settings, &mut rng);
    assert!(found.unwrap_err().to_string().contains("train more operations"));
}
