//! The description of the machine in a record, and the check that the machine is idle. It contains neither host names nor paths.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use xtask::git;

/// Linux's key of the peak resident memory of a process.
pub(crate) const PEAK: &str = "VmHWM:";
/// Linux's key of the resident memory of a process.
pub(crate) const RESIDENT: &str = "VmRSS:";

/// Instruction-set flags that the engine or PyTorch may use.
const FLAGS: [&str; 11] = [
    "avx2",
    "fma",
    "avx512f",
    "avx512vl",
    "avx512bw",
    "avx512dq",
    "avx512_bf16",
    "avx512_vnni",
    "avx_vnni",
    "amx_bf16",
    "amx_tile",
];
/// Duration of the check that the machine is idle.
const WATCH: Duration = Duration::from_secs(3);
/// Largest number of cores in use on an idle machine.
pub(crate) const BUSY: f64 = 0.5;

/// Returns a number of bytes from `/proc/self/status`, or `None` on other systems than Linux.
pub(crate) fn memory(key: &str) -> Option<u64> {
    memory_in("/proc/self/status", key)
}

/// Returns a number of bytes from the status of another process, see [`memory`].
pub(crate) fn memory_of(process: u32, key: &str) -> Option<u64> {
    memory_in(&format!("/proc/{process}/status"), key)
}

fn memory_in(file: &str, key: &str) -> Option<u64> {
    let kilobytes = line(file, key)?;
    kilobytes.strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Describes the hardware and software that timings depend on.
pub(crate) fn describe() -> Value {
    let cpu = |key| line("/proc/cpuinfo", key).map(|text| text.trim_start_matches([':', ' ']).to_owned());
    let has = cpu("flags\t").unwrap_or_default();
    let flags: Vec<_> = FLAGS.into_iter().filter(|flag| has.split(' ').any(|f| f == *flag)).collect();
    let os = line("/etc/os-release", "PRETTY_NAME=").map(|name| name.trim_matches('"').to_owned());
    let gib = line("/proc/meminfo", "MemTotal:")
        .and_then(|text| text.strip_suffix("kB")?.trim().parse::<f64>().ok())
        .map(|kb| (kb / 1024.0 / 1024.0).round());
    json!({
        "cpu": cpu("model name\t"),
        "cores": std::thread::available_parallelism().ok().map(usize::from),
        "flags": flags,
        "memory_gib": gib,
        "os": os.unwrap_or_else(|| std::env::consts::OS.to_owned()),
        "rustc": git::output("rustc", &["--version"]),
        "commit": git::commit(),
    })
}

/// The load of the machine while this program waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    /// Load average over the last minute, which includes this program.
    pub(crate) load: Option<f64>,
    /// Cores in use.
    pub(crate) busy: Option<f64>,
}

impl Quiet {
    /// Measures the load for a few seconds.
    pub(crate) fn watch() -> Self {
        let load = read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok());
        let before = ticks();
        std::thread::sleep(WATCH);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let busy = before.zip(ticks()).map(|(before, after)| {
            let (used, all) = (after.0 - before.0, after.1 - before.1);
            used / all.max(1.0) * cores as f64
        });
        Self { load, busy }
    }

    /// Reads the output of [`Quiet::to_json`].
    pub(crate) fn from_json(json: &serde_json::Value) -> Self {
        Self { load: json["load_average"].as_f64(), busy: json["busy_cores"].as_f64() }
    }

    /// Returns `true` if at most [`BUSY`] cores are in use. It returns `false` if the load is unknown.
    pub(crate) fn holds(&self) -> bool {
        self.busy.is_some_and(|cores| cores <= BUSY)
    }

    pub(crate) fn to_json(self) -> Value {
        json!({ "load_average": self.load, "busy_cores": self.busy })
    }
}

/// Returns the clock ticks of all cores since boot: used ticks, which include stolen ticks, and all ticks.
fn ticks() -> Option<(f64, f64)> {
    let text = line("/proc/stat", "cpu ")?;
    let ticks: Vec<f64> = text.split_whitespace().take(8).filter_map(|t| t.parse().ok()).collect();
    // user, nice, system, idle, waiting for a disk, interrupts (2), stolen
    let &[_, _, _, idle, waiting, _, _, _] = &ticks[..] else { return None };
    let all = ticks.iter().sum::<f64>();
    Some((all - idle - waiting, all))
}

/// Returns the rest of the first line that starts with `key`.
fn line(file: &str, key: &str) -> Option<String> {
    let text = read(file)?;
    text.lines().find_map(|line| line.strip_prefix(key)).map(|rest| rest.trim().to_owned())
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(file).ok()
}

/// Returns today's date in UTC, as `2026-01-31`.
pub(crate) fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    date(seconds / (24 * 60 * 60))
}

/// The date so many days after 1970-01-01.
fn date(days: u64) -> String {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut day) = (1970, days);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_leap_days() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(19_782), "2024-02-29");
        assert_eq!(date(19_783), "2024-03-01");
        assert_eq!(date(20_453), "2025-12-31");
    }
}
