//! Source: `ZeroShotProxy/compute_zico.py` of <https://github.com/SLDGroup/ZiCo> at b0fec65.

use pada_graph::Graph;

use crate::ZeroCostError;
use crate::score::ScoreValue;
use crate::scorer::ZeroCostScorer;

/// Computes Σ over layers of ln Σ_w (mean |g| / deviation of g), both over batches. A weight whose gradient is the same in all batches does
/// not count, and neither does a layer of such weights.
pub(crate) fn zico(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let batches = scorer.batches;
    let gradients =
        batches.iter().map(|&batch| scorer.gradients(graph, batch)).collect::<Result<Vec<_>, _>>()?;
    let count = gradients.len() as f64;
    let mut score = 0.0;
    for layer in 0..gradients[0].len() {
        let mut total = 0.0;
        for place in 0..gradients[0][layer].len() {
            let of_batches = || gradients.iter().map(|batch| f64::from(batch[layer][place]));
            let mean = of_batches().sum::<f64>() / count;
            let variance = of_batches().map(|g| (g - mean).powi(2)).sum::<f64>() / count;
            if variance > 0.0 {
                total += of_batches().map(f64::abs).sum::<f64>() / count / variance.sqrt();
            }
        }
        if total > 0.0 {
            score += total.ln();
        }
    }
    Ok(ScoreValue::finite_or(score, "the gradient of the loss is not finite"))
}
