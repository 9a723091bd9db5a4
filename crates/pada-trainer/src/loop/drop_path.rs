use rand::{Rng, RngExt};

/// Drop path (stochastic depth): drops random paths of a network in training.
pub struct DropPaths<'a> {
    /// Probability that a path is dropped, independently for each image.
    pub probability: f64,
    /// The random stream.
    pub rng: &'a mut dyn Rng,
}

impl DropPaths<'_> {
    /// Draws `n` factors for [`pada_exec::LossSpec::drop_path`]: 0 for a dropped path, otherwise 1 / (1 − p), so that the mean is 1.
    ///
    /// # Source
    /// `drop_path` in <https://github.com/quark0/darts>, `cnn/utils.py`.
    pub fn draw(&mut self, n: usize) -> Vec<f32> {
        let kept = (1.0 / (1.0 - self.probability)) as f32;
        (0..n).map(|_| if self.rng.random::<f64>() < self.probability { 0.0 } else { kept }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RngStream;

    #[test]
    fn as_many_are_dropped_as_are_to_be_and_the_mean_stays() {
        const N: usize = 100_000;
        let mut rng = RngStream::DropPath.stream(0);
        let numbers = DropPaths { probability: 0.2, rng: &mut rng }.draw(N);
        assert!(numbers.iter().all(|&v| v == 0.0 || v == 1.25));
        let mean = numbers.iter().map(|&v| f64::from(v)).sum::<f64>() / N as f64;
        // The tolerance is six standard deviations of the mean, 1.25 · √(.2 · .8 / N) each.
        assert!((mean - 1.0).abs() < 6.0 * 1.25 * (0.16 / N as f64).sqrt(), "{mean}");
        let none = DropPaths { probability: 0.0, rng: &mut rng }.draw(5);
        assert_eq!(none, [1.0; 5]);
    }
}
