use crate::{ArchPicture, RunRecord};

/// The input of the report for one run. Missing parts hold the reason.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Run folder, as given by the user.
    pub folder: String,
    /// Name of the config.
    pub name: String,
    /// Training rule, path sampler and data sampler.
    pub method: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// The resolved config as TOML.
    pub config: String,
    /// The resolved config as pairs of `section.key` and value, sorted by key.
    pub settings: Vec<(String, String)>,
    /// Number of epochs to train. `None` if a split decides it.
    pub planned_epochs: Option<usize>,
    /// Names of the operations, `[O]`.
    pub op_names: Vec<String>,
    /// `[E]`: whether a decision chooses an operation. The others choose inputs.
    pub op_decisions: Vec<bool>,
    /// The record. `None` before the first epoch is finished.
    pub record: Option<RunRecord>,
    /// Predicted and stand-alone accuracies.
    pub accuracies: Found<Accuracies>,
    /// `[A]`, the accuracies with inherited weights of all ranked architectures, percent. Empty before the ranking.
    pub scores: Vec<f64>,
    /// The image distribution of the data sampler.
    pub images: Found<PreferredImages>,
    /// The picture of the best architecture. `None` before the ranking.
    pub best: Option<ArchPicture>,
    /// The picture of the architecture that a differentiable search has found so far. `None` for other runs.
    pub found: Option<ArchPicture>,
}

/// A part of the report, or one sentence that says why it is missing.
pub type Found<T> = Result<T, String>;

/// Predicted and stand-alone accuracies of the same architectures.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracies {
    /// Name of the benchmark table.
    pub table: String,
    /// The architectures that were ranked and are in the table.
    pub archs: Vec<ArchAccuracy>,
}

/// The accuracies of one architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchAccuracy {
    /// The architecture, as digits.
    pub arch: String,
    /// Accuracy with inherited weights, percent.
    pub predicted: f64,
    /// Stand-alone accuracy, percent.
    pub stand_alone: f64,
    /// The fused score. `None` if no scores were fused.
    pub fused: Option<f64>,
}

/// The most and the least probable images of a data sampler.
#[derive(Clone, Debug, PartialEq)]
pub struct PreferredImages {
    /// The checkpoint that holds the distribution.
    pub checkpoint: String,
    /// Number of epochs before the checkpoint.
    pub epochs: usize,
    /// N, number of images.
    pub images: usize,
    /// Effective sample size, 1/Σq².
    pub effective: f64,
    /// Each class with the mean of N·q over its images. 1 is uniform sampling.
    pub classes: Vec<(String, f64)>,
    /// The most probable images, most probable first.
    pub preferred: Vec<Thumbnail>,
    /// The least probable images, least probable first. Images that share the lowest probability are left out if there are more of them
    /// than can be shown.
    pub avoided: Vec<Thumbnail>,
    /// Number of images that share the lowest probability.
    pub lowest: usize,
    /// The lowest probability.
    pub lowest_probability: f64,
}

/// An RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `[H, W, 3]`
    pub rgb: Vec<u8>,
}

/// One training image with its probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnail {
    /// Index in the training set.
    pub index: usize,
    /// Name of its class.
    pub class: String,
    /// Probability q.
    pub probability: f64,
    /// The image.
    pub pixels: Pixels,
}

impl RunView {
    /// Heading of the run.
    pub(super) fn title(&self) -> String {
        format!("{}: {}, seed {}", self.name, self.method, self.seed)
    }

    /// Returns whether the run has trained and ranked. A differentiable search ranks nothing.
    pub fn is_finished(&self) -> bool {
        self.unfinished().is_none()
    }

    /// Describes the progress of an unfinished run. `None` for a finished run.
    pub(super) fn unfinished(&self) -> Option<String> {
        let planned = self.planned_epochs.map_or_else(String::new, |n| format!(" of {n}"));
        match &self.record {
            None => Some("No epoch is finished yet, so the report shows the config only.".to_owned()),
            Some(record) if !record.has_ended() => {
                let epochs = record.epochs.len();
                Some(format!(
                    "Not finished: {epochs}{planned} epochs are trained, and the architectures have not been ranked."
                ))
            }
            Some(_) => None,
        }
    }
}
