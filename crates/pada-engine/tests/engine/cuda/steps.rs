//! Whole steps against the engine on the CPU.

use pada_engine::Isa;
use pada_exec::Precision;
use pada_graph::{Conv, GraphBuilder, Init, Lower, Norm, Shape, Statistics, WeightLayout, WeightSpec};
use pada_models::{Nb201Net, Norms};
use pada_space::{Nb201, SearchSpace};
use proptest::prelude::*;

use super::emulated::engine;
use crate::case::{Case, StepResult, distance};
use crate::random_graphs::config;
use crate::recipe::recipes;

fn length(list: impl Iterator<Item = f32>) -> f64 {
    list.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn compare(ours: &StepResult, theirs: &StepResult, close: f64, gradient: f64, what: &str) {
    let off = distance(&ours.logits, &theirs.logits);
    assert!(off < close, "{what}: logits off by {off}");
    let off = (ours.loss - theirs.loss).abs() / theirs.loss.abs().max(1.0);
    assert!(off < close, "{what}: loss {} {}", ours.loss, theirs.loss);
    let off = (ours.alignment - theirs.alignment).abs() / theirs.alignment.max(1.0);
    assert!(off < close, "{what}: alignment {} {}", ours.alignment, theirs.alignment);
    let difference = length(ours.gradient.iter().zip(&theirs.gradient).map(|(a, b)| a - b));
    let all = length(theirs.gradient.iter().copied());
    assert!(difference <= gradient * all + 1e-6, "{what}: gradient off by {difference} of {all}");
}

fn check(case: &Case, graph: &pada_graph::Graph, what: &str) {
    let theirs = case.step(&mut case.engine(Precision::F64, Isa::Portable), graph);
    let Some(mut engine) = engine(case, Precision::F64) else { return };
    let ours = case.step(&mut engine, graph);
    compare(&ours, &theirs, 1e-6, 1e-6, what);
    for (id, spec) in case.layout.iter() {
        let range = case.layout.range(id);
        let off = distance(&ours.gradient[range.clone()], &theirs.gradient[range]);
        assert!(off < 1e-5, "{what}: gradient of {} off by {off}", spec.name);
    }
    let mut engine = super::emulated::engine(case, Precision::F32).expect("there is a compiler");
    // A value near zero may fall on the other side of a ReLU.
    compare(&case.step(&mut engine, graph), &theirs, 1e-3, 0.03, &format!("{what}, f32"));
}

#[test]
fn nb201_steps_on_a_gpu_equal_the_cpu() {
    let space = Nb201::new();
    for (i, (channels, shape, images, norms)) in [
        (16, Shape::new(3, 8, 8), 5, Norms::Plain),
        (6, Shape::new(1, 12, 8), 17, Norms::Affine),
        (20, Shape::new(4, 8, 8), 3, Norms::Plain),
    ]
    .into_iter()
    .enumerate()
    {
        let net = Nb201Net::new(channels, 1, shape, 10, norms);
        let case = Case::new(net.weights(), shape, images, 10, i as u64 + 1);
        // Three architectures each, so that every one meets two supernets.
        for arch in ["333333", "323412", "130224", "000000"].iter().cycle().skip(3 * i).take(3) {
            let graph = net.lower(&space.parse(arch).unwrap()).unwrap();
            check(&case, &graph.simplified(), &format!("{channels} {arch}"));
        }
        let pair = ["323412", "142323"].map(|digits| space.parse(digits).unwrap());
        let graph = net.lower_aligned(&pair[0], &pair[1], 3.0).unwrap();
        check(&case, &graph, &format!("{channels} aligned"));
    }
}

/// The widths and the channels of all stages of the paper's supernet.
#[test]
fn a_step_of_the_papers_supernet_on_a_gpu_equals_the_cpu() {
    let shape = Shape::new(3, 32, 32);
    let net = Nb201Net::new(16, 1, shape, 10, Norms::Plain);
    let case = Case::new(net.weights(), shape, 1, 10, 1);
    let graph = net.lower(&Nb201::new().parse("023002").unwrap()).unwrap();
    check(&case, &graph.simplified(), "32×32");
}

/// Blocks multiply several strips only in large batches. A strip is an image of one pixel here.
#[test]
fn blocks_of_several_strips_on_a_gpu_equal_the_cpu() {
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.0), owner: None })
    };
    let [stem, square] = [push("stem", vec![4, 1, 3, 3]), push("square", vec![4, 4, 3, 3])];
    let head = (push("weight", vec![2, 4]), push("bias", vec![2]));
    let shape = Shape::new(1, 1, 1);
    let mut graph = GraphBuilder::new(&layout);
    let x = graph.input(shape);
    let x = graph.conv(x, Conv::same(stem, 4, 3, 1)).unwrap();
    let x = graph.norm(x, Norm { affine: None, eps: 1e-3, statistics: Statistics::Batch }).unwrap();
    let x = graph.conv(x, Conv::same(square, 4, 3, 1)).unwrap();
    let graph = graph.classified(x, head).unwrap();
    check(&Case::new(&layout, shape, 1100, 2, 1), &graph, "1100 strips");
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn random_graphs_on_a_gpu_equal_the_cpu(recipe in recipes()) {
        let (case, graph) = recipe.build();
        check(&case, &graph, "random graph");
    }
}
