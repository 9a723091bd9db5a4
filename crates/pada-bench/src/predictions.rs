//! The operations that `bench ops` times on a GPU, and their predicted times.

use anyhow::{Context, ensure};
use pada_graph::Shape;
use serde::Deserialize;

use super::isolated::Network;

const PREDICTIONS: &str = include_str!("predictions.toml");

/// The operations that are timed, and their predicted times.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Predictions {
    /// The card that the predictions are for.
    pub(super) gpu: String,
    /// The batch size, B.
    pub(super) batch: usize,
    pub(super) stage: Vec<Stage>,
    pub(super) operation: Vec<Operation>,
}

/// A stage of the supernet.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) channels: usize,
    /// Height and width.
    pub(super) size: usize,
}

impl Stage {
    pub(super) fn shape(self) -> Shape {
        Shape::new(self.channels, self.size, self.size)
    }
}

/// An operation of a training step.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) network: Network,
    pub(super) kernels: Vec<String>,
    /// The predicted time at each stage. `None` if nothing was predicted.
    pub(super) microseconds: Option<Vec<f64>>,
}

impl Predictions {
    /// Reads the file that is part of this program.
    pub(super) fn read() -> anyhow::Result<Self> {
        let predictions: Self = toml::from_str(PREDICTIONS).context("predictions.toml")?;
        for Operation { name, microseconds, .. } in &predictions.operation {
            let stages = microseconds.as_ref().map_or(predictions.stage.len(), Vec::len);
            ensure!(stages == predictions.stage.len(), "predictions.toml: {name} has {stages} stages");
        }
        Ok(predictions)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn predictions_are_for_the_stages_of_nas_bench_201_and_fall_from_stage_to_stage_or_stay() {
        let predictions = Predictions::read().unwrap();
        let stages: Vec<_> = predictions.stage.iter().map(|stage| stage.shape().to_string()).collect();
        assert_eq!((stages.join(" ").as_str(), predictions.batch), ("16×32×32 32×16×16 64×8×8", 256));
        for Operation { name, microseconds, .. } in &predictions.operation {
            let Some(times) = microseconds else { continue };
            // The first stage moves twice as many numbers as the second, and that twice as many as the third.
            assert!(times[0] > times[1] && times.iter().all(|&time| time > 0.0), "{name}");
        }
    }
}
