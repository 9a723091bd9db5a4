//! Batch norms with the statistics of each process, against engines that compute the images of one process each.

use std::ops::Range;
use std::time::Duration;

use pada_dist::{ProcessGroup, shard, threads};
use pada_engine::Engine;
use pada_exec::{Batch, BatchNormSync, Executor, Images, LossSpec, Precision, State};
use pada_graph::{Graph, Lower, Op, Shape, Statistics, WeightId};
use pada_models::{MacroNet, Nb201Net, Norms};
use pada_space::{NasBenchMacro, Nb201, SearchSpace};

use crate::case::{Case, ISAS, distance};

/// Images per chunk. A process computes whole chunks.
const CHUNK: usize = 8;

/// The results of a step on some images.
#[derive(Clone)]
struct StepResult {
    logits: Vec<f32>,
    gradient: Vec<f32>,
    /// With running statistics.
    weights: Vec<f32>,
}

impl StepResult {
    fn bits(&self) -> Vec<u32> {
        let numbers = self.logits.iter().chain(&self.gradient).chain(&self.weights);
        numbers.map(|number| number.to_bits()).collect()
    }
}

fn step(case: &Case, engine: &mut Engine, graph: &Graph, images: Range<usize>, scale: f32) -> StepResult {
    let numel = case.shape.numel();
    let pixels = &case.pixels[images.start * numel..images.end * numel];
    let labels = &case.labels[images];
    let batch = Batch { images: Images::given(pixels, case.shape), labels };
    engine.zero_gradient();
    let stats = engine.gradients(graph, &batch, &LossSpec { scale, ..LossSpec::default() }).unwrap();
    let gradient = case.layout.iter().flat_map(|(id, _)| engine.gradient(id).into_owned()).collect();
    StepResult { logits: stats.logits.values, gradient, weights: engine.read(State::Weights) }
}

/// The results of all processes that share the batch.
fn together(case: &Case, graph: &Graph, groups: &[ProcessGroup], norms: BatchNormSync) -> Vec<StepResult> {
    let all = 0..case.labels.len();
    let of = |group: &ProcessGroup| {
        let mut engine = case.engine(Precision::F32, ISAS[2]).across(group.clone(), norms);
        step(case, &mut engine, graph, all.clone(), 1.0)
    };
    std::thread::scope(|scope| {
        let processes: Vec<_> = groups.iter().map(|group| scope.spawn(|| of(group))).collect();
        processes.into_iter().map(|process| process.join().unwrap()).collect()
    })
}

/// The results of engines that compute the shard of one process each. Their loss is multiplied by the fraction of the batch.
fn one_by_one(case: &Case, graph: &Graph, size: usize) -> Vec<(usize, StepResult)> {
    let images = case.labels.len();
    let mut results = Vec::new();
    for index in 0..size {
        let chunks = shard(images.div_ceil(CHUNK), index, size).unwrap();
        let own = (chunks.start * CHUNK).min(images)..(chunks.end * CHUNK).min(images);
        if !own.is_empty() {
            let mut engine = case.engine(Precision::F32, ISAS[2]);
            let scale = own.len() as f32 / images as f32;
            results.push((own.len(), step(case, &mut engine, graph, own, scale)));
        }
    }
    results
}

fn patient(size: usize) -> Vec<ProcessGroup> {
    threads(size, Duration::from_secs(60))
}

fn nb201() -> (Case, Nb201Net) {
    let shape = Shape::new(3, 12, 8);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Affine);
    (Case::new(net.weights(), shape, 64, 10, 1), net)
}

#[test]
fn local_norms_of_one_process_are_those_of_the_batch() {
    let (case, net) = nb201();
    let graph = net.lower(&Nb201::new().parse("323412").unwrap()).unwrap();
    for groups in [vec![ProcessGroup::single()], patient(1)] {
        let [sync, local] = [BatchNormSync::Sync, BatchNormSync::Local]
            .map(|norms| together(&case, &graph, &groups, norms).remove(0).bits());
        assert!(sync == local);
    }
}

/// Halves and quarters of a batch whose gradients are averaged, to the last bit but for scale and shift, whose sums are joined in f64.
#[test]
fn local_norms_are_those_of_parts_of_the_batch_whose_gradients_are_averaged() {
    let (case, net) = nb201();
    for arch in ["333333", "323412"] {
        let graph = net.lower(&Nb201::new().parse(arch).unwrap()).unwrap();
        for size in [2, 4] {
            let parts = one_by_one(&case, &graph, size);
            // Neighbours first, as processes are joined.
            let mut sums: Vec<Vec<f32>> = parts.iter().map(|(_, result)| result.gradient.clone()).collect();
            while sums.len() > 1 {
                sums = sums
                    .chunks(2)
                    .map(|two| two[0].iter().zip(&two[1]).map(|(a, b)| a + b).collect())
                    .collect();
            }
            let logits: Vec<f32> = parts.iter().flat_map(|(_, result)| result.logits.clone()).collect();
            let processes = together(&case, &graph, &patient(size), BatchNormSync::Local);
            for (index, result) in processes.iter().enumerate() {
                assert!(result.bits() == processes[0].bits(), "process {index} of {size} has other bits");
                assert!(result.logits == logits, "logits of process {index} of {size}");
                for (id, spec) in case.layout.iter() {
                    let range = case.layout.range(id);
                    let [ours, theirs] = [&result.gradient, &sums[0]].map(|all| &all[range.clone()]);
                    let off = distance(ours, theirs);
                    let bound = if spec.shape.len() > 1 { 0.0 } else { 1e-6 };
                    assert!(off <= bound, "{size} processes, gradient of {}: off by {off}", spec.name);
                }
            }
            let sync = together(&case, &graph, &patient(size), BatchNormSync::Sync);
            assert!(distance(&sync[0].gradient, &sums[0]) > 1e-3, "the batch's own norms are others");
        }
    }
}

/// Parts of different size, and processes without an image: with five chunks, each of eight processes has one or none.
#[test]
fn local_norms_of_uneven_parts_weigh_each_image_alike() {
    let shape = Shape::new(3, 12, 8);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Affine);
    let case = Case::new(net.weights(), shape, 37, 10, 3);
    let [arch, anchor] = ["323412", "142323"].map(|digits| Nb201::new().parse(digits).unwrap());
    for graph in [net.lower(&arch).unwrap(), net.lower_aligned(&arch, &anchor, 2.0).unwrap()] {
        for size in [2, 4, 8] {
            let parts = one_by_one(&case, &graph, size);
            let mut sum = vec![0.0; case.layout.numel()];
            for (_, part) in &parts {
                sum.iter_mut().zip(&part.gradient).for_each(|(sum, part)| *sum += part);
            }
            for result in together(&case, &graph, &patient(size), BatchNormSync::Local) {
                let off = distance(&result.gradient, &sum);
                assert!(off < 1e-5, "{size} processes: off by {off}");
            }
        }
    }
}

/// Running norms of a graph, with how many numbers of an image each channel has.
fn running(graph: &Graph) -> Vec<([WeightId; 2], f32, usize)> {
    let of = |node: &pada_graph::Node| match node.op {
        Op::Norm(norm) => match norm.statistics {
            Statistics::Running { mean, var, momentum } => Some(([mean, var], momentum, node.shape.pixels())),
            Statistics::Batch => None,
        },
        _ => None,
    };
    graph.nodes().iter().filter_map(of).collect()
}

/// The mean and the unbiased variance of all numbers that parts of the batch have, from those of each part.
#[test]
fn running_statistics_are_those_of_the_whole_batch() {
    let net = MacroNet::new(Shape::new(3, 16, 16), 10, Norms::Running);
    let case = Case::new(net.weights(), net.input(), 29, 10, 2);
    let graph = net.lower(&NasBenchMacro.parse("02101201").unwrap()).unwrap();
    let parts = one_by_one(&case, &graph, 2);
    let norms = running(&graph);
    assert!(norms.len() > 10);
    let processes = together(&case, &graph, &patient(2), BatchNormSync::Local);
    assert!(processes[0].bits() == processes[1].bits());
    for ([mean, var], momentum, pixels) in norms {
        let [means, vars] = [mean, var].map(|id| case.layout.range(id));
        let newest = |weights: &[f32], at: usize| {
            let (old, new) = (f64::from(case.weights[at]), f64::from(weights[at]));
            (new - (1.0 - f64::from(momentum)) * old) / f64::from(momentum)
        };
        for (mean_at, var_at) in means.zip(vars) {
            let moments: Vec<[f64; 3]> = parts
                .iter()
                .map(|(images, result)| {
                    let [mean, var] = [mean_at, var_at].map(|at| newest(&result.weights, at));
                    [(images * pixels) as f64, mean, var]
                })
                .collect();
            let count: f64 = moments.iter().map(|[n, ..]| n).sum();
            let mean = moments.iter().map(|[n, mean, _]| n * mean).sum::<f64>() / count;
            let spread = |[n, part, var]: &[f64; 3]| (n - 1.0) * var + n * (part - mean).powi(2);
            let variance = moments.iter().map(spread).sum::<f64>() / (count - 1.0);
            for (at, expected) in [(mean_at, mean), (var_at, variance)] {
                let ours = newest(&processes[0].weights, at);
                // Tenths of a difference of numbers in f32.
                let off = (ours - expected).abs() / expected.abs().max(1.0);
                assert!(off < 1e-4, "{ours}, not {expected}");
            }
        }
    }
}
