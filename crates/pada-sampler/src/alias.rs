use rand::{Rng, RngExt};

use crate::SamplerError;

/// Draws from a fixed distribution in constant time.
///
/// # Source
/// Walker's alias method with Vose's O(N) construction (1991).
#[derive(Clone, Debug)]
pub struct AliasTable {
    /// Chance to stay in a column.
    stay: Vec<f64>,
    /// Where to go otherwise.
    alias: Vec<u32>,
}

impl AliasTable {
    /// A table for weights in any scale.
    ///
    /// # Errors
    /// [`SamplerError::Empty`] or [`SamplerError::BadWeights`]
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
        // What is left in either list is full up to rounding.
        small.into_iter().chain(large).for_each(|i| stay[i] = 1.0);
        Ok(Self { stay, alias })
    }

    /// One draw: a place in the list of weights.
    pub fn draw(&self, rng: &mut dyn Rng) -> usize {
        let column = rng.random_range(0..self.stay.len());
        if rng.random::<f64>() < self.stay[column] { column } else { self.alias[column] as usize }
    }
}

/// The sum of weights that are a distribution up to scale.
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
