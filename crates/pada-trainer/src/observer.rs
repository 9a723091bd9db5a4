use pada_report::EpochRecord;

/// Where a training run is.
#[derive(Clone, Copy, Debug)]
pub struct StepProgress {
    /// Which supernet of a run that splits its supernet, from 0.
    pub stage: usize,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Step of the epoch, from 1.
    pub step: usize,
    /// Steps of the epoch.
    pub steps: usize,
    /// Mean cross entropy of this step.
    pub loss: f64,
}

/// Hears of progress; what a program shows its user. Every method does nothing by default.
pub trait Observer {
    /// After every step.
    fn on_step(&mut self, progress: &StepProgress) {
        let _ = progress;
    }

    /// After every epoch.
    fn on_epoch(&mut self, record: &EpochRecord) {
        let _ = record;
    }

    /// Asked before every step and before every architecture that is scored: whether to stop here.
    fn stop_requested(&self) -> bool {
        false
    }

    /// While architectures are scored.
    fn on_scored(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }
}

/// Hears nothing.
impl Observer for () {}
