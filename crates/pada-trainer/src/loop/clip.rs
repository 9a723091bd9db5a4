use pada_graph::WeightLayout;
use pada_space::Arch;

/// Computes the L2 norm of a whole gradient from the L2 norms of its tensors.
pub fn global_norm(tensor_norms: &[f64]) -> f64 {
    tensor_norms.iter().map(|n| n * n).sum::<f64>().sqrt()
}

/// Computes the factor, at most 1, by which clipping to `max_norm` scales the gradient.
///
/// # Source
/// `torch.nn.utils.clip_grad_norm_`: `min(1, max_norm / (norm + 1e-6))`.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + 1e-6)).min(1.0)
}

/// Computes the gradient norm of the operation at each position of a path: Σ over cells of ‖∇W‖ + ‖∇b‖. Path samplers learn from it.
///
/// # Shapes
/// - `tensor_norms`: one L2 norm per tensor of the layout, after clipping
/// - returns `[E]`, 0 for an operation without weights
pub fn position_gradient_norms(layout: &WeightLayout, path: &Arch, tensor_norms: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; path.choices().len()];
    for ((_, spec), norm) in layout.iter().zip(tensor_norms) {
        if let Some(owner) = &spec.owner
            && usize::from(path.choices()[owner.position]) == owner.op
        {
            sums[owner.position] += norm;
        }
    }
    sums
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
