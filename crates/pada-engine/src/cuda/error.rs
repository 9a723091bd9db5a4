use thiserror::Error;

use super::found::Version;

/// Why a GPU cannot be used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Error)]
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
        "NVRTC, which compiles the kernels, is not found in the loader's search path, in $CUDA_HOME or in any Python environment; \
         install it with `pip install nvidia-cuda-nvrtc`, or name its folder in LD_LIBRARY_PATH"
    )]
    NoCompiler,
    /// No NCCL.
    #[error(
        "no NCCL: libnccl.so is not found; `pip install nvidia-nccl-cu13` brings it as libnccl.so.2: LD_LIBRARY_PATH must name a folder \
         where libnccl.so is a link to it"
    )]
    NoNccl,
    /// A compiler whose kernels the driver does not take.
    #[error(
        "NVRTC is of CUDA {compiler}, the NVIDIA driver is for {driver}; update the driver, or install an NVRTC of its version: \
         `pip install nvidia-cuda-nvrtc-cu{}`", driver.major
    )]
    NewerCompiler {
        /// The compiler's version.
        compiler: Version,
        /// The driver's.
        driver: Version,
    },
    /// A compiler that no longer knows the GPU.
    #[error("NVRTC of CUDA {compiler} has no code for compute capability {capability}; install an older one")]
    UnknownGpu {
        /// Its version.
        compiler: Version,
        /// What the GPU can.
        capability: Version,
    },
    /// The cache of compiled kernels cannot be written.
    #[error("{}: the compiled kernels cannot be stored: {message}", path.display())]
    Cache {
        /// The file.
        path: std::path::PathBuf,
        /// What the system reported.
        message: String,
    },
    /// Kernels that do not compile: a mistake in this program, or a damaged NVRTC.
    #[error("kernels do not compile for {target}: {log}")]
    Compile {
        /// What they were compiled for.
        target: String,
        /// What the compiler said.
        log: String,
    },
    /// Too little memory.
    #[error(
        "{gpu} has {} MiB free, {} MiB more are needed: smaller batches need less (train.batch, rank.batch), and other programs may \
         hold some", free >> 20, needed >> 20
    )]
    OutOfMemory {
        /// What it is called.
        gpu: String,
        /// How many bytes were asked for.
        needed: usize,
        /// How many there are.
        free: usize,
    },
    /// A GPU that stopped working.
    #[error("{gpu} failed in {call}: {message}; `nvidia-smi` may say more")]
    Lost {
        /// What it is called.
        gpu: String,
        /// The function or kernel whose call said so; an earlier kernel may be the cause.
        call: &'static str,
        /// What the driver said.
        message: String,
    },
    /// A GPU that computes something else than the processor.
    #[error("{device} is {off:.1e} off in {what} of a known network; it is not used")]
    Differs {
        /// What it is called.
        device: String,
        /// What was compared.
        what: &'static str,
        /// The distance, relative to the largest number.
        off: f64,
    },
    /// Ranks do not come together.
    #[error(transparent)]
    ProcessGroup(#[from] pada_dist::DistError),
    /// The driver, the compiler or NCCL refused a call.
    #[error("{call}: {message}")]
    Call {
        /// The function.
        call: &'static str,
        /// What it said.
        message: String,
    },
}
