use pada_graph::WeightLayout;
use pada_space::Arch;

/// What a path sampler learns from a step: for each position, Σ over cells of ‖∇W‖ + ‖∇b‖ of the operation that stands there.
///
/// # Shapes
/// - `tensor_norms`: one L2 norm per tensor of the layout, after clipping
/// - returns `[E]`, 0 where the operation has no weights
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
