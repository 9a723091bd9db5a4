//! `Inspect` on graphs that no search space has is compared with definitions, with the engine's training pass, and with finite differences.

use pada_engine::{Engine, Isa};
use pada_exec::{Batch, Executor, Images, Inspect, Inspection, LossSpec, Objective, Precision, State};
use pada_graph::{Graph, GraphBuilder, Init, NodeId, Op, Shape, WeightLayout, WeightSpec};
use proptest::prelude::*;

use crate::case::{Case, ISAS, distance, noise};
use crate::random_graphs::config;
use crate::recipe::recipes;

const FORWARD: Inspection<'_> = Inspection {
    objective: None,
    weight_gradient: false,
    image_gradient: false,
    signs: false,
    products: false,
    moved_kernels: None,
};

/// The value of a node for all images, in f64.
fn value(case: &Case, graph: &Graph, id: NodeId) -> Vec<f32> {
    let images = Images::given(&case.pixels, case.shape);
    case.engine(Precision::F64, Isa::Portable).inspect(&graph.up_to(id), &images, &FORWARD).unwrap().output
}

/// The nodes of a kind, without those that only side nodes read.
fn nodes(graph: &Graph, wanted: impl Fn(&Op) -> bool) -> Vec<NodeId> {
    (0..graph.nodes().len()).map(NodeId).filter(|&id| wanted(&graph.node(id).op)).collect()
}

fn without_sides(graph: &Graph) -> Graph {
    graph.up_to(NodeId(graph.nodes().len() - 1))
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn the_gradient_of_a_cross_entropy_is_that_of_training(recipe in recipes()) {
        let (case, graph) = recipe.build();
        let graph = without_sides(&graph);
        let images = Images::given(&case.pixels, case.shape);
        for isa in ISAS {
            let [mut trained, mut inspected] = [0; 2].map(|_| case.engine(Precision::F32, isa));
            let batch = Batch { images, labels: &case.labels };
            trained.gradients(&graph, &batch, &LossSpec::default()).unwrap();
            let inspection = Inspection {
                objective: Some(Objective::CrossEntropy(&case.labels)),
                weight_gradient: true,
                image_gradient: true,
                signs: true,
                products: true,
                moved_kernels: None,
            };
            let seen = inspected.inspect(&graph, &images, &inspection).unwrap();
            let [ours, theirs] = [&inspected, &trained].map(|engine| engine.read(State::Gradient));
            let off = distance(&ours, &theirs);
            prop_assert!(off < 1e-4, "{isa}: gradient off by {off}");
            prop_assert_eq!(inspected.read(State::Weights), case.weights.clone(), "running statistics changed");
            // A layer without bias is linear in its kernel, so that both sums are the derivative of the loss to a factor on the layer.
            for layer in &seen.products {
                let id = layer.weight;
                let readers = nodes(&graph, |op| op.weights().contains(&id));
                let bias = readers.iter().any(|&id| match &graph.node(id).op {
                    Op::Conv(conv) => conv.bias.is_some(),
                    _ => true,
                });
                if bias || readers.len() != 1 {
                    continue;
                }
                let range = case.layout.range(id);
                let pairs = case.weights[range.clone()].iter().zip(&ours[range]);
                let products: Vec<f64> = pairs.map(|(w, g)| f64::from(*w) * f64::from(*g)).collect();
                let size = products.iter().map(|p| p.abs()).sum::<f64>().max(1e-2);
                let off = (layer.values.iter().map(|&p| f64::from(p)).sum::<f64>() - products.iter().sum::<f64>()) / size;
                prop_assert!(off.abs() < 2e-3, "{isa}: products of {id:?} off by {off}");
            }
        }
    }

    #[test]
    fn signs_and_variances_are_those_of_the_values(recipe in recipes()) {
        let (case, graph) = recipe.build();
        let graph = without_sides(&graph);
        let images = Images::given(&case.pixels, case.shape);
        let seen = case
            .engine(Precision::F64, Isa::Portable)
            .inspect(&graph, &images, &Inspection { signs: true, ..FORWARD })
            .unwrap();
        let relus = nodes(&graph, |op| matches!(op, Op::Relu | Op::Relu6));
        prop_assert_eq!(relus.len(), seen.signs.relus.len());
        let mut units = 0;
        for (&relu, &(word, bits)) in relus.iter().zip(&seen.signs.relus) {
            let (input, shape) = (graph.node(relu).inputs[0], graph.node(relu).shape);
            let values = value(&case, &graph, input);
            prop_assert_eq!(bits, shape.numel());
            units += bits;
            for (image, values) in values.chunks_exact(shape.numel()).enumerate() {
                let words = &seen.signs.image(image)[word..];
                for (c, channel) in values.chunks_exact(shape.pixels()).enumerate() {
                    for (pixel, &value) in channel.iter().enumerate() {
                        let at = pixel * shape.channels + c;
                        let bit = words[at / 64] >> (at % 64) & 1 == 1;
                        // A number that rounding decides may have either sign.
                        prop_assert!(bit == (value > 0.0) || value.abs() < 1e-6, "{relu:?}, image {image}, {at}: {value}");
                    }
                }
            }
        }
        prop_assert_eq!(seen.signs.units, units);
    }

    #[test]
    fn the_gradient_of_the_images_predicts_a_small_step(recipe in recipes()) {
        let (case, graph) = recipe.build();
        // A step does not cross a kink of a ReLU or a maximum in a graph without them.
        let kinks = nodes(&graph, |op| matches!(op, Op::Relu | Op::Relu6 | Op::MaxPool(_)));
        prop_assume!(kinks.is_empty());
        let graph = without_sides(&graph);
        let factors = noise(case.labels.len() * graph.output().shape.numel(), 77);
        let direction = noise(case.pixels.len(), 78);
        let mut engine = case.engine(Precision::F64, Isa::Portable);
        let objective = |engine: &mut pada_engine::Engine, step: f32| -> f64 {
            let pixels: Vec<f32> = case.pixels.iter().zip(&direction).map(|(x, d)| x + step * d).collect();
            let seen = engine.inspect(&graph, &Images::given(&pixels, case.shape), &FORWARD).unwrap();
            seen.output.iter().zip(&factors).map(|(y, f)| f64::from(y * f)).sum()
        };
        let step = 1e-2;
        let slope = (objective(&mut engine, step) - objective(&mut engine, -step)) / f64::from(2.0 * step);
        let images = Images::given(&case.pixels, case.shape);
        let inspection = Inspection { objective: Some(Objective::Weighted(&factors)), image_gradient: true, ..FORWARD };
        let seen = engine.inspect(&graph, &images, &inspection).unwrap();
        let predicted: f64 = seen.image_gradient.iter().zip(&direction).map(|(g, d)| f64::from(g * d)).sum();
        let size: f64 = seen.image_gradient.iter().zip(&direction).map(|(g, d)| f64::from((g * d).abs())).sum();
        prop_assert!((slope - predicted).abs() < 2e-2 * size.max(0.1), "slope {slope}, predicted {predicted}, size {size}");
        prop_assert!(engine.read(State::Gradient).iter().all(|&g| g == 0.0), "nobody asked for the gradient of the weights");
    }

    #[test]
    fn the_gradient_of_moved_kernels_is_that_of_an_engine_with_these_weights(recipe in recipes()) {
        let (case, graph) = recipe.build();
        let graph = without_sides(&graph);
        let images = Images::given(&case.pixels, case.shape);
        let mut weights = case.weights.clone();
        for node in graph.nodes() {
            let kernel = match &node.op {
                Op::Conv(conv) => conv.weight,
                Op::Linear { weight, .. } => *weight,
                _ => continue,
            };
            let range = case.layout.range(kernel);
            weights[range.clone()].iter_mut().zip(&case.weights[range]).for_each(|(moved, w)| *moved = w * 1.25);
        }
        // Exact, because both numbers are of similar size (Sterbenz).
        let moves: Vec<f32> = weights.iter().zip(&case.weights).map(|(moved, w)| moved - w).collect();
        let gradient = |weights: &[f32], moves: &[f32]| {
            let mut engine = Engine::new(case.layout.clone(), weights.to_vec(), Precision::F64);
            let objective = Some(Objective::CrossEntropy(&case.labels));
            let inspection = Inspection { objective, moved_kernels: Some(moves), ..FORWARD };
            let found = engine.inspect(&graph, &images, &inspection).unwrap().kernel_gradient;
            assert!(engine.read(State::Gradient).iter().all(|&g| g == 0.0), "nobody asked for it in f32");
            assert_eq!(engine.read(State::Weights), weights);
            found
        };
        let zeros = vec![0.0; weights.len()];
        let (moved, expected) = (gradient(&case.weights, &moves), gradient(&weights, &zeros));
        let size = expected.iter().fold(1e-3_f64, |size, g| size.max(g.abs()));
        let off = moved.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / size;
        prop_assert!(off < 1e-9, "off by {off}");
        let mut engine = Engine::new(case.layout.clone(), weights.clone(), Precision::F64);
        let objective = Some(Objective::CrossEntropy(&case.labels));
        engine.inspect(&graph, &images, &Inspection { objective, weight_gradient: true, ..FORWARD }).unwrap();
        for (place, (g, expected)) in engine.read(State::Gradient).into_iter().zip(&expected).enumerate() {
            // Weights that are no kernels have a gradient of 0 here.
            let off = if *expected == 0.0 { 0.0 } else { (f64::from(g) - expected).abs() / size };
            prop_assert!(off < 1e-6, "{place}: {g}, expected {expected}");
        }
    }
}

#[test]
fn moved_kernels_need_f64_and_one_number_per_weight() {
    let mut layout = WeightLayout::new();
    let mut push = |name: &str, shape: Vec<usize>| {
        layout.push(WeightSpec { name: name.into(), shape, init: Init::Constant(0.5), owner: None })
    };
    let classifier = (push("weight", vec![4, 3]), push("bias", vec![4]));
    let shape = Shape::new(3, 2, 2);
    let mut g = GraphBuilder::new(&layout);
    let x = g.input(shape);
    let graph = g.classified(x, classifier).unwrap();
    let pixels = noise(2 * shape.numel(), 3);
    let error = |precision: Precision, moves: &[f32]| {
        let mut engine = Engine::new(layout.clone(), vec![0.5; layout.numel()], precision);
        let inspection =
            Inspection { objective: Some(Objective::Sum), moved_kernels: Some(moves), ..FORWARD };
        engine.inspect(&graph, &Images::given(&pixels, shape), &inspection).unwrap_err().to_string()
    };
    let few = error(Precision::F64, &[0.0; 3]);
    assert!(few.contains("3 numbers to move 16 weights"), "{few}");
    let inexact = error(Precision::F32, &[0.0; 16]);
    assert!(inexact.contains("Precision::F64"), "{inexact}");
}
