//! The end of a run, and runs that were stopped between two epochs.

use pada_exec::State;
use pada_report::EpochRecord;
use pada_sampler::SavedState;
use pada_trainer::{Trainer, TrainerParts};

/// Trains to the end. Returns the epoch records without the clock, all weights, and the state of the rule.
pub(crate) fn finished(mut trainer: Trainer) -> (Vec<EpochRecord>, Vec<f32>, SavedState) {
    while !trainer.is_done() {
        trainer.epoch(&mut ()).unwrap();
    }
    let records =
        trainer.epochs().iter().map(|record| EpochRecord { seconds: 0.0, ..record.clone() }).collect();
    let TrainerParts { executor, rule, .. } = trainer.parts();
    (records, executor.read(State::Weights), rule.state())
}

/// Stops a run after each of its epochs but the last, and checks that the resumed run ends as one that never stopped. `what` names the run.
pub(crate) fn resumes_bit_for_bit(what: &str, trainer: impl Fn() -> Trainer) {
    let whole = finished(trainer());
    for stop in 1..whole.0.len() {
        let folder = tempfile::tempdir().unwrap();
        let mut stopped = trainer();
        (0..stop).for_each(|_| {
            stopped.epoch(&mut ()).unwrap();
        });
        stopped.save(folder.path()).unwrap();
        let mut resumed = trainer();
        resumed.resume(folder.path()).unwrap();
        assert_eq!(resumed.epochs().len(), stop);
        assert!(finished(resumed) == whole, "{what}, stopped after {stop} epochs");
    }
}
