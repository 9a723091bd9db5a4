use std::collections::BTreeMap;

use pada_space::Arch;
use serde::{Deserialize, Serialize};

use crate::SamplerError;

/// Computes the effective sample size 1/Σp² of a distribution: a uniform distribution over this many outcomes repeats an outcome
/// equally often.
///
/// # Shapes
/// `p`: `[N]`, probabilities that sum to 1. Returns a number in `1..=N`, or infinity for an empty list.
pub fn effective_sample_size(p: &[f64]) -> f64 {
    1.0 / p.iter().map(|p| p * p).sum::<f64>()
}

/// Computes the entropy −Σ p·ln p of a distribution, in nats.
///
/// # Shapes
/// `p`: `[N]`, probabilities that sum to 1. Returns a number in `0..=ln N`.
pub fn entropy(p: &[f64]) -> f64 {
    -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// Statistics of the paths that were drawn in an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathAudit {
    /// Number of paths that were drawn, repetitions included.
    pub drawn: usize,
    /// Number of different paths.
    pub distinct: usize,
    /// Effective number of paths, (Σn)²/Σn² over the counts n of the different paths.
    pub effective: f64,
    /// `[E, O]`, how often each operation was drawn at each position.
    pub op_counts: Vec<Vec<usize>>,
    /// `histogram[k]` is the number of paths that were drawn k + 1 times.
    pub histogram: Vec<usize>,
}

impl PathAudit {
    /// Counts the paths of an epoch. `n_ops` is O, the number of operations.
    ///
    /// # Errors
    /// Returns [`SamplerError::BadConfig`] if a path contains an operation whose index is not below `n_ops`, and
    /// [`SamplerError::NotInSpace`] if paths have different numbers of positions.
    pub fn of(paths: &[Arch], n_ops: usize) -> Result<Self, SamplerError> {
        let mut counts: BTreeMap<&Arch, usize> = BTreeMap::new();
        paths.iter().for_each(|path| *counts.entry(path).or_default() += 1);
        let positions = paths.first().map_or(0, |path| path.choices().len());
        let mut op_counts = vec![vec![0; n_ops]; positions];
        for path in paths {
            if path.choices().len() != positions {
                return Err(SamplerError::NotInSpace { path: path.clone(), positions });
            }
            for (counts, &op) in op_counts.iter_mut().zip(path.choices()) {
                let Some(count) = counts.get_mut(usize::from(op)) else {
                    let range = "larger than the index of every operation of the paths";
                    return Err(SamplerError::BadConfig { name: "n_ops", value: n_ops as f64, range });
                };
                *count += 1;
            }
        }
        let counts: Vec<usize> = counts.into_values().collect();
        let (drawn, distinct) = (paths.len(), counts.len());
        Ok(Self { drawn, distinct, effective: effective(&counts), op_counts, histogram: histogram(&counts) })
    }
}

/// Statistics of the images that were drawn in an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageAudit {
    /// Number of images that were drawn, repetitions included.
    pub drawn: usize,
    /// Number of different images.
    pub distinct: usize,
    /// Effective number of images, (Σn)²/Σn² over the counts n of the different images.
    pub effective: f64,
    /// `histogram[k]` is the number of images that were drawn k + 1 times.
    pub histogram: Vec<usize>,
}

impl ImageAudit {
    /// Counts the images of an epoch.
    pub fn of(images: &[u32]) -> Self {
        let mut sorted = images.to_vec();
        sorted.sort_unstable();
        let counts: Vec<usize> = sorted.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
        let (drawn, distinct) = (images.len(), counts.len());
        Self { drawn, distinct, effective: effective(&counts), histogram: histogram(&counts) }
    }
}

fn effective(counts: &[usize]) -> f64 {
    let sum: f64 = counts.iter().map(|&n| n as f64).sum();
    let squares: f64 = counts.iter().map(|&n| (n * n) as f64).sum();
    if squares == 0.0 { 0.0 } else { sum * sum / squares }
}

fn histogram(counts: &[usize]) -> Vec<usize> {
    let mut histogram = vec![0; counts.iter().copied().max().unwrap_or(0)];
    counts.iter().for_each(|&n| histogram[n - 1] += 1);
    histogram
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn uniform_and_certain() {
        assert!((effective_sample_size(&[0.25; 4]) - 4.0).abs() < 1e-12);
        assert!((entropy(&[0.25; 4]) - 4.0_f64.ln()).abs() < 1e-12);
        assert_eq!((effective_sample_size(&[1.0, 0.0]), entropy(&[1.0, 0.0])), (1.0, 0.0));
    }

    #[test]
    fn an_audit_counts_what_was_drawn() {
        let audit = ImageAudit::of(&[3, 1, 3, 3, 7]);
        assert_eq!((audit.drawn, audit.distinct, audit.histogram), (5, 3, vec![2, 0, 1]));
        assert!((audit.effective - 25.0 / 11.0).abs() < 1e-12);
        let paths = [vec![0, 1], vec![0, 1], vec![2, 1]].map(Arch::new);
        let audit = PathAudit::of(&paths, 3).unwrap();
        assert_eq!((audit.drawn, audit.distinct, audit.histogram), (3, 2, vec![1, 1]));
        assert_eq!(audit.op_counts, [[2, 0, 1], [0, 3, 0]]);
        assert!(matches!(PathAudit::of(&paths, 2), Err(SamplerError::BadConfig { name: "n_ops", .. })));
        let ragged = [vec![0], vec![0, 1]].map(Arch::new);
        assert!(matches!(PathAudit::of(&ragged, 3), Err(SamplerError::NotInSpace { .. })));
        assert_eq!(PathAudit::of(&[], 3).unwrap().effective, 0.0);
    }
}
