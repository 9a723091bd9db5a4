use crate::batch::Logits;

/// The training loss of a step.
///
/// The loss is `scale · ((1/B) Σ_b weight_b · CE_b + Σ alignments + Σ auxiliary)`, where `CE_b` is the cross entropy of image b with label
/// smoothing. Alignments are defined at [`pada_graph::Op::Align`], auxiliary losses at [`pada_graph::Op::Auxiliary`].
///
/// Image weights do not apply to alignments, which measure the distance between two paths and not the importance of an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossSpec<'a> {
    /// Factor on the whole loss.
    pub scale: f32,
    /// `[B]`, factor on the cross entropy of each image. `None` stands for ones.
    pub image_weights: Option<&'a [f32]>,
    /// Label-smoothing factor ε, in `0.0..1.0`, as PyTorch's `label_smoothing`.
    pub label_smoothing: f32,
    /// `[slots, B]`, the factors of the graph's [`pada_graph::Op::DropPath`] and [`pada_graph::Op::Dropout`] nodes. Empty if the graph has none.
    pub drop_path: &'a [f32],
}

impl Default for LossSpec<'_> {
    /// The mean cross entropy without weights or smoothing.
    fn default() -> Self {
        Self { scale: 1.0, image_weights: None, label_smoothing: 0.0, drop_path: &[] }
    }
}

/// Computes the mean cross entropy, and the gradient of the weighted and smoothed loss with respect to the logits, in f64.
///
/// # Shapes
/// - `logits`: `[B, K]`
/// - `labels`: `[B]`, below K
/// - returns the mean cross entropy in nats, without weights or smoothing, and the gradient `[B, K]`
///
/// # Panics
/// Panics if a label is not below K, or if there are fewer image weights than images.
pub fn cross_entropy(logits: &Logits, labels: &[u32], spec: &LossSpec<'_>) -> (f64, Vec<f64>) {
    let values: Vec<f64> = logits.values.iter().map(|&z| f64::from(z)).collect();
    cross_entropy_f64(&values, logits.classes, labels, spec)
}

/// Computes [`cross_entropy`] of logits in f64, `[B, K]`.
///
/// # Panics
/// Panics if a label is not below K, or if there are fewer image weights than images.
pub fn cross_entropy_f64(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    spec: &LossSpec<'_>,
) -> (f64, Vec<f64>) {
    let n = labels.len() as f64;
    let smoothing = f64::from(spec.label_smoothing);
    let uniform = smoothing / classes as f64;
    let mut loss = 0.0;
    let mut gradient = Vec::with_capacity(logits.len());
    for (image, (row, &label)) in logits.chunks_exact(classes).zip(labels).enumerate() {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exp: Vec<f64> = row.iter().map(|&z| (z - largest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        loss += sum.ln() - (row[label as usize] - largest);
        let factor = f64::from(spec.scale) * spec.image_weights.map_or(1.0, |w| f64::from(w[image])) / n;
        gradient.extend(exp.iter().enumerate().map(|(k, e)| {
            let target = if k == label as usize { 1.0 - smoothing } else { 0.0 };
            factor * (e / sum - (target + uniform))
        }));
    }
    (loss / n, gradient)
}
