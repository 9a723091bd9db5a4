use thiserror::Error;

use super::discover::Version;

/// The error type of this module. Its messages say why a GPU cannot be used and what to do about it.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CudaError {
    /// The library of the NVIDIA driver was not found.
    #[error("no NVIDIA driver was found (libcuda.so.1); a GPU needs the driver of its vendor")]
    NoDriver,
    /// The driver is too old.
    #[error("the NVIDIA driver supports CUDA {found}, but {needed} or newer is needed; update the driver")]
    OldDriver {
        /// The version of CUDA that the driver supports.
        found: Version,
        /// The oldest version that works.
        needed: Version,
    },
    /// The driver was found, but no GPU.
    #[error("the NVIDIA driver finds no GPU; CUDA_VISIBLE_DEVICES may hide it")]
    NoGpu,
    /// There are fewer GPUs.
    #[error("there is no GPU {ordinal}; the last GPU of this machine has the number {last}")]
    NoSuchGpu {
        /// The requested GPU, from 0.
        ordinal: usize,
        /// The last GPU.
        last: usize,
    },
    /// The GPU lacks instructions that the kernels need.
    #[error("{name} has compute capability {found}, {needed} or newer is needed")]
    OldGpu {
        /// Name of the GPU.
        name: String,
        /// The compute capability of the GPU.
        found: Version,
        /// The lowest compute capability that works.
        needed: Version,
    },
    /// NVRTC was not found.
    #[error(
        "NVRTC, which compiles the kernels, is not found in the loader's search path, in $CUDA_HOME or in any Python environment; \
         install it with `pip install nvidia-cuda-nvrtc`, or name its folder in LD_LIBRARY_PATH"
    )]
    NoCompiler,
    /// NVRTC is newer than the driver, which cannot load its kernels.
    #[error(
        "NVRTC is of CUDA {compiler}, but the NVIDIA driver supports only {driver}; update the driver, or install an NVRTC of its \
         version: `pip install nvidia-cuda-nvrtc-cu{}`", driver.major
    )]
    NewerCompiler {
        /// The version of NVRTC.
        compiler: Version,
        /// The version of CUDA that the driver supports.
        driver: Version,
    },
    /// NVRTC is too new to support the GPU.
    #[error(
        "NVRTC of CUDA {compiler} does not support compute capability {capability}; install an older NVRTC"
    )]
    UnknownGpu {
        /// The version of NVRTC.
        compiler: Version,
        /// The compute capability of the GPU.
        capability: Version,
    },
    /// The cache of compiled kernels cannot be written.
    #[error("{}: the compiled kernels cannot be written: {message}", path.display())]
    Cache {
        /// The file.
        path: std::path::PathBuf,
        /// The error of the operating system.
        message: String,
    },
    /// The kernels do not compile, because of a bug of this crate or a damaged NVRTC.
    #[error("the kernels do not compile for {target}: {log}")]
    Compile {
        /// The target, such as `sm_90`.
        target: String,
        /// The log of the compiler.
        log: String,
    },
    /// The device has too little free memory.
    #[error(
        "{gpu} has {} MiB of free memory, but {} MiB are needed; use smaller batches (train.batch, rank.batch), or end other programs \
         on the GPU", free >> 20, needed >> 20
    )]
    OutOfMemory {
        /// Name of the device.
        gpu: String,
        /// Bytes of the allocation that failed.
        needed: usize,
        /// Bytes of free memory.
        free: usize,
    },
    /// The device failed.
    #[error("{gpu} failed in {call}: {message}; `nvidia-smi` may show more")]
    Lost {
        /// Name of the device.
        gpu: String,
        /// The function or kernel that reported the error. An earlier kernel may be the cause.
        call: &'static str,
        /// The error message of the driver.
        message: String,
    },
    /// The results of the device differ from those of the CPU.
    #[error("{device} deviates from the CPU by {off:.1e} in the {what} of a test network, so it is not used")]
    Differs {
        /// Name of the device.
        device: String,
        /// The result that was compared.
        what: &'static str,
        /// L2 norm of the difference, relative to the result of the CPU.
        off: f64,
    },
    /// A call of the driver or of NVRTC failed.
    #[error("{call}: {message}")]
    Call {
        /// The function.
        call: &'static str,
        /// The error message of the library.
        message: String,
    },
}
