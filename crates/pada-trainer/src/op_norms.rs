use pada_graph::WeightLayout;
use pada_space::Arch;

/// What the path sampler learns from a step: for each operation, Σ over cells and positions of ‖∇W‖ + ‖∇b‖, divided by how
/// often the operation stands in the path.
///
/// # Shapes
/// - `tensor_norms`: one L2 norm per tensor of the layout, after clipping
/// - returns `[n_ops]`, 0 for operations that do not stand in the path or have no weights
///
/// # Source
/// PA&DA, released code; algorithms of other spaces divide the same way.
pub fn op_gradient_norms(layout: &WeightLayout, path: &Arch, tensor_norms: &[f64], n_ops: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n_ops];
    for ((_, spec), norm) in layout.iter().zip(tensor_norms) {
        if let Some(owner) = &spec.owner
            && usize::from(path.choices()[owner.position]) == owner.op
        {
            sums[owner.op] += norm;
        }
    }
    for (op, sum) in sums.iter_mut().enumerate() {
        *sum /= path.count(op).max(1) as f64;
    }
    sums
}
