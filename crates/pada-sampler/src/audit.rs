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
}
