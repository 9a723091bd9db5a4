use crate::{Logits, LossSpec};

/// The plain mean cross entropy, and the slope of the weighted and smoothed loss with respect to the logits, computed in f64.
///
/// # Shapes
/// `logits`: `[B, K]`, `labels`: `[B]`, below K; the slope is `[B, K]`.
///
/// # Panics
/// If a label is no class, or there are fewer image weights than images.
pub fn cross_entropy(logits: &Logits, labels: &[u32], spec: &LossSpec<'_>) -> (f64, Vec<f64>) {
    let n = labels.len() as f64;
    let smoothing = f64::from(spec.label_smoothing);
    let everyone = smoothing / logits.classes as f64;
    let mut loss = 0.0;
    let mut slope = Vec::with_capacity(logits.values.len());
    for (image, (row, &label)) in logits.rows().zip(labels).enumerate() {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = row.iter().map(|&z| (f64::from(z) - f64::from(largest)).exp()).collect();
        let sum: f64 = exp.iter().sum();
        loss += sum.ln() - (f64::from(row[label as usize]) - f64::from(largest));
        let factor = f64::from(spec.scale) * spec.image_weights.map_or(1.0, |w| f64::from(w[image])) / n;
        slope.extend(exp.iter().enumerate().map(|(k, e)| {
            let target = if k == label as usize { 1.0 - smoothing } else { 0.0 };
            factor * (e / sum - (target + everyone))
        }));
    }
    (loss / n, slope)
}
