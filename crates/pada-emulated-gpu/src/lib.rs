#![doc = include_str!("../README.md")]
#![allow(clippy::print_stderr, reason = "reports tests that cannot run without g++")]

mod device;
mod driver;
mod kernels;
mod on_card;

pub use device::EmulatedGpu;
pub use driver::install;
pub use on_card::{device, engine, is_a_card};
