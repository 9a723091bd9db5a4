use std::path::Path;

use pada::report::{RunRecord, Spread};
use serde::Serialize;

use crate::ReproduceError;
use crate::trials::record_file;

/// The test of a retrained network. Accuracies are in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Test {
    top1: f64,
    /// `None` if the record has no top-5 accuracy.
    top5: Option<f64>,
}

/// The tests of a network over seeds. Accuracies are in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Retrained {
    /// The best top-1 accuracy.
    pub(crate) best: f64,
    /// Top-1 accuracy.
    pub(crate) top1: Spread,
    /// Top-5 accuracy. `None` if the records have none.
    pub(crate) top5: Option<Spread>,
}

impl Test {
    /// Reads the test from the folder of a finished retraining.
    pub(crate) fn read(folder: &Path) -> Result<Self, ReproduceError> {
        let record = RunRecord::read(&record_file(folder))?;
        let best = record.ranking.as_ref().and_then(|ranking| ranking.best.first());
        let nameless = || ReproduceError::Trial(format!("{} names no architecture", folder.display()));
        let best = best.ok_or_else(nameless)?;
        Ok(Self { top1: best.score, top5: best.top5 })
    }
}

impl Retrained {
    /// Summarizes the tests. `None` if there are none.
    pub(crate) fn of(tests: &[Test]) -> Option<Self> {
        let top1 = Spread::of(tests.iter().map(|test| test.top1))?;
        let best = tests.iter().map(|test| test.top1).fold(f64::NEG_INFINITY, f64::max);
        // A mean over some of the seeds would belong to another set of networks than the top-1 accuracy.
        let top5: Option<Vec<f64>> = tests.iter().map(|test| test.top5).collect();
        Some(Self { best, top1, top5: top5.and_then(Spread::of) })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn best_and_average_are_different_values() {
        let test = |top1, top5| Test { top1, top5 };
        let both = Retrained::of(&[test(97.0, Some(99.0)), test(98.0, Some(99.5))]).unwrap();
        assert_eq!((both.best, both.top1.mean, both.top5.unwrap().mean), (98.0, 97.5, 99.25));
        let one = Retrained::of(&[test(97.0, Some(99.0)), test(98.0, None)]).unwrap();
        assert_eq!(one.top5, None);
        assert_eq!(Retrained::of(&[]), None);
    }
}
