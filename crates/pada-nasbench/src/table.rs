use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use pada_space::{Arch, SearchSpace};

use crate::{Download, NasBenchError};

/// Accuracies of architectures trained from scratch.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchmarkTable {
    name: String,
    archs: Vec<Arch>,
    accuracy: Vec<f64>,
    /// One accuracy per seed and architecture; empty where the table keeps only means.
    by_seed: BTreeMap<u64, Vec<Option<f64>>>,
    index: HashMap<Arch, usize>,
}

impl BenchmarkTable {
    /// A table of one accuracy each.
    ///
    /// # Panics
    /// If there are not as many accuracies as architectures.
    pub fn new(name: &str, archs: Vec<Arch>, accuracy: Vec<f64>) -> Self {
        assert_eq!(archs.len(), accuracy.len(), "one accuracy for every architecture");
        let index = archs.iter().cloned().zip(0..).collect();
        Self { name: name.to_owned(), archs, accuracy, by_seed: BTreeMap::new(), index }
    }

    /// Reads `arch,seed,accuracy`, a line for every trained network; the accuracy of an architecture is the mean over its seeds.
    ///
    /// # Errors
    /// [`NasBenchError`], with the line.
    pub fn from_runs(
        name: &str,
        path: &Path,
        csv: &[u8],
        space: &dyn SearchSpace,
    ) -> Result<Self, NasBenchError> {
        let mut rows = Rows::new(path, csv)?;
        let [arch, seed, accuracy] = ["arch", "seed", "accuracy"].map(|column| rows.column(column));
        let (arch, seed, accuracy) = (arch?, seed?, accuracy?);
        let mut runs: BTreeMap<(Arch, u64), (f64, u64)> = BTreeMap::new();
        let mut archs: Vec<Arch> = Vec::new();
        while let Some(row) = rows.next_row()? {
            let key = (row.arch(arch, space)?, row.number(seed)? as u64);
            if !archs.contains(&key.0) {
                archs.push(key.0.clone());
            }
            let text = format!("{} with seed {}", key.0, key.1);
            if let Some((_, first)) = runs.insert(key, (row.number(accuracy)?, row.line)) {
                return Err(NasBenchError::Duplicate {
                    path: path.into(),
                    line: row.line,
                    arch: text,
                    first,
                });
            }
        }
        if archs.is_empty() {
            return Err(NasBenchError::Empty { path: path.into() });
        }
        let of = |arch: &Arch, seed: u64| runs.get(&(arch.clone(), seed)).map(|(accuracy, _)| *accuracy);
        let mut by_seed: BTreeMap<u64, Vec<Option<f64>>> =
            runs.keys().map(|(_, seed)| (*seed, vec![])).collect();
        by_seed.iter_mut().for_each(|(seed, list)| list.extend(archs.iter().map(|arch| of(arch, *seed))));
        let accuracy = means(&by_seed, archs.len());
        Ok(Self { by_seed, ..Self::new(name, archs, accuracy) })
    }

    /// The table without seeds that some architectures were not trained with, for a file that grows seed by seed: a mean over more seeds
    /// for some architectures than for others would rank them by luck. Where no seed has all, all stay.
    pub fn of_whole_seeds(mut self) -> Self {
        let mut whole = self.by_seed.clone();
        whole.retain(|_, list| list.iter().all(Option::is_some));
        if !whole.is_empty() {
            self.accuracy = means(&whole, self.archs.len());
            self.by_seed = whole;
        }
        self
    }

    /// The table with the accuracies of each seed.
    pub(crate) fn with_seeds(self, by_seed: BTreeMap<u64, Vec<Option<f64>>>) -> Self {
        Self { by_seed, ..self }
    }

    /// What the accuracies are.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The architectures, `[A]`.
    pub fn archs(&self) -> &[Arch] {
        &self.archs
    }

    /// Percent of the test images, `[A]`.
    pub fn accuracies(&self) -> &[f64] {
        &self.accuracy
    }

    /// One architecture's accuracy, percent.
    pub fn accuracy(&self, arch: &Arch) -> Option<f64> {
        self.index.get(arch).map(|&i| self.accuracy[i])
    }

    /// For each seed, the accuracy of every architecture that was trained with it, `[A]`.
    pub fn by_seed(&self) -> &BTreeMap<u64, Vec<Option<f64>>> {
        &self.by_seed
    }
}

/// Every architecture's mean over the seeds that it has.
fn means(by_seed: &BTreeMap<u64, Vec<Option<f64>>>, archs: usize) -> Vec<f64> {
    let mean = |i: usize| {
        let runs: Vec<f64> = by_seed.values().filter_map(|list| list[i]).collect();
        runs.iter().sum::<f64>() / runs.len() as f64
    };
    (0..archs).map(mean).collect()
}

/// The bytes of a downloaded table.
pub(crate) fn read_file(path: &Path, download: Download) -> Result<Vec<u8>, NasBenchError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => NasBenchError::Missing { path: path.into(), download },
        _ => NasBenchError::Csv { path: path.into(), source: source.into() },
    })
}

/// The architectures of a table, each once.
pub(crate) struct EveryArch<'a> {
    path: &'a Path,
    download: Download,
    archs: Vec<Arch>,
    lines: HashMap<Arch, u64>,
}

impl<'a> EveryArch<'a> {
    pub(crate) fn new(path: &'a Path, download: Download) -> Self {
        Self { path, download, archs: Vec::new(), lines: HashMap::new() }
    }

    /// The architecture of a line, or of an entry.
    pub(crate) fn add(&mut self, arch: Arch, line: u64) -> Result<(), NasBenchError> {
        if let Some(first) = self.lines.insert(arch.clone(), line) {
            let (path, arch) = (self.path.into(), arch.to_string());
            return Err(NasBenchError::Duplicate { path, line, arch, first });
        }
        self.archs.push(arch);
        Ok(())
    }

    /// All architectures of a space must be there.
    pub(crate) fn all_of(self, space: &dyn SearchSpace) -> Result<Vec<Arch>, NasBenchError> {
        match space.archs().find(|arch| !self.lines.contains_key(arch)) {
            None => Ok(self.archs),
            Some(first) => Err(NasBenchError::MissingRows {
                path: self.path.into(),
                found: self.archs.len(),
                expected: space.len() as usize,
                first: first.to_string(),
                download: self.download,
            }),
        }
    }

    /// At least one must be there.
    pub(crate) fn some(self) -> Result<Vec<Arch>, NasBenchError> {
        if self.archs.is_empty() {
            Err(NasBenchError::Empty { path: self.path.into() })
        } else {
            Ok(self.archs)
        }
    }
}

/// A CSV file read row by row, with errors that say where.
pub(crate) struct Rows<'a> {
    path: &'a Path,
    header: csv::StringRecord,
    reader: csv::Reader<&'a [u8]>,
}

/// A column's name and place.
#[derive(Clone, Copy)]
pub(crate) struct Column<'a> {
    name: &'a str,
    place: usize,
}

pub(crate) struct Row<'a> {
    path: &'a Path,
    pub(crate) line: u64,
    cells: csv::StringRecord,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(path: &'a Path, csv: &'a [u8]) -> Result<Self, NasBenchError> {
        let mut reader = csv::Reader::from_reader(csv);
        let header =
            reader.headers().map_err(|source| NasBenchError::Csv { path: path.into(), source })?.clone();
        Ok(Self { path, header, reader })
    }

    pub(crate) fn column<'c>(&self, name: &'c str) -> Result<Column<'c>, NasBenchError> {
        let missing = || NasBenchError::NoColumn {
            path: self.path.into(),
            column: name.to_owned(),
            found: self.header.iter().collect::<Vec<_>>().join(", "),
        };
        self.header.iter().position(|h| h == name).map(|place| Column { name, place }).ok_or_else(missing)
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'a>>, NasBenchError> {
        let mut cells = csv::StringRecord::new();
        match self.reader.read_record(&mut cells) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = cells.position().map_or(0, csv::Position::line);
                Ok(Some(Row { path: self.path, line, cells }))
            }
            Err(source) => Err(NasBenchError::Csv { path: self.path.into(), source }),
        }
    }
}

impl Row<'_> {
    pub(crate) fn text(&self, column: Column<'_>) -> &str {
        &self.cells[column.place]
    }

    pub(crate) fn number(&self, column: Column<'_>) -> Result<f64, NasBenchError> {
        let text = self.text(column);
        text.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| NasBenchError::BadNumber {
            path: self.path.into(),
            line: self.line,
            column: column.name.to_owned(),
            text: text.to_owned(),
        })
    }

    pub(crate) fn arch(&self, column: Column<'_>, space: &dyn SearchSpace) -> Result<Arch, NasBenchError> {
        let bad = |source| NasBenchError::BadArch { path: self.path.into(), line: self.line, source };
        space.parse(self.text(column)).map_err(bad)
    }
}
