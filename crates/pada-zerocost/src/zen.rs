//! Source: `naslib/predictors/utils/pruners/measures/zen.py` of <https://github.com/automl/NASLib> at 0b51bc18.

use pada_exec::{Images, Inspection, NormVariances, State};
use pada_graph::{Graph, NodeId, Op};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ZeroCostError;
use crate::score::{Score, ScoreValue};
use crate::scorer::{ZeroCostScorer, kernels};

/// How far the second images are from the first, in standard deviations of a pixel.
const MIX: f32 = 0.01;
/// PyTorch's default momentum of running variances.
const MOMENTUM: f64 = 0.1;

/// Draws normal weights for the kernels of the graph and normal images, and computes the score from them.
pub(crate) fn zen(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
    seed: u64,
) -> Result<ScoreValue, ZeroCostError> {
    let layout = scorer.executor.layout();
    let mut weights = scorer.weights.clone();
    for node in graph.nodes() {
        node.op.weights().into_iter().for_each(|id| weights[layout.range(id)].fill(0.0));
    }
    for id in kernels(graph) {
        // Each tensor has a stream of its own, so that its weights do not depend on the architecture.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(id.0 as u64);
        normal(&mut rng, &mut weights[layout.range(id)]);
    }
    let images = scorer.batch().images;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::MAX);
    let mut pixels = || {
        let mut pixels = vec![0.0; images.len() * images.shape.numel()];
        normal(&mut rng, &mut pixels);
        pixels
    };
    let [first, noise] = [pixels(), pixels()];
    zen_of(scorer, graph, &weights, [&first, &noise])
}

/// Computes the score from given weights and images.
pub(crate) fn zen_of(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
    weights: &[f32],
    [first, noise]: [&[f32]; 2],
) -> Result<ScoreValue, ZeroCostError> {
    let pool = graph.nodes().iter().rposition(|node| node.op == Op::GlobalAvgPool);
    let Some(pool) = pool else {
        return Err(ZeroCostError::NoSuchPart { score: Score::Zen, part: "global average pooling" });
    };
    let features = &graph.up_to(graph.node(NodeId(pool)).inputs[0]);
    let batch = scorer.batch().images;
    let second: Vec<f32> = first.iter().zip(noise).map(|(x, z)| x + MIX * z).collect();
    scorer.executor.write(State::Weights, weights);
    let mut pass = |pixels: &[f32]| {
        let images = Images::given(pixels, batch.shape);
        scorer.executor.inspect(features, &images, &Inspection::default())
    };
    let passes = [pass(first), pass(&second)];
    scorer.executor.write(State::Weights, &scorer.weights);
    let [a, b] = passes;
    let (a, b) = (a?, b?);
    let change: f64 = a.output.iter().zip(&b.output).map(|(a, b)| f64::from((a - b).abs())).sum();
    let scale: f64 =
        a.variances.iter().zip(&b.variances).map(|(a, b)| running_variance(a, b).ln() / 2.0).sum();
    let value = (change / batch.len() as f64).ln() + scale;
    Ok(ScoreValue::finite_or(value, "the features do not depend on the images"))
}

/// Computes the mean over channels of a running variance that starts at 1, after two batches.
fn running_variance(first: &NormVariances, second: &NormVariances) -> f64 {
    let mean = |of: &NormVariances| {
        let unbiased = of.count as f64 / (of.count as f64 - 1.0);
        unbiased * of.biased.iter().sum::<f64>() / of.biased.len() as f64
    };
    let after = |before: f64, of: &NormVariances| (1.0 - MOMENTUM) * before + MOMENTUM * mean(of);
    after(after(1.0, first), second)
}

/// Draws numbers with mean 0 and variance 1 (Box & Muller, 1958).
fn normal(rng: &mut ChaCha8Rng, out: &mut [f32]) {
    for pair in out.chunks_mut(2) {
        // In (0, 1], so that the logarithm is finite.
        let [radius, angle] = [1.0 - rng.random::<f64>(), rng.random::<f64>()];
        let (sin, cos) = (angle * std::f64::consts::TAU).sin_cos();
        let length = (-2.0 * radius.ln()).sqrt();
        pair.iter_mut().zip([length * cos, length * sin]).for_each(|(out, x)| *out = x as f32);
    }
}
