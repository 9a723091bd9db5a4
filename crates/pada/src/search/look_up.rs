use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use pada_nasbench::BenchmarkTable;
use pada_space::{Arch, Equivalence, SearchSpace, SpaceError};

use crate::config::{Config, ConfigError, SpaceName, TruthName, search_space};
use crate::error::PadaError;
use crate::eval::tables::Tables;

/// A benchmark table in which architectures are looked up.
///
/// An architecture that the table does not have is looked up by its canonical form ([`Equivalence::OwnWeights`]): it is the same network as
/// another one that the table has.
pub(crate) struct LookUp {
    table: BenchmarkTable,
    /// The first architecture of the table with each canonical form, and its accuracy.
    canonical: HashMap<Arch, (Arch, f64)>,
    /// Results of [`LookUp::same_network`], because searches propose the same architectures again and again and canonical forms take long.
    same: Mutex<HashMap<Arch, Option<(Arch, f64)>>>,
}

/// The number of results that are kept.
const KEPT: usize = 1 << 16;

impl LookUp {
    pub(crate) fn new(table: BenchmarkTable, space: &dyn SearchSpace) -> Result<Self, PadaError> {
        let mut canonical = HashMap::with_capacity(table.archs().len());
        for (arch, &accuracy) in table.archs().iter().zip(table.accuracies()) {
            let network = space.canonical(arch, Equivalence::OwnWeights)?;
            canonical.entry(network).or_insert_with(|| (arch.clone(), accuracy));
        }
        Ok(Self { table, canonical, same: Mutex::default() })
    }

    /// Reads the table that a command names.
    pub(crate) fn named(
        truth: Option<TruthName>,
        space: SpaceName,
        data_dir: &Path,
    ) -> Result<Option<Self>, PadaError> {
        let Some(name) = truth else { return Ok(None) };
        if name.space() != space {
            let (key, value, range) = ("--truth", name.to_string(), "a table of the search space");
            return Err(ConfigError::Range { key, value, range }.into());
        }
        Self::first_of(&Tables::load(truth, &[], data_dir)?, space)
    }

    /// Reads the table that a command names, or else the main table of a run if it was downloaded.
    pub(crate) fn of_run(
        truth: Option<TruthName>,
        config: &Config,
        data_dir: &Path,
    ) -> Result<Option<Self>, PadaError> {
        let space = config.network().space;
        let of_run = match config {
            Config::Run(config) => config.rank.truth,
            Config::Retrain(_) => None,
        };
        match (truth, of_run) {
            (Some(_), _) => Self::named(truth, space, data_dir),
            (None, Some(main)) => Self::first_of(&Tables::load(None, &[main], data_dir)?, space),
            (None, None) => Ok(None),
        }
    }

    fn first_of(tables: &Tables, space: SpaceName) -> Result<Option<Self>, PadaError> {
        tables.main().map(|table| Self::new(table.clone(), search_space(space).as_ref())).transpose()
    }

    /// Returns the accuracy of an architecture in percent, or `None` if the table does not have its network.
    pub(crate) fn accuracy(&self, arch: &Arch, space: &dyn SearchSpace) -> Result<Option<f64>, PadaError> {
        match self.table.accuracy(arch) {
            Some(accuracy) => Ok(Some(accuracy)),
            None => Ok(self.same_network(arch, space)?.map(|(_, accuracy)| accuracy)),
        }
    }

    /// Returns the architecture of the table that stands for an architecture: of all architectures with the same shared weights, and of those with
    /// the same network if the table does not have them all. An architecture whose network is not in the table stands for itself.
    pub(crate) fn row(&self, arch: &Arch, space: &dyn SearchSpace) -> Result<Arch, SpaceError> {
        let shared = space.canonical(arch, Equivalence::SharedWeights)?;
        if self.table.accuracy(&shared).is_some() {
            return Ok(shared);
        }
        Ok(self.same_network(&shared, space)?.map_or(shared, |(row, _)| row))
    }

    /// Returns the architecture of the table with the network of an architecture, and its accuracy in percent.
    fn same_network(&self, arch: &Arch, space: &dyn SearchSpace) -> Result<Option<(Arch, f64)>, SpaceError> {
        let same = || self.same.lock().expect("no thread panics with it");
        if let Some(known) = same().get(arch) {
            return Ok(known.clone());
        }
        let network = space.canonical(arch, Equivalence::OwnWeights)?;
        let found = self.canonical.get(&network).cloned();
        let mut kept = same();
        if kept.len() == KEPT {
            kept.clear();
        }
        kept.insert(arch.clone(), found.clone());
        Ok(found)
    }

    /// Returns the highest accuracy of the table, in percent.
    pub(crate) fn best(&self) -> f64 {
        self.table.accuracies().iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}
