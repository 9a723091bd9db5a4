use std::collections::BTreeMap;
use std::path::Path;

use pada_space::NasBenchMacro;

use crate::table::{EveryArch, Rows, read_file};
use crate::{BenchmarkTable, Download, NasBenchError};

/// The table's file, in the folder `nas_bench_macro` of the data folder.
pub const MACRO_FILE: &str = "nas_bench_macro_cifar10.csv";

/// SHA-256 of the file.
pub const MACRO_SHA256: &str = "832221a05273cb516e7b64bf288240c6f3f387dc0befa000784f3f6126201c6a";

/// The largest distance of a printed mean from the mean of the printed runs: six digits are written.
const ROUNDING: f64 = 1e-5;

/// NAS-Bench-Macro: CIFAR-10 test accuracy of all 6,561 networks, percent, each trained three times; weights.
///
/// # Source
/// Su et al., CVPR 2021; <https://github.com/xiusu/NAS-Bench-Macro>.
#[derive(Clone, Debug)]
pub struct MacroTable {
    truth: BenchmarkTable,
    params: Vec<f64>,
}

impl MacroTable {
    /// Reads and checks the table.
    ///
    /// # Errors
    /// [`NasBenchError`]: every architecture must have exactly one row, every cell a number, and every mean must be that of its runs.
    pub fn load(path: &Path) -> Result<Self, NasBenchError> {
        let csv = read_file(path, Download::NasBenchMacro)?;
        let mut rows = Rows::new(path, &csv)?;
        let arch = rows.column("arch")?;
        let numbers = ["acc1", "acc2", "acc3", "mean_acc", "params"].map(|name| rows.column(name));
        let [a, b, c, mean, params] = numbers;
        let (runs, mean, params) = ([a?, b?, c?], mean?, params?);
        let mut seen = EveryArch::new(path, Download::NasBenchMacro);
        let (mut means, mut weights, mut by_seed) = (Vec::new(), Vec::new(), BTreeMap::new());
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
            weights.push(row.number(params)?);
        }
        let archs = seen.all_of(&NasBenchMacro)?;
        let truth = BenchmarkTable::new("nas-bench-macro", archs, means).with_seeds(by_seed);
        Ok(Self { truth, params: weights })
    }

    /// The accuracies: means of three runs.
    pub fn truth(&self) -> &BenchmarkTable {
        &self.truth
    }

    /// Weights of each network, in the order of the architectures.
    pub fn params(&self) -> &[f64] {
        &self.params
    }
}
