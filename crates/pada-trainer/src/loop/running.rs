use std::time::Instant;

use pada_dist::{ProcessGroup, Traffic};
use pada_graph::WeightLayout;
use pada_report::CommunicationRecord;
use pada_space::{Arch, SubSpace};
use serde::{Deserialize, Serialize};

use crate::{GradientVariance, StepOutcome};

/// The state of an epoch in progress, which a checkpoint between two of its steps stores.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunningEpoch {
    /// `[N]`, the images of the epoch in training order.
    pub(crate) order: Vec<u32>,
    /// Number of finished steps.
    pub(crate) step: usize,
    pub(crate) totals: Totals,
    /// Wall-clock seconds of earlier sessions, and of this session up to the last checkpoint.
    pub(crate) seconds: f64,
    /// Traffic to other processes in these seconds.
    #[serde(with = "SentState", default, skip_serializing_if = "is_nothing")]
    pub(crate) traffic: Traffic,
}

/// Sums over the finished steps of an epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Totals {
    pub(crate) loss: f64,
    pub(crate) last_loss: f64,
    pub(crate) correct: usize,
    pub(crate) images: usize,
    pub(crate) grad_norm: f64,
    /// Number of steps that were skipped because a loss or gradient was not finite.
    pub(crate) skipped: usize,
    pub(crate) paths: Vec<Arch>,
    pub(crate) variance: GradientVariance,
}

/// The fields of [`Traffic`], for checkpoints.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Traffic", deny_unknown_fields)]
struct SentState {
    messages: u64,
    bytes: u64,
    seconds: f64,
}

fn is_nothing(traffic: &Traffic) -> bool {
    *traffic == Traffic::default()
}

impl Totals {
    pub(crate) fn add(&mut self, outcome: &StepOutcome, labels: &[u32]) {
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

impl RunningEpoch {
    /// Checks that a restored epoch fits the run. If not, returns a description of the mismatch.
    pub(crate) fn check(&self, images: usize, space: &SubSpace, layout: &WeightLayout) -> Result<(), String> {
        check_order(&self.order, images)?;
        if let Some(path) = self.totals.paths.iter().find(|path| !space.contains(path)) {
            return Err(format!("it contains the path {path}, which is not in the space"));
        }
        self.totals.variance.check(layout)
    }
}

/// Checks that an epoch has N images and that all of them are in the data set. If not, returns a description of the problem.
pub(crate) fn check_order(order: &[u32], images: usize) -> Result<(), String> {
    if order.len() != images {
        let n = order.len();
        return Err(format!("the data sampler drew {n} images for an epoch, but the data set has {images}"));
    }
    match order.iter().find(|&&image| image as usize >= images) {
        Some(image) => {
            Err(format!("the data sampler drew image {image}, but the data set has {images} images"))
        }
        None => Ok(()),
    }
}

/// Converts the traffic of a process to the form of a record. Returns `None` if there is only one process.
pub fn communication_record(group: &ProcessGroup, sent: Traffic) -> Option<CommunicationRecord> {
    let Traffic { messages, bytes, seconds } = sent;
    (!group.is_single()).then(|| CommunicationRecord { processes: group.size(), messages, bytes, seconds })
}

/// Measures the time of an epoch and its traffic to other processes, from one interruption to the next.
pub(crate) struct Meter {
    group: ProcessGroup,
    clock: Instant,
    sent: Traffic,
}

impl Meter {
    pub(crate) fn start(group: &ProcessGroup) -> Self {
        Self { group: group.clone(), clock: Instant::now(), sent: group.traffic() }
    }

    /// Adds the measurement since the last call to an epoch, and restarts.
    pub(crate) fn add_to(&mut self, running: &mut RunningEpoch) {
        let now = Self::start(&self.group);
        running.seconds += (now.clock - self.clock).as_secs_f64();
        running.traffic = running.traffic + now.sent.since(self.sent);
        *self = now;
    }
}
