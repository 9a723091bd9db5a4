//! The second back end, on NVIDIA GPUs. Driver and compiler are looked for when the program runs: a build needs neither, and the same
//! program starts where they are missing.

mod arguments;
mod backward;
mod device;
mod engine;
mod error;
mod forward;
mod found;
mod memory;
mod results;
mod slabs;
mod source;
mod step;
mod weights;

pub use device::{Address, Device, Launch};
pub use engine::CudaEngine;
pub use error::CudaError;
pub use found::{Gpu, Version, compiler, gpus};
pub use source::{KERNELS, KernelName, declarations, macros, source};
