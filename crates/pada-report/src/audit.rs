use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts of the paths that an epoch trained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathAudit {
    /// Number of paths drawn, repeats included.
    pub drawn: usize,
    /// Number of distinct paths.
    pub distinct: usize,
    /// Effective number of paths: (Σn)²/Σn² over the counts n of the distinct paths. It equals `distinct` if every path was drawn
    /// equally often, and is smaller otherwise.
    pub effective: f64,
    /// `[E, O]`: how often each operation was chosen for each decision.
    pub op_counts: Vec<Vec<usize>>,
    /// `histogram[k]` is the number of paths that were drawn k + 1 times.
    pub histogram: Vec<usize>,
}

impl PathAudit {
    /// Counts the paths of an epoch.
    ///
    /// # Shapes
    /// Every path is `[E]`, one digit per decision, below `n_ops` (O).
    ///
    /// # Panics
    /// Panics if a digit is not below `n_ops`.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a [u8]>, n_ops: usize) -> Self {
        let mut counts: BTreeMap<&[u8], usize> = BTreeMap::new();
        let mut op_counts: Vec<Vec<usize>> = Vec::new();
        for path in paths {
            *counts.entry(path).or_default() += 1;
            op_counts.resize(op_counts.len().max(path.len()), vec![0; n_ops]);
            path.iter().zip(&mut op_counts).for_each(|(&op, row)| row[usize::from(op)] += 1);
        }
        let counts: Vec<usize> = counts.into_values().collect();
        Self {
            drawn: counts.iter().sum(),
            distinct: counts.len(),
            effective: effective_count(&counts),
            op_counts,
            histogram: histogram(&counts),
        }
    }
}

/// Counts of the images that an epoch trained on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageAudit {
    /// Number of images drawn, repeats included.
    pub drawn: usize,
    /// Number of distinct images.
    pub distinct: usize,
    /// Effective number of images: (Σn)²/Σn² over the counts n of the distinct images.
    pub effective: f64,
    /// `histogram[k]` is the number of images that were drawn k + 1 times.
    pub histogram: Vec<usize>,
}

impl ImageAudit {
    /// Counts the images of an epoch, given by their indices in the data set.
    pub fn of(images: &[u32]) -> Self {
        let mut sorted = images.to_vec();
        sorted.sort_unstable();
        let counts: Vec<usize> = sorted.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
        let (drawn, distinct) = (images.len(), counts.len());
        Self { drawn, distinct, effective: effective_count(&counts), histogram: histogram(&counts) }
    }
}

fn effective_count(counts: &[usize]) -> f64 {
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
    fn an_audit_counts_what_was_drawn() {
        let audit = ImageAudit::of(&[3, 1, 3, 3, 7]);
        assert_eq!((audit.drawn, audit.distinct, audit.histogram), (5, 3, vec![2, 0, 1]));
        assert!((audit.effective - 25.0 / 11.0).abs() < 1e-12);
        let paths: [&[u8]; 3] = [&[0, 1], &[0, 1], &[2, 1]];
        let audit = PathAudit::of(paths, 3);
        assert_eq!((audit.drawn, audit.distinct, audit.histogram), (3, 2, vec![1, 1]));
        assert_eq!(audit.op_counts, [[2, 0, 1], [0, 3, 0]]);
        assert_eq!(PathAudit::of([], 3).effective, 0.0);
    }
}
