//! Differentiable searches on tiny problems: mixtures against paths, gradients against finite differences, rules against their sources, and
//! runs that go on bit for bit.

use pada_candle::CandleExecutor;
use pada_data::{Augment, DataLoader, InMemoryDataset, Normalize};
use pada_engine::Engine;
use pada_exec::{Batch, Executor, LossSpec, Precision, SgdStep, State};
use pada_graph::{Lower, Shape};
use pada_models::{
    DartsNet, DartsSize, MacroNet, MixtureSettings, Nb201Net, Norms, ProxylessNet, init_weights,
};
use pada_sampler::{SamplerError, SavedState, UniformData, UniformPaths};
use pada_search::{ArchOptimizer, CostTerm, Relaxation, ZerothOrder};
use pada_space::{
    Arch, Darts, DartsCell, NasBenchMacro, Nb201, Proxyless, ProxylessWidths, SearchSpace, SubSpace,
};
use pada_trainer::rules::{
    ConstraintLoss, Constraints, DartsOrder, Differentiable, DifferentiableConfig, DifferentiableMethod,
    DifferentiableState, FirstUpdate, NsasConfig, OpCosts, SearchImages, SearchInputs, Zarts,
};
use pada_trainer::{
    Observer, RngStream, StepContext, StepOutcome, StepProgress, TrainError, TrainRule, Trainer, TrainerParts,
};
use recipe::recipe;

use crate::resuming::{finished, resumes_bit_for_bit};
use crate::{bright, recipe};

const EPOCHS: usize = 4;
const CLASSES: usize = 4;
const INPUT: Shape = Shape { channels: 3, height: 8, width: 8 };
/// Steps of an epoch: 24 images in batches of 6.
const STEPS: usize = 4;

fn net(channel_parts: usize) -> Nb201Net {
    let settings = MixtureSettings::Factors { channel_parts };
    Nb201Net::with_mixtures(4, 1, INPUT, CLASSES, Norms::Plain, settings)
}

fn whole() -> SubSpace {
    SubSpace::full(&Nb201::new())
}

fn config(method: DifferentiableMethod) -> DifferentiableConfig {
    let optimizer = ArchOptimizer { learning_rate: 0.05, ..ArchOptimizer::darts() };
    DifferentiableConfig {
        method,
        optimizer,
        start: 0.0,
        first: FirstUpdate::Architecture,
        cost: None,
        constraints: None,
    }
}

/// Every method, with the number of parts of the channels.
fn methods() -> Vec<(DifferentiableConfig, usize)> {
    let costs = CostTerm { weight: 0.2, exponent: 0.6, target: None };
    vec![
        (config(DifferentiableMethod::Darts { order: DartsOrder::First }), 1),
        (config(DifferentiableMethod::Darts { order: DartsOrder::Second }), 1),
        (
            DifferentiableConfig {
                start: 0.3,
                ..config(DifferentiableMethod::Darts { order: DartsOrder::First })
            },
            4,
        ),
        (config(DifferentiableMethod::Perturbation { start: 0.5, lr: 0.01 }), 1),
        (
            DifferentiableConfig {
                first: FirstUpdate::Weights,
                ..config(DifferentiableMethod::Gdas { temperature: [10.0, 0.1] })
            },
            1,
        ),
        (config(DifferentiableMethod::Snas { temperature: [1.0, 0.03] }), 1),
        (config(DifferentiableMethod::Proxyless { every: 2 }), 1),
        (
            DifferentiableConfig {
                cost: Some(costs),
                ..config(DifferentiableMethod::FbNet { temperature: 5.0, decay: 0.956 })
            },
            1,
        ),
        (config(DifferentiableMethod::Zarts(zarts())), 1),
        (config(DifferentiableMethod::Variational), 1),
        (
            DifferentiableConfig {
                constraints: Some(constraints()),
                ..config(DifferentiableMethod::Gdas { temperature: [10.0, 0.1] })
            },
            1,
        ),
    ]
}

fn constraints() -> NsasConfig {
    let (beta, constraint_loss) = (0.5, ConstraintLoss::Trained);
    NsasConfig { beta, constraints: Constraints::Archive(3), constraint_loss }
}

fn zarts() -> Zarts {
    let rule = ZerothOrder { samples: 3, temperature: 0.01, undirected: 0.25 };
    Zarts { rule, every: 2, inner_steps: 2, deviation: 0.025 }
}

fn validation() -> SearchImages {
    SearchImages { images: DataLoader::new(bright::images(12, 8)), augment: Augment::NONE }
}

fn inputs() -> SearchInputs {
    let training = SearchImages { images: DataLoader::new(bright::images(24, 8)), augment: Augment::NONE };
    SearchInputs { validation: Some(validation()), training: Some(training), costs: Some(costs()), cells: 1 }
}

fn costs() -> OpCosts {
    OpCosts { fixed: 1e5, ops: vec![vec![0.0, 0.0, 1e4, 9e4, 0.0]; 6] }
}

fn rule(config: DifferentiableConfig, net: &Nb201Net) -> Differentiable {
    rule_in(&whole(), config, net)
}

fn rule_in(part: &SubSpace, config: DifferentiableConfig, net: &Nb201Net) -> Differentiable {
    let mut rng = RngStream::RuleStart.stream(7);
    Differentiable::new(config, Box::new(Nb201::new()), part, net, inputs(), &mut rng).unwrap()
}

fn trainer(method: (DifferentiableConfig, usize)) -> Trainer {
    trainer_in(&whole(), method)
}

fn trainer_in(part: &SubSpace, (config, channel_parts): (DifferentiableConfig, usize)) -> Trainer {
    let net = net(channel_parts);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let rule = Box::new(rule_in(part, config, &net));
    let parts = TrainerParts {
        executor: Box::new(Engine::new(net.weights().clone(), weights, Precision::F32)),
        net: Box::new(net),
        space: whole(),
        n_ops: 5,
        paths: Box::new(UniformPaths::new(whole()).unwrap()),
        data: Box::new(UniformData::new(24).unwrap()),
        rule,
        images: DataLoader::new(bright::images(24, 8)),
    };
    Trainer::new(recipe(EPOCHS, 6, 1, 7), parts).unwrap()
}

/// Stops a run after some steps.
struct StopAfter(usize);

impl Observer for StopAfter {
    fn on_step(&mut self, _: &StepProgress) {
        self.0 -= 1;
    }

    fn stop_requested(&self) -> bool {
        self.0 == 0
    }
}

/// Trains until the observer stops, between two steps.
fn stopped_after(steps: usize, method: (DifferentiableConfig, usize)) -> Trainer {
    let (mut trainer, mut stop) = (trainer(method), StopAfter(steps));
    while !trainer.is_done() {
        match trainer.epoch(&mut stop) {
            Err(TrainError::Stopped) => return trainer,
            other => drop(other.unwrap()),
        }
    }
    trainer
}

#[test]
fn every_method_resumes_bit_for_bit_within_an_epoch() {
    for method in methods() {
        let whole = finished(trainer(method));
        for steps in [2, 5, 9, 14] {
            let folder = tempfile::tempdir().unwrap();
            stopped_after(steps, method).save(folder.path()).unwrap();
            let mut resumed = trainer(method);
            resumed.resume(folder.path()).unwrap();
            assert!(finished(resumed) == whole, "{method:?}, stopped after {steps} steps");
        }
    }
}

#[test]
fn every_method_resumes_bit_for_bit() {
    for method in methods() {
        resumes_bit_for_bit(&format!("{method:?}"), || trainer(method));
    }
}

#[test]
fn the_logits_move_and_the_record_names_the_strongest_architecture() {
    for method in methods() {
        let (records, _, state) = finished(trainer(method));
        let state: DifferentiableState = state.read(DifferentiableState::KIND).unwrap();
        let start = rule(method.0, &net(method.1)).search_state().parameters.clone();
        let moved = |place: usize| (state.parameters.logits()[place] - start.logits()[place]).abs();
        let most = (0..start.logits().len()).map(moved).fold(0.0, f64::max);
        assert!(most > 0.01, "{method:?}: the logits have moved by {most}");
        let last = records.last().unwrap().mixture.as_ref().unwrap();
        let mut expected = vec![];
        for (place, probabilities) in last.probabilities.iter().enumerate() {
            let best = |best: usize, op: usize| {
                if probabilities[op] > probabilities[best] { op } else { best }
            };
            let chosen = state.chosen[place].map_or((1..5).fold(0, best), usize::from);
            expected.push(chosen as u8);
        }
        assert_eq!(last.arch, Arch::new(expected).to_string(), "{method:?}");
        let is_joint = matches!(method.0.method, DifferentiableMethod::Snas { .. });
        assert_eq!(last.validation_loss.is_none(), is_joint, "{method:?}");
    }
}

/// Operations that a part of the space lacks are neither computed nor found, and a decision with a single operation stays as it is.
#[test]
fn every_method_stays_in_its_part_of_the_space() {
    let part = SubSpace::with_ops(&Nb201::new(), &["skip_connect", "nor_conv_3x3", "avg_pool_3x3"]).unwrap();
    let part = part.restrict(2, &[4]).unwrap();
    for method in methods() {
        let (records, ..) = finished(trainer_in(&part, method));
        let last = records.last().unwrap().mixture.as_ref().unwrap();
        assert!(last.arch.bytes().all(|digit| b"134".contains(&digit)), "{method:?}: {}", last.arch);
        assert_eq!(last.arch.as_bytes()[2], b'4', "{method:?}");
        assert_eq!(last.probabilities[2], [1.0], "{method:?}");
        assert_eq!(last.ops[0], [1, 3, 4], "{method:?}");
    }
}

/// The loss of FBNet and ProxylessNAS with a strong preference for cheap architectures ends in a smaller expected cost than without one.
#[test]
fn a_preference_for_cheap_architectures_lowers_the_expected_cost() {
    let expected_cost = |method: DifferentiableMethod, cost: Option<CostTerm>| {
        let start = config(method);
        let optimizer = ArchOptimizer { learning_rate: 0.2, ..start.optimizer };
        let (records, ..) = finished(trainer((DifferentiableConfig { cost, optimizer, ..start }, 1)));
        let last = records.last().unwrap().mixture.clone().unwrap();
        let of = |(p, costs): (&Vec<f64>, &Vec<f64>)| p.iter().zip(costs).map(|(p, c)| p * c).sum::<f64>();
        last.probabilities.iter().zip(&costs().ops).map(of).sum::<f64>()
    };
    for method in [
        DifferentiableMethod::FbNet { temperature: 5.0, decay: 0.956 },
        DifferentiableMethod::Proxyless { every: 1 },
    ] {
        let term = CostTerm { weight: 1.0, exponent: 40.0, target: Some(2e5) };
        let (with, without) = (expected_cost(method, Some(term)), expected_cost(method, None));
        assert!(with < 0.8 * without, "{method:?}: {with} and {without}");
    }
}

#[test]
fn before_their_start_logits_stay() {
    let (records, ..) = finished(trainer(methods()[2]));
    // 0.3 of four epochs: the first two epochs train the weights only.
    let logits = |epoch: usize| &records[epoch].mixture.as_ref().unwrap().probabilities;
    assert_eq!(logits(0), logits(1));
    assert_ne!(logits(1), logits(2));
    let validated = |epoch: usize| records[epoch].mixture.as_ref().unwrap().validation_loss.is_some();
    assert_eq!([0, 1, 2, 3].map(validated), [false, false, true, true]);
}

#[test]
fn temperatures_follow_their_schedules() {
    let temperatures = |method: usize| -> Vec<f64> {
        let (records, ..) = finished(trainer(methods()[method]));
        records.iter().map(|record| record.mixture.as_ref().unwrap().temperature.unwrap()).collect()
    };
    let near = |found: Vec<f64>, expected: [f64; EPOCHS]| {
        let same = found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(same, "{found:?} and {expected:?}");
    };
    near(temperatures(4), [10.0, 6.7, 3.4, 0.1]);
    near(temperatures(7), [5.0, 5.0 * 0.956, 5.0 * 0.956 * 0.956, 5.0 * 0.956_f64.powi(3)]);
}

/// The operation of an edge is the one without which the supernet classifies fewest validation images correctly, by a slow reference.
#[test]
fn darts_pt_chooses_the_operation_that_costs_most_accuracy() {
    let method = methods()[3];
    // Two of four epochs train the supernet. The next step chooses for the first edge, and then trains.
    let before = 2 * STEPS;
    let mut trained = stopped_after(before, method);
    let TrainerParts { executor, net, rule, .. } = trained.parts();
    let state: DifferentiableState = rule.state().read(DifferentiableState::KIND).unwrap();
    let (mixtures, layout) = (net.mixtures().unwrap().clone(), net.weights());
    let graph = net.lower_mixture(&vec![vec![0, 1, 2, 3, 4]; 6]).unwrap().simplified();
    let SearchImages { images: mut loader, .. } = validation();
    let labels: Vec<u32> = loader.source().labels().iter().map(|&label| u32::from(label)).collect();
    let mut correct = |place: usize, masked: usize| -> usize {
        let mut factors = vec![0.0; layout.spec(mixtures.factors).numel()];
        for (decision, probabilities) in state.parameters.probabilities().iter().enumerate() {
            for (op, &p) in probabilities.iter().enumerate() {
                let is_masked = (decision, op) == (place, masked);
                factors[decision * 5 + op] = if is_masked { 0.0 } else { p as f32 };
            }
        }
        executor.write_weight(mixtures.factors, &factors);
        let mut all = 0;
        for first in [0_u32, 6] {
            let picks: Vec<u32> = (first..first + 6).collect();
            let loaded = loader.load(&picks, &Augment::NONE, &mut RngStream::Images.stream(0)).unwrap();
            let images = pada_exec::Images { pixels: pada_exec::Pixels::Given(&loaded.pixels), shape: INPUT };
            let labels = &labels[first as usize..first as usize + 6];
            all += executor.logits(&graph, &images).unwrap().correct(labels);
        }
        all
    };
    let table: Vec<Vec<usize>> = (0..6).map(|place| (0..5).map(|op| correct(place, op)).collect()).collect();
    let mut later = stopped_after(before + 1, method);
    let later: DifferentiableState = later.parts().rule.state().read(DifferentiableState::KIND).unwrap();
    let chosen: Vec<(usize, u8)> =
        later.chosen.iter().enumerate().filter_map(|(place, op)| Some((place, (*op)?))).collect();
    let [(place, op)] = chosen[..] else { panic!("{chosen:?}") };
    let least = table[place].iter().min().unwrap();
    assert_eq!(table[place].iter().position(|count| count == least), Some(usize::from(op)), "{table:?}");
    assert!(table[place].iter().any(|count| count != least), "all operations are alike: {table:?}");
}

#[test]
fn darts_pt_chooses_every_edge_and_trains_with_its_own_rate() {
    let (records, _, state) = finished(trainer(methods()[3]));
    let state: DifferentiableState = state.read(DifferentiableState::KIND).unwrap();
    assert!(state.chosen.iter().all(Option::is_some), "{:?}", state.chosen);
    let chosen = |epoch: usize| records[epoch].mixture.as_ref().unwrap().chosen.iter().flatten().count();
    // Half of the run trains the supernet; one edge at once, three more within the next epoch.
    assert_eq!([0, 1, 2, 3].map(chosen), [0, 0, 1, 6]);
    assert_eq!([2, 3].map(|epoch: usize| records[epoch].lr), [0.01; 2]);
    assert!(records[1].lr != 0.01);
}

/// A one-hot mixture is the path, in every network and on both executors.
#[test]
fn a_mixture_with_one_operation_equals_the_path() {
    let darts = DartsSize { channels: 4, layers: 3, input: INPUT, classes: CLASSES, ..DartsSize::SEARCH };
    let cells = MixtureSettings::default();
    let wide = Shape::new(3, 32, 32);
    let nets: [(Box<dyn Lower>, Box<dyn SearchSpace>); 4] = [
        (Box::new(net(1)), Box::new(Nb201::new())),
        (Box::new(DartsNet::with_mixtures(darts, Norms::Plain, cells)), Box::new(Darts)),
        (Box::new(MacroNet::with_mixtures(wide, CLASSES, Norms::Affine)), Box::new(NasBenchMacro)),
        (
            Box::new(ProxylessNet::with_mixtures(&ProxylessWidths::SEARCH, wide, CLASSES, Norms::Affine)),
            Box::new(Proxyless::new(ProxylessWidths::SEARCH)),
        ),
    ];
    for (net, space) in nets {
        let weights = init_weights(net.weights(), &mut RngStream::Init.stream(3));
        let images = bright::images(4, net.input().height);
        let loaded =
            DataLoader::new(images).load(&[0, 1, 2, 3], &Augment::NONE, &mut RngStream::Images.stream(0));
        let pixels = loaded.unwrap().pixels;
        let images = pada_exec::Images { pixels: pada_exec::Pixels::Given(&pixels), shape: net.input() };
        let arch = space.sample(&mut RngStream::Paths.stream(5));
        let mixtures = net.mixtures().unwrap().clone();
        let kept = |decision: usize| -> Vec<u8> {
            // An edge that no node of a DARTS cell keeps has no operation.
            let is_kept = space.name() != "darts"
                || [DartsCell::Normal, DartsCell::Reduce].iter().any(|&cell| {
                    Darts::edges(&arch, cell).unwrap().iter().any(|edge| edge.decision == decision)
                });
            if is_kept { vec![arch.choices()[decision]] } else { vec![] }
        };
        let computed: Vec<Vec<u8>> = mixtures.decisions.iter().map(|of| kept(of.decision)).collect();
        let (path, mixture) = (net.lower(&arch).unwrap(), net.lower_mixture(&computed).unwrap());
        let engine = Engine::new(net.weights().clone(), weights.clone(), Precision::F64);
        let candle = CandleExecutor::new(net.weights().clone(), weights, Precision::F64);
        let executors: [Box<dyn Executor>; 2] = [Box::new(engine), Box::new(candle)];
        for mut executor in executors {
            let ones = vec![1.0; net.weights().spec(mixtures.factors).numel()];
            executor.write_weight(mixtures.factors, &ones);
            let [own, other] = [&mixture, &path].map(|graph| executor.logits(graph, &images).unwrap().values);
            let off = own.iter().zip(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-5, "{}: {off} on {}", space.name(), executor.name());
        }
    }
}

/// The gradient of a factor is the derivative of the loss, also with partial channels and edge weights.
#[test]
fn gradients_of_factors_equal_finite_differences() {
    for parts in [1, 4] {
        let net = net(parts);
        let weights = init_weights(net.weights(), &mut RngStream::Init.stream(3));
        let mut engine = Engine::new(net.weights().clone(), weights, Precision::F64);
        let images = DataLoader::new(bright::images(6, 8));
        let labels: Vec<u32> = images.source().labels().iter().map(|&label| u32::from(label)).collect();
        let loaded = DataLoader::new(bright::images(6, 8)).load(
            &[0, 1, 2, 3, 4, 5],
            &Augment::NONE,
            &mut RngStream::Images.stream(0),
        );
        let pixels = loaded.unwrap().pixels;
        let images = pada_exec::Images { pixels: pada_exec::Pixels::Given(&pixels), shape: INPUT };
        let batch = Batch { images, labels: &labels };
        let mixtures = net.mixtures().unwrap();
        let graph = net.lower_mixture(&vec![vec![0, 1, 2, 3, 4]; 6]).unwrap().simplified();
        let loss = |engine: &mut Engine| {
            engine.zero_gradient();
            engine.gradients(&graph, &batch, &LossSpec::default()).unwrap().loss
        };
        for id in [Some(mixtures.factors), mixtures.edges].into_iter().flatten() {
            let start: Vec<f32> = {
                let range = net.weights().range(id);
                engine.read(State::Weights)[range]
                    .iter()
                    .enumerate()
                    .map(|(i, w)| w + 0.01 * i as f32)
                    .collect()
            };
            engine.write_weight(id, &start);
            loss(&mut engine);
            let gradient = engine.gradient(id).to_vec();
            for place in 0..start.len() {
                let step = 1.0 / 16384.0;
                let [up, down] = [step, -step].map(|step| {
                    let mut moved = start.clone();
                    moved[place] += step;
                    engine.write_weight(id, &moved);
                    loss(&mut engine)
                });
                engine.write_weight(id, &start);
                let difference = (up - down) / (2.0 * f64::from(step));
                let off = (f64::from(gradient[place]) - difference).abs();
                assert!(off < 1e-4, "{place} of {parts} parts: {} and {difference}", gradient[place]);
            }
        }
    }
}

/// In ProxylessNAS a weight moves only if its operation is sampled.
#[test]
fn operations_that_are_not_sampled_do_not_move() {
    let method = methods()[6];
    let mut kernels = 0;
    for steps in 1..=STEPS {
        let [before, after] = [steps - 1, steps].map(|steps| {
            let mut trained = if steps == 0 { trainer(method) } else { stopped_after(steps, method) };
            trained.parts().executor.read(State::Weights)
        });
        let net = net(1);
        let owned = net.weights().iter().filter(|(_, spec)| spec.owner.is_some() && spec.shape.len() > 1);
        let moved =
            owned.filter(|(id, _)| before[net.weights().range(*id)] != after[net.weights().range(*id)]);
        // Per edge: the cell and the operation of each kernel that moved in this step.
        let mut edges = vec![vec![]; 6];
        for (_, spec) in moved {
            let owner = spec.owner.as_ref().unwrap();
            edges[owner.position].push((owner.cell, owner.op));
            kernels += 1;
        }
        for moved in edges {
            // All cells share the sampled operation.
            assert!(moved.iter().all(|(_, op)| *op == moved[0].1), "{moved:?}");
        }
    }
    assert!(kernels > 0);
}

#[test]
fn missing_parts_and_states_of_others_are_errors() {
    let first = config(DifferentiableMethod::Darts { order: DartsOrder::First });
    let make = |net: &Nb201Net, inputs, config| {
        let (space, mut rng) = (Box::new(Nb201::new()), RngStream::RuleStart.stream(7));
        match Differentiable::new(config, space, &whole(), net, inputs, &mut rng) {
            Err(TrainError::Setup { reason }) => reason,
            Err(other) => other.to_string(),
            Ok(_) => String::new(),
        }
    };
    let plain = Nb201Net::new(4, 1, INPUT, CLASSES, Norms::Plain);
    assert!(make(&plain, inputs(), first).contains("no mixtures"));
    assert!(make(&net(1), SearchInputs::default(), first).contains("validation images"));
    let cost = Some(CostTerm { weight: 0.2, exponent: 0.6, target: None });
    let with_cost = DifferentiableConfig { cost, ..first };
    assert!(make(&net(1), SearchInputs { costs: None, ..inputs() }, with_cost).contains("costs"));
    let untrained = SearchInputs { training: None, ..inputs() };
    assert!(
        make(&net(1), untrained, config(DifferentiableMethod::Zarts(zarts()))).contains("training images")
    );

    let mut own = rule(first, &net(1));
    let start = own.state();
    let partial = rule(first, &net(4)).state();
    assert!(matches!(own.restore(&partial), Err(SamplerError::State { .. })));
    assert!(own.restore(&SavedState::stateless()).is_err());
    assert!(own.state() == start, "a refused state changes nothing");
}

/// Values of PyTorch in f64, written by `tests/data/make_differentiable.py`.
pub(crate) mod golden {
    use serde_json::Value;

    use super::*;

    fn golden() -> Value {
        serde_json::from_str(include_str!("../data/differentiable.json")).unwrap()
    }

    pub(crate) fn numbers(value: &Value) -> Vec<f64> {
        match value {
            Value::Array(items) => items.iter().flat_map(numbers).collect(),
            number => vec![number.as_f64().unwrap()],
        }
    }

    pub(crate) fn count(value: &Value) -> usize {
        value.as_u64().unwrap() as usize
    }

    /// The weights of a formula: kernels and other tensors have scales of their own.
    pub(crate) fn weights(net: &dyn Lower, formula: &Value) -> Vec<f32> {
        let layout = net.weights();
        let of = |key: &str| formula[key].as_f64().unwrap();
        let (mut all, mut i) = (init_weights(layout, &mut RngStream::Init.stream(0)), 0.0_f64);
        for (id, spec) in layout.iter().filter(|(id, _)| layout.is_trained(*id)) {
            let scale = if spec.shape.len() == 4 { of("kernel_scale") } else { of("scale") };
            for weight in &mut all[layout.range(id)] {
                *weight = (scale * (of("rate") * (i * i) + of("phase")).sin()) as f32;
                i += 1.0;
            }
        }
        all
    }

    pub(crate) fn images(batch: &Value) -> InMemoryDataset {
        let bytes = |value: &Value| numbers(value).into_iter().map(|byte| byte as u8).collect();
        InMemoryDataset {
            name: "golden".into(),
            channels: 3,
            height: 8,
            width: 8,
            classes: 3,
            pixels: bytes(&batch["bytes"]),
            labels: numbers(&batch["labels"]).into_iter().map(|label| label as u16).collect(),
            normalize: Normalize { mean: [0.5; 3], std: [0.25; 3] },
        }
    }

    /// The pixels and labels of a whole set.
    pub(crate) fn whole_batch(set: InMemoryDataset) -> (Vec<f32>, Vec<u32>) {
        let mut loader = DataLoader::new(set);
        let all: Vec<u32> = (0..loader.source().len() as u32).collect();
        let loaded = loader.load(&all, &Augment::NONE, &mut RngStream::Images.stream(0)).unwrap();
        let labels = loader.source().labels();
        (loaded.pixels, labels.iter().map(|&label| u32::from(label)).collect())
    }

    /// Compares with a bound relative to the largest number.
    pub(crate) fn near(what: &str, own: &[f64], golden: &[f64], bound: f64) {
        assert_eq!(own.len(), golden.len(), "{what}");
        let largest = golden.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        let off = own.iter().zip(golden).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off <= bound * largest, "{what}: off by {off:e} of {largest:e}");
    }

    /// Norm and samples of a tensor.
    pub(crate) fn near_digest(what: &str, own: &[f32], golden: &Value, bound: f64) {
        let norm = own.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        let expected = golden["norm"].as_f64().unwrap();
        // The gradient of a bias before a norm is rounding.
        assert!((norm - expected).abs() <= bound * expected + 1e-6, "{what}: {norm} and {expected}");
        let sample = numbers(&golden["sample"]);
        let picked = (0..sample.len()).map(|s| f64::from(own[s * own.len() / sample.len()]));
        let off = picked.zip(&sample).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off <= bound * expected + 1e-6, "{what}: a sample is off by {off:e}");
    }

    pub(crate) fn engine(net: &dyn Lower, formula: &Value) -> Engine {
        let engine = Engine::new(net.weights().clone(), weights(net, formula), Precision::F64);
        assert_eq!(engine.layout(), net.weights());
        engine
    }

    pub(crate) fn sgd(settings: &Value) -> (SgdStep, f64) {
        let of = |key: &str| settings[key].as_f64().unwrap();
        let step = SgdStep {
            lr: of("lr") as f32,
            momentum: of("momentum") as f32,
            weight_decay: of("weight_decay") as f32,
            ..SgdStep::default()
        };
        (step, of("clip_norm"))
    }

    pub(crate) fn optimizer(settings: &Value) -> ArchOptimizer {
        ArchOptimizer {
            learning_rate: settings["lr"].as_f64().unwrap(),
            beta1: settings["betas"][0].as_f64().unwrap(),
            weight_decay: settings["weight_decay"].as_f64().unwrap(),
        }
    }

    /// A rule with given logits.
    fn rule_with(
        config: DifferentiableConfig,
        net: &dyn Lower,
        space: Box<dyn SearchSpace>,
        images: InMemoryDataset,
        logits: &[f64],
    ) -> Differentiable {
        let part = SubSpace::full(space.as_ref());
        let images = SearchImages { images: DataLoader::new(images), augment: Augment::NONE };
        let inputs = SearchInputs { validation: Some(images), ..SearchInputs::default() };
        let mut rng = RngStream::RuleStart.stream(0);
        let mut rule = Differentiable::new(config, space, &part, net, inputs, &mut rng).unwrap();
        let mut state = rule.search_state().clone();
        state.parameters.set_logits(logits);
        rule.restore(&SavedState::new(DifferentiableState::KIND, &state)).unwrap();
        rule
    }

    /// Takes one step of a rule on a batch of training images.
    pub(crate) fn step(
        rule: &mut dyn TrainRule,
        engine: &mut Engine,
        net: &dyn Lower,
        batch: &Batch<'_>,
        (sgd, clip_norm): (SgdStep, f64),
    ) -> StepOutcome {
        let mut paths = UniformPaths::new(whole()).unwrap();
        let (mut path_rng, mut rule_rng) = (RngStream::Paths.stream(0), RngStream::Rule.stream(0));
        let mut context = StepContext {
            executor: engine,
            net,
            paths: &mut paths,
            path_rng: &mut path_rng,
            rule_rng: &mut rule_rng,
            sgd,
            clip_norm,
            image_weights: None,
            label_smoothing: 0.0,
            drop_path: None,
            on_gradient: &mut |_, _| (),
        };
        rule.step(&mut context, batch).unwrap()
    }

    #[test]
    fn three_steps_of_both_orders_equal_pytorch() {
        let golden = golden();
        let (case, settings) = (&golden["nb201"], &golden["settings"]);
        let net = Nb201Net::with_mixtures(4, 1, INPUT, 3, Norms::Plain, MixtureSettings::default());
        let names: Vec<String> =
            case["weights"].as_array().unwrap().iter().map(|w| w[0].as_str().unwrap().to_owned()).collect();
        let trained = net.weights().iter().filter(|(id, _)| net.weights().is_trained(*id));
        assert_eq!(trained.map(|(_, spec)| spec.name.clone()).collect::<Vec<_>>(), names);
        let (pixels, labels) = whole_batch(images(&case["train"]));
        let train = pada_exec::Images { pixels: pada_exec::Pixels::Given(&pixels), shape: INPUT };
        let batch = Batch { images: train, labels: &labels };
        for (name, order) in [("first", DartsOrder::First), ("second", DartsOrder::Second)] {
            let config = DifferentiableConfig {
                optimizer: optimizer(&settings["alpha_optimizer"]),
                ..config(DifferentiableMethod::Darts { order })
            };
            let space = Box::new(Nb201::new());
            let mut rule = rule_with(config, &net, space, images(&case["valid"]), &numbers(&case["alpha"]));
            let mut engine = engine(&net, &case["formula"]);
            for (place, expected) in case[name]["steps"].as_array().unwrap().iter().enumerate() {
                rule.begin_epoch(place, 3);
                let outcome = step(&mut rule, &mut engine, &net, &batch, sgd(&settings["weight_optimizer"]));
                let what = format!("{name}, step {place}");
                let validation = rule.mixture().unwrap().validation_loss.unwrap();
                let of = |key: &str| numbers(&expected[key]);
                near(&format!("{what}, validation"), &[validation], &of("validation_loss"), 1e-5);
                near(&format!("{what}, loss"), &[outcome.paths[0].loss], &of("training_loss"), 1e-5);
                near(&format!("{what}, gradient"), &[outcome.grad_norm], &of("gradient_norm"), 1e-5);
                let alpha = rule.search_state().parameters.logits();
                // The smallest mistake moves α by 7e-6 of its largest value.
                near(&format!("{what}, alpha"), alpha, &of("alpha"), 1e-6);
            }
            let all = engine.read(State::Weights);
            for (name, expected) in names.iter().zip(case[name]["weights"].as_array().unwrap()) {
                let id = net.weights().find(name).unwrap();
                near_digest(name, &all[net.weights().range(id)], expected, 1e-5);
            }
        }
    }

    /// Partial channels with edge weights, and all edges of DARTS's two cells: loss, logits and the gradient of the logits of operations.
    #[test]
    fn mixtures_of_pc_darts_and_darts_equal_pytorch() {
        let golden = golden();
        let pc = &golden["pc-darts"];
        let parts = MixtureSettings::Factors { channel_parts: count(&pc["channel_parts"]) };
        let cell = Nb201Net::with_mixtures(count(&pc["channels"]), 1, INPUT, 3, Norms::Plain, parts);
        let case = &golden["darts"];
        let size = DartsSize {
            channels: count(&case["channels"]),
            layers: count(&case["layers"]),
            input: INPUT,
            classes: 3,
            ..DartsSize::SEARCH
        };
        let darts = DartsNet::with_mixtures(size, Norms::Plain, MixtureSettings::default());
        let cases: [(&Value, &dyn Lower, Box<dyn SearchSpace>); 2] =
            [(pc, &cell, Box::new(Nb201::new())), (case, &darts, Box::new(Darts))];
        for (case, net, space) in cases {
            let mut logits = numbers(&case["alpha"]);
            logits.extend(case.get("beta").map(numbers).unwrap_or_default());
            let set = images(&case["batch"]);
            let (pixels, labels) = whole_batch(set.clone());
            let rule = rule_with(
                config(DifferentiableMethod::Darts { order: DartsOrder::First }),
                net,
                space,
                set,
                &logits,
            );
            let parameters = &rule.search_state().parameters;
            let mixture = parameters.mix(Relaxation::Softmax, &mut RngStream::Rule.stream(0));
            let (mut engine, mixtures) = (engine(net, &case["formula"]), net.mixtures().unwrap());
            let layout = net.weights();
            let mut factors = vec![0.0; layout.spec(mixtures.factors).numel()];
            for (of, values) in mixtures.decisions.iter().zip(&mixture.factors) {
                for (op, &value) in values.iter().enumerate() {
                    factors[mixtures.index(layout, of.decision, op as u8)] = value as f32;
                }
            }
            engine.write_weight(mixtures.factors, &factors);
            if let Some(id) = mixtures.edges {
                let weights: Vec<f32> = mixture.edges.iter().map(|&weight| weight as f32).collect();
                engine.write_weight(id, &weights);
            }
            let graph = net.lower_mixture(&mixture.computed).unwrap().simplified();
            let batch = Batch {
                images: pada_exec::Images { pixels: pada_exec::Pixels::Given(&pixels), shape: INPUT },
                labels: &labels,
            };
            let stats = engine.gradients(&graph, &batch, &LossSpec::default()).unwrap();
            near("loss", &[stats.loss], &numbers(&case["loss"]), 1e-5);
            let own: Vec<f64> = stats.logits.values.iter().map(|&v| f64::from(v)).collect();
            near("logits", &own, &numbers(&case["logits"]), 1e-5);
            let all = engine.gradient(mixtures.factors).to_vec();
            let of_factors: Vec<Vec<f64>> = mixtures
                .decisions
                .iter()
                .zip(&mixture.factors)
                .map(|(of, values)| {
                    let index = |op: usize| mixtures.index(layout, of.decision, op as u8);
                    (0..values.len()).map(|op| f64::from(all[index(op)])).collect()
                })
                .collect();
            let of_edges: Vec<f64> = match mixtures.edges {
                Some(id) => engine.gradient(id).iter().map(|&g| f64::from(g)).collect(),
                None => vec![],
            };
            let mut expected = numbers(&case["alpha_gradient"]);
            expected.extend(case.get("beta_gradient").map(numbers).unwrap_or_default());
            near("alpha", &parameters.gradient(&mixture, &of_factors, &of_edges), &expected, 1e-5);
        }
    }
}
