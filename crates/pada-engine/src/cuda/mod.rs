//! The back end for NVIDIA GPUs. [`CudaEngine`] is its [`Executor`](pada_exec::Executor), and [`Driver`] the GPU on which it computes.
//!
//! The libraries of the driver and of NVRTC are loaded at run time. A build needs none of them, and the same program also runs on
//! machines without a GPU.

mod arguments;
mod backward;
mod cache;
mod check;
mod compile;
mod correct_counts;
mod dataset;
mod device;
mod discover;
mod driver;
mod engine;
mod error;
mod forward;
#[cfg(not(feature = "linked-cuda"))]
mod libraries;
mod memory;
mod outcome;
mod results;
mod slabs;
mod source;
mod step;
mod strips;
mod timing;
mod usage;
mod weights;

pub use cache::{Precompiled, kernel_cache, precompile, put_in_cache};
pub use check::check;
pub use compile::compile;
pub use device::{Address, Device, Launch};
pub use discover::{Gpu, Version, compiler, gpus};
pub use driver::{Driver, DriverOptions, KernelResources, KernelTiming};
pub use engine::CudaEngine;
pub use error::CudaError;
pub use source::{KERNELS, KernelName, declarations, macros, source};
pub use timing::KernelTime;
pub use usage::ResourceUsage;
