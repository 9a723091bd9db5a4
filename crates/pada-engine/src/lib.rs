#![doc = include_str!("../README.md")]

pub mod cuda;
mod engine;
mod geometry;
mod isa;
mod kernels;
mod memory;
mod pass;
mod plan;
pub mod probe;
mod run;
mod shard;
mod simd;
mod statistics;
mod weights;

pub use engine::Engine;
pub use isa::{Isa, has_bf16};
