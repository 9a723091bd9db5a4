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
    fn predictions_are_those_of_the_design() {
        let predictions = Predictions::read().unwrap();
        let all: Vec<_> = predictions
            .operation
            .iter()
            .filter_map(|op| Some((op.name.as_str(), op.microseconds.clone()?)))
            .collect();
        let expected = [
            ("forward 3x3", vec![130.0, 90.0, 60.0]),
            ("forward 1x1", vec![40.0, 20.0, 15.0]),
            ("norm reduction", vec![55.0, 20.0, 10.0]),
            ("data gradient 3x3", vec![200.0, 110.0, 80.0]),
            ("data gradient 1x1", vec![45.0, 25.0, 15.0]),
            ("weight gradient 3x3", vec![230.0, 100.0, 60.0]),
            ("weight gradient 1x1", vec![80.0, 25.0, 20.0]),
            ("pooling", vec![50.0, 25.0, 13.0]),
        ];
        assert_eq!(all, expected);
        let stages: Vec<_> = predictions.stage.iter().map(|stage| stage.shape().to_string()).collect();
        assert_eq!(stages, ["16×32×32", "32×16×16", "64×8×8"]);
        assert_eq!(predictions.batch, 256);
    }
}
