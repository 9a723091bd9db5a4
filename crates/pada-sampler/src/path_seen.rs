use pada_space::Arch;

/// What a training step found of one path. E is the number of positions, O that of operations.
#[derive(Clone, Copy, Debug)]
pub struct PathObservation<'a> {
    /// The path.
    pub path: &'a Arch,
    /// `[E]`: the gradient norm of the operation at each position, summed over cells, 0 where it has no weights.
    pub position_norms: &'a [f64],
    /// Mean cross entropy of the batch.
    pub loss: f64,
}

impl PathObservation<'_> {
    /// `[O]`: for each operation its gradient norm summed over its positions in the path and divided by their number; 0 where it
    /// does not stand or has no weights.
    ///
    /// # Source
    /// PA&DA, released code; algorithms of other spaces divide the same way.
    pub fn op_norms(&self, n_ops: usize) -> Vec<f64> {
        let mut sums = vec![0.0; n_ops];
        for (&op, norm) in self.path.choices().iter().zip(self.position_norms) {
            sums[usize::from(op)] += norm;
        }
        for (op, sum) in sums.iter_mut().enumerate() {
            *sum /= self.path.count(op).max(1) as f64;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_of_an_operation_are_a_mean_over_its_positions() {
        let path = Arch::new(vec![2, 0, 2, 3]);
        let seen = PathObservation { path: &path, position_norms: &[1.0, 0.0, 4.0, 3.0], loss: 0.0 };
        assert_eq!(seen.op_norms(5), [0.0, 0.0, 2.5, 3.0, 0.0]);
    }
}
