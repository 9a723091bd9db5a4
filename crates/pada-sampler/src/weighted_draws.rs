use rand::{Rng, RngExt};

use crate::SamplerError;

/// Draws indices from a fixed distribution in constant time.
///
/// ```
/// use pada_sampler::AliasTable;
/// use pada_sampler::rand::SeedableRng;
///
/// let table = AliasTable::new(&[1.0, 0.0, 3.0]).unwrap();
/// let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
/// assert_ne!(table.draw(&mut rng), 1);
/// ```
///
/// # Source
/// Walker's alias method with Vose's O(N) construction (1991).
#[derive(Clone, Debug)]
pub struct AliasTable {
    /// The probability of staying in a column.
    stay: Vec<f64>,
    /// The index that is drawn otherwise.
    alias: Vec<u32>,
}

impl AliasTable {
    /// Builds a table for weights that need not sum to 1.
    ///
    /// # Errors
    /// Returns [`SamplerError::Empty`] for an empty list, and [`SamplerError::BadWeights`] if a weight is negative or not finite
    /// or if all weights are zero.
    pub fn new(weights: &[f64]) -> Result<Self, SamplerError> {
        let sum = check_weights(weights)?;
        let n = weights.len();
        let mut stay: Vec<f64> = weights.iter().map(|w| w / sum * n as f64).collect();
        let mut alias: Vec<u32> = (0..n as u32).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| stay[i] < 1.0);
        while let (Some(&low), Some(&high)) = (small.last(), large.last()) {
            small.pop();
            alias[low] = high as u32;
            stay[high] -= 1.0 - stay[low];
            if stay[high] < 1.0 {
                large.pop();
                small.push(high);
            }
        }
        // The columns that are left in either list are full up to rounding.
        small.into_iter().chain(large).for_each(|i| stay[i] = 1.0);
        Ok(Self { stay, alias })
    }

    /// Draws one index of the list of weights.
    pub fn draw(&self, rng: &mut dyn Rng) -> usize {
        let column = rng.random_range(0..self.stay.len());
        if rng.random::<f64>() < self.stay[column] { column } else { self.alias[column] as usize }
    }
}

/// Checks that weights can be normalised to a distribution, and returns their sum.
pub(crate) fn check_weights(weights: &[f64]) -> Result<f64, SamplerError> {
    let bad = |index: usize| SamplerError::BadWeights { index, len: weights.len(), value: weights[index] };
    if weights.is_empty() {
        return Err(SamplerError::Empty);
    }
    if let Some(index) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(bad(index));
    }
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 && sum.is_finite() { Ok(sum) } else { Err(bad(weights.len() - 1)) }
}

/// Draws `k` different indices, each in proportion to the weights of the indices that are left. They are returned in the order in
/// which they were drawn.
///
/// # Errors
/// Returns [`SamplerError::Empty`], [`SamplerError::BadWeights`], or [`SamplerError::TooMany`] if fewer than `k` weights are
/// positive.
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
        // One random number per weight, also for weights of zero, so that the random stream does not depend on them.
        let exponential = -(1.0 - rng.random::<f64>()).ln();
        if w > 0.0 { exponential / w } else { f64::INFINITY }
    };
    let mut keys: Vec<(f64, u32)> = weights.iter().map(key).zip(0..).collect();
    let available = weights.iter().filter(|w| **w > 0.0).count();
    if available < k {
        return Err(SamplerError::TooMany { requested: k, available });
    }
    keys.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(keys.into_iter().take(k).map(|(_, i)| i).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_exactly_the_distribution() {
        let weights = [0.0, 3.0, 1.0, 0.5, 9.5, 1e-9];
        let table = AliasTable::new(&weights).unwrap();
        let mut mass = [0.0; 6];
        for (column, (&stay, &alias)) in table.stay.iter().zip(&table.alias).enumerate() {
            assert!((0.0..=1.0).contains(&stay));
            mass[column] += stay / 6.0;
            mass[alias as usize] += (1.0 - stay) / 6.0;
        }
        let sum: f64 = weights.iter().sum();
        for (mass, weight) in mass.iter().zip(weights) {
            assert!((mass - weight / sum).abs() < 1e-12);
        }
    }
}
