/// 1/Σp²: as many equally likely images would repeat as often.
pub fn effective_sample_size(p: &[f64]) -> f64 {
    1.0 / p.iter().map(|p| p * p).sum::<f64>()
}

/// −Σ p·ln p, in nats.
pub fn entropy(p: &[f64]) -> f64 {
    -p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
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
}
