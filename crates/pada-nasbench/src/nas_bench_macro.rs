use std::collections::BTreeMap;
use std::path::Path;

use pada_space::NasBenchMacro;

use crate::table::{EveryArch, Rows, read_file};
use crate::{BenchmarkTable, Download, NasBenchError};

/// The name of the table's file. It is stored in the folder `nas_bench_macro` of the data folder.
pub const MACRO_FILE: &str = "nas_bench_macro_cifar10.csv";

/// The SHA-256 checksum of the file.
pub const MACRO_SHA256: &str = "832221a05273cb516e7b64bf288240c6f3f387dc0befa000784f3f6126201c6a";

/// The largest difference between a mean in the file and the mean of its runs: the file has six digits.
const ROUNDING: f64 = 1e-5;

/// NAS-Bench-Macro: CIFAR-10 test accuracies of all 6,561 networks in percent, each trained three times, with the number of
/// parameters.
///
/// # Source
/// Su et al., *Prioritized Architecture Sampling with Monto-Carlo Tree Search*, CVPR 2021;
/// <https://github.com/xiusu/NAS-Bench-Macro>.
#[derive(Clone, Debug)]
pub struct MacroTable {
    table: BenchmarkTable,
    params: Vec<f64>,
}

impl MacroTable {
    /// Reads and checks the table: every architecture must have exactly one row, every cell must be a number, and every mean
    /// must be the mean of its training runs.
    ///
    /// # Errors
    /// Returns [`NasBenchError::Missing`] if the file does not exist, and other errors of [`NasBenchError`], with the line,
    /// if it is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NasBenchError> {
        let path = path.as_ref();
        let csv = read_file(path, Download::NasBenchMacro)?;
        let mut rows = Rows::new(path, &csv)?;
        let arch = rows.column("arch")?;
        let numbers = ["acc1", "acc2", "acc3", "mean_acc", "params"].map(|name| rows.column(name));
        let [a, b, c, mean, params] = numbers;
        let (runs, mean, params) = ([a?, b?, c?], mean?, params?);
        let mut seen = EveryArch::of_lines(path, Download::NasBenchMacro);
        let (mut means, mut sizes, mut by_seed) = (Vec::new(), Vec::new(), BTreeMap::new());
        while let Some(row) = rows.next_row()? {
            seen.add(row.arch(arch, &NasBenchMacro)?, row.line)?;
            let mut sum = 0.0;
            for (seed, column) in (0..).zip(runs) {
                let accuracy = row.number(column)?;
                sum += accuracy;
                by_seed.entry(seed).or_insert_with(Vec::new).push(Some(accuracy));
            }
            let (written, found) = (row.number(mean)?, sum / runs.len() as f64);
            if (written - found).abs() > ROUNDING {
                return Err(NasBenchError::WrongMean { path: path.into(), line: row.line, written, found });
            }
            means.push(written);
            sizes.push(row.number(params)?);
        }
        let archs = seen.all_of(&NasBenchMacro)?;
        let table = BenchmarkTable::new("nas-bench-macro", archs, means)?;
        Ok(Self { table: table.with_dataset("cifar10").with_seeds(by_seed), params: sizes })
    }

    /// Returns the accuracies in percent: the mean of three training runs, and each run as a seed.
    pub fn table(&self) -> &BenchmarkTable {
        &self.table
    }

    /// Returns the number of parameters of each network, `[A]`, in the order of the architectures.
    pub fn params(&self) -> &[f64] {
        &self.params
    }
}
