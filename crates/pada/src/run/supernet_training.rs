//! Training of the supernet of a run, or of the sub-supernets that it is split into. Training consists of stages, and an interrupted run
//! resumes in the stage that it was in.

use std::path::{Path, PathBuf};
use std::time::Instant;

use pada_exec::Executor;
use pada_report::{EpochRecord, TestRecord};
use pada_space::{Arch, SubSpace};
use pada_trainer::split::{MatchingSettings, SubSupernets, separate, split_by_gradients};
use pada_trainer::{Observer, RngStream, ScheduleSpan, TrainError, Trainer, TrainerParts};

use crate::config::{Config, SplitConfig};
use crate::config::{GradientMatchingConfig, LastSchedule, LastSplit, SpaceName, SplitSchedule};
use crate::error::PadaError;
use crate::run::build;
use crate::run::inputs::Inputs;
use crate::run::scoring::Weights;
use crate::run::session::Session;
use crate::run::training_parts;

/// The training of all supernets of a run.
pub(crate) struct SupernetTraining<'a> {
    config: &'a Config,
    inputs: &'a Inputs,
    place: &'a Session,
    folder: &'a Path,
    unfinished: Unfinished,
    /// Epochs of finished stages.
    done: Vec<EpochRecord>,
    /// Index of the next stage.
    next: usize,
    /// Seconds that the search for splits took. A resumed run repeats all splits, so this number covers the whole run.
    split_seconds: f64,
}

/// Treatment of a stage that is not fully trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    /// Train the stage.
    Train,
    /// Return an error.
    Refuse,
}

/// The start of a stage after a split.
struct StageStart {
    /// The initial weights. `None` initialises them from the seed.
    weights: Option<Vec<f32>>,
    /// The initial momentum. `None` means 0 for every weight.
    momentum: Option<Vec<f32>>,
    /// Number of epochs.
    epochs: usize,
    /// The part of the learning-rate schedule that the stage follows.
    schedule_span: ScheduleSpan,
}

impl StageStart {
    /// A stage with momentum 0 and a schedule of its own.
    fn of_weights(weights: Option<Vec<f32>>, epochs: usize) -> Self {
        Self { weights, momentum: None, epochs, schedule_span: ScheduleSpan::default() }
    }
}

/// A trained supernet or set of sub-supernets.
pub(crate) struct Trained {
    /// The trainer of the last stage, whose executor scores architectures.
    trainer: Trainer,
    /// The sub-supernets, or `None` for a supernet that was not split.
    pub(crate) leaves: Option<SubSupernets>,
    /// The records of all epochs of all stages.
    pub(crate) epochs: Vec<EpochRecord>,
    /// Seconds that the search for splits took.
    pub(crate) split_seconds: f64,
}

impl Trained {
    /// Calls `work` with the executor and the weights that score architectures.
    pub(crate) fn with_weights<T>(&mut self, work: impl FnOnce(Weights<'_, '_>) -> T) -> T {
        let (leaves, parts) = (&mut self.leaves, self.trainer.parts());
        let TrainerParts { executor, net, rule, .. } = parts;
        let mut place = |arch: &Arch, executor: &mut dyn Executor| match leaves {
            Some(leaves) => leaves
                .place(arch, executor)
                .map(|leaf| leaf.to_string().into_bytes())
                .ok_or_else(|| TrainError::NotTrained { arch: arch.clone() }),
            None => rule.place_weights(arch, executor),
        };
        work(Weights { executor: executor.as_mut(), net: net.as_ref(), place: &mut place })
    }
}

/// Callback after each epoch, with the records of all epochs so far.
pub(crate) type OnEpoch<'a> = dyn FnMut(&[EpochRecord]) -> Result<(), PadaError> + 'a;

impl<'a> SupernetTraining<'a> {
    /// Creates the training of the run in `folder`.
    pub(crate) fn new(
        config: &'a Config,
        inputs: &'a Inputs,
        folder: &'a Path,
        place: &'a Session,
        unfinished: Unfinished,
    ) -> Self {
        Self { config, inputs, place, folder, unfinished, done: vec![], next: 0, split_seconds: 0.0 }
    }

    /// Creates the trainer of the first stage, before its first step.
    /// `weights` are the initial weights; with `None` they are initialised from the seed.
    pub(crate) fn first(
        config: &Config,
        inputs: &Inputs,
        place: &Session,
        weights: Option<Vec<f32>>,
    ) -> Result<Trainer, PadaError> {
        let (part, epochs) = (inputs.whole.clone(), config.train().epochs);
        let schedule_span = match config.split() {
            Some(SplitConfig::GradientMatching(split)) if split.schedule == SplitSchedule::WholeRun => {
                ScheduleSpan { before: 0, epochs: Some(split.total_epochs(epochs)) }
            }
            _ => ScheduleSpan::default(),
        };
        let start = training_parts::Start { part, weights, epochs, momentum: None, schedule_span, stage: 0 };
        training_parts::trainer(config, inputs, place, start)
    }

    /// Trains all stages that are not fully trained.
    pub(crate) fn train(
        mut self,
        first: Trainer,
        observer: &mut dyn Observer,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Trained, PadaError> {
        let mut trainer = self.finish(first, observer, on_epoch)?;
        let Some(split) = self.config.split() else {
            trainer.place_average();
            return Ok(Trained { trainer, leaves: None, epochs: self.done, split_seconds: 0.0 });
        };
        let root = weights(&mut trainer);
        let leaves = match split {
            SplitConfig::FewShot(config) => {
                let mut leaves = Vec::new();
                for part in separate(&self.inputs.whole, &config.positions) {
                    let start = StageStart::of_weights(Some(root.clone()), config.leaf_epochs);
                    trainer = self.stage(part.clone(), start, observer, on_epoch)?;
                    leaves.push((part, weights(&mut trainer)));
                }
                leaves
            }
            SplitConfig::GradientMatching(config) => {
                let momentum = momentum(&mut trainer);
                let mut level = vec![(self.inputs.whole.clone(), root, momentum)];
                for split in 1..=config.splits {
                    let mut next = Vec::new();
                    for (part, parent, momentum_before) in level {
                        for child in self.split(&mut trainer, &part, &parent, config)? {
                            let start = self.after_split(split, config, [&parent, &momentum_before]);
                            trainer = self.stage(child.clone(), start, observer, on_epoch)?;
                            next.push((child, weights(&mut trainer), self::momentum(&mut trainer)));
                        }
                    }
                    level = next;
                }
                level.into_iter().map(|(part, weights, _)| (part, weights)).collect()
            }
        };
        let (leaves, split_seconds) = (Some(SubSupernets::new(leaves)), self.split_seconds);
        Ok(Trained { trainer, leaves, epochs: self.done, split_seconds })
    }

    /// Returns how a sub-supernet starts after the given split, counted from 1, of a supernet with these weights and this momentum.
    fn after_split(
        &self,
        split: usize,
        config: &GradientMatchingConfig,
        [weights, momentum]: [&Vec<f32>; 2],
    ) -> StageStart {
        let first = self.config.train().epochs;
        let is_last = split == config.splits;
        let epochs = if is_last { config.leaf_epochs } else { config.between_epochs };
        let is_new = is_last && config.last == LastSplit::Reinitialise;
        let weights = (!is_new).then(|| weights.clone());
        match config.schedule {
            SplitSchedule::PerStage => StageStart::of_weights(weights, epochs),
            SplitSchedule::WholeRun => {
                let total = config.total_epochs(first);
                let schedule_span = match (is_new, config.last_schedule) {
                    (false, _) => ScheduleSpan {
                        before: first + (split - 1) * config.between_epochs,
                        epochs: Some(total),
                    },
                    (true, LastSchedule::Leaf) => ScheduleSpan::default(),
                    (true, LastSchedule::WholeRun) => ScheduleSpan { before: 0, epochs: Some(total) },
                };
                StageStart { weights, momentum: (!is_new).then(|| momentum.clone()), epochs, schedule_span }
            }
        }
    }

    /// Splits a part of the space in two. Returns only the part itself if no decision can be split.
    fn split(
        &mut self,
        trainer: &mut Trainer,
        part: &SubSpace,
        weights: &[f32],
        config: &GradientMatchingConfig,
    ) -> Result<Vec<SubSpace>, PadaError> {
        let started = Instant::now();
        let (network, space) = (self.config.network(), self.config.network().space()?);
        let settings = MatchingSettings {
            samples: config.samples,
            batch: self.config.train().batch,
            augment: *self.config.augment(),
            accepts: &|arch| network.space != SpaceName::Nb201 || build::is_connected(space.as_ref(), arch),
            compares: &|spec| build::is_matched(network.space, spec),
        };
        let mut rng = RngStream::Split.stage_stream(self.config.seed(), self.next);
        let parts = trainer.parts();
        let (executor, net) = (parts.executor.as_mut(), parts.net.as_ref());
        executor.write(pada_exec::State::Weights, weights);
        let spaces = [&self.inputs.whole, part];
        let halves = split_by_gradients(executor, net, &self.inputs.images, spaces, &settings, &mut rng)?;
        self.split_seconds += started.elapsed().as_secs_f64();
        Ok(halves.map_or_else(|| vec![part.clone()], Vec::from))
    }

    fn stage(
        &mut self,
        part: SubSpace,
        start: StageStart,
        observer: &mut dyn Observer,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Trainer, PadaError> {
        let StageStart { weights, momentum, epochs, schedule_span } = start;
        let start =
            training_parts::Start { part, weights, epochs, momentum, schedule_span, stage: self.next };
        let trainer = training_parts::trainer(self.config, self.inputs, self.place, start)?;
        self.finish(trainer, observer, on_epoch)
    }

    /// Trains a stage from its last checkpoint to its end.
    fn finish(
        &mut self,
        mut trainer: Trainer,
        observer: &mut dyn Observer,
        on_epoch: &mut OnEpoch<'_>,
    ) -> Result<Trainer, PadaError> {
        let folder = self.stage_folder()?;
        trainer.resume_together(&folder).map_err(|error| match error {
            TrainError::Checkpoint(error) => PadaError::from(error),
            other => other.into(),
        })?;
        let saves = self.place.world.index() == 0;
        if saves {
            trainer.autosave(&folder, self.place.checkpoint_every);
        }
        if !trainer.is_done() && self.unfinished == Unfinished::Refuse {
            return Err(PadaError::NotTrained { path: self.folder.to_owned() });
        }
        while !trainer.is_done() {
            match trainer.epoch(observer) {
                Ok(_) => {
                    self.test(&mut trainer)?;
                    if saves {
                        trainer.save(&folder)?;
                    }
                }
                Err(stopped @ TrainError::Stopped) if saves => {
                    trainer.save(&folder)?;
                    return Err(stopped.into());
                }
                Err(error) => return Err(error.into()),
            }
            let epochs: Vec<EpochRecord> = self.done.iter().chain(trainer.epochs()).cloned().collect();
            on_epoch(&epochs)?;
        }
        self.done.extend_from_slice(trainer.epochs());
        self.next += 1;
        Ok(trainer)
    }

    /// Tests a network that is trained from scratch, if the config has a test after this epoch. Every process computes the whole test, so
    /// that none of them waits for it. The weights and running statistics stay as they are.
    fn test(&self, trainer: &mut Trainer) -> Result<(), PadaError> {
        let Config::Retrain(config) = self.config else { return Ok(()) };
        let Some(every) = config.test.every else { return Ok(()) };
        let epoch = trainer.epochs().len();
        if !epoch.is_multiple_of(every) && !trainer.is_done() {
            return Ok(());
        }
        let (scoring, images) = (&self.inputs.scoring, self.inputs.scoring.eval_set());
        let arch = scoring.network.space.parse(config.arch()?)?;
        let trained = weights(trainer);
        trainer.place_average();
        let TrainerParts { executor, net, rule, .. } = trainer.parts();
        let mut place = |arch: &Arch, executor: &mut dyn Executor| rule.place_weights(arch, executor);
        let (executor, net) = (executor.as_mut(), net.as_ref());
        let mut weights = Weights { executor, net, place: &mut place };
        let mut scorer = scoring.scorer(&mut weights, &images);
        let test = TestRecord { accuracy: scorer.score(&arch)?.accuracy(), top5: scorer.top5(&arch)? };
        trainer.parts().executor.write(pada_exec::State::Weights, &trained);
        trainer.record_test(test);
        Ok(())
    }

    /// Returns the folder for the checkpoints of the stage: the run folder if there is only one stage, otherwise one folder per stage.
    fn stage_folder(&self) -> Result<PathBuf, PadaError> {
        if self.config.split().is_none() || self.place.world.index() > 0 {
            return Ok(self.folder.to_owned());
        }
        let path = self.folder.join(format!("stage-{:02}", self.next));
        let made = std::fs::create_dir_all(&path);
        made.map_err(|source| PadaError::Write { path: path.clone(), source }).map(|()| path)
    }
}

fn weights(trainer: &mut Trainer) -> Vec<f32> {
    trainer.parts().executor.read(pada_exec::State::Weights)
}

fn momentum(trainer: &mut Trainer) -> Vec<f32> {
    trainer.parts().executor.read(pada_exec::State::Momentum)
}
