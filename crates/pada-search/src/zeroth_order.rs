use rand::{Rng, RngExt};

use crate::policy::{normal, softmax};

/// The rule by which ZARTS moves architecture parameters: it samples displacements around the negative gradient, measures the loss after each of
/// them, and moves by their mean, in which displacements with a low loss weigh more. The measurement can include training, so that nothing assumes
/// that the weights are optimal for the current parameters.
///
/// # Source
/// Wang et al., *ZARTS: On Zero-order Optimization for Neural Architecture Search*, NeurIPS 2022, the variant MGS; Welleck & Cho, *MLE-Guided
/// Parameter Search*, AAAI 2021; the constants are those of <https://github.com/vicFigure/ZARTS> @38bb2a6, `cnn/script/run_search.sh`.
///
/// DIFFERS: a displacement comes from one of the two normal distributions, as in both papers; the public code adds a draw from each. The density around 0
/// has the exponent −‖δ‖² / 2σ², as the formula says; the public code multiplies by σ² there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZerothOrder {
    /// K, the number of displacements of a step, at least 1.
    pub samples: usize,
    /// τ: a loss that is higher by τ divides the weight of a displacement by e. Above 0.
    pub temperature: f64,
    /// λ, the probability that a displacement is drawn around 0 and not around the negative gradient, in `0.0..=1.0`.
    pub undirected: f64,
}

/// A term that keeps weights finite where both densities vanish, as in the public code.
const LEAST_DENSITY: f64 = 1e-4;

impl ZerothOrder {
    /// Draws a displacement from (1 − λ) · N(−g, σ²) + λ · N(0, σ²).
    pub fn displacement(&self, gradient: &[f64], deviation: f64, rng: &mut dyn Rng) -> Vec<f64> {
        let toward = if rng.random::<f64>() < self.undirected { 0.0 } else { -1.0 };
        gradient.iter().map(|g| toward * g + deviation * normal(rng)).collect()
    }

    /// Computes the weights of displacements, which sum to 1: each is proportional to exp(−loss / τ) / (q + 1e-4), where q is the density that the
    /// displacement was drawn from, without its normalising constant.
    ///
    /// # Panics
    /// Panics if there is not one loss for each displacement, or if their lengths differ.
    pub fn weights(
        &self,
        displacements: &[Vec<f64>],
        losses: &[f64],
        gradient: &[f64],
        deviation: f64,
    ) -> Vec<f64> {
        assert_eq!(displacements.len(), losses.len(), "one loss for each displacement");
        let density = |squares: f64| (-squares / (2.0 * deviation * deviation)).exp();
        let logit = |(displacement, loss): (&Vec<f64>, &f64)| {
            assert_eq!(displacement.len(), gradient.len(), "one number for every parameter");
            let directed = displacement.iter().zip(gradient).map(|(d, g)| (d + g).powi(2)).sum();
            let undirected = displacement.iter().map(|d| d.powi(2)).sum();
            let q = (1.0 - self.undirected) * density(directed) + self.undirected * density(undirected);
            -loss / self.temperature - (q + LEAST_DENSITY).ln()
        };
        softmax(&displacements.iter().zip(losses).map(logit).collect::<Vec<f64>>())
    }

    /// Computes the step: the mean of displacements by their [`weights`](Self::weights).
    ///
    /// # Panics
    /// Panics as [`ZerothOrder::weights`] does.
    pub fn step(
        &self,
        displacements: &[Vec<f64>],
        losses: &[f64],
        gradient: &[f64],
        deviation: f64,
    ) -> Vec<f64> {
        let mut step = vec![0.0; gradient.len()];
        for (weight, displacement) in
            self.weights(displacements, losses, gradient, deviation).iter().zip(displacements)
        {
            step.iter_mut().zip(displacement).for_each(|(sum, d)| *sum += weight * d);
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const RULE: ZerothOrder = ZerothOrder { samples: 4, temperature: 0.01, undirected: 0.001 };

    #[test]
    fn displacements_have_the_mean_and_the_deviation_of_their_mixture() {
        let rule = ZerothOrder { undirected: 0.25, ..RULE };
        let (mut rng, gradient, draws) = (ChaCha8Rng::seed_from_u64(1), [0.5, -1.0], 40_000);
        let mut sums = [[0.0; 2]; 2];
        for _ in 0..draws {
            let displacement = rule.displacement(&gradient, 0.1, &mut rng);
            for (i, d) in displacement.iter().enumerate() {
                sums[0][i] += d / f64::from(draws);
                sums[1][i] += d * d / f64::from(draws);
            }
        }
        for (i, g) in gradient.iter().enumerate() {
            let variance = 0.01 + 0.25 * 0.75 * g * g;
            // Four standard deviations of a mean of 40,000 draws.
            assert!((sums[0][i] + 0.75 * g).abs() < 4.0 * (variance / f64::from(draws)).sqrt());
            assert!((sums[1][i] - sums[0][i].powi(2) - variance).abs() < 0.02 * variance + 1e-4);
        }
    }

    /// By hand: with σ = 1, g = (1, 0), λ = 0.5 and τ = 1, the displacement (−1, 0) has q = 0.5 · 1 + 0.5 · e^−0.5, and (0, 1) has
    /// q = 0.5 · e^−1 + 0.5 · e^−0.5.
    #[test]
    fn weights_equal_those_of_the_formula() {
        let rule = ZerothOrder { samples: 2, temperature: 1.0, undirected: 0.5 };
        let displacements = [vec![-1.0, 0.0], vec![0.0, 1.0]];
        let half = (-0.5_f64).exp();
        let raw = [
            (-2.0_f64).exp() / (0.5 + 0.5 * half + 1e-4),
            (-1.5_f64).exp() / (0.5 * (-1.0_f64).exp() + 0.5 * half + 1e-4),
        ];
        let expected = raw.map(|c| c / (raw[0] + raw[1]));
        let weights = rule.weights(&displacements, &[2.0, 1.5], &[1.0, 0.0], 1.0);
        assert!(weights.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{weights:?}");
        let step = rule.step(&displacements, &[2.0, 1.5], &[1.0, 0.0], 1.0);
        assert!((step[0] + expected[0]).abs() < 1e-15 && (step[1] - expected[1]).abs() < 1e-15);
    }

    /// A quadratic loss whose minimum is at (1, −2, 3), without any use of its gradient.
    #[test]
    fn it_descends_without_a_gradient() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let (target, none) = ([1.0, -2.0, 3.0], [0.0; 3]);
        let loss = |x: &[f64]| x.iter().zip(target).map(|(x, t)| (x - t).powi(2)).sum::<f64>();
        let mut x = vec![0.0; 3];
        let start = loss(&x);
        for _ in 0..400 {
            let draws: Vec<Vec<f64>> =
                (0..RULE.samples).map(|_| RULE.displacement(&none, 0.1, &mut rng)).collect();
            let moved = |d: &Vec<f64>| loss(&x.iter().zip(d).map(|(x, d)| x + d).collect::<Vec<f64>>());
            let losses: Vec<f64> = draws.iter().map(moved).collect();
            let step = RULE.step(&draws, &losses, &none, 0.1);
            x.iter_mut().zip(step).for_each(|(x, d)| *x += d);
        }
        assert!(loss(&x) < 0.01 * start, "{x:?}");
    }

    /// Densities and losses that underflow leave weights that sum to 1.
    #[test]
    fn weights_of_many_parameters_are_finite() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let gradient = vec![0.01; 224];
        let draws: Vec<Vec<f64>> = (0..4).map(|_| RULE.displacement(&gradient, 0.025, &mut rng)).collect();
        let weights = RULE.weights(&draws, &[90.0, 90.5, 91.0, 120.0], &gradient, 0.025);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(weights.iter().all(|c| c.is_finite()) && weights[0] > 0.99);
    }
}
