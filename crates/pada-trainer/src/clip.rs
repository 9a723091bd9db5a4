/// The L2 norm of the whole gradient from the norms of its tensors.
pub fn global_norm(tensor_norms: &[f64]) -> f64 {
    tensor_norms.iter().map(|n| n * n).sum::<f64>().sqrt()
}

/// What clipping to `max_norm` multiplies the gradient with: at most 1.
///
/// # Source
/// `torch.nn.utils.clip_grad_norm_`: `min(1, max_norm / (norm + 1e-6))`.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gradients_stay_and_large_ones_get_the_limit() {
        assert_eq!(clip_factor(4.9, 5.0), 1.0);
        assert!((clip_factor(50.0, 5.0) * 50.0 - 5.0).abs() < 1e-6);
        assert_eq!(global_norm(&[3.0, 0.0, 4.0]), 5.0);
    }
}
