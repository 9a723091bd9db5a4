use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use pada_engine::Engine;
use pada_engine::cuda::{self, CudaEngine, CudaError, Driver, DriverOptions, Gpu, KernelTiming};
use pada_exec::{Convolution, Executor, Precision};
use pada_graph::WeightLayout;

use xtask::usage::usage;

/// The device that a benchmark runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this index.
    Cuda(usize),
}

/// The engine on a device.
pub(crate) enum OnDevice {
    /// The engine on the processor.
    Cpu(Engine),
    /// The engine on a GPU, and the driver that launches its kernels.
    Cuda(CudaEngine, Rc<Driver>),
}

/// The precision of convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Numbers {
    /// f32. A GPU multiplies each pair in three products of TF32 numbers (3×TF32).
    F32,
    /// bf16, added up in f32.
    Bf16,
}

impl Numbers {
    /// The name on the command line, which is also the mode in printed lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }

    pub(crate) fn precision(self) -> Precision {
        match self {
            Self::F32 => Precision::F32,
            Self::Bf16 => Precision::Bf16,
        }
    }

    /// Returns a description of the multiplications in convolutions on a device.
    pub(crate) fn products(self, device: Device) -> &'static str {
        match (self, device) {
            (Self::Bf16, _) => "bf16",
            (Self::F32, Device::Cpu) => "f32",
            (Self::F32, Device::Cuda(_)) => "3xTF32",
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let ordinal = || name.strip_prefix("cuda:")?.parse().ok();
        match (name, ordinal()) {
            ("cpu", _) => Ok(Self::Cpu),
            (_, Some(ordinal)) => Ok(Self::Cuda(ordinal)),
            _ => Err("devices are called cpu and cuda:N".to_owned()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl Device {
    /// Creates the engine on this device. The kernels of a GPU come from the kernel cache, or are compiled into it.
    ///
    /// # Errors
    /// Returns a usage error that describes what is missing if the device cannot be used.
    pub(crate) fn engine(
        self,
        layout: WeightLayout,
        weights: Vec<f32>,
        (precision, convolution): (Precision, Convolution),
        timing: KernelTiming,
    ) -> anyhow::Result<OnDevice> {
        let Self::Cuda(ordinal) = self else {
            let engine = Engine::new(layout, weights, precision);
            return Ok(OnDevice::Cpu(engine.with_convolution(convolution)));
        };
        let driver = open(ordinal, precision, timing)?;
        let engine = CudaEngine::with_device(driver.clone(), layout, &weights, precision);
        Ok(OnDevice::Cuda(engine.map_err(|error| refused(ordinal, error))?, driver))
    }

    /// The GPU of this device. `None` for the processor.
    ///
    /// # Errors
    /// Returns a usage error that describes what is missing if there is no such GPU.
    pub(crate) fn gpu(self) -> anyhow::Result<Option<Gpu>> {
        let Self::Cuda(ordinal) = self else { return Ok(None) };
        let all = cuda::gpus().map_err(|error| refused(ordinal, error))?;
        let last = all.len() - 1;
        match all.into_iter().nth(ordinal) {
            Some(gpu) => Ok(Some(gpu)),
            None => Err(refused(ordinal, CudaError::NoSuchGpu { ordinal, last })),
        }
    }
}

/// Opens a GPU and checks that it computes known networks as the processor does.
///
/// # Errors
/// Returns a usage error that describes what is missing if the GPU cannot be used.
pub(crate) fn open(ordinal: usize, precision: Precision, timing: KernelTiming) -> anyhow::Result<Rc<Driver>> {
    let mut options = DriverOptions::default();
    options.cache = cuda::kernel_cache();
    options.timing = timing;
    let open = || {
        let driver = Rc::new(Driver::open(ordinal, precision, &options)?);
        cuda::check(driver.clone(), precision)?;
        Ok(driver)
    };
    open().map_err(|error| refused(ordinal, error))
}

/// Converts an error to a usage error if the user can fix it. The failure of a GPU is not a usage error.
fn refused(ordinal: usize, error: CudaError) -> anyhow::Error {
    let option = format!("--device {}", Device::Cuda(ordinal));
    match error {
        CudaError::NoDriver
        | CudaError::OldDriver { .. }
        | CudaError::NoGpu
        | CudaError::NoSuchGpu { .. }
        | CudaError::OldGpu { .. }
        | CudaError::NoCompiler
        | CudaError::NewerCompiler { .. }
        | CudaError::UnknownGpu { .. } => usage(format!("{option}: {error}")),
        _ => anyhow::Error::new(error).context(option),
    }
}

impl OnDevice {
    pub(crate) fn executor(&mut self) -> &mut dyn Executor {
        match self {
            Self::Cpu(engine) => engine,
            Self::Cuda(engine, _) => engine,
        }
    }

    /// The driver of a GPU. `None` on the processor.
    pub(crate) fn driver(&self) -> Option<Rc<Driver>> {
        match self {
            Self::Cpu(_) => None,
            Self::Cuda(_, driver) => Some(Rc::clone(driver)),
        }
    }

    /// Returns the bytes of device memory for activations and gradients.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Cpu(engine) => engine.memory_bytes(),
            Self::Cuda(engine, _) => engine.memory_bytes(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::process::ExitCode;

    use super::*;
    use xtask::usage::exit_code;

    #[test]
    fn devices_have_names() {
        for name in ["cpu", "cuda:0", "cuda:7"] {
            assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
        }
        for name in ["auto", "cuda", "cuda:x", "gpu"] {
            assert!(name.parse::<Device>().unwrap_err().contains("cuda:N"), "{name}");
        }
    }

    /// Without a driver, every way to open a GPU returns a usage error that names the driver.
    #[test]
    fn a_device_that_is_not_there_says_what_is_missing() {
        let Err(missing) = cuda::gpus() else { return };
        let device = Device::Cuda(0);
        let engine = device.engine(WeightLayout::new(), vec![], Default::default(), KernelTiming::Off);
        let errors = [
            engine.err().unwrap(),
            device.gpu().unwrap_err(),
            open(0, Precision::F32, KernelTiming::Events).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(format!("{error:#}"), format!("--device cuda:0: {missing}"));
            assert_eq!(exit_code(&error), ExitCode::from(2), "{error}");
        }
    }

    #[test]
    fn a_gpu_that_fails_is_not_the_users_mistake() {
        let failed = CudaError::Differs { device: "a GPU".to_owned(), what: "logits", off: 0.5 };
        let error = refused(3, failed);
        assert!(format!("{error:#}").starts_with("--device cuda:3: a GPU deviates"), "{error:#}");
        assert_eq!(exit_code(&error), ExitCode::from(1), "{error}");
    }
}
