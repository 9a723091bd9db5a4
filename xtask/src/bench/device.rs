use std::fmt;
use std::rc::Rc;
use std::str::FromStr;

use anyhow::Context;
use pada_engine::Engine;
use pada_engine::cuda::{self, CudaEngine, Driver, DriverOptions};
use pada_graph::{Executor, Precision, WeightLayout};

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Device {
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number.
    Cuda(usize),
}

/// The engine on a device.
pub(crate) enum OnDevice {
    Cpu(Engine),
    Cuda(CudaEngine),
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
    /// The engine on it. Kernels of a GPU are compiled anew, and compute known networks first.
    pub(crate) fn engine(
        self,
        layout: WeightLayout,
        weights: Vec<f32>,
        precision: Precision,
    ) -> anyhow::Result<OnDevice> {
        Ok(match self {
            Self::Cpu => OnDevice::Cpu(Engine::new(layout, weights, precision)),
            Self::Cuda(ordinal) => {
                let engine = || {
                    let driver = Rc::new(Driver::open(ordinal, precision, &DriverOptions::default())?);
                    cuda::check(driver.clone(), precision)?;
                    CudaEngine::with_device(driver, layout, &weights, precision)
                };
                OnDevice::Cuda(engine().with_context(|| format!("--device {self}"))?)
            }
        })
    }
}

impl OnDevice {
    pub(crate) fn executor(&mut self) -> &mut dyn Executor {
        match self {
            Self::Cpu(engine) => engine,
            Self::Cuda(engine) => engine,
        }
    }

    /// Bytes for what passes compute, in the memory of the device.
    pub(crate) fn memory_bytes(&self) -> usize {
        match self {
            Self::Cpu(engine) => engine.memory_bytes(),
            Self::Cuda(engine) => engine.memory_bytes(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names() {
        for name in ["cpu", "cuda:0", "cuda:7"] {
            assert_eq!(name.parse::<Device>().unwrap().to_string(), name);
        }
        for name in ["auto", "cuda", "cuda:x", "gpu"] {
            assert!(name.parse::<Device>().unwrap_err().contains("cuda:N"), "{name}");
        }
    }

    /// Where there is no driver, it is the driver's absence that is said.
    #[test]
    fn a_device_that_is_not_there_says_what_is_missing() {
        let Err(missing) = cuda::gpus() else { return };
        let engine = Device::Cuda(0).engine(WeightLayout::new(), vec![], Precision::F32);
        let error = format!("{:#}", engine.err().unwrap());
        assert!(error.contains("--device cuda:0") && error.contains(&missing.to_string()), "{error}");
    }
}
