//! Discovers the GPUs, the driver and NVRTC of this machine.
#![allow(unsafe_code, reason = "calls of the CUDA driver and of NVRTC")]

use std::fmt;

use cudarc::driver::sys::CUdevice_attribute_enum as Attribute;
use cudarc::driver::{DriverError, result as driver, sys as driver_sys};
use cudarc::nvrtc::sys as nvrtc_sys;

use super::CudaError;

/// The compute capability of Ampere, the oldest generation that multiplies TF32 and bf16 numbers.
const OLDEST_GPU: Version = Version { major: 8, minor: 0 };
/// The oldest supported driver.
const OLDEST_DRIVER: Version = Version { major: 11, minor: 4 };

/// A version of CUDA, or a compute capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The number before the dot.
    pub major: u32,
    /// The number after the dot.
    pub minor: u32,
}

impl Version {
    /// Parses the format of `Display`: `13.0`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A GPU of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Number of the GPU, from 0, in the order of the driver.
    pub ordinal: usize,
    /// Name of the GPU.
    pub name: String,
    /// Compute capability.
    pub capability: Version,
    /// Size of its memory in bytes.
    pub memory: usize,
}

impl Gpu {
    /// Returns an error if the GPU lacks instructions that the kernels need.
    pub(super) fn check(self) -> Result<Self, CudaError> {
        match self.capability < OLDEST_GPU {
            true => Err(CudaError::OldGpu { name: self.name, found: self.capability, needed: OLDEST_GPU }),
            false => Ok(self),
        }
    }
}

/// Returns all GPUs of this machine.
///
/// # Errors
/// Returns a [`CudaError`] if the driver is missing or too old, or if there is no GPU.
pub fn gpus() -> Result<Vec<Gpu>, CudaError> {
    if !driver_is_present() {
        return Err(CudaError::NoDriver);
    }
    let found = driver_version()?;
    if found < OLDEST_DRIVER {
        return Err(CudaError::OldDriver { found, needed: OLDEST_DRIVER });
    }
    match driver::init() {
        Err(DriverError(driver_sys::CUresult::CUDA_ERROR_NO_DEVICE)) => return Err(CudaError::NoGpu),
        other => other.map_err(call_error("cuInit"))?,
    }
    let count = driver::device::get_count().map_err(call_error("cuDeviceGetCount"))?;
    match count {
        0 => Err(CudaError::NoGpu),
        _ => (0..count as usize).map(gpu).collect(),
    }
}

/// Finds NVRTC, NVIDIA's library that compiles kernels, and returns its version.
///
/// The search covers the path of the system's loader, the CUDA toolkit (`$CUDA_HOME`, `$CUDA_PATH`, `/usr/local/cuda`), and Python
/// environments (`$VIRTUAL_ENV`, `$CONDA_PREFIX`, the environment of every `python3` in `$PATH`, `~/.local`).
///
/// # Errors
/// Returns [`CudaError::NoCompiler`] if NVRTC is in none of these places.
pub fn compiler() -> Result<Version, CudaError> {
    #[cfg(not(feature = "linked-cuda"))]
    {
        let driver = driver_is_present().then(|| driver_version().ok()).flatten();
        if !super::libraries::nvrtc_is_present(driver.map(|version| version.major)) {
            return Err(CudaError::NoCompiler);
        }
    }
    let (mut major, mut minor) = (0, 0);
    // SAFETY: the library is loaded, and both variables live until the call returns.
    let code = unsafe { nvrtc_sys::nvrtcVersion(&mut major, &mut minor) };
    match code {
        nvrtc_sys::nvrtcResult::NVRTC_SUCCESS => Ok(Version { major: major as u32, minor: minor as u32 }),
        other => Err(CudaError::Call { call: "nvrtcVersion", message: format!("{other:?}") }),
    }
}

/// Returns the version of CUDA that the driver supports.
pub(super) fn driver_version() -> Result<Version, CudaError> {
    let mut number = 0;
    // SAFETY: the library is loaded, and the variable lives until the call returns.
    let code = unsafe { driver_sys::cuDriverGetVersion(&mut number) };
    code.result().map_err(call_error("cuDriverGetVersion"))?;
    // 12040 is 12.4.
    Ok(Version { major: number as u32 / 1000, minor: number as u32 % 1000 / 10 })
}

/// Returns whether the driver's library can be called.
#[cfg(not(feature = "linked-cuda"))]
fn driver_is_present() -> bool {
    // SAFETY: this opens the driver's library, whose initialisers may run in any process.
    unsafe { driver_sys::is_culib_present() }
}

/// Returns whether the driver's library can be called. It always can, because a program that links it does not start without it.
#[cfg(feature = "linked-cuda")]
fn driver_is_present() -> bool {
    true
}

fn gpu(ordinal: usize) -> Result<Gpu, CudaError> {
    let device = driver::device::get(ordinal as i32).map_err(call_error("cuDeviceGet"))?;
    let name = driver::device::get_name(device).map_err(call_error("cuDeviceGetName"))?;
    let attribute = |which| {
        // SAFETY: `device` was just handed out by the driver.
        let value = unsafe { driver::device::get_attribute(device, which) };
        value.map(|value| value as u32).map_err(call_error("cuDeviceGetAttribute"))
    };
    let capability = Version {
        major: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        minor: attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    };
    // SAFETY: `device` was just handed out by the driver.
    let memory = unsafe { driver::device::total_mem(device) }.map_err(call_error("cuDeviceTotalMem"))?;
    Ok(Gpu { ordinal, name, capability, memory })
}

/// Returns a function that converts an error of the driver to [`CudaError::Call`].
pub(super) fn call_error(call: &'static str) -> impl Fn(DriverError) -> CudaError {
    move |error| {
        let text = error.error_string().map(|text| text.to_string_lossy().into_owned());
        CudaError::Call { call, message: text.unwrap_or_else(|_| format!("{:?}", error.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_from_before_ampere_is_refused_by_name() {
        let gpu = |major, minor| Gpu {
            ordinal: 0,
            name: "a GPU".into(),
            capability: Version { major, minor },
            memory: 1 << 30,
        };
        let error = gpu(7, 5).check().unwrap_err().to_string();
        assert!(error.contains("a GPU has compute capability 7.5, 8.0 or newer"), "{error}");
        for (major, minor) in [(8, 0), (8, 9), (12, 0)] {
            assert!(gpu(major, minor).check().is_ok());
        }
    }

    /// On every machine, driver and NVRTC are either found or the error says what to install.
    #[test]
    fn discovery_finds_a_gpu_or_reports_what_is_missing() {
        match gpus() {
            Ok(all) => assert!(!all.is_empty() && all.iter().all(|gpu| gpu.memory > 0)),
            Err(error @ CudaError::NoDriver) => assert!(error.to_string().contains("libcuda.so.1")),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        match compiler() {
            Ok(version) => assert!(version.major >= 11),
            Err(error) => assert!(error.to_string().contains("pip install nvidia-cuda-nvrtc"), "{error}"),
        }
    }
}
