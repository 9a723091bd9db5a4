use std::path::Path;

use pada_space::{Darts, Genotype};
use serde::Deserialize;

use crate::table::{EveryArch, read_file};
use crate::{BenchmarkTable, Download, NasBenchError, RowUnit};

/// The name of the table's file. It is stored in the folder `darts_214` of the data folder.
pub const DARTS_214_FILE: &str = "darts_214.json";

/// The SHA-256 checksum of the file.
pub const DARTS_214_SHA256: &str = "b7330e2dac0db627e3ecf9acfccad3457f3afc885ca15db614f40e746e878f4b";

/// 214 random genotypes of the DARTS space, each trained once for 600 epochs on CIFAR-10: test accuracies in percent.
///
/// The table is noisy, because each genotype was trained once: the rankings by best and by last epoch of the same training
/// runs agree with a tau-b of only 0.87. The best epoch is chosen on the test images. The mean of the last ten epochs is not,
/// and it is the least noisy of the three.
///
/// # Source
/// Yang, Esperança & Carlucci, *NAS evaluation is frustratingly hard*, ICLR 2020; <https://github.com/antoyang/NAS-Benchmark>.
#[derive(Clone, Debug)]
pub struct Darts214Table {
    table: BenchmarkTable,
    best: Vec<f64>,
    last: Vec<f64>,
}

#[derive(Deserialize)]
struct Training {
    #[serde(flatten)]
    genotype: serde_json::Value,
    best_test_acc: f64,
    final_test_acc: f64,
    last10_mean_test_acc: f64,
}

impl Darts214Table {
    /// Reads and checks the table: every entry must be a genotype of the space, and no genotype may occur twice.
    ///
    /// # Errors
    /// Returns [`NasBenchError::Missing`] if the file does not exist, and other errors of [`NasBenchError`], with the number
    /// of the entry, if it is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NasBenchError> {
        let path = path.as_ref();
        let json = read_file(path, Download::Darts214)?;
        let all: Vec<Training> = serde_json::from_slice(&json)
            .map_err(|source| NasBenchError::Json { path: path.into(), source })?;
        let mut seen = EveryArch::of_entries(path, Download::Darts214);
        for (entry, training) in (1..).zip(&all) {
            let arch = Genotype::parse(&training.genotype.to_string()).and_then(|g| Darts::arch(&g));
            let bad = |source| {
                let (path, unit) = (path.into(), RowUnit::Entry);
                NasBenchError::BadArch { path, line: entry, unit, source }
            };
            let arch = arch.map_err(bad)?;
            seen.add(arch, entry)?;
        }
        let archs = seen.some()?;
        let column = |of: fn(&Training) -> f64| all.iter().map(of).collect::<Vec<f64>>();
        let table = BenchmarkTable::new("darts-214", archs, column(|t| t.last10_mean_test_acc))?;
        Ok(Self {
            table: table.with_dataset("cifar10"),
            best: column(|t| t.best_test_acc),
            last: column(|t| t.final_test_acc),
        })
    }

    /// Returns the accuracies in percent: means over the last ten epochs.
    pub fn table(&self) -> &BenchmarkTable {
        &self.table
    }

    /// Returns the largest test accuracy of any epoch, `[A]`, in percent. It is too optimistic, because the epoch is chosen on
    /// the test images.
    pub fn best_epoch(&self) -> &[f64] {
        &self.best
    }

    /// Returns the test accuracy after the last epoch, `[A]`, in percent.
    pub fn last_epoch(&self) -> &[f64] {
        &self.last
    }
}
