use pada_graph::Graph;
use rand::{Rng, RngExt};

/// Drop path (stochastic depth) and dropout: drops random paths and random inputs of the classifier in training.
pub struct DropPaths<'a> {
    /// Probability that a path is dropped, independently for each image.
    pub probability: f64,
    /// Probability that an input of the classifier is dropped, independently for each image.
    pub dropout: f64,
    /// The random stream.
    pub rng: &'a mut dyn Rng,
}

impl DropPaths<'_> {
    /// Draws the factors of a graph and a number of images for [`pada_exec::LossSpec::drop_path`]: 0 for what is dropped, otherwise
    /// 1 / (1 − p), so that the mean is 1.
    ///
    /// # Shapes
    /// Returns `[slots, B]`.
    ///
    /// # Source
    /// `drop_path` in <https://github.com/quark0/darts>, `cnn/utils.py`; `torch.nn.Dropout` of PyTorch.
    pub fn draw(&mut self, graph: &Graph, images: usize) -> Vec<f32> {
        let mut probabilities = vec![self.probability; graph.drop_path_slots()];
        graph.dropout_slots().for_each(|slot| probabilities[slot] = self.dropout);
        let mut factor = |p: f64| if self.rng.random::<f64>() < p { 0.0 } else { (1.0 / (1.0 - p)) as f32 };
        probabilities.into_iter().flat_map(|p| (0..images).map(|_| factor(p)).collect::<Vec<f32>>()).collect()
    }
}

#[cfg(test)]
mod tests {
    use pada_graph::{GraphBuilder, Shape, WeightLayout};

    use super::*;
    use crate::RngStream;

    /// A path in slot 0 and a vector of five numbers in slots 1 to 5.
    fn graph() -> Graph {
        let layout = WeightLayout::new();
        let mut g = GraphBuilder::new(&layout);
        let x = g.input(Shape::vector(5));
        let x = g.drop_path(x, 0);
        g.dropout(x, 1);
        g.finish()
    }

    #[test]
    fn as_many_are_dropped_as_are_to_be_and_the_mean_stays() {
        const N: usize = 100_000;
        let mut rng = RngStream::DropPath.stream(0);
        let numbers = DropPaths { probability: 0.2, dropout: 0.5, rng: &mut rng }.draw(&graph(), N);
        assert_eq!(numbers.len(), 6 * N);
        for (slot, numbers) in numbers.chunks(N).enumerate() {
            let p: f64 = if slot == 0 { 0.2 } else { 0.5 };
            let kept = (1.0 / (1.0 - p)) as f32;
            assert!(numbers.iter().all(|&v| v == 0.0 || v == kept));
            let mean = numbers.iter().map(|&v| f64::from(v)).sum::<f64>() / N as f64;
            // The tolerance is six standard deviations of the mean, √(p / (1 − p) / N) each.
            assert!((mean - 1.0).abs() < 6.0 * (p / (1.0 - p) / N as f64).sqrt(), "{slot}: {mean}");
        }
        let none = DropPaths { probability: 0.0, dropout: 0.0, rng: &mut rng }.draw(&graph(), 5);
        assert_eq!(none, [1.0; 30]);
    }
}
