use std::collections::BTreeMap;

use pada_space::Arch;
use serde::{Deserialize, Serialize};

/// 1/Σp²: as many equally likely images would repeat as often.
pub fn effective_sample_size(p: &[f64]) -> f64 {
    1.0 / p.iter().map(|p| p * p).sum::<f64>()
}

/// −Σ p·ln p, in nats.
pub fn entropy(p: &[f64]) -> f64 {
    -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

/// The paths that an epoch really trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathAudit {
    /// Paths drawn, repeats included.
    pub drawn: usize,
    /// Different paths.
    pub distinct: usize,
    /// (Σn)²/Σn² over the counts n of the different paths: as many equally frequent paths would repeat as often.
    pub effective: f64,
    /// `[E, O]`: how often each operation stood at each position.
    pub op_counts: Vec<Vec<usize>>,
    /// `histogram[k]`: how many paths were drawn k + 1 times.
    pub histogram: Vec<usize>,
}

impl PathAudit {
    /// Counts the paths of an epoch; O is the number of operations.
    pub fn of(paths: &[Arch], n_ops: usize) -> Self {
        let mut counts: BTreeMap<&Arch, usize> = BTreeMap::new();
        paths.iter().for_each(|path| *counts.entry(path).or_default() += 1);
        let positions = paths.first().map_or(0, |path| path.choices().len());
        let mut op_counts = vec![vec![0; n_ops]; positions];
        for path in paths {
            path.choices().iter().enumerate().for_each(|(e, &op)| op_counts[e][usize::from(op)] += 1);
        }
        let counts: Vec<usize> = counts.into_values().collect();
        let (drawn, distinct) = (paths.len(), counts.len());
        Self { drawn, distinct, effective: effective(&counts), op_counts, histogram: histogram(&counts) }
    }
}

/// The images that an epoch really trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageAudit {
    /// Images drawn, repeats included.
    pub drawn: usize,
    /// Different images.
    pub distinct: usize,
    /// (Σn)²/Σn² over the counts n of the different images.
    pub effective: f64,
    /// `histogram[k]`: how many images were drawn k + 1 times.
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
        let audit = PathAudit::of(&paths, 3);
        assert_eq!((audit.drawn, audit.distinct, audit.histogram), (3, 2, vec![1, 1]));
        assert_eq!(audit.op_counts, [[2, 0, 1], [0, 3, 0]]);
        assert_eq!(PathAudit::of(&[], 3).effective, 0.0);
    }
}
