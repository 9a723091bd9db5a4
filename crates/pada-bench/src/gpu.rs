//! The description of a GPU in a record: card, driver and compiler.

use std::process::Command;

use pada_engine::cuda::{self, Gpu};
use serde_json::{Value, json};

const GIB: f64 = (1_u64 << 30) as f64;

/// Describes a GPU with its driver and compiler.
///
/// The version of the driver is the one that `nvidia-smi` prints, and null where that program is missing. The version of NVRTC is null
/// where NVRTC is missing, and all kernels come from the kernel cache.
pub(crate) fn describe(gpu: &Gpu) -> Value {
    json!({
        "name": gpu.name,
        "compute_capability": gpu.capability.to_string(),
        "memory_gib": (gpu.memory as f64 / GIB).round() as u64,
        "driver": driver(),
        "nvrtc": cuda::compiler().ok().map(|version| version.to_string()),
    })
}

/// A line about the card, for reading.
pub(crate) fn card(gpu: &Value) -> String {
    let capability = text(&gpu["compute_capability"]);
    format!("{}, compute capability {capability}, {} GiB", text(&gpu["name"]), gpu["memory_gib"])
}

/// A line about the software, for reading.
pub(crate) fn software(gpu: &Value) -> String {
    format!("NVIDIA driver {}, NVRTC {}", text(&gpu["driver"]), text(&gpu["nvrtc"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("not found")
}

/// All GPUs of a machine have one driver.
fn driver() -> Option<String> {
    let query = ["--query-gpu=driver_version", "--format=csv,noheader"];
    let output = Command::new("nvidia-smi").args(query).output().ok()?;
    output.status.success().then(|| version(&String::from_utf8_lossy(&output.stdout)))?
}

/// The version in the first line that `nvidia-smi` prints.
fn version(printed: &str) -> Option<String> {
    let first = printed.lines().next()?.trim();
    first.starts_with(|c: char| c.is_ascii_digit()).then(|| first.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_the_first_line_that_is_a_version() {
        assert_eq!(version("580.95.05\n580.95.05\n"), Some("580.95.05".to_owned()));
        assert_eq!(version("NVIDIA-SMI has failed\n"), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn a_card_is_described_even_where_tools_are_missing() {
        let capability = cuda::Version { major: 9, minor: 0 };
        let gpu = Gpu { ordinal: 0, name: "NVIDIA H100 80GB HBM3".to_owned(), capability, memory: 85 << 30 };
        let found = describe(&gpu);
        assert_eq!(card(&found), "NVIDIA H100 80GB HBM3, compute capability 9.0, 85 GiB");
        let without_tools = json!({ "name": "a GPU", "driver": null, "nvrtc": "13.2" });
        assert_eq!(software(&without_tools), "NVIDIA driver not found, NVRTC 13.2");
    }
}
