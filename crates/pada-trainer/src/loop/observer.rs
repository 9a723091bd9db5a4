use pada_report::EpochRecord;

/// The progress of a training run after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepProgress {
    /// Index of the stage in a run that splits its supernet; 0 in other runs.
    pub stage: usize,
    /// Index of the epoch, from 0.
    pub epoch: usize,
    /// Number of epochs.
    pub epochs: usize,
    /// Number of finished steps of the epoch.
    pub step: usize,
    /// Number of steps of an epoch.
    pub steps: usize,
    /// Mean cross entropy of the step, in nats.
    pub loss: f64,
}

/// Receives the progress of training and scoring, and can request to stop. Every method does nothing by default.
///
/// `()` is an observer that ignores everything.
pub trait Observer {
    /// Receives the progress after every step.
    fn on_step(&mut self, progress: &StepProgress) {
        let _ = progress;
    }

    /// Receives the record of every finished epoch.
    fn on_epoch(&mut self, record: &EpochRecord) {
        let _ = record;
    }

    /// Returns true to stop. It is called before every step and before every architecture that is scored.
    fn stop_requested(&self) -> bool {
        false
    }

    /// Receives the progress of scoring: `done` of `total` architectures have a score.
    fn on_scored(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }
}

/// Ignores everything.
impl Observer for () {}
