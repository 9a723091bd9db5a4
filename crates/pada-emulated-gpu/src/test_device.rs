//! The device of a test: the emulated GPU or a real one.

use std::rc::Rc;

use pada_engine::cuda::{CudaEngine, Device, Driver, DriverOptions, kernel_cache};
use pada_exec::Precision;
use pada_graph::WeightLayout;

use crate::EmulatedGpu;

/// The environment variable with the number of the GPU, from 0, that tests run on. Without it they run on the emulated GPU.
const GPU_VARIABLE: &str = "PADA_TEST_CUDA";

/// Returns whether tests run on a real GPU, because `PADA_TEST_CUDA` is set.
pub fn uses_real_gpu() -> bool {
    std::env::var_os(GPU_VARIABLE).is_some_and(|ordinal| !ordinal.is_empty())
}

/// Returns the device that a test of kernels runs on: the GPU with the number `PADA_TEST_CUDA`, or an emulated GPU.
///
/// Returns `None` if the variable is not set and there is no C++ compiler.
///
/// # Panics
/// Panics if the variable is set but the GPU cannot be opened, so that no test passes without the GPU that was requested.
pub fn device(precision: Precision) -> Option<Rc<dyn Device>> {
    match std::env::var(GPU_VARIABLE) {
        Ok(ordinal) if !ordinal.is_empty() => {
            let ordinal = ordinal
                .parse()
                .unwrap_or_else(|_| panic!("{GPU_VARIABLE}={ordinal} is not the number of a GPU"));
            let mut options = DriverOptions::default();
            options.cache = kernel_cache();
            let driver = Driver::open(ordinal, precision, &options);
            Some(Rc::new(driver.unwrap_or_else(|error| panic!("{GPU_VARIABLE}={ordinal}: {error}"))))
        }
        _ => Some(Rc::new(EmulatedGpu::new(precision)?)),
    }
}

/// Creates an executor on [`device`] with initial weights, in the order of the layout.
///
/// # Panics
/// Panics if [`device`] does, or if the weights do not fit into the memory of the GPU.
pub fn engine(layout: WeightLayout, weights: &[f32], precision: Precision) -> Option<CudaEngine> {
    let engine = CudaEngine::with_device(device(precision)?, layout, weights, precision);
    Some(engine.unwrap_or_else(|error| panic!("{error}")))
}
