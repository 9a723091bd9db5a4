use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pada_data::{Augment, DataLoader};
use pada_dist::ProcessGroup;
use pada_exec::{Batch, BatchNormSync, Executor, Optimizer, RmsProp, RmsPropForm, SgdStep, State};
use pada_graph::Lower;
use pada_report::{EpochRecord, ImageAudit, PathAudit, TestRecord};
use pada_sampler::{DataSampler, PathObservation, PathSampler, Progress, effective_sample_size, entropy};
use pada_space::SubSpace;
use serde_json::{Value, json};

use crate::r#loop::average::Average;
use crate::r#loop::config::{OnNan, TrainConfig};
use crate::r#loop::drop_path::DropPaths;
use crate::r#loop::observer::{Observer, StepProgress};
use crate::r#loop::recipe::Recipe;
use crate::r#loop::running::{Meter, RunningEpoch, check_order, communication_record};
use crate::r#loop::schedule::{RunPoint, ScheduleSpan};
use crate::r#loop::training_images::TrainingImages;
use crate::rules::{StepContext, StepOutcome, TrainRule};
use crate::scoring::fixed_images::image_shape;
use crate::scoring::image_scores::ImageScore;
use crate::state::checkpoint::{Checkpoint, latest_file};
use crate::state::file::{CheckpointFile, CheckpointState};
use crate::state::identity::{PROCESSES, difference, with_current_keys};
use crate::state::streams::Streams;
use crate::variance::{GradientVariance, kernels};
use crate::{CheckpointError, NotFinite, TrainError};

/// Settings of a [`Trainer`], apart from its rule and samplers.
///
/// ```
/// use pada_trainer::{TrainConfig, TrainSettings};
///
/// let settings = TrainSettings::new(TrainConfig { epochs: 20, ..TrainConfig::default() }).with_seed(7);
/// assert_eq!((settings.seed, settings.stage), (7, 0));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainSettings {
    /// Number of epochs and settings of SGD.
    pub train: TrainConfig,
    /// Augmentation of the training images.
    pub augment: Augment,
    /// The score of a training image that the data sampler observes.
    pub image_score: ImageScore,
    /// Seed of all random streams.
    pub seed: u64,
    /// Index of the stage in a run that splits its supernet; 0 in other runs. Each stage has its own random streams.
    pub stage: usize,
    /// The part of the learning-rate schedule that the stage follows.
    pub schedule_span: ScheduleSpan,
    /// Treatment of a checkpoint of a run with fewer epochs.
    pub extension: Extension,
    /// All other settings that determine the run, as JSON: samplers, rule, network and executor. A checkpoint of a run with another
    /// identity is rejected, and the error names the keys that differ.
    pub identity: Value,
}

impl TrainSettings {
    /// Creates settings without augmentation, with seed 0 and the image score of PA&DA.
    pub fn new(train: TrainConfig) -> Self {
        let (augment, image_score) = (Augment::NONE, ImageScore::default());
        Self {
            train,
            augment,
            image_score,
            seed: 0,
            stage: 0,
            schedule_span: ScheduleSpan::default(),
            extension: Extension::default(),
            identity: Value::Null,
        }
    }

    /// Sets the augmentation of the training images.
    pub fn with_augment(self, augment: Augment) -> Self {
        Self { augment, ..self }
    }

    /// Sets the score of a training image that the data sampler observes.
    pub fn with_image_score(self, image_score: ImageScore) -> Self {
        Self { image_score, ..self }
    }

    /// Sets the seed of all random streams.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Sets the index of the stage.
    pub fn with_stage(self, stage: usize) -> Self {
        Self { stage, ..self }
    }

    /// Sets the part of the learning-rate schedule that the stage follows.
    pub fn with_schedule_span(self, schedule_span: ScheduleSpan) -> Self {
        Self { schedule_span, ..self }
    }

    /// Sets the treatment of a checkpoint of a run with fewer epochs.
    pub fn with_extension(self, extension: Extension) -> Self {
        Self { extension, ..self }
    }

    /// Sets the identity, see [`TrainSettings::identity`].
    pub fn with_identity(self, identity: Value) -> Self {
        Self { identity, ..self }
    }
}

/// Treatment of a checkpoint of a run that was planned with fewer epochs and is otherwise equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extension {
    /// The checkpoint belongs to another run. The text says why, as the end of the error message; it may be empty.
    Refuse(String),
    /// Training continues from the checkpoint. Choose this only if nothing in an epoch depends on the number of all epochs, so that the extended
    /// run equals a run that had its number of epochs from the start.
    Allow,
}

impl Default for Extension {
    fn default() -> Self {
        Self::Refuse(String::new())
    }
}

/// The parts of a [`Trainer`].
pub struct TrainerParts {
    /// The executor, which computes the passes and stores the weights.
    pub executor: Box<dyn Executor>,
    /// The supernet, which lowers a path to its graph.
    pub net: Box<dyn Lower>,
    /// The part of the space that is trained.
    pub space: SubSpace,
    /// O, the largest number of operations at a position of the search space.
    pub n_ops: usize,
    /// The path sampler.
    pub paths: Box<dyn PathSampler>,
    /// The data sampler.
    pub data: Box<dyn DataSampler>,
    /// The training rule, which computes each step.
    pub rule: Box<dyn TrainRule>,
    /// The training images.
    pub images: DataLoader,
}

/// Trains a supernet, epoch by epoch, and passes the gradient norms of each step from the network to the samplers.
pub struct Trainer {
    settings: TrainSettings,
    pub(crate) recipe: Recipe,
    pub(crate) average: Option<Average>,
    pub(crate) parts: TrainerParts,
    images: TrainingImages,
    /// The processes that train together.
    pub(crate) group: ProcessGroup,
    pub(crate) norms: BatchNormSync,
    streams: Streams,
    pub(crate) epochs: Vec<EpochRecord>,
    /// The epoch in progress, between two steps.
    running: Option<RunningEpoch>,
    autosave: Option<Autosave>,
    last_checkpoint: Option<PathBuf>,
}

impl Trainer {
    /// Creates a trainer before its first epoch.
    ///
    /// # Errors
    /// Returns [`TrainError::Setup`] if the batch size is 0, if there are no images, if their shape differs from the input of the network,
    /// if the executor has other weights than the network, or if `n_ops` is smaller than the space needs.
    pub fn new(settings: TrainSettings, parts: TrainerParts) -> Result<Self, TrainError> {
        parts.check(&settings).map_err(|reason| TrainError::Setup { reason })?;
        let streams = Streams::new(settings.seed, settings.stage);
        let mut parts = parts;
        if let Optimizer::RmsProp(RmsProp { form: RmsPropForm::TensorFlow, .. }) = settings.train.optimizer()
        {
            let ones = vec![1.0; parts.net.weights().numel()];
            parts.executor.write(State::SecondMoment, &ones);
        }
        Ok(Self {
            settings,
            recipe: Recipe::default(),
            average: None,
            parts,
            images: TrainingImages::default(),
            group: ProcessGroup::single(),
            norms: BatchNormSync::Sync,
            streams,
            epochs: Vec::new(),
            running: None,
            autosave: None,
            last_checkpoint: None,
        })
    }

    /// Returns true if all epochs are finished.
    pub fn is_done(&self) -> bool {
        self.epochs.len() >= self.settings.train.epochs
    }

    /// Returns the records of the finished epochs.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.epochs
    }

    /// Adds a test of the network to the record of the last finished epoch, so that the next checkpoint contains it. Without a finished
    /// epoch it changes nothing.
    pub fn record_test(&mut self, test: TestRecord) {
        if let Some(last) = self.epochs.last_mut() {
            last.test = Some(test);
        }
    }

    /// Returns the parts of the trainer, for example to score architectures after training.
    pub fn parts(&mut self) -> &mut TrainerParts {
        &mut self.parts
    }

    /// Writes a checkpoint into `folder` between two steps whenever `every` has passed since the last checkpoint. The folder must exist.
    pub fn autosave(&mut self, folder: &Path, every: Duration) {
        self.autosave = Some(Autosave { folder: folder.into(), every, last: Instant::now() });
    }

    /// Trains one epoch, or the rest of an interrupted epoch, and returns its record. The samplers update their distributions at the end of
    /// the epoch.
    ///
    /// # Errors
    /// Returns [`TrainError::Stopped`] if the observer requests it. The trainer is then between two steps and can be saved and continued.
    /// After any other error, do not use the trainer again; resume from its last checkpoint.
    pub fn epoch(&mut self, observer: &mut dyn Observer) -> Result<&EpochRecord, TrainError> {
        let (epoch, epochs) = (self.epochs.len(), self.settings.train.epochs);
        let mut running = match self.running.take() {
            Some(running) => running,
            None => {
                self.parts.rule.begin_epoch(epoch, epochs);
                let order = self.parts.data.epoch_order(&mut self.streams.images);
                let images = self.parts.images.source().len();
                check_order(&order, images).map_err(|reason| TrainError::Setup { reason })?;
                RunningEpoch { order, ..RunningEpoch::default() }
            }
        };
        let (stage, batch) = (self.settings.stage, self.settings.train.batch);
        let steps = running.order.len().div_ceil(batch);
        let mut meter = Meter::start(&self.group);
        while running.step < steps {
            let stop = self.group.any(observer.stop_requested())?;
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
        let TrainerParts { executor, net, rule, .. } = &mut self.parts;
        let ended = rule.end_epoch(net.as_ref(), executor.as_mut(), batch, &mut self.streams.rule);
        let at = RunPoint { epoch, epochs, step: steps.saturating_sub(1), steps };
        ended.map_err(|error| self.located(error, at))?;
        meter.add_to(&mut running);
        let record = self.record(&running, steps)?;
        let progress = Progress::new(epoch, epochs)?;
        self.parts.paths.end_epoch(progress)?;
        self.parts.data.end_epoch(progress)?;
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
            let states = [State::Weights, State::Momentum].into_iter().chain(self.second_moment());
            let values: Vec<_> = states.map(|state| (state, executor.read(state))).collect();
            (values, self.parts.rule.state())
        });
        *step += 1;
        let found = self.step([images, next], at, &mut totals.variance);
        let (outcome, images, labels) = match (found, before) {
            (Ok(found), _) => found,
            (Err(TrainError::NotFinite(what)), Some((values, rule))) if totals.skipped + 1 < at.steps => {
                tracing::warn!(epoch = at.epoch, step = at.step, "skipped: {what}");
                totals.skipped += 1;
                values.iter().for_each(|(state, values)| self.parts.executor.write(*state, values));
                self.parts.rule.restore(&rule).expect("a rule takes back its own state");
                return Ok(());
            }
            (Err(error), _) => return Err(self.located(error, at)),
        };
        if let Some(average) = &mut self.average {
            average.add(&self.parts.executor.read(State::Weights));
        }
        totals.add(&outcome, &labels);
        for path in &outcome.paths {
            let observation = PathObservation::new(&path.path, &path.position_norms, path.loss);
            self.parts.paths.observe(&observation)?;
            self.parts.data.observe(&images, &self.settings.image_score.of(path, &labels))?;
        }
        Ok(())
    }

    /// Returns the state of the executor that only RMSprop has.
    fn second_moment(&self) -> Option<State> {
        matches!(self.settings.train.optimizer(), Optimizer::RmsProp(_)).then_some(State::SecondMoment)
    }

    fn lr(&self, at: RunPoint) -> f64 {
        let (s, at) = (&self.settings.train, self.settings.schedule_span.point(at));
        if let Some(lr) = self.parts.rule.learning_rate(at) {
            return lr;
        }
        let losses = self.epochs.iter().map(|record| record.loss);
        s.lr_at(self.parts.rule.schedule_point(at), losses) * self.recipe.warm_up(at)
    }

    /// Creates the record of an epoch. The samplers must still have the distributions that the epoch was drawn from.
    fn record(&self, running: &RunningEpoch, steps: usize) -> Result<EpochRecord, TrainError> {
        let RunningEpoch { order, totals, seconds, traffic, .. } = running;
        let (epoch, epochs) = (self.epochs.len(), self.settings.train.epochs);
        let (mixture, q) = (self.parts.rule.mixture(), self.parts.data.distribution());
        // A differentiable search draws no paths from the sampler.
        let path_distribution = if mixture.is_some() { vec![] } else { self.parts.paths.distribution() };
        let gv = totals.variance.result();
        let entropies = path_distribution.iter().map(|p| entropy(p)).sum::<f64>();
        Ok(EpochRecord {
            epoch,
            stage: self.settings.stage,
            lr: self.lr(RunPoint { epoch, epochs, step: 0, steps }),
            loss: totals.loss / totals.images as f64,
            accuracy: 100.0 * totals.correct as f64 / totals.images as f64,
            skipped_steps: totals.skipped,
            grad_norm: totals.grad_norm / (steps - totals.skipped) as f64,
            gv: gv.map(|v| v.raw),
            gv_scale_free: gv.map(|v| v.scale_free),
            path_entropy: entropies / path_distribution.len().max(1) as f64,
            path_distribution,
            paths: match &mixture {
                Some(_) => PathAudit::default(),
                None => PathAudit::of(totals.paths.iter().map(|path| path.choices()), self.parts.n_ops),
            },
            images: ImageAudit::of(order),
            effective_sample_size: q.map(effective_sample_size),
            image_entropy: q.map(entropy),
            test: None,
            mixture,
            seconds: *seconds,
            communication: communication_record(&self.group, *traffic),
        })
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
        let image_weights = images.indices.iter().map(|&i| parts.data.loss_weight(i));
        let image_weights = image_weights.collect::<Result<Vec<f32>, _>>()?;
        let plain = image_weights.iter().all(|&w| w == 1.0);
        let layout = parts.net.weights();
        let mut ctx = StepContext {
            executor: parts.executor.as_mut(),
            net: parts.net.as_ref(),
            paths: parts.paths.as_mut(),
            path_rng: &mut self.streams.paths,
            rule_rng: &mut self.streams.rule,
            sgd: SgdStep {
                optimizer: s.optimizer(),
                lr: lr as f32,
                momentum: s.momentum as f32,
                weight_decay: s.weight_decay as f32,
                decayed: recipe.decayed,
                gradient_scale: 1.0,
                unused: s.unused_weights,
            },
            clip_norm: s.clip_norm,
            image_weights: (!plain).then_some(&image_weights),
            label_smoothing: s.label_smoothing as f32,
            drop_path: Some(DropPaths {
                probability: recipe.drop_path(at),
                dropout: recipe.dropout,
                rng: &mut self.streams.drop_path,
            }),
            on_gradient: &mut |ids, executor| {
                variance.observe(&kernels(ids, layout), |id| executor.gradient(id));
            },
        };
        let batch = Batch { images: images.images(shape), labels: &labels };
        let outcome = parts.rule.step(&mut ctx, &batch)?;
        Ok((outcome, images.indices, labels))
    }

    /// Returns the current state of the run, after an epoch or between two steps of an epoch.
    pub fn checkpoint(&self) -> Checkpoint {
        let (executor, parts) = (&self.parts.executor, &self.parts);
        Checkpoint {
            weights: executor.read(State::Weights),
            momentum: executor.read(State::Momentum),
            second_moment: self.second_moment().map(|state| executor.read(state)),
            average: self.average.as_ref().map(|average| average.values().to_vec()),
            state: CheckpointState {
                identity: self.identity(),
                streams: self.streams.positions(),
                epochs: self.epochs.clone(),
                part: parts.space.clone(),
                rule_places_weights: parts.rule.places_weights(),
                paths: parts.paths.state(),
                data: parts.data.state(),
                rule: parts.rule.state(),
                class_names: parts.images.source().class_names(),
                running: self.running.clone(),
            },
        }
    }

    /// Writes [`Trainer::checkpoint`] into an existing folder, see [`Checkpoint::save`].
    ///
    /// # Errors
    /// Returns [`CheckpointError::Io`] if the file cannot be written, and [`CheckpointError::Exec`] if the weights cannot be read from the
    /// device. In the second case no file is written.
    pub fn save(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        let checkpoint = self.checkpoint();
        self.parts.executor.deferred_error()?;
        self.last_checkpoint = Some(checkpoint.save(folder, self.parts.net.weights())?);
        if let Some(autosave) = &mut self.autosave {
            autosave.last = Instant::now();
        }
        Ok(())
    }

    fn save_due(&mut self) -> Result<(), CheckpointError> {
        let folder = self.autosave.as_ref().map(|autosave| autosave.folder.clone());
        folder.map_or(Ok(()), |folder| self.save(&folder))
    }

    /// Resumes from the newest intact checkpoint of a folder, bit for bit. If there is no checkpoint, the trainer starts from the beginning.
    ///
    /// # Errors
    /// Returns an error if a checkpoint cannot be read or does not fit, for example [`CheckpointError::Mismatch`] with the settings that
    /// differ if it belongs to another run. Do not use the trainer after an error.
    pub fn resume(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        match latest_file(folder)? {
            Some((path, file)) => self.resume_from(path, file),
            None => Ok(()),
        }
    }

    /// Resumes from a checkpoint that was read from `path`.
    pub(crate) fn resume_from(&mut self, path: PathBuf, file: CheckpointFile) -> Result<(), CheckpointError> {
        let mismatch = |reason| CheckpointError::Mismatch { path: path.clone(), reason };
        // Settings are compared first, because they explain a mismatch better than the shape of a weight.
        let (mut theirs, ours) = (with_current_keys(&file.state.identity), self.identity());
        let epochs = |identity: &Value| identity["train"]["epochs"].as_u64();
        let is_longer = epochs(&theirs) < epochs(&ours);
        let explanation = match &self.settings.extension {
            Extension::Allow if is_longer => {
                theirs["train"]["epochs"] = ours["train"]["epochs"].clone();
                None
            }
            Extension::Refuse(text) if is_longer && !text.is_empty() => Some(text),
            _ => None,
        };
        if let Some(mut reason) = difference(&theirs, &ours) {
            reason.extend(explanation.into_iter().flat_map(|text| ["; ", text]));
            return Err(mismatch(reason));
        }
        let layout = self.parts.net.weights();
        let Checkpoint { weights, momentum, second_moment, average, state } =
            Checkpoint::from_file(file, layout, &path)?;
        let mut running = state.running;
        if let Some(running) = &mut running {
            let images = self.parts.images.source().len();
            running.check(images, &self.parts.space, layout).map_err(mismatch)?;
            running.totals.variance.keep_kernels(layout);
        }
        self.parts.paths.restore(&state.paths).map_err(|e| mismatch(e.to_string()))?;
        self.parts.data.restore(&state.data).map_err(|e| mismatch(e.to_string()))?;
        self.parts.rule.restore(&state.rule).map_err(|e| mismatch(e.to_string()))?;
        self.parts.executor.write(State::Weights, &weights);
        self.parts.executor.write(State::Momentum, &momentum);
        if let Some(state) = self.second_moment() {
            let missing = || mismatch("it has no moving average of squared gradients".to_owned());
            self.parts.executor.write(state, &second_moment.ok_or_else(missing)?);
        }
        if let Some(own) = &mut self.average {
            let missing = || mismatch("it has no moving average of the weights".to_owned());
            own.restore(&average.ok_or_else(missing)?);
        }
        self.streams.go_to(&state.streams);
        self.epochs = state.epochs;
        self.running = running;
        self.last_checkpoint = Some(path);
        Ok(())
    }

    /// Adds epoch, step and checkpoint to an error.
    fn located(&self, error: TrainError, at: RunPoint) -> TrainError {
        match error {
            TrainError::NotFinite(NotFinite { what, value, path }) => {
                let checkpoint = self.last_checkpoint.clone();
                TrainError::Diverged { epoch: at.epoch, step: at.step, path, what, value, checkpoint }
            }
            other => other,
        }
    }

    /// Returns all settings that change how training continues and are not part of a checkpoint. Only a run with an equal identity can
    /// resume from a checkpoint. To keep old checkpoints valid, leave out an added setting while it has its default value.
    fn identity(&self) -> Value {
        const JSON: &str = "settings can be represented as JSON";
        let (settings, images) = (&self.settings, self.parts.images.source());
        let [channels, height, width] = images.extents();
        let mut identity = json!({
            "train": serde_json::to_value(&settings.train).expect(JSON),
            "augment": serde_json::to_value(settings.augment).expect(JSON),
            "image_score": serde_json::to_value(settings.image_score).expect(JSON),
            "seed": settings.seed,
            "stage": settings.stage,
            "training_images": {
                "name": images.name(),
                "images": images.len(),
                "classes": images.classes(),
                "channels": channels,
                "height": height,
                "width": width,
                "sha256": self.parts.images.sha256(),
            },
            "network": { "weights": self.parts.net.weights().numel() },
            "space": { "allowed": self.parts.space.allowed() },
            "config": settings.identity,
        });
        if settings.schedule_span != ScheduleSpan::default() {
            identity["schedule_span"] = serde_json::to_value(settings.schedule_span).expect(JSON);
        }
        if self.recipe != Recipe::default() {
            identity["recipe"] = serde_json::to_value(self.recipe).expect(JSON);
        }
        // With batch-norm statistics per process, the result depends on the number of processes.
        if self.norms == BatchNormSync::Local {
            identity[PROCESSES] = self.group.size().into();
        }
        identity
    }
}

impl TrainerParts {
    /// Checks that the parts fit together. If not, returns a description of the mismatch.
    fn check(&self, settings: &TrainSettings) -> Result<(), String> {
        let images = self.images.source();
        if settings.train.batch == 0 {
            return Err("the batch size is 0".to_owned());
        }
        if images.is_empty() {
            return Err("there are no training images".to_owned());
        }
        let (input, shape) = (self.net.input(), image_shape(images));
        if input != shape {
            return Err(format!(
                "the network expects images of {input}, but the training images have {shape}"
            ));
        }
        if self.executor.layout() != self.net.weights() {
            return Err("the executor was created for other weights than those of the network".to_owned());
        }
        if self.rule.has_own_sgd() && settings.train.optimizer() != Optimizer::Sgd {
            return Err("the training rule has an SGD of its own, so the optimizer must be SGD".to_owned());
        }
        let largest = self.space.allowed().iter().flatten().max().copied().map(usize::from);
        match largest {
            None => Err("the search space has no operation".to_owned()),
            Some(largest) if largest >= self.n_ops => {
                let n = self.n_ops;
                Err(format!("n_ops is {n}, but the search space has operations up to index {largest}"))
            }
            Some(_) => Ok(()),
        }
    }
}

/// Folder and interval of checkpoints between two steps.
struct Autosave {
    folder: PathBuf,
    every: Duration,
    last: Instant,
}

impl Autosave {
    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }
}
