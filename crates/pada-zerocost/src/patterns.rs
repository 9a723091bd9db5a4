//! Scores from the signs of ReLU inputs: how well does the network tell images apart?
//!
//! Sources: `naslib/predictors/utils/pruners/measures/nwot.py` of <https://github.com/automl/NASLib> at 0b51bc18, and `src/metrics/swap.py` of
//! <https://github.com/pym1024/SWAP> at f6049f7.

use pada_exec::{Inspection, Signs};
use pada_graph::Graph;

use crate::ZeroCostError;
use crate::matrix::Cholesky;
use crate::score::ScoreValue;
use crate::scorer::ZeroCostScorer;

/// Computes ln |det K| with K(a, b) the number of ReLU inputs whose sign is the same for the images a and b.
pub(crate) fn nwot(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let signs = signs(scorer, graph)?;
    let n = scorer.batch().images.len();
    let mut matrix = vec![signs.units as f64; n * n];
    for a in 0..n {
        for b in 0..a {
            let pairs = signs.image(a).iter().zip(signs.image(b));
            let different: u64 = pairs.map(|(a, b)| u64::from((a ^ b).count_ones())).sum();
            let same = signs.units as f64 - different as f64;
            (matrix[a * n + b], matrix[b * n + a]) = (same, same);
        }
    }
    let value = Cholesky::of(&matrix, n).map_or(f64::NEG_INFINITY, |factor| factor.log_det());
    Ok(ScoreValue::finite_or(value, "two images have the same signs, so that the matrix is singular"))
}

/// Counts the distinct patterns: the signs of one ReLU input for all images.
pub(crate) fn swap(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let signs = signs(scorer, graph)?;
    let value = distinct_patterns(&signs, scorer.batch().images.len());
    Ok(ScoreValue { value: value as f64, reason: None })
}

fn signs(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<Signs, ZeroCostError> {
    Ok(scorer.inspect(graph, &Inspection { signs: true, ..Inspection::default() })?.signs)
}

fn distinct_patterns(signs: &Signs, images: usize) -> usize {
    let blocks = images.div_ceil(64);
    // `[units, blocks]`: the signs of 64 images per word.
    let mut patterns = Vec::with_capacity(signs.units * blocks);
    let mut square = vec![[0_u64; 64]; blocks];
    for &(first, bits) in &signs.relus {
        for (word, start) in (0..bits).step_by(64).enumerate() {
            for (block, square) in square.iter_mut().enumerate() {
                *square = [0; 64];
                for (image, row) in (64 * block..images).zip(square.iter_mut()) {
                    *row = signs.image(image)[first + word];
                }
                transpose(square);
            }
            let units = 0..64.min(bits - start);
            patterns.extend(units.flat_map(|unit| square.iter().map(move |square| square[unit])));
        }
    }
    let mut patterns: Vec<&[u64]> = patterns.chunks_exact(blocks).collect();
    patterns.sort_unstable();
    patterns.dedup();
    patterns.len()
}

/// Transposes a square of bits: bit j of row i becomes bit i of row j.
fn transpose(square: &mut [u64; 64]) {
    // Swaps the off-diagonal quarters of squares of 64, 32, … 2 bits.
    let mut size = 32;
    let mut mask = u64::MAX >> 32;
    while size > 0 {
        for first in (0..64).step_by(2 * size) {
            for row in first..first + size {
                let swap = (square[row] >> size ^ square[row + size]) & mask;
                square[row] ^= swap << size;
                square[row + size] ^= swap;
            }
        }
        size /= 2;
        mask ^= mask << size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposed_square_has_rows_and_columns_exchanged() {
        let mut state = 1_u64;
        let square: [u64; 64] = std::array::from_fn(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state
        });
        let mut transposed = square;
        transpose(&mut transposed);
        for (i, row) in square.iter().enumerate() {
            for (j, column) in transposed.iter().enumerate() {
                assert_eq!(row >> j & 1, column >> i & 1, "bit {j} of row {i}");
            }
        }
    }

    #[test]
    fn patterns_of_more_than_64_images_are_counted_and_unused_bits_are_not() {
        // Two ReLUs with one and two inputs; image i has the bits of i in the second.
        let images = 70;
        let words = (0..images).flat_map(|image| [1, image as u64 & 3]).collect();
        let signs = Signs { words, per_image: 2, units: 3, relus: vec![(0, 1), (1, 2)] };
        assert_eq!(distinct_patterns(&signs, images), 3);
        let same = Signs { words: vec![1; 2 * images], per_image: 2, units: 2, relus: vec![(0, 1), (1, 1)] };
        assert_eq!(distinct_patterns(&same, images), 1);
    }
}
