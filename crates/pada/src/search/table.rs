use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use pada_graph::Shape;
use pada_nasbench::{BenchmarkTable, Download, Nb201Dataset, Nb201Table, TableName};
use pada_search::Objective;
use pada_space::{Arch, SubSpace};
use pada_trainer::RngStream;

use crate::config::{ConfigError, SpaceName, SupernetConfig, TruthName};
use crate::error::PadaError;
use crate::run::network::Network;
use crate::search::costs::Costs;
use crate::search::look_up::LookUp;
use crate::search::{SearchJob, SearchResult, find, write_found};

/// A benchmark table whose accuracies are the scores of a search.
///
/// It is written `TABLE`, such as `mini`, or `nb201:COLUMN` for a column of the file of NAS-Bench-201, such as `nb201:cifar10_valid_12`: the
/// accuracy on the validation half after 12 epochs.
///
/// ```
/// use pada::TableScores;
///
/// let scores: TableScores = "nb201:cifar10_valid_12".parse()?;
/// assert_eq!(scores.to_string(), "nb201:cifar10_valid_12");
/// assert!("nb201:cifar10_valid_13".parse::<TableScores>().is_err());
/// # Ok::<(), pada::PadaError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableScores {
    table: TableName,
    column: Option<String>,
}

impl FromStr for TableScores {
    type Err = PadaError;

    fn from_str(text: &str) -> Result<Self, PadaError> {
        let (table, column) = match text.split_once(':') {
            Some((table, column)) => (table, Some(column.to_owned())),
            None => (text, None),
        };
        let table: TableName = table.parse()?;
        if let Some(column) = &column {
            if table != TableName::Nb201 {
                let (key, value, range) = ("--scores", text.to_owned(), "a table, or nb201:COLUMN");
                return Err(ConfigError::Range { key, value, range }.into());
            }
            let valid = Nb201Table::column_names();
            if !valid.contains(&column.as_str()) {
                return Err(
                    pada_nasbench::NasBenchError::UnknownColumn { column: column.clone(), valid }.into()
                );
            }
        }
        Ok(Self { table, column })
    }
}

impl fmt::Display for TableScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.column {
            None => self.table.fmt(f),
            Some(column) => write!(f, "{}:{column}", self.table),
        }
    }
}

impl TableScores {
    /// Returns the table without the column.
    pub fn table(&self) -> TableName {
        self.table
    }

    fn load(&self, data_dir: &Path) -> Result<BenchmarkTable, PadaError> {
        Ok(match &self.column {
            None => self.table.load(data_dir)?,
            Some(column) => Nb201Table::load(Download::Nb201.path(data_dir))?.table(column)?,
        })
    }

    /// Returns the stand-alone network that the table trained.
    fn network(&self) -> Result<Network, ConfigError> {
        let (space, channels, cells) = match self.table.space() {
            "nb201" if self.table == TableName::Mini => (SpaceName::Nb201, Some(8), Some(1)),
            "nb201" => (SpaceName::Nb201, Some(16), Some(5)),
            // The network of the benchmark has 36 channels and 20 cells, whatever the size of a supernet.
            "darts" => (SpaceName::Darts, Some(36), Some(20)),
            _ => (SpaceName::Macro, None, None),
        };
        let column = self.column.as_deref().unwrap_or_default();
        let imagenet16 = Nb201Dataset::Imagenet16.as_str();
        let (size, classes) = match self.table.dataset() {
            "mini" => (16, 10),
            data if data == imagenet16 || column.starts_with("imagenet16_") => (16, 120),
            data if data == Nb201Dataset::Cifar100.as_str() || column.starts_with("cifar100_") => (32, 100),
            _ => (32, 10),
        };
        let config = SupernetConfig { space, channels, cells, widths: None, ops: vec![] };
        Network::of_images(&config, Shape::new(3, size, size), classes)
    }
}

/// Searches a benchmark table: the score of an architecture is its accuracy in the table, so that a search takes seconds.
///
/// Architectures whose network is not in the table are infeasible, and architectures with the same row count as one. The result is looked up in
/// [`SearchJob::truth`], or in the table itself. A quick score, as RandomNAS requests it, is the score of the table. [`TableSearch`] makes several
/// searches of one table.
///
/// # Errors
/// Returns an error if a table cannot be read, if a setting is out of its range, or if scores shall be fused.
pub fn search_table(
    scores: &TableScores,
    job: &SearchJob,
    data_dir: &Path,
) -> Result<SearchResult, PadaError> {
    TableSearch::open(scores, job.truth, data_dir)?.search(job)
}

/// A benchmark table for several searches, which is read once.
pub struct TableSearch {
    scores: TableScores,
    network: Network,
    table: LookUp,
    truth: Option<LookUp>,
}

impl TableSearch {
    /// Reads the table of the scores, and the table in which results are looked up if it is another one.
    ///
    /// # Errors
    /// Returns an error if a table cannot be read or belongs to another search space.
    pub fn open(scores: &TableScores, truth: Option<TruthName>, data_dir: &Path) -> Result<Self, PadaError> {
        let network = scores.network()?;
        let table = LookUp::new(scores.load(data_dir)?, network.space.as_ref())?;
        let truth = match truth {
            None => None,
            Some(truth) if scores.column.is_none() && truth.to_string() == scores.table.as_str() => None,
            Some(truth) => LookUp::named(Some(truth), network.name(), data_dir)?,
        };
        Ok(Self { scores: scores.clone(), network, table, truth })
    }

    /// Searches the table as [`search_table`] does. [`SearchJob::truth`] has no effect: the table is that of [`TableSearch::open`].
    ///
    /// # Errors
    /// Returns an error if a setting is out of its range, if scores shall be fused, or if the result cannot be written.
    pub fn search(&self, job: &SearchJob) -> Result<SearchResult, PadaError> {
        let started = Instant::now();
        if !job.fuse.is_empty() {
            let (key, value) = ("--fuse", "given".to_owned());
            let range = "left out with --scores, because the scores of a table are not fused";
            return Err(ConfigError::Range { key, value, range }.into());
        }
        let Self { scores, network, table, truth } = self;
        let space = network.space.as_ref();
        let costs = Costs::read(job, network)?;
        let look_up = |arch: &Arch| table.accuracy(arch, space);
        let (mut visited, part) = (0, SubSpace::full(space));
        let mut score = |arch: &Arch| -> Result<f64, PadaError> {
            visited += 1;
            Ok(look_up(arch)?.expect("the constraint leaves out architectures without an accuracy"))
        };
        let cost = |arch: &Arch| costs.cost(arch);
        let fits = |arch: &Arch| matches!(look_up(arch), Ok(Some(_))) && costs.fits(arch);
        let row = |arch: &Arch| table.row(arch, space);
        let objective = Objective::new(&mut score).cost(&cost).constraint(&fits).identity(&row);
        let mut rng = RngStream::Search.stream(job.seed);
        let (found, asked) = find(job, space, &part, &costs, objective, &mut rng)?;
        let truth = truth.as_ref().unwrap_or(table);
        let archs =
            found.iter().map(|found| costs.found(found, None, Some(truth))).collect::<Result<Vec<_>, _>>()?;
        std::fs::create_dir_all(&job.out)
            .map_err(|source| PadaError::Write { path: job.out.clone(), source })?;
        let file = write_found(job, &archs)?;
        Ok(SearchResult {
            archs,
            ceiling: Some(truth.best()),
            asked,
            visited,
            scored: visited,
            seconds: started.elapsed().as_secs_f64(),
            selected_on: format!("the benchmark table {scores}"),
            on_test_images: false,
            tested_on: None,
            file,
        })
    }
}

impl fmt::Debug for TableSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableSearch").field("scores", &self.scores).finish_non_exhaustive()
    }
}
