use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{
    BenchmarkTable, Darts214Table, Darts1000Table, Download, MacroTable, NasBenchError, Nb201Dataset,
    Nb201Epochs, Nb201Table, mini,
};

/// The name of a benchmark table, as commands and config files write it.
///
/// It is parsed without regard to case and punctuation: `NB201`, `nas-bench-201` and `nb201` are the same name.
///
/// ```
/// use pada_nasbench::TableName;
///
/// assert_eq!("NAS-Bench-201".parse::<TableName>()?, TableName::Nb201);
/// let error = "nas-bench-marco".parse::<TableName>().unwrap_err();
/// assert!(error.to_string().contains("did you mean \"nas-bench-macro\"?"));
/// # Ok::<(), pada_nasbench::NasBenchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum TableName {
    /// The embedded table: test accuracy on the data set `mini`, NAS-Bench-201's space.
    Mini,
    /// NAS-Bench-201: CIFAR-10 test accuracy after 200 epochs.
    Nb201,
    /// NAS-Bench-201: CIFAR-100 test accuracy after 200 epochs.
    Nb201Cifar100,
    /// NAS-Bench-201: ImageNet16-120 test accuracy after 200 epochs.
    Nb201Imagenet16,
    /// NAS-Bench-Macro: CIFAR-10 test accuracy, mean of three training runs.
    NasBenchMacro,
    /// 214 genotypes of the DARTS space: CIFAR-10 test accuracy of one training run, mean of the last ten epochs.
    Darts214,
    /// Random genotypes of the DARTS space: CIFAR-10 validation accuracy of one training run of 200 epochs.
    Darts1000,
}

/// The names in the order of [`TableName::ALL`].
const NAMES: [&str; 7] =
    ["mini", "nb201", "nb201-cifar100", "nb201-imagenet16", "nas-bench-macro", "darts-214", "darts-1000"];

impl TableName {
    /// All tables.
    pub const ALL: [Self; 7] = [
        Self::Mini,
        Self::Nb201,
        Self::Nb201Cifar100,
        Self::Nb201Imagenet16,
        Self::NasBenchMacro,
        Self::Darts214,
        Self::Darts1000,
    ];

    /// Returns the name, such as `nb201-cifar100`.
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize]
    }

    /// Returns the name of the search space whose architectures the table contains, as
    /// [`SearchSpace::name`](pada_space::SearchSpace::name) returns it.
    pub fn space(self) -> &'static str {
        match self {
            Self::Mini | Self::Nb201 | Self::Nb201Cifar100 | Self::Nb201Imagenet16 => "nb201",
            Self::NasBenchMacro => "macro",
            Self::Darts214 | Self::Darts1000 => "darts",
        }
    }

    /// Returns the data set on which the networks of the table were trained and tested.
    pub fn dataset(self) -> &'static str {
        match self {
            Self::Mini => "mini",
            Self::Nb201 | Self::NasBenchMacro | Self::Darts214 | Self::Darts1000 => "cifar10",
            Self::Nb201Cifar100 => "cifar100",
            Self::Nb201Imagenet16 => "imagenet16-120",
        }
    }

    /// Returns the download that the table needs, or `None` if it is embedded.
    pub fn download(self) -> Option<Download> {
        match self {
            Self::Mini => None,
            Self::Nb201 | Self::Nb201Cifar100 | Self::Nb201Imagenet16 => Some(Download::Nb201),
            Self::NasBenchMacro => Some(Download::NasBenchMacro),
            Self::Darts214 => Some(Download::Darts214),
            Self::Darts1000 => Some(Download::Darts1000),
        }
    }

    /// Reads the table from the data folder. The embedded table does not need the folder.
    ///
    /// # Errors
    /// Returns [`NasBenchError::Missing`] if the table was not downloaded, and other errors of [`NasBenchError`] if its file is
    /// damaged.
    pub fn load(self, data_dir: impl AsRef<Path>) -> Result<BenchmarkTable, NasBenchError> {
        let nb201 = |dataset| {
            let table = Nb201Table::load(Download::Nb201.path(&data_dir))?;
            Ok(table.test_accuracy(dataset, Nb201Epochs::Epochs200))
        };
        match self {
            Self::Mini => mini(),
            Self::Nb201 => nb201(Nb201Dataset::Cifar10),
            Self::Nb201Cifar100 => nb201(Nb201Dataset::Cifar100),
            Self::Nb201Imagenet16 => nb201(Nb201Dataset::Imagenet16),
            Self::NasBenchMacro => {
                Ok(MacroTable::load(Download::NasBenchMacro.path(&data_dir))?.table().clone())
            }
            Self::Darts214 => Ok(Darts214Table::load(Download::Darts214.path(&data_dir))?.table().clone()),
            Self::Darts1000 => Ok(Darts1000Table::load(Download::Darts1000.path(&data_dir))?.table().clone()),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TableName {
    type Err = NasBenchError;

    fn from_str(text: &str) -> Result<Self, NasBenchError> {
        match plain(text).as_str() {
            "mini" => Ok(Self::Mini),
            "nb201" | "nb201cifar10" => Ok(Self::Nb201),
            "nb201cifar100" => Ok(Self::Nb201Cifar100),
            "nb201imagenet16" | "nb201imagenet16120" => Ok(Self::Nb201Imagenet16),
            "nbmacro" | "macro" => Ok(Self::NasBenchMacro),
            "darts214" => Ok(Self::Darts214),
            "darts1000" => Ok(Self::Darts1000),
            _ => Err(NasBenchError::UnknownTable { name: text.to_owned(), valid: &NAMES }),
        }
    }
}

impl TryFrom<String> for TableName {
    type Error = NasBenchError;

    fn try_from(text: String) -> Result<Self, NasBenchError> {
        text.parse()
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.as_str().to_owned()
    }
}

/// Removes case and punctuation, and shortens `nasbench` to `nb`.
fn plain(text: &str) -> String {
    let letters = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase);
    letters.collect::<String>().replace("nasbench", "nb")
}

/// Returns `; did you mean "…"?` with the nearest valid name, or a full stop if none is near.
pub(crate) fn did_you_mean(name: &str, valid: &[&str]) -> String {
    let name = plain(name);
    let distance = |option: &&str| strsim::osa_distance(&name, &plain(option));
    let nearest = valid.iter().copied().min_by_key(distance);
    // More than a third of other letters is another word.
    let near = |option: &&str| 3 * distance(option) <= plain(option).chars().count().max(6);
    nearest.filter(near).map_or_else(|| ".".to_owned(), |option| format!("; did you mean {option:?}?"))
}
