#![doc = include_str!("../README.md")]
#![allow(clippy::print_stderr, reason = "reports tests that cannot run without g++")]

mod device;
mod driver;
mod kernels;
mod test_device;

pub use device::EmulatedGpu;
pub use driver::install;
pub use test_device::{device, engine, uses_real_gpu};
