#![doc = include_str!("../README.md")]

pub mod cuda;
mod engine;
mod geometry;
mod kernels;
mod level;
mod memory;
mod pass;
mod plan;
pub mod probe;
mod run;
mod share;
mod simd;
mod statistics;
mod weights;

pub use engine::Engine;
pub use level::{Level, has_bf16};
