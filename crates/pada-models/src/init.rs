use pada_graph::{Init, WeightLayout};
use rand::{Rng, RngExt};

/// Starting weights, drawn tensor by tensor in the layout's order.
///
/// # Source
/// The distributions are PyTorch's defaults; the numbers are those of `rng`, not PyTorch's.
pub fn init_weights(layout: &WeightLayout, rng: &mut dyn Rng) -> Vec<f32> {
    let mut weights = Vec::with_capacity(layout.numel());
    for (_, spec) in layout.iter() {
        match spec.init {
            Init::Uniform { fan_in } => {
                let bound = 1.0 / (fan_in as f32).sqrt();
                weights.extend((0..spec.numel()).map(|_| rng.random_range(-bound..bound)));
            }
            Init::Constant(value) => weights.extend(std::iter::repeat_n(value, spec.numel())),
        }
    }
    weights
}
