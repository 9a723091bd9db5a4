use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use pada_space::{Arch, Nb201};

use crate::table::{EveryArch, Rows, read_file};
use crate::{BenchmarkTable, Download, NasBenchError};

/// The name of the table's file. It is stored in the folder `nasbench201` of the data folder.
pub const NB201_FILE: &str = "nasbench201.csv";

/// The SHA-256 checksum of the file.
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

/// A data set on which the networks of NAS-Bench-201 were trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Nb201Dataset {
    /// CIFAR-10: trained on all 50,000 training images, tested on all 10,000 test images.
    Cifar10,
    /// CIFAR-100: trained on all training images, tested on one half of the test images.
    Cifar100,
    /// ImageNet16-120, images of 16×16 pixels in 120 classes: tested on one half of the validation images.
    Imagenet16,
}

impl Nb201Dataset {
    /// Returns the name of the data set: `cifar10`, `cifar100` or `imagenet16-120`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Imagenet16 => "imagenet16-120",
        }
    }

    /// Returns what the names of the data set's columns start with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Imagenet16 => "imagenet16",
        }
    }

    /// Returns the data set of a column. Parameters and FLOPs are those of the networks for CIFAR-10.
    fn of_column(column: &str) -> Self {
        let is_of = |dataset: &Self| column.split('_').next() == Some(dataset.prefix());
        [Self::Cifar100, Self::Imagenet16].into_iter().find(is_of).unwrap_or(Self::Cifar10)
    }
}

impl fmt::Display for Nb201Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The length of a training run in NAS-Bench-201. Both have their own learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Nb201Epochs {
    /// 12 epochs: a cheap estimate of the accuracy after 200 epochs.
    Epochs12,
    /// 200 epochs: the accuracy that rankings are compared with.
    Epochs200,
}

/// NAS-Bench-201: accuracies of all 15,625 cells on three data sets after 12 and after 200 epochs, in percent, with the number
/// of parameters and MFLOPs.
///
/// # Source
/// Dong & Yang, *NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search*, ICLR 2020.
#[derive(Clone, Debug)]
pub struct Nb201Table {
    archs: Vec<Arch>,
    columns: HashMap<&'static str, Vec<f64>>,
}

impl Nb201Table {
    /// Reads and checks the table: every architecture must have exactly one row, the same one in both text forms, and every
    /// cell must be a number.
    ///
    /// # Errors
    /// Returns [`NasBenchError::Missing`] if the file does not exist, and other errors of [`NasBenchError`], with the line,
    /// if it is damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NasBenchError> {
        let path = path.as_ref();
        let csv = read_file(path, Download::Nb201)?;
        let space = Nb201::new();
        let mut rows = Rows::new(path, &csv)?;
        let (digits, string) = (rows.column(DIGITS)?, rows.column(STRING)?);
        let columns = NUMBERS.iter().map(|name| rows.column(name)).collect::<Result<Vec<_>, _>>()?;
        let mut numbers = vec![Vec::new(); columns.len()];
        let mut seen = EveryArch::of_lines(path, Download::Nb201);
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

    /// Returns all architectures in the benchmark's official order, `[A]` with A = 15,625.
    pub fn archs(&self) -> &[Arch] {
        &self.archs
    }

    /// Returns the names of all columns of numbers.
    pub fn column_names() -> &'static [&'static str] {
        &NUMBERS
    }

    /// Returns a column, `[A]`, in the order of [`Nb201Table::archs`]: an accuracy in percent, the number of parameters, or
    /// millions of multiply-accumulate operations (`mflops_cifar10`).
    ///
    /// # Errors
    /// Returns [`NasBenchError::UnknownColumn`] with the valid names.
    pub fn column(&self, name: &str) -> Result<&[f64], NasBenchError> {
        let unknown = || NasBenchError::UnknownColumn { column: name.to_owned(), valid: &NUMBERS };
        self.columns.get(name).map(Vec::as_slice).ok_or_else(unknown)
    }

    /// Returns the test accuracies of all architectures on a data set, in percent.
    pub fn test_accuracy(&self, dataset: Nb201Dataset, epochs: Nb201Epochs) -> BenchmarkTable {
        let epochs = match epochs {
            Nb201Epochs::Epochs12 => 12,
            Nb201Epochs::Epochs200 => 200,
        };
        self.table(&format!("{}_test_{epochs}", dataset.prefix()))
            .expect("every data set has both columns, and rows are checked when they are read")
    }

    /// Returns a column as a table with the name `nb201 COLUMN`.
    ///
    /// # Errors
    /// Returns [`NasBenchError::UnknownColumn`] with the valid names.
    pub fn table(&self, column: &str) -> Result<BenchmarkTable, NasBenchError> {
        let accuracies = self.column(column)?.to_vec();
        let table = BenchmarkTable::new(format!("nb201 {column}"), self.archs.clone(), accuracies)?;
        Ok(table.with_dataset(Nb201Dataset::of_column(column).as_str()))
    }
}
