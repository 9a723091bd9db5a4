//! The CPU kernels. Each kernel computes one operation for one image on one thread.
#![allow(
    unsafe_code,
    reason = "kernels: loads and stores without bounds checks; every kernel checks its bounds once"
)]

mod combine;
mod conv;
mod depthwise;
mod difference;
mod gate;
mod global_pool;
mod linear;
mod norm;
mod pad_input;
mod pool;
mod scale;
mod signs;
mod weight_gradient;
pub(crate) mod winograd;

pub(crate) use combine::{Affine, Combine, PassThroughGrad};
pub(crate) use conv::{ConvKernel, Mask, WriteMode};
pub(crate) use depthwise::{DepthwiseGradient, DepthwiseKernel};
pub(crate) use difference::{Difference, Multiple};
pub(crate) use gate::{Gate, GateGradient, GatedGradient, sigmoids};
pub(crate) use global_pool::{GlobalPool, GlobalPoolGradient};
pub(crate) use linear::{Linear, LinearInputGradient, LinearWeightGradient};
pub(crate) use norm::{GradientSums, Moments};
pub(crate) use pad_input::{NormGradient, PadInput, PadOutputGrad, ToUnits};
pub(crate) use pool::{AvgPool, AvgPoolGradient, MaxPool, MaxPoolGradient, Windows};
pub(crate) use scale::ScaleGradient;
pub(crate) use signs::Signs;
pub(crate) use weight_gradient::WeightGradient;
