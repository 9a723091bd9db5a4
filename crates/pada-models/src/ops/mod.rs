//! Operations that candle lacks or gets wrong in training, for `f32` and `f64`: as custom ops with their own gradients, which run on the
//! CPU, and composed of candle operations that are right, which run on every device. Each file of the former says in its first line
//! what was wrong.

mod bias;
mod composed;
mod conv;
mod matmul;
mod norm;
mod number;
mod pool;
mod relu;

use candle_core::{Device, Result, Tensor};
use pada_graph::{Conv, Pool};

/// What a pass is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operations {
    /// Custom ops: the faster ones, on the CPU alone. Sums are in f64.
    Custom,
    /// Chains of candle operations, on every device.
    Composed,
}

impl Operations {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Custom, Self::Composed];

    /// Those that a device runs.
    pub fn of(device: &Device) -> Self {
        if device.is_cpu() { Self::Custom } else { Self::Composed }
    }

    /// Convolution with the settings of `conv`, without bias.
    ///
    /// # Shapes
    /// - `x`: `[B, C_in, H, W]`, `weight`: `[C_out, C_in / groups, k, k]`
    /// - returns `[B, C_out, H', W']`, `H' = (H + 2·padding − offset − dilation·(k − 1) − 1) / stride + 1`
    ///
    /// # Errors
    /// candle's, where the shapes do not fit.
    pub fn conv2d(self, x: &Tensor, weight: &Tensor, conv: &Conv) -> Result<Tensor> {
        match self {
            Self::Custom => conv::conv2d(x, weight, conv),
            Self::Composed => composed::conv2d(x, weight, conv),
        }
    }

    /// Adds one number to every pixel of a channel.
    ///
    /// # Shapes
    /// `x`: `[B, C, H, W]`, `bias`: `[C]`; the result is like `x`.
    ///
    /// # Errors
    /// candle's, where the shapes do not fit.
    pub fn add_bias(self, x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        match self {
            Self::Custom => bias::add_bias(x, bias),
            Self::Composed => composed::add_bias(x, bias),
        }
    }

    /// `(x − mean) / √(var + eps)` per channel, with the statistics of the batch and the biased variance.
    ///
    /// # Shapes
    /// `x`: `[B, C, H, W]`, and so is the result.
    ///
    /// # Errors
    /// candle's.
    pub fn batch_norm(self, x: &Tensor, eps: f64) -> Result<Tensor> {
        match self {
            Self::Custom => norm::batch_norm(x, eps),
            Self::Composed => composed::batch_norm(x, eps),
        }
    }

    /// Mean and biased variance of each channel.
    ///
    /// # Shapes
    /// `x`: `[B, C, H, W]`; returns `[C]`
    ///
    /// # Errors
    /// candle's.
    pub fn batch_moments(self, x: &Tensor) -> Result<Vec<[f64; 2]>> {
        match self {
            Self::Custom => norm::batch_moments(x),
            Self::Composed => composed::batch_moments(x),
        }
    }

    /// Mean of a window; the padding is not counted.
    ///
    /// # Shapes
    /// `x`: `[B, C, H, W]`, result `[B, C, H', W']` with `H' = (H + 2·padding − kernel) / stride + 1`.
    ///
    /// # Errors
    /// candle's, where the window does not fit.
    pub fn avg_pool2d(self, x: &Tensor, pool: Pool) -> Result<Tensor> {
        match self {
            Self::Custom => pool::avg_pool2d(x, pool),
            Self::Composed => composed::avg_pool2d(x, pool),
        }
    }

    /// Maximum of a window; of equal numbers the gradient goes to the first in row order, and what is no number is the maximum.
    ///
    /// # Shapes
    /// As [`Operations::avg_pool2d`].
    ///
    /// # Errors
    /// candle's, where the window does not fit.
    pub fn max_pool2d(self, x: &Tensor, pool: Pool) -> Result<Tensor> {
        match self {
            Self::Custom => pool::max_pool2d(x, pool),
            Self::Composed => composed::max_pool2d(x, pool),
        }
    }

    /// `max(x, 0)`, derivative 0 at 0. Any shape.
    ///
    /// # Errors
    /// candle's.
    pub fn relu(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Custom => relu::relu(x),
            Self::Composed => composed::clamp(x, f64::INFINITY),
        }
    }

    /// `min(max(x, 0), 6)`, derivative 0 at 0 and 6. Any shape.
    ///
    /// # Errors
    /// candle's.
    pub fn relu6(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Custom => relu::relu6(x),
            Self::Composed => composed::clamp(x, 6.0),
        }
    }
}
