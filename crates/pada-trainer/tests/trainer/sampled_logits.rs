//! Searches that draw more than a mixture per step, ZARTS, BaLeNAS and GDAS-NSAS, against slow references.

use pada_data::{Augment, DataLoader};
use pada_engine::Engine;
use pada_exec::{Batch, Executor, Images, LossSpec, Pixels, Precision, SgdStep, State};
use pada_graph::{Lower, Shape};
use pada_models::{MixtureSettings, Nb201Net, Norms, init_weights};
use pada_sampler::SavedState;
use pada_search::{ArchOptimizer, ArchParameters, Relaxation, ZerothOrder};
use pada_space::{Arch, Nb201, SubSpace};
use pada_trainer::rules::{
    ConstraintLoss, Constraints, Differentiable, DifferentiableConfig, DifferentiableMethod,
    DifferentiableState, FirstUpdate, Nsas, NsasConfig, SearchImages, SearchInputs, Zarts,
};
use pada_trainer::{RngStream, TrainRule};
use rand::{Rng, RngExt};

use crate::bright;
use crate::differentiable::golden;

const INPUT: Shape = Shape { channels: 3, height: 8, width: 8 };
const OPTIMIZER: ArchOptimizer = ArchOptimizer { learning_rate: 0.05, beta1: 0.5, weight_decay: 1e-3 };
/// The validation and the training images of the inner steps. A batch has all of them, in an order that changes no loss.
const VALIDATION: u16 = 6;
const SGD: SgdStep = SgdStep { lr: 0.05, momentum: 0.9, weight_decay: 3e-4, ..STEP };
const STEP: SgdStep = SgdStep {
    optimizer: pada_exec::Optimizer::Sgd,
    lr: 0.0,
    momentum: 0.0,
    weight_decay: 0.0,
    decayed: pada_exec::Decayed::All,
    gradient_scale: 1.0,
    unused: pada_exec::UnusedWeights::Decay,
};

fn net() -> Nb201Net {
    Nb201Net::with_mixtures(4, 1, INPUT, 4, Norms::Plain, MixtureSettings::default())
}

fn engine(net: &Nb201Net) -> Engine {
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(5));
    Engine::new(net.weights().clone(), weights, Precision::F64)
}

fn images(count: u16, seed: usize) -> SearchImages {
    let mut set = bright::images(count, 8);
    // Other images than those of the other sets.
    set.pixels.iter_mut().enumerate().for_each(|(i, byte)| *byte = byte.wrapping_add((seed * (i % 7)) as u8));
    SearchImages { images: DataLoader::new(set), augment: Augment::NONE }
}

fn whole(images: &mut SearchImages) -> (Vec<f32>, Vec<u32>) {
    let all: Vec<u32> = (0..images.images.source().len() as u32).collect();
    let loaded = images.images.load(&all, &Augment::NONE, &mut RngStream::Images.stream(0)).unwrap();
    let labels = images.images.source().labels();
    (loaded.pixels, labels.iter().map(|&label| u32::from(label)).collect())
}

fn rule(method: DifferentiableMethod, first: FirstUpdate, net: &Nb201Net) -> Differentiable {
    rule_with(method, first, None, net)
}

fn rule_with(
    method: DifferentiableMethod,
    first: FirstUpdate,
    constraints: Option<NsasConfig>,
    net: &Nb201Net,
) -> Differentiable {
    let config =
        DifferentiableConfig { method, optimizer: OPTIMIZER, start: 0.0, first, cost: None, constraints };
    let space = Nb201::new();
    let part = SubSpace::full(&space);
    let inputs = SearchInputs {
        validation: Some(images(VALIDATION, 1)),
        training: Some(images(VALIDATION, 2)),
        costs: None,
        cells: 1,
    };
    let mut rng = RngStream::RuleStart.stream(3);
    Differentiable::new(config, Box::new(space), &part, net, inputs, &mut rng).unwrap()
}

/// Writes softmax(logits) as factors.
fn write(parameters: &ArchParameters, logits: &[f64], net: &Nb201Net, engine: &mut Engine) {
    let mixture = parameters.with_logits(logits).mix(Relaxation::Softmax, &mut RngStream::Rule.stream(0));
    let factors: Vec<f32> = mixture.factors.concat().into_iter().map(|p| p as f32).collect();
    engine.write_weight(net.mixtures().unwrap().factors, &factors);
}

/// The loss of a batch and its gradient with respect to the logits.
fn loss(
    (parameters, logits): (&ArchParameters, &[f64]),
    (pixels, labels): &(Vec<f32>, Vec<u32>),
    net: &Nb201Net,
    engine: &mut Engine,
) -> (f64, Vec<f64>) {
    write(parameters, logits, net, engine);
    let graph = net.lower_mixture(&vec![vec![0, 1, 2, 3, 4]; 6]).unwrap().simplified();
    let batch = Batch { images: Images { pixels: Pixels::Given(pixels), shape: INPUT }, labels };
    engine.zero_gradient();
    let loss = engine.gradients(&graph, &batch, &LossSpec::default()).unwrap().loss;
    let of_factors = engine.gradient(net.mixtures().unwrap().factors).to_vec();
    let of_factors: Vec<Vec<f64>> =
        of_factors.chunks(5).map(|row| row.iter().map(|&g| f64::from(g)).collect()).collect();
    let parameters = parameters.with_logits(logits);
    let mixture = parameters.mix(Relaxation::Softmax, &mut RngStream::Rule.stream(0));
    (loss, parameters.gradient(&mixture, &of_factors, &[]))
}

/// Uses as many random numbers as a draw of a batch.
fn skip_draw(rng: &mut dyn Rng) {
    let images = usize::from(VALIDATION);
    for place in 0..images {
        let _: usize = rng.random_range(place..images);
    }
}

fn step(rule: &mut Differentiable, engine: &mut Engine, net: &Nb201Net) {
    let (pixels, labels) = whole(&mut images(VALIDATION, 3));
    let batch = Batch { images: Images { pixels: Pixels::Given(&pixels), shape: INPUT }, labels: &labels };
    golden::step(rule, engine, net, &batch, (SGD, f64::INFINITY));
}

fn near(own: &[f64], expected: &[f64], bound: f64) {
    assert_eq!(own.len(), expected.len());
    let off = own.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(off < bound, "off by {off:e}: {own:?} and {expected:?}");
}

/// A step of ZARTS by hand: the displacements are drawn from the rule's random stream, the weights take one step from the same start with each of
/// them, and the validation loss afterwards weighs it.
#[test]
fn zarts_weighs_displacements_by_the_loss_after_inner_steps() {
    let displacements = ZerothOrder { samples: 3, temperature: 0.05, undirected: 0.3 };
    let zarts = Zarts { rule: displacements, every: 1, inner_steps: 1, deviation: 0.5 };
    let net = net();
    let mut own = rule(DifferentiableMethod::Zarts(zarts), FirstUpdate::Architecture, &net);
    let parameters = own.search_state().parameters.clone();
    let start = parameters.logits().to_vec();
    own.begin_epoch(0, 10);

    let (validation, training) = (whole(&mut images(VALIDATION, 1)), whole(&mut images(VALIDATION, 2)));
    let mut reference = engine(&net);
    let weights = reference.read(State::Weights);
    let mut rng = RngStream::Rule.stream(0);
    skip_draw(&mut rng);
    let (_, gradient) = loss((&parameters, &start), &validation, &net, &mut reference);
    skip_draw(&mut rng);
    let (mut deltas, mut losses) = (vec![], vec![]);
    for _ in 0..3 {
        let delta = displacements.displacement(&gradient, 0.5, &mut rng);
        let moved: Vec<f64> = start.iter().zip(&delta).map(|(a, d)| a + d).collect();
        reference.write(State::Weights, &weights);
        reference.write(State::Momentum, &vec![0.0; weights.len()]);
        loss((&parameters, &moved), &training, &net, &mut reference);
        reference.update(&SGD);
        losses.push(loss((&parameters, &moved), &validation, &net, &mut reference).0);
        deltas.push(delta);
    }
    let spread = losses.iter().fold(0.0_f64, |most, loss| most.max((loss - losses[0]).abs()));
    assert!(spread > 1e-3, "the displacements differ: {losses:?}");
    let expected: Vec<f64> =
        start.iter().zip(displacements.step(&deltas, &losses, &gradient, 0.5)).map(|(a, d)| a + d).collect();

    let mut trained = engine(&net);
    step(&mut own, &mut trained, &net);
    near(own.search_state().parameters.logits(), &expected, 1e-6);
}

/// The inner steps leave no trace: weights and momentum after a step are those of a search whose logits have moved in another way.
#[test]
fn the_inner_steps_of_zarts_are_undone() {
    let displacements = ZerothOrder { samples: 2, temperature: 0.05, undirected: 0.3 };
    let zarts = Zarts { rule: displacements, every: 1, inner_steps: 3, deviation: 0.5 };
    let states =
        [DifferentiableMethod::Zarts(zarts), DifferentiableMethod::Darts { order: Default::default() }].map(
            |method| {
                let net = net();
                let (mut rule, mut engine) = (rule(method, FirstUpdate::Weights, &net), engine(&net));
                rule.begin_epoch(0, 10);
                step(&mut rule, &mut engine, &net);
                let factors = net.weights().range(net.mixtures().unwrap().factors);
                let mut weights = engine.read(State::Weights);
                weights[factors].fill(0.0);
                (weights, engine.read(State::Momentum))
            },
        );
    assert!(states[0] == states[1]);
}

/// Displacements shrink to 0 by a cosine, from the second epoch in which logits are trained.
#[test]
fn the_deviation_of_zarts_falls() {
    let displacements = ZerothOrder { samples: 1, temperature: 0.05, undirected: 1.0 };
    let zarts = Zarts { rule: displacements, every: 1, inner_steps: 0, deviation: 0.5 };
    let net = net();
    let moves = [0, 1, 6, 9].map(|epoch| {
        let mut rule = rule(DifferentiableMethod::Zarts(zarts), FirstUpdate::Architecture, &net);
        let start = rule.search_state().parameters.logits().to_vec();
        rule.begin_epoch(epoch, 10);
        step(&mut rule, &mut engine(&net), &net);
        // The same random numbers in every epoch, and a single displacement, which is the step.
        rule.search_state().parameters.logits()[0] - start[0]
    });
    let share = |passed: f64| (1.0 + (std::f64::consts::PI * passed / 10.0).cos()) / 2.0;
    near(&moves, &[0.0, 0.0, 5.0, 8.0].map(|passed| moves[0] * share(passed)), 1e-12);
}

/// A step of BaLeNAS by hand: logits are drawn around the means, the gradient is taken there, and the means take a step of Vadam. The weights then
/// see another draw.
#[test]
fn balenas_takes_the_gradient_at_drawn_logits() {
    let net = net();
    let mut own = rule(DifferentiableMethod::Variational, FirstUpdate::Architecture, &net);
    let mut parameters = own.search_state().parameters.clone();
    own.begin_epoch(0, 10);
    let validation = whole(&mut images(VALIDATION, 1));
    let mut reference = engine(&net);
    let mut rng = RngStream::Rule.stream(0);
    skip_draw(&mut rng);
    let drawn = parameters.draw(usize::from(VALIDATION), &OPTIMIZER, &mut rng);
    let (_, gradient) = loss((&parameters, &drawn), &validation, &net, &mut reference);
    parameters.descend_means(&gradient, &OPTIMIZER);
    let mut trained = engine(&net);
    step(&mut own, &mut trained, &net);
    near(own.search_state().parameters.logits(), parameters.logits(), 1e-6);

    let later = parameters.draw(usize::from(VALIDATION), &OPTIMIZER, &mut rng);
    write(&parameters, &later, &net, &mut reference);
    let factors = net.mixtures().unwrap().factors;
    let read = |engine: &Engine| -> Vec<f64> {
        engine.read(State::Weights)[net.weights().range(factors)].iter().map(|&p| f64::from(p)).collect()
    };
    near(&read(&trained), &read(&reference), 1e-6);
    // A state that was saved and restored goes on in the same way.
    let saved = SavedState::new(DifferentiableState::KIND, own.search_state());
    let mut other = rule(DifferentiableMethod::Variational, FirstUpdate::Architecture, &net);
    other.restore(&saved).unwrap();
    assert_eq!(other.search_state(), own.search_state());
}

/// GDAS-NSAS trains the weights with (1 − β) · L(drawn path) + β · mean L(archive), where the archive is that of NSAS on drawn paths.
#[test]
fn gdas_nsas_adds_the_loss_of_an_archive() {
    let (beta, constraint_loss) = (0.6, ConstraintLoss::Trained);
    let nsas = NsasConfig { beta, constraints: Constraints::Archive(2), constraint_loss };
    let (net, method) = (net(), DifferentiableMethod::Gdas { temperature: [10.0, 0.1] });
    let mut own = rule_with(method, FirstUpdate::Weights, Some(nsas), &net);
    let parameters = own.search_state().parameters.clone();
    own.begin_epoch(0, 10);
    let mut trained = engine(&net);
    step(&mut own, &mut trained, &net);

    let mut rng = RngStream::Rule.stream(0);
    let drawn = parameters.mix(Relaxation::HardGumbel { temperature: 10.0 }, &mut rng).computed.concat();
    let mut archive = Nsas::new(nsas, SubSpace::full(&Nb201::new()));
    archive.consider(&Arch::new(drawn.clone()), &mut rng);
    let mut reference = engine(&net);
    let (pixels, labels) = whole(&mut images(VALIDATION, 3));
    let batch = Batch { images: Images { pixels: Pixels::Given(&pixels), shape: INPUT }, labels: &labels };
    reference.zero_gradient();
    let paths = std::iter::once((drawn, 1.0 - beta)).chain(
        archive.archive().iter().map(|path| (path.choices().to_vec(), beta / archive.archive().len() as f64)),
    );
    for (path, scale) in paths {
        let loss = LossSpec { scale: scale as f32, ..LossSpec::default() };
        let graph = net.lower(&Arch::new(path)).unwrap().simplified();
        reference.gradients(&graph, &batch, &loss).unwrap();
    }
    assert_eq!(archive.archive().len(), 1);
    reference.update(&SGD);
    let factors = net.weights().range(net.mixtures().unwrap().factors);
    let [own, expected] = [&trained, &reference].map(|engine| -> Vec<f64> {
        engine.read(State::Weights)[..factors.start].iter().map(|&w| f64::from(w)).collect()
    });
    near(&own, &expected, 1e-6);
    assert!(
        own != engine(&net).read(State::Weights)[..factors.start]
            .iter()
            .map(|&w| f64::from(w))
            .collect::<Vec<_>>()
    );
}
