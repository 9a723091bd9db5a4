//! Scores from the gradient of the loss with respect to weights or activations.
//!
//! Sources: `naslib/predictors/utils/pruners/measures/` of <https://github.com/automl/NASLib> at 0b51bc18.

use pada_exec::{Inspection, Objective};
use pada_graph::Graph;

use crate::ZeroCostError;
use crate::score::ScoreValue;
use crate::scorer::{ZeroCostScorer, kernels};

const NOT_FINITE: &str = "the gradient of the loss is not finite";

pub(crate) fn grad_norm(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let gradients = scorer.gradients(graph, scorer.batch())?;
    Ok(ScoreValue::finite_or(gradients.iter().map(|g| norm(g)).sum(), NOT_FINITE))
}

pub(crate) fn snip(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    products(scorer, graph, f64::abs)
}

pub(crate) fn plain(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    products(scorer, graph, |product| product)
}

fn products(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
    of: impl Fn(f64) -> f64,
) -> Result<ScoreValue, ZeroCostError> {
    let gradients = scorer.gradients(graph, scorer.batch())?;
    let sum = kernels(graph).into_iter().zip(&gradients).map(|(id, gradient)| {
        let pairs = scorer.weight(id).iter().zip(gradient);
        pairs.map(|(&w, &g)| of(f64::from(w) * f64::from(g))).sum::<f64>()
    });
    Ok(ScoreValue::finite_or(sum.sum(), NOT_FINITE))
}

pub(crate) fn l2_norm(scorer: &ZeroCostScorer<'_>, graph: &Graph) -> ScoreValue {
    let norms = kernels(graph).into_iter().map(|id| norm(scorer.weight(id)));
    ScoreValue::finite_or(norms.sum(), "a weight is not finite")
}

pub(crate) fn fisher(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let objective = Some(Objective::CrossEntropy(scorer.batch().labels));
    let seen = scorer.inspect(graph, &Inspection { objective, products: true, ..Inspection::default() })?;
    // DIFFERS: NASLib copies the number of a channel to all of its weights before it adds them up, which multiplies it by their number.
    let images = scorer.batch().images.len() as f64;
    let layer = |values: &[f32]| values.iter().map(|&v| 0.5 * f64::from(v).powi(2) / images).sum::<f64>();
    Ok(ScoreValue::finite_or(seen.products.iter().map(|of| layer(&of.values)).sum(), NOT_FINITE))
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}
