//! Operations that candle lacks or gets wrong in training, as custom ops with their own gradients, on the CPU, for `f32` and
//! `f64`. Each file says in its first line what was wrong.

mod bias;
mod conv;
mod matmul;
mod norm;
mod number;
mod pool;
mod relu;

pub use bias::add_bias;
pub use conv::conv2d;
pub use norm::{batch_moments, batch_norm};
pub use pool::{avg_pool2d, max_pool2d};
pub use relu::{relu, relu6};
