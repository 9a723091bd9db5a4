//! Which device a test runs on.

use std::rc::Rc;

use pada_engine::cuda::{CudaEngine, Device, Driver, DriverOptions, kernel_cache};
use pada_exec::Precision;
use pada_graph::WeightLayout;

use crate::EmulatedGpu;

/// Names the GPU that tests run on, by its number from 0. Without it they run on the emulated one.
const CARD: &str = "PADA_TEST_CUDA";

/// Whether `PADA_TEST_CUDA` names a GPU.
pub fn is_a_card() -> bool {
    std::env::var_os(CARD).is_some_and(|ordinal| !ordinal.is_empty())
}

/// The device that a test of kernels runs on: the GPU whose number `PADA_TEST_CUDA` holds, or an emulated one. `None` if there is neither
/// that variable nor a C++ compiler.
///
/// # Panics
/// Panics if the GPU cannot be opened: a test that was asked to run on a card must not pass without one.
pub fn device(precision: Precision) -> Option<Rc<dyn Device>> {
    match std::env::var(CARD) {
        Ok(ordinal) if !ordinal.is_empty() => {
            let ordinal =
                ordinal.parse().unwrap_or_else(|_| panic!("{CARD}={ordinal} is no number of a GPU"));
            let mut options = DriverOptions::default();
            options.cache = kernel_cache();
            let driver = Driver::open(ordinal, precision, &options);
            Some(Rc::new(driver.unwrap_or_else(|error| panic!("{CARD}={ordinal}: {error}"))))
        }
        _ => Some(Rc::new(EmulatedGpu::new(precision)?)),
    }
}

/// The engine on [`device`].
///
/// # Panics
/// As [`device`], and if the weights do not fit into the memory of the GPU.
pub fn engine(layout: WeightLayout, weights: &[f32], precision: Precision) -> Option<CudaEngine> {
    let engine = CudaEngine::with_device(device(precision)?, layout, weights, precision);
    Some(engine.unwrap_or_else(|error| panic!("{error}")))
}
