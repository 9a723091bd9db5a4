use std::fmt;
use std::path::{Path, PathBuf};

use pada_space::SpaceError;
use thiserror::Error;

use crate::name::did_you_mean;
use crate::{DARTS_214_FILE, DARTS_1000_FILE, MACRO_FILE, NB201_FILE};

/// A table that `pada download` fetches into the data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Download {
    /// NAS-Bench-201.
    Nb201,
    /// NAS-Bench-Macro.
    NasBenchMacro,
    /// 214 trained genotypes of the DARTS space.
    Darts214,
    /// 1,000 trained genotypes with the operations of DARTS.
    Darts1000,
}

impl Download {
    /// Returns the table's folder inside the data folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Nb201 => "nasbench201",
            Self::NasBenchMacro => "nas_bench_macro",
            Self::Darts214 => "darts_214",
            Self::Darts1000 => "darts_1000",
        }
    }

    /// Returns the name of the table's file in that folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Nb201 => NB201_FILE,
            Self::NasBenchMacro => MACRO_FILE,
            Self::Darts214 => DARTS_214_FILE,
            Self::Darts1000 => DARTS_1000_FILE,
        }
    }

    /// Returns the command that fetches the table.
    pub fn command(self) -> String {
        // The file of this table is not published at a fixed address.
        let from = if self == Self::Darts214 { " --from DIR" } else { "" };
        format!("pada download {self}{from}")
    }

    /// Returns the path of the table's file in a data folder.
    pub fn path(self, data_dir: impl AsRef<Path>) -> PathBuf {
        data_dir.as_ref().join(self.folder()).join(self.file())
    }
}

/// Writes the name that the command uses, such as `nas-bench-macro`.
impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nb201 => "nb201",
            Self::NasBenchMacro => "nas-bench-macro",
            Self::Darts214 => "darts-214",
            Self::Darts1000 => "darts-1000",
        })
    }
}

/// The unit in which an error counts the rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowUnit {
    /// Lines of a text file, from 1, as editors count them.
    Line,
    /// Entries of a JSON list, from 1.
    Entry,
}

impl fmt::Display for RowUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::Entry => "entry",
        })
    }
}

/// The reason why a table cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NasBenchError {
    /// The file of a downloadable table does not exist.
    #[error(
        "{path} does not exist; run `{}`, or set PADA_DATA to the folder that contains {}/",
        .download.command(), .download.folder()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The table.
        download: Download,
    },
    /// The operating system cannot read the file.
    #[error("{path} cannot be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not the expected JSON.
    #[error("{path} is not a JSON list of trained genotypes: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The error of the JSON reader, with line and column.
        source: serde_json::Error,
    },
    /// The file is not valid CSV.
    #[error("{path}, line {line}: {reason}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The reason.
        reason: String,
    },
    /// The mean accuracy of a row is not the mean of the row's training runs.
    #[error("{path}, line {line}: mean_acc is {written}, but the mean of acc1, acc2 and acc3 is {found}")]
    WrongMean {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The mean in the file, percent.
        written: f64,
        /// The mean of the runs, percent.
        found: f64,
    },
    /// The header of a file lacks a column.
    #[error("{path} has no column {column}; its header has the columns {found}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The missing column.
        column: String,
        /// The columns of the header.
        found: String,
    },
    /// A table has no column of this name.
    #[error(
        "NAS-Bench-201 has no column {column:?}{} Its columns are {}",
        did_you_mean(column, .valid), .valid.join(", ")
    )]
    UnknownColumn {
        /// The name.
        column: String,
        /// The valid names.
        valid: &'static [&'static str],
    },
    /// No table has this name.
    #[error("there is no table {name:?}{} The tables are {}", did_you_mean(name, .valid), .valid.join(", "))]
    UnknownTable {
        /// The name.
        name: String,
        /// The valid names.
        valid: &'static [&'static str],
    },
    /// A cell of the file is not a finite number.
    #[error("{path}, line {line}: {column} is {text:?}, but it must be a finite number")]
    BadNumber {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The text of the cell.
        text: String,
    },
    /// The seed of a row is not a whole number.
    #[error("{path}, line {line}: seed is {text:?}, but it must be a whole number that is not negative")]
    BadSeed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The text of the cell.
        text: String,
    },
    /// A row is not an architecture of the search space.
    #[error("{path}, {unit} {line}: {source}")]
    BadArch {
        /// The file.
        path: PathBuf,
        /// The line or entry, from 1.
        line: u64,
        /// The unit of `line`.
        unit: RowUnit,
        /// The reason.
        source: SpaceError,
    },
    /// The two text forms of a row name different architectures.
    #[error("{path}, line {line}: ops {digits} and arch_str {string} are different architectures")]
    Disagree {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The architecture of the column `ops`.
        digits: String,
        /// The architecture of the column `arch_str`, in digits.
        string: String,
    },
    /// An architecture, or an architecture with a seed, has two rows.
    #[error("{path}, {unit} {line}: {arch} is already in {unit} {first}")]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The second line or entry, from 1.
        line: u64,
        /// The unit of `line` and `first`.
        unit: RowUnit,
        /// The architecture.
        arch: String,
        /// The first line or entry, from 1.
        first: u64,
    },
    /// A table of all architectures of a search space lacks some.
    #[error(
        "{path} has {found} of {expected} architectures, the first that is missing is {first}; run `{}`",
        .download.command()
    )]
    MissingRows {
        /// The file.
        path: PathBuf,
        /// The number of architectures in the file.
        found: usize,
        /// The number of architectures in the search space.
        expected: usize,
        /// The first missing architecture, in digit order.
        first: String,
        /// The table.
        download: Download,
    },
    /// The file has no row.
    #[error("{path} has no rows")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A list of accuracies does not have one entry per architecture.
    #[error("the table {name:?} has {archs} architectures, but {accuracies} accuracies")]
    LengthMismatch {
        /// The name of the table.
        name: String,
        /// The number of architectures.
        archs: usize,
        /// The number of accuracies.
        accuracies: usize,
    },
    /// A list of architectures contains an architecture twice.
    #[error("the table {name:?} has the architecture {arch} at index {first} and again at index {second}")]
    DuplicateArch {
        /// The name of the table.
        name: String,
        /// The architecture.
        arch: String,
        /// The first index, from 0.
        first: usize,
        /// The second index, from 0.
        second: usize,
    },
    /// An accuracy is NaN or infinite.
    #[error("the table {name:?} has the accuracy {accuracy} at index {index}, but it must be finite")]
    NotFinite {
        /// The name of the table.
        name: String,
        /// The index, from 0.
        index: usize,
        /// The accuracy.
        accuracy: f64,
    },
}
