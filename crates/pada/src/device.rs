use std::str::FromStr;

use crate::PadaError;

/// What computes. Chosen once, when a job starts, and passed down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor, with all threads of the global pool.
    #[default]
    Cpu,
}

/// `auto` (the fastest device there is), `cpu` or `cuda:N`.
impl FromStr for Device {
    type Err = PadaError;

    fn from_str(text: &str) -> Result<Self, PadaError> {
        let refuse =
            |reason: &str| Err(PadaError::Device { device: text.to_owned(), reason: reason.to_owned() });
        match text {
            "auto" | "cpu" => Ok(Self::Cpu),
            _ if text.strip_prefix("cuda:").is_some_and(|n| n.parse::<u32>().is_ok()) => {
                refuse("this version computes on the CPU only")
            }
            _ => refuse("devices are called auto, cpu and cuda:N"),
        }
    }
}
