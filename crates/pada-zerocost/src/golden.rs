//! All scores against PyTorch: `tests/data/make_scores.py` writes the numbers, and its docstring has the formulas of weights and images.

use pada_engine::Engine;
use pada_exec::{Convolution, Executor, Images, Inspect, Precision, State};
use pada_graph::{Graph, Init, Lower, Shape, WeightLayout};
use pada_models::{Nb201Net, Norms};
use pada_space::{Arch, Nb201, SearchSpace};
use serde_json::Value;

use crate::az_nas::trainability_of;
use crate::scorer::lean;
use crate::zen::zen_of;
use crate::{Score, ScoreValue, ScoringBatch, Weights, ZeroCostScorer};

const IMAGES: usize = 12;
const SHAPE: Shape = Shape { channels: 3, height: 16, width: 16 };

fn hash(name: &str, i: usize) -> u64 {
    let fnv = |value: u64, &byte: &u8| (value ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let seed = name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    let z = seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn unit(name: &str, i: usize) -> f64 {
    2.0 * ((hash(name, i) >> 40) as f64 / f64::from(1 << 24)) - 1.0
}

fn normal(name: &str, i: usize) -> f32 {
    let sum: u64 = (0..12).map(|j| hash(name, 12 * i + j) >> 32).sum();
    (sum as f64 / 4_294_967_296.0 - 6.0) as f32
}

fn pixels(batch: usize) -> Vec<f32> {
    let (coarse, fine) = (format!("images/{batch}/coarse"), format!("images/{batch}/fine"));
    let pixel = |i: usize| {
        let (plane, y, x) = (i / 256, i / 16 % 16, i % 16);
        (unit(&coarse, (plane * 4 + y / 4) * 4 + x / 4) + unit(&fine, i)) as f32
    };
    (0..IMAGES * SHAPE.numel()).map(pixel).collect()
}

fn labels(batch: usize) -> Vec<u32> {
    (0..IMAGES).map(|n| ((n + batch) % 5 % 3) as u32).collect()
}

fn weights(layout: &WeightLayout, kernel: impl Fn(&str, usize, usize) -> f32) -> Vec<f32> {
    let mut weights = vec![0.0; layout.numel()];
    for (id, spec) in layout.iter() {
        for (i, w) in weights[layout.range(id)].iter_mut().enumerate() {
            *w = match spec.init {
                Init::Uniform { fan_in } => kernel(&spec.name, i, fan_in),
                Init::Constant(value) => value,
            };
        }
    }
    weights
}

struct Golden {
    net: Nb201Net,
    values: Value,
    batches: [(Vec<f32>, Vec<u32>); 2],
}

impl Golden {
    fn new() -> Self {
        let net = Nb201Net::new(4, 1, SHAPE, 10, Norms::Running);
        let values = serde_json::from_str(include_str!("../tests/data/scores.json")).unwrap();
        Self { net, values, batches: [0, 1].map(|batch| (pixels(batch), labels(batch))) }
    }

    fn engine(&self, precision: Precision) -> Engine {
        let uniform = |name: &str, i: usize, fan_in: usize| (unit(name, i) / (fan_in as f64).sqrt()) as f32;
        let layout = self.net.weights();
        // Another order of rounding moves some inputs of ReLUs to the other side of 0.
        Engine::new(layout.clone(), weights(layout, uniform), precision).with_convolution(Convolution::Direct)
    }

    fn graph(&self, cell: &Value) -> Graph {
        let space = Nb201::new();
        let arch = space.parse(cell["arch"].as_str().unwrap()).unwrap();
        let live = space.active(&arch).unwrap();
        let expected: Vec<bool> =
            cell["active"].as_array().unwrap().iter().map(|v| v.as_bool().unwrap()).collect();
        assert_eq!(live, expected);
        let choices = arch.choices().iter().zip(live).map(|(&op, live)| if live { op } else { 0 });
        self.net.lower(&Arch::new(choices.collect::<Vec<_>>())).unwrap()
    }

    fn batches(&self) -> [ScoringBatch<'_>; 2] {
        self.batches
            .each_ref()
            .map(|(pixels, labels)| ScoringBatch { images: Images::given(pixels, SHAPE), labels })
    }

    /// Compares a score of all cells. `least` is the absolute difference that rounding may cause.
    fn check(&self, precision: Precision, name: &str, score: Score, tolerance: f64, least: f64) {
        let mut engine = self.engine(precision);
        let before = engine.read(State::Weights);
        let batches = self.batches();
        let batches = if score == Score::Zico { &batches[..] } else { &batches[..1] };
        for cell in self.values["cells"].as_array().unwrap() {
            let graph = self.graph(cell);
            let found = match score {
                Score::Zen => self.zen(&mut engine, &graph, batches),
                Score::AzNasTrainability => {
                    let mut scorer =
                        ZeroCostScorer::new(score, &mut engine, batches, Weights::Initial, 0).unwrap();
                    let signs = |block: usize, numel: usize| {
                        let name = format!("az-nas/{block}");
                        (0..numel).map(|i| if hash(&name, i) >> 63 == 1 { 1.0 } else { -1.0 }).collect()
                    };
                    trainability_of(&mut scorer, &lean(&graph).with_plain_norms(), signs).unwrap()
                }
                _ => ZeroCostScorer::new(score, &mut engine, batches, Weights::Initial, 0)
                    .unwrap()
                    .score(&graph)
                    .unwrap(),
            };
            let what = format!("{name} of {}: {found:?}", cell["cell"]);
            match cell["scores"][name].as_f64() {
                Some(expected) => {
                    let off = (found.value - expected).abs();
                    assert!(off <= tolerance * expected.abs() + least, "{what}, expected {expected}");
                    assert_eq!(found.reason, None, "{what}");
                }
                None => {
                    let expected = cell["non_finite"][name]["value"].as_str().unwrap();
                    assert_eq!(found.value.to_string().to_lowercase(), expected, "{what}");
                    assert!(found.reason.is_some(), "{what}");
                }
            }
        }
        assert_eq!(engine.read(State::Weights), before, "{name} put the weights back");
    }

    fn zen(&self, engine: &mut dyn Inspect, graph: &Graph, batches: &[ScoringBatch<'_>]) -> ScoreValue {
        let drawn = weights(
            self.net.weights(),
            |name, i, _| {
                if name.ends_with("bias") { 0.0 } else { normal(name, i) }
            },
        );
        let images = ["zen/x", "zen/z"]
            .map(|name| (0..IMAGES * SHAPE.numel()).map(|i| normal(name, i)).collect::<Vec<_>>());
        let mut scorer = ZeroCostScorer::new(Score::Zen, engine, batches, Weights::Initial, 0).unwrap();
        zen_of(&mut scorer, &graph.with_plain_norms(), &drawn, [&images[0], &images[1]]).unwrap()
    }
}

#[test]
fn weights_images_and_logits_are_those_of_the_script() {
    let golden = Golden::new();
    let numbers = |value: &Value| {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect::<Vec<_>>()
    };
    for (batch, key) in [(0, "first"), (1, "first_of_batch_1")] {
        assert_eq!(golden.batches[batch].0[..5], numbers(&golden.values["images"][key]));
    }
    let layout = golden.net.weights();
    let mut engine = golden.engine(Precision::F64);
    for name in ["stem.0.weight", "classifier.bias"] {
        let weight = layout.range(layout.find(name).unwrap());
        assert_eq!(engine.read(State::Weights)[weight][..5], numbers(&golden.values["weights"][name]));
    }
    for cell in golden.values["cells"].as_array().unwrap() {
        let graph = golden.graph(cell).with_plain_norms();
        let seen = engine.inspect(&graph, &golden.batches()[0].images, &Default::default()).unwrap();
        let sums = [
            ("logits_sum", seen.output.iter().map(|&v| f64::from(v)).sum::<f64>()),
            (
                "logits_wave",
                seen.output.iter().enumerate().map(|(i, &v)| (0.7 * i as f64).sin() * f64::from(v)).sum(),
            ),
        ];
        for (name, found) in sums {
            let expected = cell[name].as_f64().unwrap();
            assert!(
                (found - expected).abs() < 1e-5,
                "{name} of {}: {found}, expected {expected}",
                cell["cell"]
            );
        }
    }
}

#[test]
fn scores_of_gradients_equal_those_of_pytorch() {
    let golden = Golden::new();
    for (name, score) in [("plain", Score::Plain), ("grad-norm", Score::GradNorm), ("snip", Score::Snip)] {
        golden.check(Precision::F64, name, score, 1e-5, 1e-6);
        golden.check(Precision::F32, name, score, 1e-4, 1e-4);
    }
    golden.check(Precision::F64, "l2-norm", Score::L2Norm, 1e-6, 0.0);
    golden.check(Precision::F64, "fisher", Score::Fisher, 1e-5, 1e-9);
    golden.check(Precision::F64, "zico", Score::Zico, 1e-4, 1e-3);
}

#[test]
fn scores_of_image_gradients_and_signs_equal_those_of_pytorch() {
    let golden = Golden::new();
    for (name, score) in
        [("jacov", Score::Jacov), ("epe", Score::Epe), ("nwot", Score::Nwot), ("swap", Score::Swap)]
    {
        golden.check(Precision::F64, name, score, 1e-5, 0.0);
        golden.check(Precision::F32, name, score, 1e-3, 4.0);
    }
}

#[test]
fn synflow_and_zen_equal_those_of_pytorch() {
    let golden = Golden::new();
    golden.check(Precision::F64, "synflow", Score::Synflow, 1e-6, 0.0);
    golden.check(Precision::F32, "synflow", Score::Synflow, 1e-6, 0.0);
    golden.check(Precision::F64, "zen", Score::Zen, 1e-5, 1e-5);
}

#[test]
fn the_number_of_multiply_adds_and_parameters_are_those_of_pytorch() {
    let golden = Golden::new();
    golden.check(Precision::F32, "az-nas-complexity", Score::Flops, 0.0, 0.0);
    let engine = golden.engine(Precision::F32);
    for cell in golden.values["cells"].as_array().unwrap() {
        let found = crate::structural(Score::Params, &golden.graph(cell), engine.layout());
        assert_eq!(found, cell["num_params"].as_f64(), "{}", cell["cell"]);
    }
}

#[test]
fn grasp_equals_that_of_double_backward() {
    let golden = Golden::new();
    golden.check(Precision::F64, "grasp", Score::Grasp, 1e-6, 0.0);
    let mut engine = golden.engine(Precision::F32);
    let batches = golden.batches();
    let mut scorer =
        ZeroCostScorer::new(Score::Grasp, &mut engine, &batches[..1], Weights::Initial, 0).unwrap();
    let graph = golden.graph(&golden.values["cells"][0]);
    let error = scorer.score(&graph).unwrap_err().to_string();
    assert!(error.contains("Precision::F64"), "{error}");
}

#[test]
fn parts_of_az_nas_equal_those_of_pytorch() {
    let golden = Golden::new();
    for (name, score) in [
        ("az-nas-expressivity", Score::AzNasExpressivity),
        ("az-nas-progressivity", Score::AzNasProgressivity),
        ("az-nas-trainability", Score::AzNasTrainability),
    ] {
        golden.check(Precision::F64, name, score, 1e-5, 1e-6);
        golden.check(Precision::F32, name, score, 1e-3, 1e-3);
    }
}

#[test]
fn az_nas_is_a_score_of_a_list_and_refused_for_a_single_network() {
    let golden = Golden::new();
    let mut engine = golden.engine(Precision::F32);
    let batches = golden.batches();
    let error = ZeroCostScorer::new(Score::AzNas, &mut engine, &batches[..1], Weights::Initial, 0);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("az-nas-trainability, flops"), "{error}");
    // A graph without blocks.
    let graph = golden.graph(&golden.values["cells"][3]);
    let mut scorer =
        ZeroCostScorer::new(Score::AzNasTrainability, &mut engine, &batches[..1], Weights::Initial, 0)
            .unwrap();
    let error = scorer.score(&graph.up_to(graph.blocks()[0])).unwrap_err().to_string();
    assert!(error.contains("at least two blocks"), "{error}");
    // Random signs of a seed.
    let found = scorer.score(&graph).unwrap();
    assert_eq!(scorer.score(&graph).unwrap(), found);
    let mut other =
        ZeroCostScorer::new(Score::AzNasTrainability, &mut engine, &batches[..1], Weights::Initial, 1)
            .unwrap();
    let other = other.score(&graph).unwrap();
    assert!(other != found && (other.value - found.value).abs() < 0.5, "{other:?} and {found:?}");
}
