//! The time of a GPU's kernels, one row for each kernel and grid.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pada_engine::cuda;
use serde_json::{Value, json};

/// Number of rows that a table shows. The last row sums the remaining kernels.
const SHOWN: usize = 40;
const PERCENT: f64 = 100.0;

/// The time of all launches of one kernel with one grid, as the driver reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KernelTime {
    pub(super) kernel: &'static str,
    /// Blocks in x, y and z.
    pub(super) blocks: [u32; 3],
    pub(super) launches: u64,
    /// Total over all launches.
    pub(super) microseconds: f64,
}

impl From<cuda::KernelTime> for KernelTime {
    fn from(time: cuda::KernelTime) -> Self {
        let cuda::KernelTime { kernel, blocks, launches, microseconds, .. } = time;
        Self { kernel, blocks, launches, microseconds }
    }
}

/// The resources that a kernel takes, as the driver reports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KernelResources {
    pub(super) kernel: &'static str,
    /// Per thread.
    pub(super) registers: u32,
    /// Per thread: arrays and spilled registers, in device memory.
    pub(super) local_bytes: u32,
    /// Per block.
    pub(super) shared_bytes: u32,
    pub(super) blocks_per_multiprocessor: u32,
}

impl From<cuda::KernelResources> for KernelResources {
    fn from(found: cuda::KernelResources) -> Self {
        let cuda::KernelResources {
            kernel,
            registers,
            local_bytes,
            shared_bytes,
            blocks_per_multiprocessor,
            ..
        } = found;
        Self { kernel, registers, local_bytes, shared_bytes, blocks_per_multiprocessor }
    }
}

/// The times of a driver's kernels since the last call.
pub(super) fn take(driver: &cuda::Driver) -> Result<Vec<KernelTime>, cuda::CudaError> {
    Ok(driver.take_kernel_times()?.into_iter().map(KernelTime::from).collect())
}

/// The resources of a driver's kernels.
pub(super) fn resources(driver: &cuda::Driver) -> Result<Vec<KernelResources>, cuda::CudaError> {
    Ok(driver.resources()?.into_iter().map(KernelResources::from).collect())
}

/// Kernel times, summed over steps.
#[derive(Clone, Debug, Default)]
pub(super) struct KernelTimes {
    /// Launches and total microseconds of each kernel and grid.
    totals: BTreeMap<(&'static str, [u32; 3]), (u64, f64)>,
    steps: usize,
}

/// A kernel with one grid.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) kernel: &'static str,
    /// Blocks in x, y and z.
    pub(super) blocks: [u32; 3],
    pub(super) launches_per_step: f64,
    /// Mean per launch.
    pub(super) microseconds: f64,
    /// Fraction of the time of all kernels, from 0 to 1.
    pub(super) share: f64,
}

impl KernelTimes {
    /// Adds the kernels of one more step.
    pub(super) fn add_step(&mut self, times: &[KernelTime]) {
        self.steps += 1;
        for time in times {
            let (launches, microseconds) = self.totals.entry((time.kernel, time.blocks)).or_default();
            *launches += time.launches;
            *microseconds += time.microseconds;
        }
    }

    /// Returns the microseconds per step that the GPU spends in kernels.
    pub(super) fn microseconds_per_step(&self) -> f64 {
        self.totals.values().map(|(_, microseconds)| microseconds).sum::<f64>() / self.steps as f64
    }

    /// Returns all rows, sorted by decreasing time.
    pub(super) fn rows(&self) -> Vec<Row> {
        let all: f64 = self.totals.values().map(|(_, microseconds)| microseconds).sum();
        let row =
            |(&(kernel, blocks), &(launches, microseconds)): (&(&'static str, [u32; 3]), &(u64, f64))| Row {
                kernel,
                blocks,
                launches_per_step: launches as f64 / self.steps as f64,
                microseconds: microseconds / launches as f64,
                share: microseconds / all,
            };
        let mut rows: Vec<Row> = self.totals.iter().map(row).collect();
        rows.sort_by(|a, b| b.share.total_cmp(&a.share));
        rows
    }

    /// Returns the rows of the kernels that a name selects, see [`selects`].
    pub(super) fn of(&self, name: &str) -> Vec<Row> {
        self.rows().into_iter().filter(|row| selects(name, row.kernel)).collect()
    }

    /// Returns the distinct names of all launched kernels.
    pub(super) fn kernels(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.totals.keys().map(|(kernel, _)| *kernel).collect();
        names.dedup();
        names
    }

    /// Formats a table for the terminal.
    pub(super) fn table(&self) -> String {
        let rows = self.rows();
        let mut out = format!(
            "{:24} {:>16} {:>13} {:>10} {:>7}\n",
            "kernel", "blocks", "launches/step", "µs/launch", "share"
        );
        for row in rows.iter().take(SHOWN) {
            let [x, y, z] = row.blocks;
            let _ = writeln!(
                out,
                "{:24} {:>16} {:13.1} {:10.1} {:5.1} %",
                row.kernel,
                format!("{x}×{y}×{z}"),
                row.launches_per_step,
                row.microseconds,
                PERCENT * row.share
            );
        }
        let rest = rows.get(SHOWN..).unwrap_or_default();
        if !rest.is_empty() {
            let launches: f64 = rest.iter().map(|row| row.launches_per_step).sum();
            let share: f64 = rest.iter().map(|row| row.share).sum();
            let name = format!("{} more rows", rest.len());
            let _ =
                writeln!(out, "{name:24} {:>16} {launches:13.1} {:>10} {:5.1} %", "", "", PERCENT * share);
        }
        out
    }

    /// Returns all rows for `--json`.
    pub(super) fn to_json(&self) -> Value {
        let row = |row: Row| {
            json!({
                "kernel": row.kernel,
                "blocks": row.blocks,
                "launches_per_step": row.launches_per_step,
                "microseconds": row.microseconds,
                "share": row.share,
            })
        };
        self.rows().into_iter().map(row).collect()
    }
}

/// Returns `true` if a name selects a kernel: its own name, or the name of its family, to which kernels append `_` and a width in columns.
/// `dense_forward` selects `dense_forward_16`, but neither `dense_forward_fused` nor `add_dense_forward`.
pub(super) fn selects(name: &str, kernel: &str) -> bool {
    let Some(rest) = kernel.strip_prefix(name) else { return false };
    let width = rest.strip_prefix('_').unwrap_or("x");
    rest.is_empty() || (!width.is_empty() && width.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The resources of some kernels, for the terminal.
pub(super) fn resources_table(resources: &[KernelResources], kernels: &[&str]) -> String {
    let mut out = format!(
        "{:24} {:>9} {:>12} {:>13} {:>21}\n",
        "kernel", "registers", "local, bytes", "shared, bytes", "blocks/multiprocessor"
    );
    for found in resources.iter().filter(|found| kernels.contains(&found.kernel)) {
        let _ = writeln!(
            out,
            "{:24} {:9} {:12} {:13} {:21}",
            found.kernel,
            found.registers,
            found.local_bytes,
            found.shared_bytes,
            found.blocks_per_multiprocessor
        );
    }
    out
}

/// The resources of some kernels, for `--json`.
pub(super) fn resources_json(resources: &[KernelResources], kernels: &[&str]) -> Value {
    let one = |found: &KernelResources| {
        json!({
            "kernel": found.kernel,
            "registers": found.registers,
            "local_bytes": found.local_bytes,
            "shared_bytes": found.shared_bytes,
            "blocks_per_multiprocessor": found.blocks_per_multiprocessor,
        })
    };
    resources.iter().filter(|found| kernels.contains(&found.kernel)).map(one).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn time(kernel: &'static str, blocks: [u32; 3], launches: u64, total: f64) -> KernelTime {
        KernelTime { kernel, blocks, launches, microseconds: total }
    }

    fn two_steps() -> KernelTimes {
        let mut times = KernelTimes::default();
        times.add_step(&[
            time("finalize_stats", [2, 1, 1], 3, 150.0),
            time("dense_forward_16", [4096, 1, 1], 2, 250.0),
            time("dense_forward_16", [1024, 1, 1], 1, 40.0),
        ]);
        times.add_step(&[time("finalize_stats", [2, 1, 1], 1, 60.0)]);
        times
    }

    #[test]
    fn steps_are_added_and_the_costliest_row_comes_first() {
        let times = two_steps();
        let rows = times.rows();
        let first = Row {
            kernel: "dense_forward_16",
            blocks: [4096, 1, 1],
            launches_per_step: 1.0,
            microseconds: 125.0,
            share: 0.5,
        };
        assert_eq!(rows[0], first);
        assert_eq!(
            (rows[1].kernel, rows[1].launches_per_step, rows[1].microseconds),
            ("finalize_stats", 2.0, 52.5)
        );
        assert!((rows.iter().map(|row| row.share).sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(times.microseconds_per_step(), 250.0);
        assert_eq!(times.kernels(), ["dense_forward_16", "finalize_stats"]);
    }

    #[test]
    fn a_name_selects_its_kernel_and_its_family() {
        for (name, kernel) in [("finalize_stats", "finalize_stats"), ("dense_forward", "dense_forward_64")] {
            assert!(selects(name, kernel), "{name} {kernel}");
        }
        for (name, kernel) in [
            ("finalize_stats", "finalize_norm_gradient"),
            ("dense_weights", "add_dense_weights"),
            ("dense_forward", "dense_forward_"),
            ("dense_forward_1", "dense_forward_16"),
            ("average_pool", "average_pool_gradient"),
        ] {
            assert!(!selects(name, kernel), "{name} {kernel}");
        }
        let rows = two_steps().of("dense_forward");
        assert_eq!(rows.iter().map(|row| row.blocks[0]).collect::<Vec<_>>(), [4096, 1024]);
    }

    #[test]
    fn the_table_shows_every_column_and_adds_up_what_it_leaves_out() {
        let table = two_steps().table();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines.len(), 4, "{table}");
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["dense_forward_16", "4096×1×1", "1.0", "125.0", "50.0", "%"]
        );
        let mut many = KernelTimes::default();
        let grids: Vec<_> =
            (1..=45).map(|x| time("load", [x, 1, 1], 1, if x > 40 { 1.0 } else { 19.875 })).collect();
        many.add_step(&grids);
        let table = many.table();
        let last: Vec<_> = table.lines().last().unwrap_or_default().split_whitespace().collect();
        assert_eq!(last, ["5", "more", "rows", "5.0", "0.6", "%"], "{table}");
        assert_eq!(table.lines().count(), 42);
    }

    #[test]
    fn json_holds_every_row() {
        let json = two_steps().to_json();
        assert_eq!(json.as_array().map(Vec::len), Some(3));
        assert_eq!(
            json[1],
            json!({
                "kernel": "finalize_stats", "blocks": [2, 1, 1], "launches_per_step": 2.0, "microseconds": 52.5, "share": 0.42,
            })
        );
    }

    #[test]
    fn resources_are_those_of_the_kernels_that_ran() {
        let resources = ["finalize_stats", "load"].map(|kernel| KernelResources {
            kernel,
            registers: 40,
            local_bytes: 16,
            shared_bytes: 8448,
            blocks_per_multiprocessor: 6,
        });
        let table = resources_table(&resources, &["finalize_stats"]);
        let rows: Vec<Vec<_>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows, [["finalize_stats", "40", "16", "8448", "6"]]);
        let json = resources_json(&resources, &["finalize_stats"]);
        assert_eq!(json.as_array().map(Vec::len), Some(1));
        assert_eq!(json[0]["blocks_per_multiprocessor"], 6);
    }
}
