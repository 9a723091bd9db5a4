//! ENAS: what the controller learns, and runs that go on bit for bit.

use pada_data::{Augment, DataLoader};
use pada_engine::Engine;
use pada_exec::{Precision, State};
use pada_graph::{Lower, Shape};
use pada_models::{DartsNet, DartsSize, Nb201Net, Norms, init_weights};
use pada_sampler::{SavedState, UniformData, UniformPaths};
use pada_search::{PolicyConfig, ReinforceConfig};
use pada_space::{Darts, Nb201, SubSpace};
use pada_trainer::rules::{Enas, EnasConfig, EnasState, SearchImages};
use pada_trainer::{RngStream, TrainError, TrainRule, Trainer, TrainerParts};

use crate::bright;
use crate::recipe::recipe;
use crate::resuming::{finished, resumes_bit_for_bit};

const EPOCHS: usize = 3;
const INPUT: Shape = Shape { channels: 3, height: 8, width: 8 };

fn net() -> Nb201Net {
    Nb201Net::new(4, 1, INPUT, 4, Norms::Plain)
}

fn config() -> EnasConfig {
    let controller = ReinforceConfig { batch: 3, ..ReinforceConfig::enas() };
    EnasConfig { controller, controller_steps: 4, candidates: 12 }
}

fn rule(config: EnasConfig, images: u16) -> Result<Enas, TrainError> {
    let validation =
        SearchImages { images: DataLoader::new(bright::images(images, 8)), augment: Augment::NONE };
    Enas::new(config, Box::new(Nb201::new()), &SubSpace::full(&Nb201::new()), Some(validation))
}

fn trainer() -> Trainer {
    let net = net();
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let whole = SubSpace::full(&Nb201::new());
    let parts = TrainerParts {
        executor: Box::new(Engine::new(net.weights().clone(), weights, Precision::F32)),
        rule: Box::new(rule(config(), 14).unwrap()),
        net: Box::new(net),
        space: whole.clone(),
        n_ops: 5,
        paths: Box::new(UniformPaths::new(whole).unwrap()),
        data: Box::new(UniformData::new(24).unwrap()),
        images: DataLoader::new(bright::images(24, 8)),
    };
    Trainer::new(recipe(EPOCHS, 6, 1, 7), parts).unwrap()
}

#[test]
fn a_search_resumes_bit_for_bit() {
    resumes_bit_for_bit("ENAS", trainer);
    let mixture = finished(trainer()).0[2].mixture.clone().unwrap();
    for shares in &mixture.probabilities {
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
    }
}

/// The test damages the 3×3 convolution of the last edge of a trained supernet: paths with it classify worse, and the controller learns to avoid it.
#[test]
fn the_controller_prefers_operations_that_classify_better() {
    let mut trained = trainer();
    while !trained.is_done() {
        trained.epoch(&mut ()).unwrap();
    }
    let net = net();
    let TrainerParts { executor, .. } = trained.parts();
    let mut weights = executor.read(State::Weights);
    for (id, spec) in net.weights().iter() {
        let is_damaged = spec.owner.as_ref().is_some_and(|owner| (owner.position, owner.op) == (5, 3));
        if is_damaged {
            weights[net.weights().range(id)]
                .iter_mut()
                .enumerate()
                .for_each(|(i, w)| *w = (i as f32).sin() * 9.0);
        }
    }
    executor.write(State::Weights, &weights);
    let controller = ReinforceConfig {
        policy: PolicyConfig::Softmax,
        learning_rate: 0.05,
        batch: 1,
        baseline_decay: 0.9,
        ..ReinforceConfig::nats_bench()
    };
    let mut rule = rule(EnasConfig { controller, controller_steps: 400, candidates: 400 }, 40).unwrap();
    let mut rng = RngStream::Rule.stream(1);
    rule.end_epoch(&net, executor.as_mut(), 40, &mut rng).unwrap();
    let last = rule.search_state().last.clone().unwrap();
    assert!(last.shares[5][3] < 0.1, "{:?}", last.shares);
    assert!(last.accuracy > 25.0 && last.best.choices()[5] != 3, "{last:?}");
    assert!(executor.read(State::Weights) == weights, "the controller leaves the weights as they are");
}

/// Choices of inputs are no operations, so that the record has the edges of the cells only.
#[test]
fn the_record_has_the_decisions_about_operations() {
    let size = DartsSize { channels: 4, layers: 3, input: INPUT, classes: 4, ..DartsSize::SEARCH };
    let net = DartsNet::new(size, Norms::Plain);
    let images = SearchImages { images: DataLoader::new(bright::images(8, 8)), augment: Augment::NONE };
    let part = SubSpace::full(&Darts);
    let config = EnasConfig { controller_steps: 0, candidates: 3, ..config() };
    let mut rule = Enas::new(config, Box::new(Darts), &part, Some(images)).unwrap();
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let mut engine = Engine::new(net.weights().clone(), weights, Precision::F32);
    rule.end_epoch(&net, &mut engine, 8, &mut RngStream::Rule.stream(0)).unwrap();
    let mixture = rule.mixture().unwrap();
    assert_eq!((mixture.decisions.len(), mixture.ops.len(), mixture.probabilities.len()), (28, 28, 28));
    assert!(mixture.ops.iter().all(|ops| ops.len() == 8));
}

#[test]
fn missing_images_and_states_of_others_are_errors() {
    let text = |error: Result<Enas, TrainError>| match error {
        Err(error) => error.to_string(),
        Ok(_) => String::new(),
    };
    assert!(text(rule(config(), 0)).contains("validation images"));
    assert!(text(rule(EnasConfig { candidates: 0, ..config() }, 4)).contains("at least one architecture"));
    let mut own = rule(config(), 4).unwrap();
    assert!(own.restore(&SavedState::stateless()).is_err());
    let other = ReinforceConfig { batch: 5, ..config().controller };
    let foreign = rule(EnasConfig { controller: other, ..config() }, 4).unwrap().state();
    let error = own.restore(&foreign).unwrap_err().to_string();
    assert!(error.contains("other settings"), "{error}");
    let state: EnasState = own.state().read(EnasState::KIND).unwrap();
    assert_eq!(state.last, None);
}
