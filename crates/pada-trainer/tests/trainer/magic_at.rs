//! Magic-AT in a whole run: both executors train alike, a run goes on bit for bit, and alignments matter.

use pada_candle::CandleExecutor;
use pada_engine::Engine;
use pada_exec::{Executor, Precision, State};
use pada_graph::{Lower, Shape, WeightLayout};
use pada_models::init_weights;
use pada_models::{Nb201Net, Norms};
use pada_sampler::{OneChangePaths, UniformData};
use pada_space::{Arch, Nb201, SubSpace};
use pada_trainer::rules::{MagicAt, MagicAtConfig, MagicAtState, SummedPaths};
use pada_trainer::{RngStream, TrainRule, Trainer, TrainerParts};
use recipe::recipe;

use crate::recipe;

const EPOCHS: usize = 3;
const IMAGES: usize = 60;
const SEED: u64 = 5;

type NewExecutor = fn(WeightLayout, Vec<f32>) -> Box<dyn Executor>;

fn candle(layout: WeightLayout, weights: Vec<f32>) -> Box<dyn Executor> {
    Box::new(CandleExecutor::new(layout, weights, Precision::F64))
}

fn engine(layout: WeightLayout, weights: Vec<f32>) -> Box<dyn Executor> {
    Box::new(Engine::new(layout, weights, Precision::F64))
}

fn fast(layout: WeightLayout, weights: Vec<f32>) -> Box<dyn Executor> {
    Box::new(Engine::new(layout, weights, Precision::F32))
}

/// With this weight of the alignment; without one, by the plain rule.
fn trainer(new: NewExecutor, weight: Option<f64>) -> Trainer {
    let images = pada_data::mini().unwrap().train.first(IMAGES);
    let net = Nb201Net::new(3, 1, Shape::new(3, 16, 16), images.classes, Norms::Plain);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(SEED));
    let space = SubSpace::full(&Nb201::new());
    let rule: Box<dyn TrainRule> = match weight {
        Some(weight) => Box::new(MagicAt::new(MagicAtConfig { weight }, space.clone())),
        None => Box::new(SummedPaths),
    };
    let parts = TrainerParts {
        executor: new(net.weights().clone(), weights),
        net: Box::new(net),
        space: SubSpace::from_op_counts(&[5; 6]).unwrap(),
        n_ops: 5,
        paths: Box::new(OneChangePaths::new(space).unwrap()),
        data: Box::new(UniformData::new(IMAGES as u32).unwrap()),
        rule,
        images: pada_data::DataLoader::new(images),
    };
    Trainer::new(recipe(EPOCHS, 12, 2, SEED), parts).unwrap()
}

/// Losses of all epochs, the anchor where there is one, and the weights.
fn finished(mut trainer: Trainer) -> (Vec<f64>, Option<Arch>, Vec<f32>) {
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
    }
    let losses = trainer.epochs().iter().map(|record| record.loss).collect();
    let state = trainer.checkpoint().rule().read::<MagicAtState>(MagicAtState::KIND);
    let anchor = state.ok().and_then(|state| state.anchor);
    (losses, anchor, trainer.parts().executor.read(State::Weights))
}

#[test]
fn engine_and_candle_train_alike() {
    let (ours, our_anchor, our_weights) = finished(trainer(engine, Some(0.5)));
    let (theirs, their_anchor, their_weights) = finished(trainer(candle, Some(0.5)));
    assert_eq!((our_anchor.as_ref().map(|arch| arch.choices().len()), &our_anchor), (Some(6), &their_anchor));
    assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-6), "{ours:?} {theirs:?}");
    let off = our_weights.iter().zip(&their_weights).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "weights off by {off}");
}

#[test]
fn an_alignment_without_weight_changes_nothing_and_one_with_weight_does() {
    let off = |ours: &[f64], theirs: &[f64]| {
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    let [plain, none, some] = [None, Some(0.0), Some(0.5)].map(|weight| finished(trainer(engine, weight)).0);
    assert!(off(&plain, &none) < 1e-6, "{plain:?} {none:?}");
    assert!(off(&plain, &some) > 1e-3, "{plain:?} {some:?}");
}

#[test]
fn a_run_is_the_same_for_any_number_of_threads_and_when_it_is_resumed() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| finished(trainer(fast, Some(0.5))))
    };
    let whole = with(1);
    assert_eq!(with(3), whole);
    for stop in 1..EPOCHS {
        let folder = tempfile::tempdir().unwrap();
        let mut first = trainer(fast, Some(0.5));
        for _ in 0..stop {
            first.epoch(&mut ()).unwrap();
            first.save(folder.path()).unwrap();
        }
        let mut resumed = trainer(fast, Some(0.5));
        resumed.resume(folder.path()).unwrap();
        assert_eq!(finished(resumed), whole, "stopped after {stop} epochs");
    }
}
