use std::fmt;
use std::path::{Path, PathBuf};

use pada_space::SpaceError;
use thiserror::Error;

use crate::{DARTS_214_FILE, MACRO_FILE, NB201_FILE};

/// A table that `cargo xtask download` brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Download {
    /// NAS-Bench-201.
    Nb201,
    /// NAS-Bench-Macro.
    NasBenchMacro,
    /// 214 trained genotypes of DARTS.
    Darts214,
}

impl Download {
    /// Its folder in the data folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Nb201 => "nasbench201",
            Self::NasBenchMacro => "nas_bench_macro",
            Self::Darts214 => "darts_214",
        }
    }

    /// Its file in that folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Nb201 => NB201_FILE,
            Self::NasBenchMacro => MACRO_FILE,
            Self::Darts214 => DARTS_214_FILE,
        }
    }

    /// The command that brings it.
    pub fn command(self) -> String {
        // No public place has this one as a file.
        let from = if self == Self::Darts214 { " --from DIR" } else { "" };
        format!("cargo xtask download {self}{from}")
    }

    /// Where it lies in a data folder.
    pub fn path(self, data_dir: &Path) -> PathBuf {
        data_dir.join(self.folder()).join(self.file())
    }
}

/// As the command calls it.
impl fmt::Display for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nb201 => "nb201",
            Self::NasBenchMacro => "nas-bench-macro",
            Self::Darts214 => "darts-214",
        })
    }
}

/// Why a table cannot be used.
#[derive(Debug, Error)]
pub enum NasBenchError {
    /// The table is not there.
    #[error(
        "{path} is missing; run `{}`, or set PADA_DATA to the folder that holds {}/",
        .download.command(), .download.folder()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What brings it.
        download: Download,
    },
    /// The file cannot be read as JSON.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the reader said, with line and column.
        source: serde_json::Error,
    },
    /// A mean is not that of its runs.
    #[error("{path}, line {line}: mean_acc is {written}, the mean of its runs is {found}")]
    WrongMean {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What stands there.
        written: f64,
        /// What should.
        found: f64,
    },
    /// The file cannot be read as CSV.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the reader said, with the line.
        source: csv::Error,
    },
    /// A column is not in the header.
    #[error("{path} has no column {column}; it has {found}")]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// The columns there are.
        found: String,
    },
    /// A cell is not a number.
    #[error("{path}, line {line}: {column} is {text:?}, which is no finite number")]
    BadNumber {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        text: String,
    },
    /// A cell is not an architecture.
    #[error("{path}, line {line}: {source}")]
    BadArch {
        /// The file.
        path: PathBuf,
        /// The line, or the entry of a list, from 1.
        line: u64,
        /// What is wrong with it.
        source: SpaceError,
    },
    /// The two forms of a row's architecture differ.
    #[error("{path}, line {line}: ops {digits} and arch_str {string} are different architectures")]
    Disagree {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The digits.
        digits: String,
        /// The long form, as digits.
        string: String,
    },
    /// An architecture has two rows.
    #[error("{path}, line {line}: {arch} stands on line {first} already")]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The second line, from 1.
        line: u64,
        /// What stands there twice.
        arch: String,
        /// The first line.
        first: u64,
    },
    /// Rows are missing.
    #[error(
        "{path} has {found} of {expected} architectures, {first} is the first that is missing; run `{}`",
        .download.command()
    )]
    MissingRows {
        /// The file.
        path: PathBuf,
        /// Rows there are.
        found: usize,
        /// Rows there should be.
        expected: usize,
        /// The first architecture in digit order without a row.
        first: String,
        /// What brings the whole table.
        download: Download,
    },
    /// There is no row.
    #[error("{path} holds no row")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}
