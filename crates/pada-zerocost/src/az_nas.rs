//! The parts of AZ-NAS: how features and gradients develop from block to block.
//!
//! Source: `NB201/ZeroShotProxy/compute_az_nas_score.py` of <https://github.com/cvlab-yonsei/AZ-NAS> at 5e6683a (Lee & Ham, CVPR 2024).
//! DIFFERS: weights and images are those of all other scores; the source draws Kaiming normal weights and normal images.

use pada_exec::{Images, Inspection, Objective};
use pada_graph::{Graph, Shape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ZeroCostError;
use crate::matrix::{pixel_rows, products, symmetric_eigenvalues};
use crate::score::ScoreValue;
use crate::scorer::ZeroCostScorer;

/// The number that keeps logarithms of shares finite.
const SMALL_SHARE: f64 = 1e-8;
/// The number that keeps the reciprocal of a singular value finite.
const SMALL_VALUE: f64 = 1e-6;

// The reasons name the part, because they are also reasons of the whole score.
const NO_ENTROPY: &str = "its expressivity is not a number, because the features of a block are the same for all images and pixels";
const NO_GROWTH: &str = "its progressivity is not a number, because the features of a block are the same for all images and pixels";
const IDENTITY: &str = "its trainability is -inf, because a block is the identity";

/// Computes the sum over blocks of the entropy of their features.
pub(crate) fn expressivity(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
) -> Result<ScoreValue, ZeroCostError> {
    Ok(ScoreValue::finite_or(entropies(scorer, graph)?.iter().sum(), NO_ENTROPY))
}

/// Computes the smallest growth of the entropy from one block to the next.
pub(crate) fn progressivity(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
) -> Result<ScoreValue, ZeroCostError> {
    let entropies = entropies(scorer, graph)?;
    let growth = entropies.windows(2).map(|pair| pair[1] - pair[0]);
    // `f64::min` would ignore NaN.
    let value = match entropies.iter().any(|entropy| entropy.is_nan()) {
        true => f64::NAN,
        false => growth.fold(f64::INFINITY, f64::min),
    };
    Ok(ScoreValue::finite_or(value, NO_GROWTH))
}

/// Computes how well blocks keep the size of gradients, with random signs as the gradient of the output of each block.
pub(crate) fn trainability(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
    seed: u64,
) -> Result<ScoreValue, ZeroCostError> {
    trainability_of(scorer, graph, |block, numel| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(block as u64);
        (0..numel).map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect()
    })
}

/// Computes the score from given signs: `signs` receives the index of a block, from 1, and the number of signs. It returns those of the
/// output of the block, `[B, C, H, W]`.
pub(crate) fn trainability_of(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
    signs: impl Fn(usize, usize) -> Vec<f32>,
) -> Result<ScoreValue, ZeroCostError> {
    let images = scorer.batch().images.len();
    let chain = Chain::of(scorer, graph)?;
    let (mut features, mut from) = (chain.stem(scorer)?, chain.stem.output().shape);
    let mut scores = Vec::new();
    for (i, block) in chain.blocks.iter().enumerate() {
        let Some(block) = block else {
            scores.push(f64::NEG_INFINITY);
            continue;
        };
        let shape = block.output().shape;
        let signs = signs(i + 1, images * shape.numel());
        let inspection = Inspection {
            objective: Some(Objective::Weighted(&signs)),
            image_gradient: true,
            ..Inspection::default()
        };
        let seen = scorer.executor.inspect(block, &Images::given(&features, from), &inspection)?;
        scores.push(match seen.image_gradient == signs {
            true => f64::NEG_INFINITY,
            false => {
                let largest = largest_singular_value([&seen.image_gradient, &signs], [from, shape])
                    .ok_or(ZeroCostError::NoSuchPart { score: scorer.score, part: HALVED })?;
                2.0 - largest - 1.0 / (largest + SMALL_VALUE)
            }
        });
        (features, from) = (seen.output, shape);
    }
    Ok(ScoreValue::finite_or(scores.iter().sum::<f64>() / scores.len() as f64, IDENTITY))
}

const CHAIN: &str = "at least two blocks, each of which reads only the one before it";
const HALVED: &str = "blocks that divide height and width by the same whole number";

/// A network as a chain of blocks.
struct Chain {
    /// The part from the images to the output of the first block.
    stem: Graph,
    /// The blocks behind the stem. `None` stands for the identity.
    blocks: Vec<Option<Graph>>,
}

impl Chain {
    fn of(scorer: &ZeroCostScorer<'_>, graph: &Graph) -> Result<Self, ZeroCostError> {
        let none = || ZeroCostError::NoSuchPart { score: scorer.score, part: CHAIN };
        let (first, _) =
            graph.blocks().split_first().filter(|(_, rest)| !rest.is_empty()).ok_or_else(none)?;
        let block = |pair: &[_]| match pair[0] == pair[1] {
            true => Ok(None),
            false => graph.between(pair[0], pair[1]).map(Some).ok_or_else(none),
        };
        let blocks = graph.blocks().windows(2).map(block).collect::<Result<_, _>>()?;
        Ok(Self { stem: graph.up_to(*first), blocks })
    }

    /// Computes the features of the stem, `[B, C, H, W]`.
    fn stem(&self, scorer: &mut ZeroCostScorer<'_>) -> Result<Vec<f32>, ZeroCostError> {
        Ok(scorer.inspect(&self.stem, &Inspection::default())?.output)
    }
}

/// Computes the entropy of the features of each block: of the shares that the eigenvalues of their covariance over images and pixels have in
/// the sum of all eigenvalues.
fn entropies(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<Vec<f64>, ZeroCostError> {
    let chain = Chain::of(scorer, graph)?;
    let (mut features, mut shape) = (chain.stem(scorer)?, chain.stem.output().shape);
    let mut found = vec![entropy(&features, shape)];
    for block in &chain.blocks {
        if let Some(block) = block {
            let images = Images::given(&features, shape);
            features = scorer.executor.inspect(block, &images, &Inspection::default())?.output;
            shape = block.output().shape;
        }
        found.push(entropy(&features, shape));
    }
    Ok(found)
}

fn entropy(features: &[f32], shape: Shape) -> f64 {
    let channels = shape.channels;
    let mut rows = pixel_rows(features, shape, 1);
    let n = (rows.len() / channels) as f64;
    let mut means = vec![0.0; channels];
    rows.chunks_exact(channels)
        .for_each(|row| means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / n));
    rows.chunks_exact_mut(channels)
        .for_each(|row| row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= mean));
    let eigenvalues = symmetric_eigenvalues(products(&rows, channels, &rows, channels), channels);
    let sum: f64 = eigenvalues.iter().sum();
    let share = |value: &f64| value / sum;
    eigenvalues.iter().map(share).map(|p| -p * (p + SMALL_SHARE).ln()).sum()
}

/// Computes the largest singular value of the mean over images and pixels of gradient · signsᵀ. If the block makes its input smaller by a
/// factor, the pixels of the gradient that belong to one pixel of the output are channels. Returns `None` if there is no such factor.
fn largest_singular_value([gradient, signs]: [&[f32]; 2], [input, output]: [Shape; 2]) -> Option<f64> {
    let factor = input.height / output.height;
    if [input.height, input.width] != [output.height, output.width].map(|size| factor * size) {
        return None;
    }
    let (inputs, outputs) = (input.channels * factor * factor, output.channels);
    let (gradient, signs) = (pixel_rows(gradient, input, factor), pixel_rows(signs, output, 1));
    let n = (signs.len() / outputs) as f64;
    let product: Vec<f64> =
        products(&gradient, inputs, &signs, outputs).into_iter().map(|sum| sum / n).collect();
    let squares = products(&product, outputs, &product, outputs);
    let largest = symmetric_eigenvalues(squares, outputs).into_iter().fold(0.0, f64::max);
    Some(largest.sqrt())
}
