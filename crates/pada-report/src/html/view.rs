use crate::RunRecord;

/// A run as a page shows it. What is missing says why.
#[derive(Clone, Debug)]
pub struct RunView {
    /// Its folder, as its reader calls it.
    pub folder: String,
    /// Name of its config.
    pub name: String,
    /// Training rule, path rule and data rule.
    pub method: String,
    /// Seed of all random streams.
    pub seed: u64,
    /// Its whole config as text.
    pub config: String,
    /// The same as `section.key` and value, in the order of the keys.
    pub settings: Vec<(String, String)>,
    /// Epochs to train; none where a split decides.
    pub planned_epochs: Option<usize>,
    /// Names of the operations, `[O]`.
    pub op_names: Vec<String>,
    /// Which positions choose an operation, `[E]`; the others choose inputs.
    pub op_positions: Vec<bool>,
    /// What it found so far; none before its first epoch is over.
    pub record: Option<RunRecord>,
    /// Predicted and true accuracies.
    pub accuracies: Found<Accuracies>,
    /// Which images its data rule prefers.
    pub images: Found<PreferredImages>,
}

/// Something to show, or why there is nothing: one sentence.
pub type Found<T> = Result<T, String>;

/// Predicted and true accuracies of the same architectures.
#[derive(Clone, Debug, PartialEq)]
pub struct Accuracies {
    /// Name of the truth table.
    pub table: String,
    /// The architectures that were ranked and are in the table.
    pub archs: Vec<ArchAccuracy>,
}

/// One architecture.
#[derive(Clone, Debug, PartialEq)]
pub struct ArchAccuracy {
    /// Its digits.
    pub arch: String,
    /// With shared weights, percent.
    pub predicted: f64,
    /// Trained from scratch, percent.
    pub truth: f64,
}

/// What a distribution over images prefers and avoids.
#[derive(Clone, Debug, PartialEq)]
pub struct PreferredImages {
    /// The file the distribution is from.
    pub checkpoint: String,
    /// Epochs that were finished then.
    pub epochs: usize,
    /// N, images in all.
    pub images: usize,
    /// 1/Σq².
    pub effective: f64,
    /// Classes and the mean probability of their images, times N: 1 is neither preferred nor avoided.
    pub classes: Vec<(String, f64)>,
    /// The most probable images, the most probable first.
    pub preferred: Vec<Thumbnail>,
    /// The least probable images, the least probable first; of those that share the lowest probability of all, none where they are more
    /// than are shown.
    pub avoided: Vec<Thumbnail>,
    /// How many images share the lowest probability.
    pub lowest: usize,
    /// The lowest probability.
    pub lowest_probability: f64,
}

/// A picture of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// `[H, W, 3]`
    pub rgb: Vec<u8>,
}

/// One image of a distribution.
#[derive(Clone, Debug, PartialEq)]
pub struct Thumbnail {
    /// Its place among the images trained on.
    pub index: usize,
    /// Its class.
    pub class: String,
    /// Its probability q.
    pub probability: f64,
    /// How it looks.
    pub pixels: Pixels,
}

impl RunView {
    /// What it is called on a page.
    pub(super) fn title(&self) -> String {
        format!("{}: {}, seed {}", self.name, self.method, self.seed)
    }

    /// How far it is, where it is not finished.
    pub(super) fn unfinished(&self) -> Option<String> {
        let planned = self.planned_epochs.map_or_else(String::new, |n| format!(" of {n}"));
        match &self.record {
            None => Some("No epoch is finished yet, so there is nothing but the config to show.".to_owned()),
            Some(record) if record.ranking.is_none() => {
                let epochs = record.epochs.len();
                Some(format!("Not finished: {epochs}{planned} epochs are trained, there is no ranking yet."))
            }
            Some(_) => None,
        }
    }
}
