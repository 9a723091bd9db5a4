//! The engine and the readable executor train alike: the same seeds, real images, PA&DA's samplers.

use pada_candle::CandleExecutor;
use pada_engine::Engine;
use pada_exec::{Executor, Precision, State};
use pada_graph::{Lower, Shape, WeightLayout};
use pada_models::init_weights;
use pada_models::{Nb201Net, Norms};
use pada_sampler::{
    DataImportance, DataImportanceConfig, ImportanceWeights, LinearSchedule, PathImportance,
    PathImportanceConfig,
};
use pada_space::{Nb201, SubSpace};
use pada_trainer::rules::SummedPaths;
use pada_trainer::{Observer, OptimizerName, RngStream, StepProgress, Trainer, TrainerParts};
use recipe::recipe;

use crate::recipe;

const BATCH: usize = 20;
const STEPS_OF_EPOCH: usize = 5;
const IMAGES: usize = STEPS_OF_EPOCH * BATCH;
const SEED: u64 = 3;

type NewExecutor = fn(WeightLayout, Vec<f32>, Precision) -> Box<dyn Executor>;

fn candle(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Box<dyn Executor> {
    Box::new(CandleExecutor::new(layout, weights, precision))
}

fn engine(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Box<dyn Executor> {
    Box::new(Engine::new(layout, weights, precision))
}

fn gpu(layout: WeightLayout, weights: Vec<f32>, precision: Precision) -> Box<dyn Executor> {
    Box::new(pada_emulated_gpu::engine(layout, &weights, precision).expect("`has_gpu` was asked"))
}

fn has_gpu() -> bool {
    pada_emulated_gpu::device(Precision::F32).is_some()
}

/// The losses of all steps.
#[derive(Default)]
struct Losses(Vec<f64>);

impl Observer for Losses {
    fn on_step(&mut self, progress: &StepProgress) {
        self.0.push(progress.loss);
    }
}

/// Losses of all steps, and the weights after them.
fn train(
    new: NewExecutor,
    precision: Precision,
    optimizer: OptimizerName,
    epochs: usize,
) -> (Vec<f64>, Vec<f32>) {
    let images = pada_data::mini().unwrap().train.first(IMAGES);
    let net = Nb201Net::new(4, 1, Shape::new(3, 16, 16), images.classes, Norms::Plain);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(SEED));
    let importance_weights = ImportanceWeights::Unbiased;
    let smoothing = LinearSchedule { first: 0.5, last: 1.0 };
    let paths =
        PathImportanceConfig::default().with_importance_weights(importance_weights).with_smoothing(smoothing);
    let data =
        DataImportanceConfig::default().with_importance_weights(importance_weights).with_smoothing(smoothing);
    let parts = TrainerParts {
        executor: new(net.weights().clone(), weights, precision),
        net: Box::new(net),
        space: SubSpace::from_op_counts(&[5; 6]).unwrap(),
        n_ops: 5,
        paths: Box::new(PathImportance::new(SubSpace::full(&Nb201::new()), paths).unwrap()),
        data: Box::new(DataImportance::new(IMAGES as u32, data).unwrap()),
        rule: Box::new(SummedPaths),
        images: pada_data::DataLoader::new(images),
    };
    let mut settings = recipe(epochs, BATCH, 2, SEED);
    if optimizer != OptimizerName::Sgd {
        settings.train.optimizer = optimizer;
        settings.train.label_smoothing = 0.1;
        // RMSprop has large steps at first, which would multiply every difference of rounding.
        settings.train.lr = 0.005;
        settings.train.rms_eps = matches!(optimizer, OptimizerName::RmspropTf).then_some(1e-3);
    }
    let mut trainer = Trainer::new(settings, parts).unwrap();
    let mut losses = Losses::default();
    while !trainer.is_done() {
        trainer.epoch(&mut losses).unwrap();
    }
    assert_eq!(losses.0.len(), epochs * STEPS_OF_EPOCH);
    (losses.0, trainer.parts().executor.read(State::Weights))
}

/// The largest relative distance of two losses.
fn distance(ours: &[f64], theirs: &[f64]) -> f64 {
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
}

#[test]
fn engine_and_candle_agree_over_the_first_20_steps() {
    agrees_with_candle(engine, 4);
}

#[test]
fn the_engine_on_a_gpu_and_candle_agree_over_the_first_10_steps() {
    if has_gpu() {
        agrees_with_candle(gpu, 2);
    }
}

/// With smoothed labels.
#[test]
fn all_executors_agree_on_nesterov_momentum_and_rmsprop() {
    for optimizer in [OptimizerName::Nesterov, OptimizerName::RmspropTf] {
        let (theirs, their_weights) = train(candle, Precision::F64, optimizer, 2);
        let executors: &[NewExecutor] = if has_gpu() { &[engine, gpu] } else { &[engine] };
        for new in executors {
            let (ours, our_weights) = train(*new, Precision::F64, optimizer, 2);
            let off = distance(&ours, &theirs);
            assert!(off < 1e-5, "{optimizer:?}: losses off by {off}: {ours:?} {theirs:?}");
            let off = our_weights.iter().zip(&their_weights).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-4, "{optimizer:?}: weights off by {off}");
        }
    }
}

fn agrees_with_candle(new: NewExecutor, epochs: usize) {
    let sgd = OptimizerName::Sgd;
    let (theirs, their_weights) = train(candle, Precision::F64, sgd, epochs);
    let (ours, our_weights) = train(new, Precision::F64, sgd, epochs);
    let off = distance(&ours, &theirs);
    assert!(off < 1e-6, "losses off by {off}: {ours:?} {theirs:?}");
    let off = our_weights.iter().zip(&their_weights).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-5, "weights off by {off}");
    // Each ReLU that a rounded value passes on the other side moves all that comes after.
    let (single, _) = train(new, Precision::F32, sgd, epochs);
    let off = distance(&single, &theirs);
    assert!(off < 1e-2, "losses in f32 off by {off}: {single:?} {theirs:?}");
}
