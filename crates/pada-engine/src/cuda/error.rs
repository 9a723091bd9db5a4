use thiserror::Error;

use super::found::Version;

/// Why a GPU cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CudaError {
    /// No driver.
    #[error("no NVIDIA driver: libcuda.so.1 is not found; install the driver of the GPU, if there is one")]
    NoDriver,
    /// The driver lacks what is called.
    #[error("the NVIDIA driver is for CUDA {found}, {needed} or newer is needed; update it")]
    OldDriver {
        /// What it is for.
        found: Version,
        /// The oldest that works.
        needed: Version,
    },
    /// A driver without a GPU.
    #[error("an NVIDIA driver but no GPU; CUDA_VISIBLE_DEVICES may hide it")]
    NoGpu,
    /// A number beyond the last GPU.
    #[error("there is no GPU {ordinal}, the last is {last}")]
    NoSuchGpu {
        /// What was asked for.
        ordinal: usize,
        /// The last one there is.
        last: usize,
    },
    /// A GPU without the instructions that are needed.
    #[error("{name} has compute capability {found}, {needed} or newer is needed")]
    OldGpu {
        /// What it is called.
        name: String,
        /// What it can.
        found: Version,
        /// What is needed.
        needed: Version,
    },
    /// No NVRTC.
    #[error(
        "no compiler for kernels: libnvrtc.so is not found; `pip install nvidia-cuda-nvrtc` brings it, and LD_LIBRARY_PATH must name the \
         folder it lies in"
    )]
    NoCompiler,
    /// The driver or the compiler refused a call.
    #[error("{call}: {message}")]
    Call {
        /// The function.
        call: &'static str,
        /// What it said.
        message: String,
    },
}
