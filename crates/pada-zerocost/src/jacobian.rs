//! Scores from the gradients of images: how similar does the network respond to different images?
//!
//! Sources: `jacov.py` and `epe_nas.py` of `naslib/predictors/utils/pruners/measures/` of <https://github.com/automl/NASLib> at 0b51bc18.

use std::collections::BTreeMap;

use pada_exec::{Inspection, Objective};
use pada_graph::Graph;

use crate::ZeroCostError;
use crate::matrix::{Cholesky, correlations};
use crate::score::ScoreValue;
use crate::scorer::ZeroCostScorer;

/// The number that keeps logarithms and reciprocals finite.
const SMALL: f64 = 1e-5;
const NO_GRADIENT: &str = "the gradient of an image is constant, so that it has no correlation with others";

/// Computes −Σ [ln(v + k) + 1/(v + k)] over the eigenvalues v of the correlation matrix: the log determinant and the trace of the inverse of
/// the matrix plus k on its diagonal.
pub(crate) fn jacov(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let gradient = image_gradient(scorer, graph)?;
    let rows: Vec<&[f32]> = rows(scorer, &gradient).collect();
    let mut matrix = correlations(&rows);
    if matrix.iter().any(|c| c.is_nan()) {
        return Ok(ScoreValue { value: f64::NAN, reason: Some(NO_GRADIENT) });
    }
    let n = rows.len();
    (0..n).for_each(|i| matrix[i * n + i] += SMALL);
    let value =
        Cholesky::of(&matrix, n).map_or(f64::NAN, |factor| -factor.log_det() - factor.inverse_trace());
    Ok(ScoreValue::finite_or(
        value,
        "the correlations of the images' gradients are not positive semidefinite",
    ))
}

/// Computes Σ over classes of |Σ ln(|c| + k)| over all pairs of images of the class, an image with itself included.
pub(crate) fn epe(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let gradient = image_gradient(scorer, graph)?;
    let mut classes: BTreeMap<u32, Vec<&[f32]>> = BTreeMap::new();
    for (row, &label) in rows(scorer, &gradient).zip(scorer.batch().labels) {
        classes.entry(label).or_default().push(row);
    }
    let class =
        |rows: Vec<&[f32]>| correlations(&rows).iter().map(|c| (c.abs() + SMALL).ln()).sum::<f64>().abs();
    // DIFFERS: with more than 100 classes, NASLib divides the sum of each class by its number of images.
    Ok(ScoreValue::finite_or(classes.into_values().map(class).sum(), NO_GRADIENT))
}

/// Computes the gradient of the sum of all logits with respect to each image, `[B, C, H, W]`.
fn image_gradient(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<Vec<f32>, ZeroCostError> {
    let inspection =
        Inspection { objective: Some(Objective::Sum), image_gradient: true, ..Inspection::default() };
    Ok(scorer.inspect(graph, &inspection)?.image_gradient)
}

fn rows<'g>(scorer: &ZeroCostScorer<'_>, gradient: &'g [f32]) -> impl Iterator<Item = &'g [f32]> + use<'g> {
    gradient.chunks_exact(scorer.batch().images.shape.numel())
}
