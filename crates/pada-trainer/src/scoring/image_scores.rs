use pada_exec::Logits;
use serde::{Deserialize, Serialize};

use crate::rules::PathOutcome;

/// The score of an image in a step, which the data sampler observes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageScore {
    /// ‖softmax(z) − onehot(y)‖₂ of the logits z and the label y, as in PA&DA (Eq. 13).
    #[default]
    Logits,
    /// The score of [`ImageScore::Logits`] times the L2 norm of the input of the classifier. The product is the exact norm of the gradient
    /// of the loss with respect to the weight of the classifier. The paper does not use this score.
    LastLayer,
    /// The cross entropy, in nats. The paper does not use this score.
    Loss,
}

impl ImageScore {
    /// Computes the scores of the images of a batch, `[B]`.
    pub fn of(self, path: &PathOutcome, labels: &[u32]) -> Vec<f32> {
        let norms = || image_gradient_norms(&path.logits, labels);
        match self {
            Self::Logits => norms(),
            Self::LastLayer => norms().iter().zip(&path.feature_norms).map(|(s, f)| s * f).collect(),
            Self::Loss => softmaxes(&path.logits)
                .zip(labels)
                .map(|(p, &label)| -(p[label as usize].max(f64::MIN_POSITIVE).ln()) as f32)
                .collect(),
        }
    }
}

/// Computes the norm of the gradient of the loss with respect to the logits of each image, ‖softmax(z) − onehot(y)‖₂.
///
/// # Shapes
/// `logits`: `[B, K]`, `labels`: `[B]`; returns `[B]`, in `[0, √2]`
///
/// # Source
/// PA&DA, Eq. 13.
pub fn image_gradient_norms(logits: &Logits, labels: &[u32]) -> Vec<f32> {
    let norm = |(p, &label): (Vec<f64>, &u32)| {
        let target = |k| if k == label as usize { 1.0 } else { 0.0 };
        let square: f64 = p.iter().enumerate().map(|(k, p)| (p - target(k)).powi(2)).sum();
        square.sqrt() as f32
    };
    softmaxes(logits).zip(labels).map(norm).collect()
}

fn softmaxes(logits: &Logits) -> impl Iterator<Item = Vec<f64>> {
    logits.rows().map(|row| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = row.iter().map(|&z| f64::from(z - largest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        exp.into_iter().map(|e| e / sum).collect()
    })
}
