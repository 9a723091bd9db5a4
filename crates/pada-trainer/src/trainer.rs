use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use pada_data::{Augment, ImageSet};
use pada_graph::{Batch, Executor, Images, Lower, SgdStep, Shape, State};
use pada_report::EpochRecord;
use pada_sampler::{
    DataSampler, ImageAudit, PathAudit, PathSampler, PathSeen, effective_sample_size, entropy,
};
use pada_space::Arch;

use crate::checkpoint::RunState;
use crate::error::NotFinite;
use crate::{
    Checkpoint, CheckpointError, GradientVariance, ImageScore, Observer, RunPoint, StepContext, StepOutcome,
    StepProgress, Streams, TrainConfig, TrainError, TrainRule,
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
}

/// What a trainer is put together from.
pub struct TrainerParts {
    /// Computes, and holds the weights.
    pub executor: Box<dyn Executor>,
    /// Lowers paths.
    pub net: Box<dyn Lower>,
    /// O, how many operations a position has at most.
    pub n_ops: usize,
    /// Which paths.
    pub paths: Box<dyn PathSampler>,
    /// Which images.
    pub data: Box<dyn DataSampler>,
    /// What a step does.
    pub rule: Box<dyn TrainRule>,
    /// The training images.
    pub images: ImageSet,
}

/// Trains a supernet, epoch by epoch. The one place where what a step found goes from the network to the samplers.
pub struct Trainer {
    settings: TrainSettings,
    parts: TrainerParts,
    streams: Streams,
    epochs: Vec<EpochRecord>,
}

impl Trainer {
    /// A run at its start.
    pub fn new(settings: TrainSettings, parts: TrainerParts) -> Self {
        let streams = Streams::new(settings.seed, settings.stage);
        Self { settings, parts, streams, epochs: Vec::new() }
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

    /// Trains one epoch and tells the samplers that it ended.
    ///
    /// # Errors
    /// [`TrainError`]. The run cannot go on from here then, only from its last checkpoint.
    pub fn epoch(&mut self, observer: &mut dyn Observer) -> Result<&EpochRecord, TrainError> {
        let started = Instant::now();
        let (epoch, s) = (self.epochs.len(), &self.settings.train);
        let (path_distribution, q) =
            (self.parts.paths.distribution(), self.parts.data.distribution().map(<[f64]>::to_vec));
        let (image_score, stage) = (self.settings.image_score, self.settings.stage);
        self.parts.rule.begin_epoch(epoch, s.epochs);
        let order = self.parts.data.epoch_order(&mut self.streams.images);
        let steps = order.len().div_ceil(s.batch);
        let (schedule, peak, epochs) = (s.schedule, s.lr, s.epochs);
        let lr = |rule: &dyn TrainRule, step| {
            schedule.lr(peak, rule.schedule_point(RunPoint { epoch, epochs, step, steps }))
        };
        let first_lr = lr(self.parts.rule.as_ref(), 0);
        let mut totals = Totals::default();
        for (step, images) in order.chunks(self.settings.train.batch).enumerate() {
            if observer.stop_requested() {
                return Err(TrainError::Stopped);
            }
            let lr = lr(self.parts.rule.as_ref(), step);
            let (outcome, labels) =
                self.step(images, lr, &mut totals.variance).map_err(|e| at(e, epoch, step))?;
            totals.add(&outcome, &labels);
            for path in &outcome.paths {
                let (position_norms, loss) = (&*path.position_norms, path.loss);
                self.parts.paths.observe(&PathSeen { path: &path.path, position_norms, loss });
                self.parts.data.observe(images, &image_score.of(path, &labels));
            }
            let loss = totals.last_loss;
            observer.on_step(&StepProgress {
                stage,
                epoch,
                epochs: self.settings.train.epochs,
                step: step + 1,
                steps,
                loss,
            });
        }
        // Epoch 0 has progress 0: the second epoch is still uniform, as in the released code.
        let progress = epoch as f64 / self.settings.train.epochs as f64;
        self.parts.paths.end_epoch(progress);
        self.parts.data.end_epoch(progress);

        let gv = totals.variance.result();
        let mean_entropy =
            |rows: &[Vec<f64>]| rows.iter().map(|p| entropy(p)).sum::<f64>() / rows.len() as f64;
        let record = EpochRecord {
            epoch,
            stage,
            lr: first_lr,
            loss: totals.loss / totals.images as f64,
            accuracy: 100.0 * totals.correct as f64 / totals.images as f64,
            grad_norm: totals.grad_norm / steps as f64,
            gv: gv.map(|v| v.raw),
            gv_scale_free: gv.map(|v| v.scale_free),
            path_entropy: mean_entropy(&path_distribution),
            path_distribution,
            paths: PathAudit::of(&totals.paths, self.parts.n_ops),
            images: ImageAudit::of(&order),
            effective_sample_size: q.as_deref().map(effective_sample_size),
            image_entropy: q.as_deref().map(entropy),
            seconds: started.elapsed().as_secs_f64(),
        };
        tracing::info!(epoch, loss = record.loss, accuracy = record.accuracy, lr = record.lr, "epoch done");
        observer.on_epoch(&record);
        self.epochs.push(record);
        Ok(&self.epochs[epoch])
    }

    fn step(
        &mut self,
        indices: &[u32],
        lr: f64,
        variance: &mut GradientVariance,
    ) -> Result<(StepOutcome, Vec<u32>), TrainError> {
        let (s, parts) = (&self.settings.train, &mut self.parts);
        let set = &parts.images;
        let mut pixels = Vec::new();
        pada_data::fill(set, indices, &self.settings.augment, &mut self.streams.augment, &mut pixels);
        let labels: Vec<u32> = indices.iter().map(|&i| u32::from(set.labels[i as usize])).collect();
        let shape = Shape::new(set.channels, set.height, set.width);
        let image_weights: Vec<f32> = indices.iter().map(|&i| parts.data.loss_weight(i)).collect();
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
                gradient_scale: 1.0,
                idle: s.idle_weights,
            },
            clip_norm: s.clip_norm,
            image_weights: (!plain).then_some(&image_weights),
            on_gradient: &mut |ids, executor| variance.observe(ids, |id| executor.gradient(id)),
        };
        let batch = Batch { images: Images { pixels: &pixels, shape }, labels: &labels };
        let outcome = parts.rule.step(&mut ctx, &batch)?;
        Ok((outcome, labels))
    }

    /// The run as it is after its last epoch.
    pub fn checkpoint(&self) -> Checkpoint {
        let executor = &self.parts.executor;
        Checkpoint {
            weights: executor.read(State::Weights),
            momentum: executor.read(State::Momentum),
            paths: self.parts.paths.state(),
            data: self.parts.data.state(),
            rule: self.parts.rule.state(),
            run: RunState {
                fingerprint: self.fingerprint(),
                streams: self.streams.positions(),
                epochs: self.epochs.clone(),
            },
        }
    }

    /// Writes [`Trainer::checkpoint`] into a folder, see [`Checkpoint::save`].
    ///
    /// # Errors
    /// [`CheckpointError::Io`]
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        self.checkpoint().save(folder, self.parts.net.weights())
    }

    /// Goes on from the newest checkpoint of a folder, bit for bit; from the start if there is none.
    ///
    /// # Errors
    /// [`CheckpointError`]. The trainer must not be used after an error.
    pub fn resume(&mut self, folder: &Path) -> Result<(), CheckpointError> {
        let Some((path, checkpoint)) = Checkpoint::latest(folder, self.parts.net.weights())? else {
            return Ok(());
        };
        let mismatch = |reason| CheckpointError::Mismatch { path: path.clone(), reason };
        let (ours, theirs) = (self.fingerprint(), &checkpoint.run.fingerprint);
        if let Some((key, value)) = ours.iter().find(|(key, value)| theirs.get(*key) != Some(value)) {
            let other = theirs.get(key).map_or("nothing", String::as_str);
            return Err(mismatch(format!("its {key} is {other}, this run has {value}")));
        }
        self.parts.paths.restore(&checkpoint.paths).map_err(|e| mismatch(e.to_string()))?;
        self.parts.data.restore(&checkpoint.data).map_err(|e| mismatch(e.to_string()))?;
        self.parts.rule.restore(&checkpoint.rule).map_err(|e| mismatch(e.to_string()))?;
        self.parts.executor.write(State::Weights, &checkpoint.weights);
        self.parts.executor.write(State::Momentum, &checkpoint.momentum);
        self.streams.go_to(&checkpoint.run.streams);
        self.epochs = checkpoint.run.epochs;
        Ok(())
    }

    /// Everything that changes how training goes on, apart from what a checkpoint holds itself.
    fn fingerprint(&self) -> BTreeMap<String, String> {
        let set = &self.parts.images;
        let entry = |key: &str, value: String| (key.to_owned(), value);
        BTreeMap::from([
            entry("training", format!("{:?}", self.settings)),
            entry("images", format!("{} {} {}", set.name, set.len(), set.sha256())),
            entry("weights", self.parts.net.weights().numel().to_string()),
        ])
    }
}

/// Puts the place into an error.
fn at(error: TrainError, epoch: usize, step: usize) -> TrainError {
    match error {
        TrainError::NotFinite(NotFinite { what, value, path }) => {
            TrainError::Diverged { epoch, step, path, what, value }
        }
        other => other,
    }
}

/// Sums over an epoch.
#[derive(Default)]
struct Totals {
    loss: f64,
    last_loss: f64,
    correct: usize,
    images: usize,
    grad_norm: f64,
    paths: Vec<Arch>,
    variance: GradientVariance,
}

impl Totals {
    fn add(&mut self, outcome: &StepOutcome, labels: &[u32]) {
        for path in &outcome.paths {
            self.loss += path.loss * labels.len() as f64;
            self.correct += path.logits.correct(labels);
            self.images += labels.len();
            self.paths.push(path.path.clone());
        }
        self.last_loss = outcome.paths.iter().map(|p| p.loss).sum::<f64>() / outcome.paths.len() as f64;
        self.grad_norm += outcome.grad_norm;
    }
}
