use std::collections::HashMap;
use std::path::Path;

use pada_space::{Arch, Nb201};

use crate::table::{EveryArch, Rows, read_file};
use crate::{BenchmarkTable, Download, NasBenchError};

/// The table's file, in the folder `nasbench201` of the data folder.
pub const NB201_FILE: &str = "nasbench201.csv";

/// SHA-256 of the file.
pub const NB201_SHA256: &str = "f5fa2d101a72787ba9a96ac663e26593b04c1daf82e4ebd5ef30406f107d212d";

const DIGITS: &str = "ops";
const STRING: &str = "arch_str";
const NUMBERS: [&str; 14] = [
    "cifar10_valid_200",
    "cifar10_test_200",
    "cifar100_valid_200",
    "cifar100_test_200",
    "imagenet16_valid_200",
    "imagenet16_test_200",
    "cifar10_valid_12",
    "cifar10_test_12",
    "cifar100_valid_12",
    "cifar100_test_12",
    "imagenet16_valid_12",
    "imagenet16_test_12",
    "params_cifar10",
    "mflops_cifar10",
];

/// A data set that the networks of NAS-Bench-201 were trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nb201Data {
    /// Trained on all training images, tested on all test images.
    Cifar10,
    /// Tested on one half of the test images.
    Cifar100,
    /// ImageNet at 16×16, 120 classes; tested on one half of the validation images.
    Imagenet16,
}

impl Nb201Data {
    /// Columns of test accuracy after 200 and after 12 epochs.
    fn columns(self) -> [&'static str; 2] {
        match self {
            Self::Cifar10 => ["cifar10_test_200", "cifar10_test_12"],
            Self::Cifar100 => ["cifar100_test_200", "cifar100_test_12"],
            Self::Imagenet16 => ["imagenet16_test_200", "imagenet16_test_12"],
        }
    }
}

/// NAS-Bench-201: accuracies of all 15,625 cells after 200 and 12 epochs on three data sets, percent; weights; MFLOPs.
///
/// # Source
/// Dong & Yang, ICLR 2020.
#[derive(Clone, Debug)]
pub struct Nb201Table {
    archs: Vec<Arch>,
    columns: HashMap<&'static str, Vec<f64>>,
}

impl Nb201Table {
    /// Reads and checks the table.
    ///
    /// # Errors
    /// [`NasBenchError`]: every architecture must have exactly one row, in both text forms, and every cell a number.
    pub fn load(path: &Path) -> Result<Self, NasBenchError> {
        let csv = read_file(path, Download::Nb201)?;
        let space = Nb201::new();
        let mut rows = Rows::new(path, &csv)?;
        let (digits, string) = (rows.column(DIGITS)?, rows.column(STRING)?);
        let columns = NUMBERS.iter().map(|name| rows.column(name)).collect::<Result<Vec<_>, _>>()?;
        let mut numbers = vec![Vec::new(); columns.len()];
        let mut seen = EveryArch::new(path, Download::Nb201);
        while let Some(row) = rows.next_row()? {
            let (arch, other) = (row.arch(digits, &space)?, row.arch(string, &space)?);
            if arch != other {
                let (digits, string) = (arch.to_string(), other.to_string());
                return Err(NasBenchError::Disagree { path: path.into(), line: row.line, digits, string });
            }
            seen.add(arch, row.line)?;
            for (list, column) in numbers.iter_mut().zip(&columns) {
                list.push(row.number(*column)?);
            }
        }
        let archs = seen.all_of(&space)?;
        Ok(Self { archs, columns: NUMBERS.into_iter().zip(numbers).collect() })
    }

    /// All architectures in the benchmark's official order.
    pub fn archs(&self) -> &[Arch] {
        &self.archs
    }

    /// A column, in the order of the architectures.
    pub fn column(&self, name: &str) -> Option<&[f64]> {
        self.columns.get(name).map(Vec::as_slice)
    }

    /// Test accuracies after 200 and after 12 epochs on a data set, percent.
    pub fn tests(&self, data: Nb201Data) -> [BenchmarkTable; 2] {
        data.columns().map(|column| self.truth(column).expect("a table that was read has every column"))
    }

    /// A column as a table of accuracies.
    pub fn truth(&self, column: &str) -> Option<BenchmarkTable> {
        let accuracy = self.column(column)?.to_vec();
        Some(BenchmarkTable::new(&format!("nb201 {column}"), self.archs.clone(), accuracy))
    }
}
