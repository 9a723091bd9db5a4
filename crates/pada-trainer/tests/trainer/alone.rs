//! A network of its own trained with a published recipe: what the recipe adds is what a step made by hand has, and a run that stops
//! goes on with all of it.

use pada_data::{Augment, DataLoader, InMemoryDataset};
use pada_engine::Engine;
use pada_exec::{Batch, Decayed, Executor, Images, LossSpec, Precision, SgdStep, State, UnusedWeights};
use pada_graph::{Lower, Shape};
use pada_models::init_weights;
use pada_models::{DartsModel, DartsSize, DartsTraining, DropPath};
use pada_sampler::{DataSampler, FixedPath, UniformData};
use pada_space::{Arch, Darts, SearchSpace, SubSpace};
use pada_trainer::rules::SummedPaths;
use pada_trainer::{
    CheckpointError, DropPaths, Observer, Recipe, RngStream, RunPoint, TrainError, TrainSettings, Trainer,
    TrainerParts, clip_factor, global_norm,
};

use crate::{bright, recipe};

const EPOCHS: usize = 3;
const IMAGES: usize = 12;
const BATCH: usize = 5;
const STEPS: usize = 3;
const SHAPE: Shape = Shape { channels: 3, height: 32, width: 32 };

const RECIPE: Recipe =
    Recipe { warm_up: 2, drop_path: 0.6, dropout: 0.5, ema: Some(0.7), decayed: Decayed::Kernels };

/// Images whose classes differ in brightness.
fn images() -> InMemoryDataset {
    bright::images(IMAGES as u16, 32)
}

fn arch() -> Arch {
    Darts.parse("DARTS_V2").unwrap()
}

fn net() -> DartsModel {
    let size = DartsSize { channels: 2, layers: 3, input: SHAPE, classes: 4, ..DartsSize::CIFAR };
    let training = DartsTraining { auxiliary: Some(0.4), drop_path: DropPath::Edges };
    DartsModel::to_train(&Darts::genotype(&arch()).unwrap(), size, training)
}

fn settings() -> TrainSettings {
    let mut settings = recipe::recipe(EPOCHS, BATCH, 0, 0).with_augment(Augment::NONE);
    settings.train.label_smoothing = 0.1;
    settings
}

fn engine() -> Engine {
    let layout = net().weights().clone();
    let weights = init_weights(&layout, &mut RngStream::Init.stream(0));
    Engine::new(layout, weights, Precision::F32)
}

fn trainer(recipe: Recipe) -> Trainer {
    let space = SubSpace::full(&Darts);
    let parts = TrainerParts {
        executor: Box::new(engine()),
        net: Box::new(net()),
        n_ops: 10,
        paths: Box::new(FixedPath::new(arch()).unwrap()),
        data: Box::new(UniformData::new(IMAGES as u32).unwrap()),
        rule: Box::new(SummedPaths),
        images: DataLoader::new(images()),
        space,
    };
    Trainer::new(settings(), parts).unwrap().with_recipe(recipe)
}

/// Weights, momentum and average.
fn state(trainer: &Trainer) -> (Vec<f32>, Vec<f32>, Option<Vec<f32>>) {
    let checkpoint = trainer.checkpoint();
    (checkpoint.weights, checkpoint.momentum, checkpoint.average)
}

/// Stops after a number of steps.
struct StopAfter(std::cell::Cell<usize>);

impl Observer for StopAfter {
    fn stop_requested(&self) -> bool {
        self.0.replace(self.0.get().saturating_sub(1)) == 0
    }
}

/// Trains `steps` steps; the last may be the last of an epoch.
fn after_steps(recipe: Recipe, steps: usize) -> Trainer {
    let mut trainer = trainer(recipe);
    for _ in 0..steps / STEPS {
        trainer.epoch(&mut ()).unwrap();
    }
    if !steps.is_multiple_of(STEPS) {
        let stopped = trainer.epoch(&mut StopAfter((steps % STEPS).into()));
        assert!(matches!(stopped, Err(TrainError::Stopped)));
    }
    trainer
}

#[test]
fn a_stopped_run_goes_on_bit_for_bit_with_average_and_dropped_paths() {
    let whole = state(&after_steps(RECIPE, EPOCHS * STEPS));
    assert!(whole.2.is_some());
    for steps in 0..EPOCHS * STEPS {
        let folder = tempfile::tempdir().unwrap();
        after_steps(RECIPE, steps).save(folder.path()).unwrap();
        let mut resumed = trainer(RECIPE);
        resumed.resume(folder.path()).unwrap();
        while !resumed.is_done() {
            resumed.epoch(&mut ()).unwrap();
        }
        assert_eq!(state(&resumed), whole, "stopped after {steps} steps");
    }
}

/// The first step of the second epoch, without the trainer: a rate of 4/6 of the schedule's, paths dropped with probability .2 and inputs
/// of the classifier with .5, smoothed labels, decay on kernels alone.
#[test]
fn a_step_is_that_of_the_recipe() {
    let before = after_steps(RECIPE, STEPS);
    let after = after_steps(RECIPE, STEPS + 1);
    let mut executor = engine();
    executor.write(State::Weights, &state(&before).0);
    executor.write(State::Momentum, &state(&before).1);

    let graph = net().lower_to_train(&arch()).unwrap().simplified();
    let slots = graph.drop_path_slots();
    assert!(slots > 8, "{slots}");
    let graph = graph.with_dropout().unwrap();
    assert_eq!(graph.dropout_slots().next(), Some(slots));
    let mut rng = RngStream::DropPath.stream(0);
    // The first epoch draws too.
    DropPaths { probability: 0.0, dropout: 0.5, rng: &mut rng }.draw(&graph, IMAGES);
    let drop_path = DropPaths { probability: 0.2, dropout: 0.5, rng: &mut rng }.draw(&graph, BATCH);
    let (paths, inputs) = drop_path.split_at(slots * BATCH);
    assert!(paths.contains(&0.0) && paths.contains(&1.25) && inputs.contains(&0.0) && inputs.contains(&2.0));

    let (places, set) = (drawn(STEPS), images());
    let pixels = pada_data::normalised(&set, &places).unwrap();
    let labels: Vec<u32> = places.iter().map(|&i| u32::from(set.labels[i as usize])).collect();
    let batch = Batch { images: Images::given(&pixels, SHAPE), labels: &labels };
    let loss = LossSpec { label_smoothing: 0.1, drop_path: &drop_path, ..LossSpec::default() };
    executor.zero_gradient();
    executor.gradients(&graph, &batch, &loss).unwrap();
    let at = RunPoint { epoch: 1, epochs: EPOCHS, step: 0, steps: STEPS };
    let settings = settings().train;
    let factor = clip_factor(global_norm(&executor.gradient_norms()), settings.clip_norm);
    executor.update(&SgdStep {
        lr: (settings.lr_at(at, []) * 4.0 / 6.0) as f32,
        momentum: 0.9,
        weight_decay: 2.5e-4,
        decayed: Decayed::Kernels,
        gradient_scale: factor as f32,
        unused: UnusedWeights::Decay,
        ..SgdStep::default()
    });
    assert_eq!(executor.read(State::Weights), state(&after).0);
}

/// The images of a step, counted from the start of the run.
fn drawn(step: usize) -> Vec<u32> {
    let (mut data, mut rng) = (UniformData::new(IMAGES as u32).unwrap(), RngStream::Images.stream(0));
    let mut order = data.epoch_order(&mut rng);
    for _ in 0..step / STEPS {
        order = data.epoch_order(&mut rng);
    }
    order[step % STEPS * BATCH..][..BATCH].to_vec()
}

#[test]
fn the_average_is_of_the_weights_after_every_step() {
    let weights: Vec<_> = (0..=EPOCHS * STEPS).map(|steps| state(&after_steps(RECIPE, steps)).0).collect();
    let mut average = weights[0].clone();
    for after in &weights[1..] {
        average.iter_mut().zip(after).for_each(|(a, w)| *a = 0.7 * *a + (1.0 - 0.7) * w);
    }
    let mut done = after_steps(RECIPE, EPOCHS * STEPS);
    assert_eq!(state(&done).2.unwrap(), average);
    assert_ne!(average, *weights.last().unwrap());
    done.place_average();
    assert_eq!(done.parts().executor.read(State::Weights), average);
    // Without a recipe there is none, and the weights stay.
    let mut plain = after_steps(Recipe::default(), STEPS);
    let weights = state(&plain).0;
    plain.place_average();
    assert_eq!((state(&plain).0, state(&plain).2), (weights, None));
}

#[test]
fn a_checkpoint_goes_on_with_its_own_recipe_only() {
    let other = Recipe { drop_path: 0.3, ..RECIPE };
    for (saved, resumed) in [(RECIPE, other), (RECIPE, Recipe::default()), (Recipe::default(), RECIPE)] {
        let folder = tempfile::tempdir().unwrap();
        after_steps(saved, STEPS).save(folder.path()).unwrap();
        let error = trainer(resumed).resume(folder.path()).unwrap_err();
        let CheckpointError::Mismatch { reason, .. } = &error else { panic!("{error}") };
        assert!(reason.contains("recipe"), "{reason}");
    }
}
