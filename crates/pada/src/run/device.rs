use std::rc::Rc;

use pada_engine::cuda::{self, CudaEngine, CudaError, Driver, DriverOptions};
use pada_exec::{Executor, Precision};
use pada_graph::WeightLayout;

use crate::error::PadaError;

/// The device that computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The CPU, with all threads of the global thread pool.
    #[default]
    Cpu,
    /// The NVIDIA GPU with this index.
    Cuda(usize),
}

/// A chosen device, with the reason why it is not a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The device.
    pub device: Device,
    /// The reason why no GPU is used, if `auto` was requested and no GPU can be used.
    pub why_no_gpu: Option<String>,
    /// The result of the search for an NVIDIA driver, if `auto` was requested. Without a driver, a user who asked for nothing expects the CPU.
    pub driver: DriverState,
}

/// The result of the search for an NVIDIA driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverState {
    /// The driver was found, or was not looked for.
    #[default]
    FoundOrUnknown,
    /// There is no driver.
    Missing,
}

impl Device {
    /// Chooses a device by name: `auto` (the first GPU if it can be used, otherwise the CPU), `cpu` or `cuda:N`. A GPU can be used if driver
    /// and compiler are installed and if it computes known networks with the same results as the CPU ([`cuda::check`]).
    ///
    /// # Errors
    /// Returns [`PadaError::Device`] if the name is unknown or the GPU cannot be used.
    pub fn choose(name: &str) -> Result<Choice, PadaError> {
        let numbered = || name.strip_prefix("cuda:")?.parse::<usize>().ok();
        let chosen = |device| Ok(Choice { device, why_no_gpu: None, driver: DriverState::default() });
        match (name, numbered()) {
            ("cpu", _) => chosen(Self::Cpu),
            ("auto", _) => match open(0, Precision::F32) {
                Ok(_) => chosen(Self::Cuda(0)),
                Err(error) => {
                    let driver = match error {
                        CudaError::NoDriver => DriverState::Missing,
                        _ => DriverState::FoundOrUnknown,
                    };
                    Ok(Choice { device: Self::Cpu, why_no_gpu: Some(error.to_string()), driver })
                }
            },
            (_, Some(ordinal)) => match open(ordinal, Precision::F32) {
                Ok(_) => chosen(Self::Cuda(ordinal)),
                Err(error) => Err(refused(ordinal, &error)),
            },
            _ => Err(PadaError::Device {
                device: name.to_owned(),
                reason: "the device must be auto, cpu or cuda:N".to_owned(),
            }),
        }
    }
}

/// Creates the engine on a GPU.
pub(crate) fn engine(
    ordinal: usize,
    layout: WeightLayout,
    weights: &[f32],
    precision: Precision,
) -> Result<Box<dyn Executor>, PadaError> {
    engine_on(driver(ordinal, precision)?, ordinal, layout, weights, precision)
}

/// Opens a GPU for several engines.
pub(crate) fn driver(ordinal: usize, precision: Precision) -> Result<Rc<Driver>, PadaError> {
    open(ordinal, precision).map_err(|error| refused(ordinal, &error))
}

/// Creates the engine on a GPU that is open.
pub(crate) fn engine_on(
    driver: Rc<Driver>,
    ordinal: usize,
    layout: WeightLayout,
    weights: &[f32],
    precision: Precision,
) -> Result<Box<dyn Executor>, PadaError> {
    let engine = CudaEngine::with_device(driver, layout, weights, precision);
    Ok(Box::new(engine.map_err(|error| refused(ordinal, &error))?))
}

/// Opens a GPU and checks it with [`cuda::check`].
fn open(ordinal: usize, precision: Precision) -> Result<Rc<Driver>, CudaError> {
    let mut options = DriverOptions::default();
    options.cache = cuda::kernel_cache();
    let driver = Rc::new(Driver::open(ordinal, precision, &options)?);
    cuda::check(driver.clone(), precision)?;
    Ok(driver)
}

pub(crate) fn refused(ordinal: usize, error: &dyn std::error::Error) -> PadaError {
    PadaError::Device { device: format!("cuda:{ordinal}"), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use pada_graph::{Lower, Shape};

    use super::*;
    use crate::config::{ComputeConfig, ExecutorName, RunConfig};
    use crate::run::build;

    #[test]
    fn a_device_is_chosen_or_refused_with_a_reason() {
        let driver = DriverState::default();
        assert_eq!(Device::choose("cpu").unwrap(), Choice { device: Device::Cpu, why_no_gpu: None, driver });
        let chosen = Device::choose("auto").unwrap();
        assert_eq!(chosen.device == Device::Cpu, chosen.why_no_gpu.is_some_and(|reason| !reason.is_empty()));
        for name in ["cuda:977", "cuda:", "cuda:-1", "gpu", ""] {
            let error = Device::choose(name).unwrap_err();
            assert!(error.to_string().contains("--device cpu"), "{error}");
        }
    }

    /// Without a driver, the error of a GPU says that the driver is missing.
    #[test]
    fn without_a_driver_the_engine_of_a_gpu_says_so() {
        if cuda::gpus() != Err(CudaError::NoDriver) {
            return;
        }
        let error = engine(0, WeightLayout::new(), &[], Precision::F32).err().expect("there is no driver");
        assert!(error.to_string().contains("libcuda.so.1"), "{error}");
    }

    fn candle_on(device: Device) -> Result<Box<dyn Executor>, PadaError> {
        let net = pada_models::Nb201Net::new(2, 1, Shape::new(3, 8, 8), 10, pada_models::Norms::Plain);
        let weights = vec![0.0; net.weights().numel()];
        let compute = ComputeConfig { executor: ExecutorName::Candle, ..RunConfig::mini().compute };
        build::executor(compute, device, &net, weights)
    }

    #[test]
    fn candle_on_a_gpu_says_how_it_is_built() {
        if cfg!(feature = "candle-cuda") || !cfg!(feature = "candle") {
            return;
        }
        let error = candle_on(Device::Cuda(0)).err().expect("it is not built");
        let text = error.to_string();
        assert!(text.contains("device cuda:0") && text.contains("--features candle-cuda"), "{text}");
    }

    #[test]
    fn without_its_feature_candle_says_how_it_is_built() {
        if cfg!(feature = "candle") {
            return;
        }
        for device in [Device::Cpu, Device::Cuda(0)] {
            let error = candle_on(device).err().expect("it is not built");
            assert!(matches!(error, PadaError::CandleNotBuilt), "{error}");
            assert_eq!(error.kind().exit_code(), 2);
        }
    }
}
