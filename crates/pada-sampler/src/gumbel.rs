use rand::{Rng, RngExt};

use crate::SamplerError;
use crate::alias::check_weights;

/// `k` different places, drawn one after the other in proportion to the weights that are left; in the order drawn.
///
/// # Errors
/// [`SamplerError::BadWeights`], or [`SamplerError::TooMany`] where fewer than `k` weights are not zero.
///
/// # Source
/// Gumbel top-k in its exponential form (Efraimidis & Spirakis 2006): the k smallest of E/w, E exponential.
pub fn draw_without_replacement(
    weights: &[f64],
    k: usize,
    rng: &mut dyn Rng,
) -> Result<Vec<u32>, SamplerError> {
    check_weights(weights)?;
    let key = |&w: &f64| {
        // One draw per weight, also for those that cannot win, so that the stream does not depend on zeros.
        let exponential = -(1.0 - rng.random::<f64>()).ln();
        if w > 0.0 { exponential / w } else { f64::INFINITY }
    };
    let mut keys: Vec<(f64, u32)> = weights.iter().map(key).zip(0..).collect();
    let available = weights.iter().filter(|w| **w > 0.0).count();
    if available < k {
        return Err(SamplerError::TooMany { wanted: k, available });
    }
    keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(keys.into_iter().take(k).map(|(_, i)| i).collect())
}
