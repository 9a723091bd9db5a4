//! The engine on the device that tests of kernels run on.

use pada_engine::cuda::CudaEngine;
use pada_exec::Precision;

use crate::case::Case;

/// The engine of a case on an emulated GPU, or on the GPU that `PADA_TEST_CUDA` names. `None` if there is neither that nor `g++`.
pub(crate) fn engine(case: &Case, precision: Precision) -> Option<CudaEngine> {
    pada_emulated_gpu::engine(case.layout.clone(), &case.weights, precision)
}
