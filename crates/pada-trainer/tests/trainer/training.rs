//! Training as a whole on a tiny problem: it goes on bit for bit, says where it diverged, and refuses checkpoints that are not
//! its own.

use std::collections::HashMap;
use std::path::Path;

use pada_candle::CandleExecutor;
use pada_data::{DataLoader, InMemoryDataset};
use pada_exec::{Batch, Executor, Images, Precision, State};
use pada_graph::{Lower, Shape};
use pada_models::init_weights;
use pada_models::{Nb201Net, Norms};
use pada_report::EpochRecord;
use pada_sampler::{
    DataImportance, DataImportanceConfig, ImportanceWeights, LinearSchedule, PathImportance,
    PathImportanceConfig, Variant,
};
use pada_space::{Arch, Nb201, SearchSpace, SubSpace};
use pada_trainer::rules::{SummedPaths, Sumnas, SumnasConfig};
use pada_trainer::{
    Checkpoint, CheckpointError, EvalSet, Observer, OnNan, OptimizerName, RngStream, Schedule, Scorer,
    StepContext, StepOutcome, TrainConfig, TrainError, TrainRule, TrainSettings, Trainer, TrainerParts,
};
use recipe::recipe;

use crate::{bright, lost, recipe};

const EPOCHS: usize = 3;

/// 24 images of 8×8 whose classes differ in brightness.
fn images() -> InMemoryDataset {
    bright::images(24, 8)
}

fn settings() -> TrainSettings {
    recipe(EPOCHS, 10, 1, 7)
}

fn changed(change: impl FnOnce(&mut TrainConfig)) -> TrainSettings {
    let mut settings = settings();
    change(&mut settings.train);
    settings
}

fn net() -> Nb201Net {
    Nb201Net::new(2, 1, Shape::new(3, 8, 8), 4, Norms::Plain)
}

fn trainer(settings: TrainSettings) -> Trainer {
    let (net, seed) = (net(), settings.seed);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(seed));
    trainer_with(settings, Box::new(CandleExecutor::new(net.weights().clone(), weights, Precision::F32)))
}

fn trainer_with(settings: TrainSettings, executor: Box<dyn Executor>) -> Trainer {
    Trainer::new(settings, parts(executor, images())).unwrap()
}

fn parts(executor: Box<dyn Executor>, images: InMemoryDataset) -> TrainerParts {
    let net = net();
    let importance_weights = ImportanceWeights::Unbiased;
    let smoothing = LinearSchedule { first: 0.5, last: 1.0 };
    let paths =
        PathImportanceConfig::default().with_importance_weights(importance_weights).with_smoothing(smoothing);
    let data =
        DataImportanceConfig::default().with_importance_weights(importance_weights).with_smoothing(smoothing);
    TrainerParts {
        executor,
        net: Box::new(net),
        space: SubSpace::from_op_counts(&[5; 6]).unwrap(),
        n_ops: 5,
        paths: Box::new(PathImportance::new(SubSpace::full(&Nb201::new()), paths).unwrap()),
        data: Box::new(DataImportance::new(24, data).unwrap()),
        rule: Box::new(SummedPaths),
        images: DataLoader::new(images),
    }
}

/// Epoch records without the clock, and the weights.
fn outcome(trainer: &mut Trainer) -> (Vec<EpochRecord>, Vec<f32>) {
    let still = |record: &EpochRecord| EpochRecord { seconds: 0.0, ..record.clone() };
    let records = trainer.epochs().iter().map(still).collect();
    (records, trainer.parts().executor.read(State::Weights))
}

fn finished(mut trainer: Trainer) -> (Vec<EpochRecord>, Vec<f32>) {
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
    }
    outcome(&mut trainer)
}

/// A folder with the checkpoints of a run's first `epochs` epochs.
fn saved(epochs: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(settings());
    for _ in 0..epochs {
        trainer.epoch(&mut ()).unwrap();
        trainer.save(folder.path()).unwrap();
    }
    folder
}

#[test]
fn the_same_seed_gives_the_same_run_whatever_the_threads() {
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| finished(trainer(settings())))
    };
    assert_eq!(with(1), with(3));
    let (_, other) = finished(trainer(settings().with_seed(8)));
    assert_ne!(with(1).1, other);
}

/// A checkpoint of zeros would lose the run.
#[test]
fn the_checkpoint_of_a_lost_device_is_not_written_over_a_good_one() {
    let folder = saved(1);
    let files = || {
        let entries = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
        files.sort();
        files
    };
    let before = files();
    let weights = init_weights(net().weights(), &mut RngStream::Init.stream(7));
    let candle = CandleExecutor::new(net().weights().clone(), weights, Precision::F32);
    let mut trainer = trainer_with(settings(), Box::new(lost::Lost(Box::new(candle))));
    trainer.epoch(&mut ()).unwrap();
    let error = trainer.save(folder.path()).unwrap_err();
    assert!(matches!(error, CheckpointError::Exec(_)) && error.to_string().contains("it is lost"), "{error}");
    assert!(files() == before, "the checkpoint was touched");
}

#[test]
fn a_resumed_run_ends_bit_for_bit_as_one_that_never_stopped() {
    let whole = finished(trainer(settings()));
    for stop in 0..EPOCHS {
        let folder = saved(stop);
        let mut resumed = trainer(settings());
        resumed.resume(folder.path()).unwrap();
        assert_eq!(resumed.epochs().len(), stop);
        assert_eq!(finished(resumed), whole, "stopped after {stop} epochs");
    }
}

/// Second moments, the losses that a plateau looks at, and steps in the middle of an epoch.
#[test]
fn every_optimizer_and_schedule_resumes_bit_for_bit() {
    use OptimizerName::{Nesterov, Rmsprop, RmspropTf, Sgd};
    let mut found = Vec::new();
    for (optimizer, schedule) in [
        (Sgd, Schedule::Cosine),
        (Nesterov, Schedule::Step),
        (Rmsprop, Schedule::Plateau),
        (RmspropTf, Schedule::Plateau),
    ] {
        let settings = changed(|train| {
            (train.optimizer, train.schedule, train.lr, train.epochs) = (optimizer, schedule, 0.02, 5);
            train.label_smoothing = 0.1;
            if schedule == Schedule::Plateau {
                // Every epoch is a bad one after the first, unless the loss falls.
                (train.patience, train.lr_decay) = (Some(0), Some(0.5));
            }
        });
        let whole = finished(trainer(settings.clone()));
        for stop in [1, 4, 8] {
            let folder = tempfile::tempdir().unwrap();
            let mut first = trainer(settings.clone());
            let mut after = StopAfter(stop.into());
            while !matches!(first.epoch(&mut after), Err(TrainError::Stopped)) {}
            first.save(folder.path()).unwrap();
            let mut resumed = trainer(settings.clone());
            resumed.resume(folder.path()).unwrap();
            assert_eq!(finished(resumed), whole, "{optimizer:?}, {schedule:?}, stopped after {stop} steps");
        }
        if schedule == Schedule::Plateau {
            let rates: Vec<f64> = whole.0.iter().map(|epoch| epoch.lr).collect();
            let losses: Vec<f64> = whole.0.iter().map(|epoch| epoch.loss).collect();
            let mut best = f64::INFINITY;
            for epoch in 0..4 {
                let falls = losses[epoch] < best * (1.0 - 1e-4);
                best = if falls { losses[epoch] } else { best };
                let factor = if falls { 1.0 } else { 0.5 };
                assert!((rates[epoch + 1] - factor * rates[epoch]).abs() < 1e-15, "{rates:?} {losses:?}");
            }
        }
        found.push(whole.1);
    }
    for (i, weights) in found.iter().enumerate() {
        assert!(found[..i].iter().all(|other| other != weights), "two optimizers give the same weights");
    }
}

/// The smoothed loss moves the weights, and the record has the plain one.
#[test]
fn labels_are_smoothed_in_training() {
    let first = |smoothing| {
        let mut trainer = trainer(changed(|train| (train.label_smoothing, train.batch) = (smoothing, 24)));
        let loss = trainer.epoch(&mut ()).unwrap().loss;
        (loss, outcome(&mut trainer).1)
    };
    let (plain, smoothed) = (first(0.0), first(0.1));
    assert_eq!(plain.0, smoothed.0, "one step, so both losses are those of the initial weights");
    assert_ne!(plain.1, smoothed.1);
}

#[test]
fn the_last_two_checkpoints_stay_and_their_weights_load_alone() {
    let folder = saved(EPOCHS);
    let mut names: Vec<_> =
        folder.path().read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["epoch-0002.safetensors", "epoch-0003.safetensors"]);
    let weights = pada_models::read_weights(&folder.path().join(&names[1]), net().weights()).unwrap();
    assert_eq!(weights, finished(trainer(settings())).1);
}

#[test]
fn an_epoch_says_what_it_did() {
    // Twelve steps, so that some operation of some edge comes twice: a variance needs two.
    let mut trainer = trainer(changed(|train| train.batch = 2));
    let record = trainer.epoch(&mut ()).unwrap();
    assert_eq!((record.epoch, record.lr, record.images.distinct), (0, 0.05, 24));
    assert!((record.path_entropy - 5.0_f64.ln()).abs() < 1e-12, "the first epoch is uniform");
    assert!(record.loss > 0.0 && record.grad_norm > 0.0 && record.gv.unwrap() > 0.0);
}

#[test]
fn a_loss_that_is_not_finite_names_epoch_step_and_path() {
    let mut trainer = trainer(settings());
    trainer.epoch(&mut ()).unwrap();
    let poisoned = vec![f32::NAN; net().weights().numel()];
    trainer.parts().executor.write(State::Weights, &poisoned);
    let error = trainer.epoch(&mut ()).unwrap_err();
    let TrainError::Diverged { epoch: 1, step: 0, what: "loss", path, .. } = &error else {
        panic!("{error}");
    };
    let text = error.to_string();
    assert!(text.contains("epoch 1, step 0") && text.contains(&path.to_string()), "{text}");
}

fn resume_error(settings: TrainSettings, folder: &Path) -> CheckpointError {
    trainer(settings).resume(folder).unwrap_err()
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let folder = saved(2);
    let newest = folder.path().join("epoch-0002.safetensors");
    let bytes = std::fs::read(&newest).unwrap();
    let mut damages = vec![bytes[..bytes.len() / 2].to_vec(), vec![]];
    for place in [bytes.len() - 1, bytes.len() / 2, 3] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        damages.push(damaged);
    }
    let whole = finished(trainer(settings()));
    for damaged in damages {
        std::fs::write(&newest, &damaged).unwrap();
        let error = Checkpoint::read(&newest, net().weights()).unwrap_err();
        assert!(matches!(&error, CheckpointError::Damaged { path, .. } if *path == newest), "{error}");
        let mut resumed = trainer(settings());
        resumed.resume(folder.path()).unwrap();
        assert_eq!(resumed.epochs().len(), 1, "the one before");
        assert_eq!(finished(resumed), whole);
    }
    assert!(newest.with_added_extension("damaged").exists(), "it is set aside");
    // Nothing is left to go on from: then the newest is named.
    std::fs::write(&newest, "no checkpoint either").unwrap();
    std::fs::write(folder.path().join("epoch-0001.safetensors"), "no checkpoint").unwrap();
    let error = resume_error(settings(), folder.path());
    assert!(matches!(&error, CheckpointError::NoneIntact { .. }), "{error}");
    assert!(error.to_string().starts_with(newest.to_str().unwrap()), "{error}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused_and_says_what_differs() {
    let folder = saved(1);
    let error = resume_error(changed(|train| train.lr = 0.1), folder.path());
    let CheckpointError::Mismatch { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(reason, "`train.lr` is 0.05 in the checkpoint and 0.1 in this run");
    // What the caller adds to the identity is named by its own keys.
    let identity = serde_json::json!({"sampler": {"path": "uniform"}});
    let error = resume_error(settings().with_identity(identity), folder.path());
    let CheckpointError::Mismatch { reason, .. } = &error else { panic!("{error}") };
    assert_eq!(reason, "`sampler.path` is not set in the checkpoint and \"uniform\" in this run");
}

/// The file is intact, so no message may advise to delete it.
#[test]
fn a_checkpoint_of_another_network_says_what_differs() {
    let folder = saved(2);
    let files = || folder.path().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    let before = files();
    // The data set got a class more since the run was trained.
    let net = Nb201Net::new(2, 1, Shape::new(3, 8, 8), 5, Norms::Plain);
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(7));
    let executor = Box::new(CandleExecutor::new(net.weights().clone(), weights, Precision::F32));
    let mut images = images();
    images.classes = 5;
    let mut parts = parts(executor, images);
    parts.net = Box::new(net.clone());
    let error = Trainer::new(settings(), parts).unwrap().resume(folder.path()).unwrap_err();
    let CheckpointError::Mismatch { reason, .. } = &error else { panic!("{error}") };
    assert!(
        reason.contains("`training_images.classes` is 4 in the checkpoint and 5 in this run"),
        "{reason}"
    );
    assert!(!error.to_string().contains("rm "), "{error}");

    // Without the settings of a run, the weights tell.
    let error = Checkpoint::latest(folder.path(), net.weights()).unwrap_err();
    let CheckpointError::Mismatch { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("in the checkpoint and") && reason.contains('5'), "{reason}");
    assert!(!error.to_string().contains("damaged") && !error.to_string().contains("rm "), "{error}");
    assert_eq!(files(), before);
}

#[test]
fn files_that_are_no_checkpoint_or_have_another_format_say_so() {
    let folder = saved(1);
    let path = folder.path().join("epoch-0001.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let with_metadata = |change: &dyn Fn(&mut HashMap<String, String>)| {
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let mut metadata = header.metadata().clone().unwrap();
        change(&mut metadata);
        let file = safetensors::serialize(tensors.tensors(), Some(metadata)).unwrap();
        std::fs::write(&path, file).unwrap();
        let error = resume_error(settings(), folder.path());
        assert!(path.exists() && !error.to_string().contains("rm "), "{error}");
        assert_eq!(Checkpoint::scope(&path).is_ok(), matches!(error, CheckpointError::NotACheckpoint { .. }));
        error
    };
    let newer = with_metadata(&|metadata| drop(metadata.insert("pada_checkpoint".into(), "2".into())));
    assert!(matches!(newer, CheckpointError::NewerFormat { found: 2, supported: 1, .. }), "{newer}");
    assert!(newer.to_string().contains("update pada"), "{newer}");
    let older = with_metadata(&|metadata| {
        *metadata = HashMap::from([("pada.state".into(), "{}".into()), ("pada.sha256".into(), "".into())]);
    });
    assert!(matches!(older, CheckpointError::UnversionedFormat { .. }), "{older}");
    let plain = with_metadata(&|metadata| metadata.clear());
    assert!(matches!(plain, CheckpointError::NotACheckpoint { .. }), "{plain}");
}

/// A checkpoint that is read as weights is checked too.
#[test]
fn the_scope_of_a_damaged_checkpoint_is_an_error() {
    let folder = saved(1);
    let path = folder.path().join("epoch-0001.safetensors");
    let scope = Checkpoint::scope(&path).unwrap();
    assert_eq!((scope.by_rule, scope.part), (false, Some(SubSpace::from_op_counts(&[5; 6]).unwrap())));
    let bytes = std::fs::read(&path).unwrap();
    for place in [bytes.len() - 1, bytes.len() / 2, bytes.len() - 4_000] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let error = Checkpoint::scope(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Damaged { .. }), "{error}");
    }
}

#[test]
fn temporary_files_of_killed_writes_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let names = || {
        let entries = folder.path().read_dir().unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    for name in [".epoch-0001.safetensors.a1B2c3.tmp", ".epoch-0001-step-00002.safetensors.x.tmp"] {
        std::fs::write(folder.path().join(name), "half a checkpoint").unwrap();
    }
    std::fs::write(folder.path().join(".other.tmp"), "not ours").unwrap();
    let mut trainer = trainer(settings());
    trainer.resume(folder.path()).unwrap();
    trainer.epoch(&mut ()).unwrap();
    trainer.save(folder.path()).unwrap();
    assert_eq!(names(), [".other.tmp", "epoch-0001.safetensors"]);
}

#[test]
fn parts_that_do_not_fit_together_are_refused() {
    let layout = || net().weights().clone();
    let executor = || {
        let weights = init_weights(&layout(), &mut RngStream::Init.stream(7));
        Box::new(CandleExecutor::new(layout(), weights, Precision::F32))
    };
    let refused = |settings: TrainSettings, change: &dyn Fn(&mut TrainerParts)| {
        let mut parts = parts(executor(), images());
        change(&mut parts);
        match Trainer::new(settings, parts) {
            Err(TrainError::Setup { reason }) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was accepted"),
        }
    };
    assert!(refused(changed(|train| train.batch = 0), &|_| {}).contains("batch size"));
    assert!(refused(settings(), &|parts| parts.n_ops = 4).contains("n_ops is 4"));
    let other = Nb201Net::new(3, 1, Shape::new(3, 8, 8), 4, Norms::Plain);
    assert!(refused(settings(), &|parts| parts.net = Box::new(other.clone())).contains("other weights"));
    let larger = Nb201Net::new(2, 1, Shape::new(3, 9, 8), 4, Norms::Plain);
    let reason = refused(settings(), &|parts| parts.net = Box::new(larger.clone()));
    assert!(reason.contains("3×9×8") && reason.contains("3×8×8"), "{reason}");
    assert!(
        refused(settings(), &|parts| parts.images = DataLoader::new(images().first(0)))
            .contains("no training images")
    );
    let own = SumnasConfig { variant: Variant::Paper, inner_steps: 1, inner_lr: 0.05, inner_momentum: 0.9 };
    for optimizer in [OptimizerName::Nesterov, OptimizerName::Rmsprop, OptimizerName::RmspropTf] {
        let settings = changed(|train| train.optimizer = optimizer);
        let reason = refused(settings, &|parts| parts.rule = Box::new(Sumnas::new(own)));
        assert!(reason.contains("SGD of its own"), "{reason}");
    }
    // The sampler of another data set.
    for n in [23, 25] {
        let mut parts = parts(executor(), images());
        parts.data = Box::new(pada_sampler::UniformData::new(n).unwrap());
        let error = Trainer::new(settings(), parts).unwrap().epoch(&mut ()).unwrap_err();
        assert!(matches!(&error, TrainError::Setup { reason } if reason.contains(&n.to_string())), "{error}");
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_others_alone() {
    let folder = saved(1);
    let mut trainer = trainer(settings());
    trainer.resume(folder.path()).unwrap();
    trainer.epoch(&mut ()).unwrap();
    let missing = folder.path().join("gone");
    let error = trainer.save(&missing).unwrap_err();
    assert!(matches!(&error, CheckpointError::Io { path, .. } if path.starts_with(&missing)), "{error}");
    // A folder where the next checkpoint should go: the file cannot be put there.
    std::fs::create_dir(folder.path().join("epoch-0002.safetensors")).unwrap();
    assert!(matches!(trainer.save(folder.path()), Err(CheckpointError::Io { .. })));
    let first = folder.path().join("epoch-0001.safetensors");
    assert_eq!(Checkpoint::read(&first, net().weights()).unwrap().epoch(), 1);
}

/// Stops after a number of steps.
struct StopAfter(std::cell::Cell<usize>);

impl Observer for StopAfter {
    fn stop_requested(&self) -> bool {
        self.0.replace(self.0.get().saturating_sub(1)) == 0
    }
}

#[test]
fn a_run_stops_between_two_steps_and_goes_on_bit_for_bit() {
    let mut whole = trainer(settings());
    while !whole.is_done() {
        whole.epoch(&mut ()).unwrap();
    }
    // Three steps an epoch: within the second epoch, and at its start.
    for steps in 0..3 {
        let folder = saved(1);
        let mut stopped = trainer(settings());
        stopped.resume(folder.path()).unwrap();
        assert!(matches!(stopped.epoch(&mut StopAfter(steps.into())), Err(TrainError::Stopped)));
        stopped.save(folder.path()).unwrap();
        let mut resumed = trainer(settings());
        resumed.resume(folder.path()).unwrap();
        for going_on in [&mut stopped, &mut resumed] {
            while !going_on.is_done() {
                going_on.epoch(&mut ()).unwrap();
            }
            assert_eq!(outcome(going_on).0, outcome(&mut whole).0, "stopped after {steps} steps");
            let state = |t: &Trainer| (t.checkpoint().weights, t.checkpoint().momentum);
            assert_eq!(state(going_on), state(&whole));
        }
    }
}

#[test]
fn checkpoints_within_an_epoch_are_written_when_it_is_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut saving = trainer(settings());
    saving.autosave(folder.path(), std::time::Duration::ZERO);
    saving.epoch(&mut ()).unwrap();
    let mut names: Vec<_> =
        folder.path().read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["epoch-0000-step-00001.safetensors", "epoch-0000-step-00002.safetensors"]);
}

/// One step whose weights become NaN within it, as where a rule moves them before it finds out.
#[test]
fn steps_that_are_not_finite_can_be_left_out() {
    let skipping = || changed(|train| train.on_nan = OnNan::Skip);
    let mut skip = trainer(skipping());
    skip.parts().rule = Box::new(FailsOnce { step: 1, seen: 0 });
    let record = skip.epoch(&mut ()).unwrap().clone();
    assert_eq!(record.skipped_steps, 1);
    assert!(record.loss.is_finite() && record.grad_norm.is_finite());
    assert!(skip.checkpoint().weights.iter().all(|w| w.is_finite()), "what the step left is undone");
    // Where all steps fail there is nothing to go on with.
    let mut all = trainer(skipping());
    let poisoned = vec![f32::NAN; net().weights().numel()];
    all.parts().executor.write(State::Weights, &poisoned);
    assert!(matches!(all.epoch(&mut ()), Err(TrainError::Diverged { step: 2, .. })));
}

/// Trains as usual, but one step finds NaN in the weights.
struct FailsOnce {
    step: usize,
    seen: usize,
}

impl TrainRule for FailsOnce {
    fn step(&mut self, ctx: &mut StepContext<'_>, batch: &Batch<'_>) -> Result<StepOutcome, TrainError> {
        self.seen += 1;
        if self.seen - 1 == self.step {
            let poisoned = vec![f32::NAN; ctx.net.weights().numel()];
            ctx.executor.write(State::Weights, &poisoned);
        }
        SummedPaths.step(ctx, batch)
    }
}

#[test]
fn architectures_that_are_the_same_function_score_the_same_and_all_are_reported() {
    let (space, net, set) = (Nb201::new(), net(), EvalSet::new(&images(), 20, 8));
    let weights = init_weights(net.weights(), &mut RngStream::Init.stream(0));
    let mut executor = CandleExecutor::new(net.weights().clone(), weights, Precision::F32);
    // The second has one more convolution, on an edge that leads nowhere.
    let archs = ["000300", "300300", "333333", "000000"].map(|text| space.parse(text).unwrap());
    let place = &mut |_: &Arch, _: &mut dyn Executor| Ok(vec![]);
    let known = Default::default();
    let mut scorer = Scorer {
        executor: &mut executor,
        place,
        net: &net,
        space: &space,
        images: &set,
        calibration: None,
        known,
    };
    let scores: Vec<_> = archs.iter().map(|arch| scorer.score(arch).unwrap()).collect();
    assert_eq!(scores[0].correct, scores[1].correct);
    assert_eq!(scorer.known.len(), 3, "what is the same is computed once");

    // Slow reference: the whole graph of each, dead edges included, batch by batch.
    let places: Vec<u32> = (0..20).collect();
    let mut correct = |arch| {
        let graph = net.lower(arch).unwrap();
        let batch = |places: &[u32]| {
            let pixels = pada_data::normalised(&images(), places).unwrap();
            let images = Images::given(&pixels, net.input());
            let labels: Vec<u32> = places.iter().map(|i| i % 4).collect();
            executor.logits(&graph, &images).unwrap().correct(&labels)
        };
        places.chunks(8).map(batch).sum::<usize>()
    };
    for (score, arch) in scores.iter().zip(&archs) {
        assert_eq!((&score.arch, score.correct, score.total), (arch, correct(arch), 20));
    }
}
