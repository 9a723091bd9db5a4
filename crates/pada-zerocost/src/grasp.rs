//! Source: `naslib/predictors/utils/pruners/measures/grasp.py` of <https://github.com/automl/NASLib> at 0b51bc18.

use pada_exec::{Inspected, Inspection, Objective};
use pada_graph::Graph;

use crate::ZeroCostError;
use crate::score::ScoreValue;
use crate::scorer::{ZeroCostScorer, kernels};

/// The length of the first step, divided by that of the kernels. Over 33 cells of NAS-Bench-201 with 12 images, the largest error of the score
/// is 2.4e-8 at this step, 1.9e-7 at a tenth of it, and grows tenfold with each further tenth. At a hundred times the step, every tenth cell
/// and at a thousand times every third one has a ReLU whose input changes its sign, and the score is off by a multiple of its size.
const FIRST_STEP: f64 = 1e-8;
/// The factor between two steps. In a network with 10⁸ inputs of ReLUs, a few of them change their sign at the first step.
const SHORTER: f64 = 0.1;
/// The number of steps. At the last one, the largest error is 3.0e-5.
const STEPS: usize = 4;
/// The largest difference of two estimates that count as equal, divided by their size.
const TOLERANCE: f64 = 1e-3;

const NO_AGREEMENT: &str = "no two steps give the same second derivative: kinks of activations are too close";

/// Computes Σ −w · (Hg) over kernels, with the Hessian H and the gradient g of the mean cross entropy.
///
/// Hg is the central difference of the gradients at w + εg and w − εg. A step that moves the input of a ReLU across 0 is useless, because the
/// gradient jumps there, and the jump is divided by ε. Therefore the step is shortened until all inputs of ReLUs have the same signs at both
/// ends. Then half of the step must confirm the result, which notices rounding and the kinks of other operations.
pub(crate) fn grasp(scorer: &mut ZeroCostScorer<'_>, graph: &Graph) -> Result<ScoreValue, ZeroCostError> {
    let numel = scorer.weights.len();
    let gradient = gradient_at(scorer, graph, &vec![0.0; numel])?.kernel_gradient;
    let length = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
    let kernels: Vec<f64> =
        kernels(graph).into_iter().flat_map(|id| scorer.weight(id)).map(|&w| f64::from(w)).collect();
    let along = length(&gradient);
    if along == 0.0 {
        return Ok(ScoreValue { value: 0.0, reason: None });
    }
    if !along.is_finite() {
        return Ok(ScoreValue { value: f64::NAN, reason: Some("the gradient of the loss is not finite") });
    }
    let mut estimate = |step: f64| {
        let mut end = |step: f64| {
            let moves: Vec<f32> = gradient.iter().map(|g| (step * g) as f32).collect();
            gradient_at(scorer, graph, &moves)
        };
        let (ahead, behind) = (end(step)?, end(-step)?);
        let pairs = ahead.kernel_gradient.iter().zip(&behind.kernel_gradient).zip(&scorer.weights);
        let sum: f64 = pairs.map(|((a, b), &w)| f64::from(w) * (a - b)).sum();
        Ok::<_, ZeroCostError>((ahead.signs == behind.signs).then_some(-sum / (2.0 * step)))
    };
    let mut step = FIRST_STEP * length(&kernels) / along;
    for _ in 0..STEPS {
        if let Some(value) = estimate(step)? {
            let half = estimate(step / 2.0)?;
            let agrees =
                half.is_some_and(|half| (value - half).abs() <= TOLERANCE * value.abs().max(half.abs()));
            if agrees {
                return Ok(ScoreValue { value, reason: None });
            }
        }
        step *= SHORTER;
    }
    Ok(ScoreValue { value: f64::NAN, reason: Some(NO_AGREEMENT) })
}

/// Computes the gradient with respect to moved kernels, and the signs of the inputs of ReLUs.
fn gradient_at(
    scorer: &mut ZeroCostScorer<'_>,
    graph: &Graph,
    moved: &[f32],
) -> Result<Inspected, ZeroCostError> {
    let objective = Some(Objective::CrossEntropy(scorer.batch().labels));
    let inspection =
        Inspection { objective, signs: true, moved_kernels: Some(moved), ..Inspection::default() };
    scorer.inspect(graph, &inspection)
}
