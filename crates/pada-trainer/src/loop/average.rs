use pada_exec::State;

use crate::r#loop::recipe::Recipe;
use crate::r#loop::trainer::Trainer;

/// An exponential moving average (EMA) of all weights and running statistics. It starts as the initial weights, and every step updates it
/// to `decay · average + (1 − decay) · weights`.
///
/// # Source
/// Polyak & Juditsky (1992), with exponential weights as `ModelEma` of <https://github.com/huggingface/pytorch-image-models>.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    decay: f32,
    values: Vec<f32>,
}

impl Average {
    /// Creates an average that starts as `weights`. `decay` is in `0.0..1.0`.
    pub fn new(decay: f64, weights: Vec<f32>) -> Self {
        Self { decay: decay as f32, values: weights }
    }

    /// Updates the average with the weights after a step.
    ///
    /// # Panics
    /// Panics if the number of weights differs from the number at the start.
    pub fn add(&mut self, weights: &[f32]) {
        assert_eq!(weights.len(), self.values.len(), "an average is always of the same weights");
        for (average, weight) in self.values.iter_mut().zip(weights) {
            *average = self.decay * *average + (1.0 - self.decay) * weight;
        }
    }

    /// Returns the averaged weights, in the order of the layout.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Restores the averaged weights of a checkpoint.
    ///
    /// # Panics
    /// Panics if the number of weights differs from the number at the start.
    pub fn restore(&mut self, values: &[f32]) {
        self.values.copy_from_slice(values);
    }
}

impl Trainer {
    /// Adds a recipe to the training.
    pub fn with_recipe(mut self, recipe: Recipe) -> Self {
        self.average = recipe.ema.map(|decay| Average::new(decay, self.parts.executor.read(State::Weights)));
        self.recipe = recipe;
        self
    }

    /// Replaces the weights by their moving average, if the recipe has one, before the network is scored. Do not continue training
    /// afterwards.
    pub fn place_average(&mut self) {
        if let Some(average) = &self.average {
            self.parts.executor.write(State::Weights, average.values());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_counts_less_than_the_one_after_it() {
        let mut average = Average::new(0.5, vec![8.0, 0.0]);
        average.add(&[0.0, 4.0]);
        assert_eq!(average.values(), [4.0, 2.0]);
        average.add(&[2.0, 2.0]);
        assert_eq!(average.values(), [3.0, 2.0]);
    }
}
