use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pada_data::{Augment, DataLoader};
use pada_dist::ProcessGroup;
use pada_graph::{Batch, BatchNormSync, Executor, Lower, SgdStep, State};
use pada_report::{EpochRecord, ImageAudit, PathAudit};
use pada_sampler::{DataSampler, PathObservation, PathSampler, effective_sample_size, entropy};
use pada_space::SubSpace;

use crate::autosave::Autosave;
use crate::checkpoint::RunState;
use crate::error::NotFinite;
use crate::meter::{Meter, communication_record};
use crate::running::RunningEpoch;
use crate::training_images::TrainingImages;
use crate::{
    Average, Checkpoint, CheckpointError, DropPaths, GradientVariance, ImageScore, Observer, OnNan, Recipe,
    RunPoint, StepContext, StepOutcome, StepProgress, Streams, TrainConfig, TrainError, TrainRule,
    image_shape,
};

/// How a supernet is trained, apart from the rule and the samplers.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainSettings {
    /// Epochs and SGD.
    pub train: TrainConfig,
    /// Random changes to images.
    pub augment: Augment,
    /// What the data sampler is told of each image.
    pub image_score: ImageScore,
    /// Seed of all random streams.
    pub seed: u64,
    /// Which supernet of a run that splits its supernet this is, from 0; each stage has random streams of its own.
    pub stage: usize,
    /// Whatever else makes the run what it is; a checkpoint of a run with another identity is refused.
    pub identity: String,
}

/// What a trainer is put together from.
pub struct TrainerParts {
    /// Computes, and holds the weights.
    pub executor: Box<dyn Executor>,
    /// Lowers paths.
    pub net: Box<dyn Lower>,
    /// The part of the space that is trained.
    pub space: SubSpace,
    /// O, how many operations a position has at most.
    pub n_ops: usize,
    /// Which paths.
    pub paths: Box<dyn PathSampler>,
    /// Which images.
    pub data: Box<dyn DataSampler>,
    /// What a step does.
    pub rule: Box<dyn TrainRule>,
    /// The training images.
    pub images: DataLoader,
}

/// Trains a supernet, epoch by epoch. The one place where what a step found goes from the network to the samplers.
pub struct Trainer {
    settings: TrainSettings,
    pub(crate) recipe: Recipe,
    pub(crate) average: Option<Average>,
    pub(crate) parts: TrainerParts,
    images: TrainingImages,
    /// Who trains the same, step by step.
    pub(crate) world: ProcessGroup,
    pub(crate) norms: BatchNormSync,
    streams: Streams,
    pub(crate) epochs: Vec<EpochRecord>,
    /// The epoch under way, between two steps.
    running: Option<RunningEpoch>,
    autosave: Option<Autosave>,
    last_checkpoint: Option<PathBuf>,
}

impl Trainer {
    /// A run at its start.
    pub fn new(settings: TrainSettings, parts: TrainerParts) -> Self {
        let streams = Streams::new(settings.seed, settings.stage);
        Self {
            settings,
            recipe: Recipe::default(),
            average: None,
            parts,
            images: TrainingImages::default(),
            world: ProcessGroup::single(),
            norms: BatchNormSync::Sync,
            streams,
            epochs: Vec::new(),
            running: None,
            autosave: None,
            last_checkpoint: None,
        }
    }

    /// Whether all epochs are done.
    pub fn is_done(&self) -> bool {
        self.epochs.len() >= self.settings.train.epochs
    }

    /// The finished epochs.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.epochs
    }

    /// What the run is put together from, to score with after training.
    pub fn parts(&mut self) -> &mut TrainerParts {
        &mut self.parts
    }

    /// Writes a checkpoint into `folder` whenever `every` has passed since the last one, between two steps.
    pub fn autosave(&mut self, folder: &Path, every: Duration) {
        self.autosave = Some(Autosave::new(folder, every));
    }

    /// Trains one epoch, or what is left of one, and tells the samplers that it ended.
    ///
    /// # Errors
    /// [`TrainError`]. After [`TrainError::Stopped`] the trainer is between two steps and can be saved and go on; after any other
    /// error only its last checkpoint can.
    pub fn epoch(&mut self, observer: &mut dyn Observer) -> Result<&EpochRecord, TrainError> {
        let (epoch, epochs) = (self.epochs.len(), self.settings.train.epochs);
        let mut running = match self.running.take() {
            Some(running) => running,
            None => {
                self.parts.rule.begin_epoch(epoch, epochs);
                let order = self.parts.data.epoch_order(&mut self.streams.images);
                RunningEpoch { order, ..RunningEpoch::default() }
            }
        };
        let (stage, batch) = (self.settings.stage, self.settings.train.batch);
        let steps = running.order.len().div_ceil(batch);
        let mut meter = Meter::start(&self.world);
        while running.step < steps {
            let stop = self.world.any(observer.stop_requested())?;
            if stop || self.autosave.as_ref().is_some_and(Autosave::is_due) {
                meter.add_to(&mut running);
                self.running = Some(running);
                if stop {
                    return Err(TrainError::Stopped);
                }
                self.save_due()?;
                running = self.running.take().expect("it was put there");
            }
            let at = RunPoint { epoch, epochs, step: running.step, steps };
            self.one_step(&mut running, at)?;
            let (step, loss) = (running.step, running.totals.last_loss);
            observer.on_step(&StepProgress { stage, epoch, epochs, step, steps, loss });
        }
        meter.add_to(&mut running);
        let record = self.record(&running, steps);
        // Epoch 0 has progress 0: the second epoch is still uniform, as in the released code.
        let progress = epoch as f64 / epochs as f64;
        self.parts.paths.end_epoch(progress);
        self.parts.data.end_epoch(progress);
        tracing::info!(epoch, loss = record.loss, accuracy = record.accuracy, lr = record.lr, "epoch done");
        observer.on_epoch(&record);
        self.epochs.push(record);
        self.check_weights()?;
        Ok(&self.epochs[epoch])
    }

    /// Trains on the next images of an epoch.
    fn one_step(&mut self, running: &mut RunningEpoch, at: RunPoint) -> Result<(), TrainError> {
        let RunningEpoch { order, totals, step, .. } = running;
        let batch = self.settings.train.batch;
        let (images, later) = order[*step * batch..].split_at(batch.min(order.len() - *step * batch));
        let next = &later[..batch.min(later.len())];
        let on_nan = self.settings.train.on_nan;
        let before = (on_nan == OnNan::Skip).then(|| {
            let executor = &self.parts.executor;
            let values = [State::Weights, State::Momentum].map(|state| (state, executor.read(state)));
            (values, self.parts.rule.state())
        });
        *step += 1;
        let found = self.step([images, next], at, &mut totals.variance);
        let (outcome, images, labels) = match (found, before) {
            (Ok(found), _) => found,
            (Err(TrainError::NotFinite(what)), Some((values, rule))) if totals.skipped + 1 < at.steps => {
                tracing::warn!(epoch = at.epoch, step = at.step, "left out: {what}");
                totals.skipped += 1;
                values.iter().for_each(|(state, values)| self.parts.executor.write(*state, values));
                self.parts.rule.restore(&rule).expect("a rule takes back its own state");
                return Ok(());
            }
            (Err(error), _) => return Err(self.placed(error, at)),
        };
        if let Some(average) = &mut self.average {
            average.add(&self.parts.executor.read(State::Weights));
        }
        totals.add(&outcome, &labels);
        for path in &outcome.paths {
            let (position_norms, loss) = (&*path.position_norms, path.loss);
            self.parts.paths.observe(&PathObservation { path: &path.path, position_norms, loss });
            self.parts.data.observe(&images, &self.settings.image_score.of(path, &labels));
        }
        Ok(())
    }

    fn lr(&self, at: RunPoint) -> f64 {
        let s = &self.settings.train;
        s.schedule.lr(s.lr, self.parts.rule.schedule_point(at)) * self.recipe.warm_up(at)
    }

    /// What an epoch did; the samplers still hold the distributions it was drawn from.
    fn record(&self, running: &RunningEpoch, steps: usize) -> EpochRecord {
        let RunningEpoch { order, totals, seconds, traffic, .. } = running;
        let (epoch, epochs) = (self.epochs.len(), self.settings.train.epochs);
        let (path_distribution, q) = (self.parts.paths.distribution(), self.parts.data.distribution());
        let gv = totals.variance.result();
        let entropies = path_distribution.iter().map(|p| entropy(p)).sum::<f64>();
        EpochRecord {
            epoch,
            stage: self.settings.stage,
            lr: self.lr(RunPoint { epoch, epochs, step: 0, steps }),
            loss: totals.loss / totals.images as f64,
            accuracy: 100.0 * totals.correct as f64 / totals.images as f64,
            skipped_steps: totals.skipped,
            grad_norm: totals.grad_norm / (steps - totals.skipped) as f64,
            gv: gv.map(|v| v.raw),
            gv_scale_free: gv.map(|v| v.scale_free),
            path_entropy: entropies / path_distribution.len() as f64,
            path_distribution,
            paths: PathAudit::of(totals.paths.iter().map(|path| path.choices()), self.parts.n_ops),
            images: ImageAudit::of(order),
            effective_sample_size: q.map(effective_sample_size),
            image_entropy: q.map(entropy),
            seconds: *seconds,
            communication: communication_record(&self.world, *traffic),
        }
    }

    fn step(
        &mut self,
        [drawn, next]: [&[u32]; 2],
        at: RunPoint,
        variance: &mut GradientVariance,
    ) -> Result<(StepOutcome, Vec<u32>, Vec<u32>), TrainError> {
        let (lr, recipe) = (self.lr(at), self.recipe);
        let (s, parts) = (&self.settings.train, &mut self.parts);
        let (augment, stream) = (&self.settings.augment, &mut self.streams.augment);
        let images = self.images.batch(parts, drawn, augment, stream)?;
        self.images.ahead(parts, next, augment, &mut stream.clone());
        let source = parts.images.source();
        let labels: Vec<u32> =
            images.indices.iter().map(|&i| u32::from(source.labels()[i as usize])).collect();
        let shape = image_shape(source);
        let image_weights: Vec<f32> = images.indices.iter().map(|&i| parts.data.loss_weight(i)).collect();
        let plain = image_weights.iter().all(|&w| w == 1.0);
        let mut ctx = StepContext {
            executor: parts.executor.as_mut(),
            net: parts.net.as_ref(),
            paths: parts.paths.as_mut(),
            path_rng: &mut self.streams.paths,
            rule_rng: &mut self.streams.rule,
            sgd: SgdStep {
                lr: lr as f32,
                momentum: s.momentum as f32,
                weight_decay: s.weight_decay as f32,
                decayed: recipe.decayed,
                gradient_scale: 1.0,
                unused: s.unused_weights,
            },
            clip_norm: s.clip_norm,
            image_weights: (!plain).then_some(&image_weights),
            label_smoothing: recipe.label_smoothing as f32,
            drop_path: Some(DropPaths {
                probability: recipe.drop_path(at),
                rng: &mut self.streams.drop_path,
            }),
            on_gradient: &mut |ids, executor| variance.observe(ids, |id| executor.gradient(id)),
        };
        let batch = Batch { images: images.images(shape), labels: &labels };
        let outcome = parts.rule.step(&mut ctx, &batch)?;
        Ok((outcome, images.indices, labels))
    }

    /// The run as it is, after an epoch or between two steps of one.
    pub fn checkpoint(&self) -> Checkpoint {
        let executor = &self.parts.executor;
        Checkpoint {
            weights: executor.read(State::Weights),
            momentum: executor.read(State::Momentum),
            average: self.average.as_ref().map(|average| average.values().to_vec()),
            paths: self.parts.paths.state(),
            data: self.parts.data.state(),
            rule: self.parts.rule.state(),
            running: self.running.as_ref().map(RunningEpoch::state).unwrap_or_default(),
            run: RunState {
                fingerprint: self.fingerprint(),
                streams: self.streams.positions(),
                epochs: self.epochs.clone(),
                step: self.running.as_ref().map_or(0, |running| running.step),
                part: Some(self.parts.space.clone()),
            },
        }
    }

    /// Writes [`Trainer::checkpoint`] into a folder, see [`Checkpoint::save`].
    ///
    /// # Errors
    /// [`CheckpointError::Io`], or [`CheckpointError::Exec`] where the weights cannot be read: then nothing is written.
    pub fn save(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        let checkpoint = self.checkpoint();
        self.parts.executor.deferred_error()?;
        self.last_checkpoint = Some(checkpoint.save(folder, self.parts.net.weights())?);
        if let Some(autosave) = &mut self.autosave {
            autosave.saved();
        }
        Ok(())
    }

    fn save_due(&mut self) -> Result<(), CheckpointError> {
        let folder = self.autosave.as_ref().map(|autosave| autosave.folder().to_owned());
        folder.map_or(Ok(()), |folder| self.save(&folder))
    }

    /// Goes on from the newest checkpoint of a folder, bit for bit; from the start if there is none.
    ///
    /// # Errors
    /// [`CheckpointError`]. The trainer must not be used after an error.
    pub fn resume(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        match Checkpoint::latest(folder, self.parts.net.weights())? {
            Some((path, checkpoint)) => self.go_on(path, checkpoint),
            None => Ok(()),
        }
    }

    /// Goes on from a checkpoint that was read from `path`.
    pub(crate) fn go_on(&mut self, path: PathBuf, checkpoint: Checkpoint) -> Result<(), CheckpointError> {
        let mismatch = |reason| CheckpointError::Mismatch { path: path.clone(), reason };
        let (ours, theirs) = (self.fingerprint(), &checkpoint.run.fingerprint);
        if let Some((key, value)) = ours.iter().find(|(key, value)| theirs.get(*key) != Some(value)) {
            let other = theirs.get(key).map_or("nothing", String::as_str);
            return Err(mismatch(format!("its {key} is {other}, this run has {value}")));
        }
        if let Some((key, value)) = theirs.iter().find(|(key, _)| !ours.contains_key(*key)) {
            return Err(mismatch(format!("its {key} is {value}, this run has nothing")));
        }
        self.parts.paths.restore(&checkpoint.paths).map_err(|e| mismatch(e.to_string()))?;
        self.parts.data.restore(&checkpoint.data).map_err(|e| mismatch(e.to_string()))?;
        self.parts.rule.restore(&checkpoint.rule).map_err(|e| mismatch(e.to_string()))?;
        self.parts.executor.write(State::Weights, &checkpoint.weights);
        self.parts.executor.write(State::Momentum, &checkpoint.momentum);
        if let Some(average) = &mut self.average {
            let missing = || mismatch("it has no average of the weights".to_owned());
            average.restore(&checkpoint.average.ok_or_else(missing)?);
        }
        self.streams.go_to(&checkpoint.run.streams);
        self.epochs = checkpoint.run.epochs;
        self.running = RunningEpoch::restore(&checkpoint.running, &self.parts.space)
            .map_err(|e| mismatch(e.to_string()))?;
        self.last_checkpoint = Some(path);
        Ok(())
    }

    /// Puts the place into an error.
    fn placed(&self, error: TrainError, at: RunPoint) -> TrainError {
        match error {
            TrainError::NotFinite(NotFinite { what, value, path }) => {
                let checkpoint = self.last_checkpoint.clone();
                TrainError::Diverged { epoch: at.epoch, step: at.step, path, what, value, checkpoint }
            }
            other => other,
        }
    }

    /// Everything that changes how training goes on, apart from what a checkpoint holds itself.
    fn fingerprint(&self) -> BTreeMap<String, String> {
        let (loader, images) = (&self.parts.images, self.parts.images.source());
        let entry = |key: &str, value: String| (key.to_owned(), value);
        let mut fingerprint = BTreeMap::from([
            entry(
                "training",
                format!("{:?}", TrainSettings { identity: String::new(), ..self.settings.clone() }),
            ),
            entry("images", format!("{} {} {}", images.name(), images.len(), loader.sha256())),
            entry("weights", self.parts.net.weights().numel().to_string()),
            entry("part of the space", format!("{:?}", self.parts.space.allowed())),
            entry("sampler, rule, network or executor", self.settings.identity.clone()),
        ]);
        // Checkpoints of runs without a recipe do not name any.
        if self.recipe != Recipe::default() {
            fingerprint.extend([entry("recipe", format!("{:?}", self.recipe))]);
        }
        fingerprint.extend(self.ranks_entry());
        fingerprint
    }
}
