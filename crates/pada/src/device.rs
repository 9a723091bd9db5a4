use pada_engine::cuda;

use crate::PadaError;

/// What computes. Chosen once, when a job starts, and passed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor, with all threads of the global pool.
    #[default]
    Cpu,
}

/// A device, and why it is that one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What computes.
    pub device: Device,
    /// Why no GPU computes although one was welcome.
    pub why_no_gpu: Option<String>,
}

/// Said of a GPU that is there.
const NOT_YET: &str = "this version computes on the CPU only";

impl Device {
    /// The device of a name: `auto` (the fastest that can be used), `cpu` or `cuda:N`.
    ///
    /// # Errors
    /// [`PadaError::Device`] for another name, and where that GPU cannot be used.
    pub fn choose(name: &str) -> Result<Choice, PadaError> {
        let refuse = |reason: String| Err(PadaError::Device { device: name.to_owned(), reason });
        let cpu = |why_no_gpu| Ok(Choice { device: Self::Cpu, why_no_gpu });
        match (name, name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok())) {
            ("cpu", _) => cpu(None),
            ("auto", _) => cpu(Some(why_not(0))),
            (_, Some(ordinal)) => refuse(why_not(ordinal)),
            _ => refuse("devices are called auto, cpu and cuda:N".to_owned()),
        }
    }
}

/// Why a GPU cannot be used.
fn why_not(ordinal: usize) -> String {
    match cuda::gpus() {
        Err(error) => error.to_string(),
        Ok(gpus) => match gpus.get(ordinal) {
            Some(gpu) => format!("{} is there, but {NOT_YET}", gpu.name),
            None => cuda::CudaError::NoSuchGpu { ordinal, last: gpus.len() - 1 }.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_chosen_with_a_reason_or_refused_with_one() {
        let chosen = Device::choose("cpu").unwrap();
        assert_eq!(chosen, Choice { device: Device::Cpu, why_no_gpu: None });
        let chosen = Device::choose("auto").unwrap();
        assert!(chosen.why_no_gpu.is_some_and(|reason| !reason.is_empty()));
        for name in ["cuda:0", "cuda:977", "cuda:", "cuda:-1", "gpu", ""] {
            let error = Device::choose(name).unwrap_err();
            assert!(error.to_string().contains("--device cpu"), "{error}");
        }
    }
}
