use serde::{Deserialize, Deserializer, Serialize};

use crate::{CommunicationRecord, ImageAudit, PathAudit};

/// The measurements of one epoch of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRecord {
    /// Epoch of its stage, counted from 0.
    pub epoch: usize,
    /// Index of the supernet that was trained, if the run splits its supernet; 0 is the supernet of the full space.
    #[serde(default)]
    pub stage: usize,
    /// Learning rate of the first step.
    pub lr: f64,
    /// Mean cross entropy over the images and paths of the epoch, nats.
    pub loss: f64,
    /// Training accuracy over the images and paths of the epoch, percent.
    pub accuracy: f64,
    /// Number of steps that were skipped because the loss or the gradient was not finite.
    #[serde(default)]
    pub skipped_steps: usize,
    /// L2 norm of the gradient before clipping, mean over the steps.
    pub grad_norm: f64,
    /// Gradient variance (GV), see `pada_trainer::GradientVariance`. `None` if no operation was trained twice.
    pub gv: Option<f64>,
    /// Gradient variance divided by ‖mean gradient‖².
    pub gv_scale_free: Option<f64>,
    /// The distribution p that the paths of the epoch were drawn from: one row of O probabilities shared by all decisions, or one row
    /// per decision.
    pub path_distribution: Vec<Vec<f64>>,
    /// Entropy of `path_distribution`, mean over its rows, nats.
    pub path_entropy: f64,
    /// Counts of the paths that were drawn. All zero in the oldest records, which did not count them.
    #[serde(default)]
    pub paths: PathAudit,
    /// Counts of the images that were drawn. The oldest records have only [`ImageAudit::distinct`].
    #[serde(alias = "distinct_images", deserialize_with = "image_audit")]
    pub images: ImageAudit,
    /// 1/Σq² of the distribution q that the images of the epoch were drawn from. `None` if every image was drawn once.
    pub effective_sample_size: Option<f64>,
    /// Entropy of q, nats. `None` if every image was drawn once.
    pub image_entropy: Option<f64>,
    /// Accuracy of the network after the epoch, on images that it was not trained on. `None` if it was not tested, as in the training of
    /// a supernet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestRecord>,
    /// The mixtures of operations of a differentiable search after the epoch. `None` for other training rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixture: Option<MixtureRecord>,
    /// Wall-clock time, seconds.
    pub seconds: f64,
    /// Communication between the processes of the run. `None` for a single process.
    #[serde(default, alias = "ranks", skip_serializing_if = "Option::is_none")]
    pub communication: Option<CommunicationRecord>,
}

/// The mixtures of operations of a differentiable search after an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureRecord {
    /// The strongest architecture, with which the search would end, as digits.
    pub arch: String,
    /// The decision of each mixture.
    pub decisions: Vec<usize>,
    /// The operations of each mixture, as digits.
    pub ops: Vec<Vec<u8>>,
    /// The softmax of the logits of each mixture, in the order of `ops`. With AGNAS, it is the share of each operation in the attention, and with
    /// ENAS its share among the architectures that the controller draws.
    pub probabilities: Vec<Vec<f64>>,
    /// The weight of the edge of each mixture among the edges of its node (PC-DARTS). Empty without edge weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edge_weights: Vec<f64>,
    /// The operation that DARTS-PT has chosen for each mixture, `None` where the choice is open. Empty for other methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<Option<u8>>,
    /// The temperature of the Gumbel softmax. `None` for methods without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Mean cross entropy of the validation images on which the logits were trained in the epoch, nats. `None` if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Accuracy of the mixture on these images, before each step of the logits, percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
}

impl MixtureRecord {
    /// Returns the mean probability of an operation over all mixtures that have it. `None` if none has it.
    pub fn share_of(&self, op: u8) -> Option<f64> {
        let of =
            |(ops, probs): (&Vec<u8>, &Vec<f64>)| Some(probs[ops.iter().position(|&other| other == op)?]);
        let shares: Vec<f64> = self.ops.iter().zip(&self.probabilities).filter_map(of).collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

/// The accuracy of a network on images that it was not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestRecord {
    /// Top-1 accuracy, percent.
    pub accuracy: f64,
    /// Top-5 accuracy, percent. `None` if there are no more than five classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
}

/// The epoch after which a network had the largest test accuracy.
///
/// Its accuracy is optimistic, because the epoch is chosen on the images that it is tested on. Some publications report it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestEpoch {
    /// The epoch, counted from 0; the first one if several have the same accuracy.
    pub epoch: usize,
    /// Top-1 accuracy after this epoch, percent.
    pub accuracy: f64,
    /// Top-5 accuracy after this epoch, percent. `None` if there are no more than five classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
}

impl BestEpoch {
    /// Finds the epoch with the largest test accuracy. Returns `None` if the network was not tested after any epoch.
    pub fn of(epochs: &[EpochRecord]) -> Option<Self> {
        let tested = epochs.iter().filter_map(|record| Some((record.epoch, record.test?)));
        let entry = |(epoch, TestRecord { accuracy, top5 })| Self { epoch, accuracy, top5 };
        tested.map(entry).reduce(|best, next| if next.accuracy > best.accuracy { next } else { best })
    }
}

/// Reads the counts of images. The oldest records hold the number of distinct images in their place.
fn image_audit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ImageAudit, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Counts(ImageAudit),
        Distinct(usize),
    }
    Ok(match Stored::deserialize(deserializer)? {
        Stored::Counts(audit) => audit,
        Stored::Distinct(distinct) => ImageAudit { distinct, ..ImageAudit::default() },
    })
}
