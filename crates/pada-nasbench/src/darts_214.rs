use std::path::Path;

use pada_space::{Darts, Genotype};
use serde::Deserialize;

use crate::table::{EveryArch, read_file};
use crate::{BenchmarkTable, Download, NasBenchError};

/// The table's file, in the folder `darts_214` of the data folder.
pub const DARTS_214_FILE: &str = "darts_214.json";

/// SHA-256 of the file.
pub const DARTS_214_SHA256: &str = "b7330e2dac0db627e3ecf9acfccad3457f3afc885ca15db614f40e746e878f4b";

/// 214 random genotypes of the DARTS space, each trained once for 600 epochs on CIFAR-10: test accuracies, percent.
///
/// One training says little: by their best and by their final epoch the same trainings agree with tau-b .87 only. The best epoch is
/// chosen on the test images; the mean of the last ten is not, and it is the least noisy of the three.
///
/// # Source
/// Yang, Esperança & Carlucci, *NAS evaluation is frustratingly hard*, ICLR 2020; <https://github.com/antoyang/NAS-Benchmark>.
#[derive(Clone, Debug)]
pub struct Darts214Table {
    truth: BenchmarkTable,
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
    /// Reads and checks the table.
    ///
    /// # Errors
    /// [`NasBenchError`]: an entry that is no genotype of the space, one that comes twice, or none at all.
    pub fn load(path: &Path) -> Result<Self, NasBenchError> {
        let json = read_file(path, Download::Darts214)?;
        let all: Vec<Training> = serde_json::from_slice(&json)
            .map_err(|source| NasBenchError::Json { path: path.into(), source })?;
        let mut seen = EveryArch::new(path, Download::Darts214);
        for (entry, training) in (1..).zip(&all) {
            let arch = Genotype::parse(&training.genotype.to_string()).and_then(|g| Darts::arch(&g));
            let arch =
                arch.map_err(|source| NasBenchError::BadArch { path: path.into(), line: entry, source })?;
            seen.add(arch, entry)?;
        }
        let archs = seen.some()?;
        let column = |of: fn(&Training) -> f64| all.iter().map(of).collect::<Vec<f64>>();
        Ok(Self {
            truth: BenchmarkTable::new("darts-214", archs, column(|t| t.last10_mean_test_acc)),
            best: column(|t| t.best_test_acc),
            last: column(|t| t.final_test_acc),
        })
    }

    /// The accuracies: means over the last ten epochs.
    pub fn truth(&self) -> &BenchmarkTable {
        &self.truth
    }

    /// The largest accuracy of any epoch, in the order of the architectures: too large, it is chosen on the test images.
    pub fn best_epoch(&self) -> &[f64] {
        &self.best
    }

    /// The accuracy after the last epoch, likewise.
    pub fn last_epoch(&self) -> &[f64] {
        &self.last
    }
}
