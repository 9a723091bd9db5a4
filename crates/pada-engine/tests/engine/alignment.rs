//! The gradient of alignments against central differences of the loss, and what stands still.

use pada_engine::Isa;
use pada_exec::{Batch, Decayed, Executor, Images, LossSpec, Precision, SgdStep, State, UnusedWeights};
use pada_graph::{
    Conv, Graph, GraphBuilder, Init, Norm, Pool, Shape, Statistics, WeightId, WeightLayout, WeightSpec,
};

use crate::case::{Case, distance};

const SHAPE: Shape = Shape { channels: 3, height: 5, width: 4 };
const IMAGES: usize = 9; // more than a chunk of the engine
const CLASSES: usize = 4;
const CHANNELS: usize = 5; // no whole vector
const SCALE: f32 = 1.5;
const STEP: f32 = 1.0 / 128.0;

/// Which weights the anchor reads.
#[derive(Clone, Copy, PartialEq)]
enum Anchor {
    Own,
    Shared,
}

/// Convolution, norm and pooling, once for the anchor and once for the value, and alignments of all that can be read: behind a
/// norm, in front of it, a pooling that a sum reads too, a sum, an activation, a zero.
fn graph(layout: &WeightLayout, anchor: Anchor) -> Graph {
    let of = |name: &str| layout.find(name).unwrap();
    let mut g = GraphBuilder::new(layout);
    let x = g.input(SHAPE);
    let pool = Pool { kernel: 3, stride: 1, padding: 1 };
    let mut side = |name: &str| {
        let part = |part: &str| of(&format!("{name}.{part}"));
        let conv = Conv { bias: Some(part("bias")), ..Conv::same(part("weight"), CHANNELS, 3, 1) };
        let y = g.conv(x, conv).unwrap();
        let norm = g
            .norm(
                y,
                Norm {
                    affine: Some((part("scale"), part("shift"))),
                    eps: 1e-3,
                    statistics: Statistics::Batch,
                },
            )
            .unwrap();
        let pooled = g.avg_pool(norm, pool).unwrap();
        let sum = g.add(&[pooled, norm]).unwrap();
        [y, norm, pooled, sum]
    };
    let [y_a, norm_a, pooled_a, sum_a] = side(if anchor == Anchor::Own { "anchor" } else { "value" });
    let [y, norm, pooled, sum] = side("value");
    let zero = g.zero(g.shape(y));
    let relu_a = g.relu(sum_a);
    for (anchor, value, share) in
        [(norm_a, norm, 0.7), (pooled_a, y, 1.3), (y_a, pooled, 0.4), (zero, sum, 0.9), (relu_a, sum, 0.6)]
    {
        g.align(anchor, value, share).unwrap();
    }
    let last = g.norm(sum, Norm { affine: None, eps: 1e-3, statistics: Statistics::Batch }).unwrap();
    let mean = g.avg_pool(last, Pool { kernel: 4, stride: 1, padding: 0 }).unwrap();
    g.linear(mean, of("head.weight"), of("head.bias")).unwrap();
    g.finish()
}

fn layout() -> WeightLayout {
    let mut layout = WeightLayout::new();
    let mut push = |name: String, shape: Vec<usize>| {
        layout.push(WeightSpec { name, shape, init: Init::Constant(0.0), owner: None });
    };
    for side in ["anchor", "value"] {
        push(format!("{side}.weight"), vec![CHANNELS, SHAPE.channels, 3, 3]);
        ["bias", "scale", "shift"].iter().for_each(|part| push(format!("{side}.{part}"), vec![CHANNELS]));
    }
    push("head.weight".into(), vec![CLASSES, CHANNELS * 2]);
    push("head.bias".into(), vec![CLASSES]);
    layout
}

fn case() -> Case {
    Case::new(&layout(), SHAPE, IMAGES, CLASSES, 11)
}

fn executors(case: &Case) -> [Box<dyn Executor>; 2] {
    [Box::new(case.candle()), Box::new(case.engine(Precision::F64, Isa::Portable))]
}

/// The whole loss, and the gradient of every weight.
fn step(case: &Case, executor: &mut dyn Executor, graph: &Graph, weights: &[f32]) -> (f64, Vec<Vec<f32>>) {
    let images = Images::given(&case.pixels, SHAPE);
    executor.write(State::Weights, weights);
    executor.zero_gradient();
    let loss = LossSpec { scale: SCALE, ..LossSpec::default() };
    let stats = executor.gradients(graph, &Batch { images, labels: &case.labels }, &loss).unwrap();
    let gradient = (0..case.layout.len()).map(|id| executor.gradient(WeightId(id)).into_owned()).collect();
    (f64::from(SCALE) * (stats.loss + stats.alignment), gradient)
}

/// An anchor with weights of its own stands still while the value's are moved.
#[test]
fn gradients_of_alignments() {
    let case = case();
    let graph = graph(&case.layout, Anchor::Own);
    for mut executor in executors(&case) {
        let (_, gradient) = step(&case, executor.as_mut(), &graph, &case.weights);
        for (id, spec) in case.layout.iter().filter(|(_, spec)| !spec.name.starts_with("anchor")) {
            let largest = gradient[id.0].iter().fold(0.0, |m: f64, g| m.max(f64::from(g.abs())));
            assert!(largest > 0.01, "{} has no gradient", spec.name);
            for (i, place) in case.layout.range(id).enumerate() {
                let mut at = |shift: f32| {
                    let mut moved = case.weights.clone();
                    moved[place] += shift;
                    (step(&case, executor.as_mut(), &graph, &moved).0, f64::from(moved[place]))
                };
                let (above, below) = (at(STEP), at(-STEP));
                let numeric = (above.0 - below.0) / (above.1 - below.1);
                let ours = f64::from(gradient[id.0][i]);
                let what = format!("{}, {} {i}: {ours} against {numeric}", executor.name(), spec.name);
                assert!((numeric - ours).abs() < 2e-3 * largest, "{what}");
            }
        }
    }
}

#[test]
fn the_anchor_stands_still_also_where_it_shares_the_weights_of_the_value() {
    let mut case = case();
    let range = |name: &str| case.layout.range(case.layout.find(name).unwrap());
    for part in ["weight", "bias", "scale", "shift"] {
        let [anchor, value] = ["anchor", "value"].map(|side| range(&format!("{side}.{part}")));
        case.weights.copy_within(value, anchor.start);
    }
    let [own, shared] = [Anchor::Own, Anchor::Shared].map(|anchor| graph(&case.layout, anchor));
    for mut executor in executors(&case) {
        let (own_loss, own) = step(&case, executor.as_mut(), &own, &case.weights);
        let (loss, shared) = step(&case, executor.as_mut(), &shared, &case.weights);
        assert!((own_loss - loss).abs() < 1e-9, "{own_loss} {loss}");
        for (id, spec) in case.layout.iter() {
            let (own, shared) = (&own[id.0], &shared[id.0]);
            if spec.name.starts_with("anchor") {
                assert!(own.iter().chain(shared).all(|&g| g == 0.0), "{} has a gradient", spec.name);
            } else {
                let off = distance(shared, own);
                assert!(off < 1e-6, "{}: {} is off by {off}", executor.name(), spec.name);
            }
        }
    }
}

/// Weights that only the anchor reads are idle: with frozen idle weights they keep their value, whatever their momentum.
#[test]
fn weights_of_the_anchor_alone_are_idle() {
    let case = case();
    let graph = graph(&case.layout, Anchor::Own);
    let update = SgdStep {
        lr: 0.1,
        momentum: 0.9,
        weight_decay: 0.01,
        decayed: Decayed::All,
        gradient_scale: 1.0,
        unused: UnusedWeights::Frozen,
        ..SgdStep::default()
    };
    for mut executor in executors(&case) {
        step(&case, executor.as_mut(), &graph, &case.weights);
        executor.write(State::Momentum, &vec![1.0; case.weights.len()]);
        executor.update(&update);
        let after = executor.read(State::Weights);
        for (id, spec) in case.layout.iter() {
            let range = case.layout.range(id);
            let moved = after[range.clone()] != case.weights[range];
            assert_eq!(moved, !spec.name.starts_with("anchor"), "{}", spec.name);
        }
    }
}
