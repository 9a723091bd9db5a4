use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;

use pada_space::{Arch, SearchSpace};

use crate::{Download, NasBenchError, RowUnit};

/// A benchmark table: a score for each of many architectures, such as stand-alone accuracies or the scores of a ranking.
///
/// The stand-alone accuracy of an architecture is its test accuracy after training from scratch, with its own weights.
///
/// `{}` prints name, size and data set: `mini: 300 architectures on mini`.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchmarkTable {
    name: String,
    dataset: Option<String>,
    archs: Vec<Arch>,
    accuracies: Vec<f64>,
    by_seed: BTreeMap<u64, Vec<Option<f64>>>,
    index: HashMap<Arch, usize>,
}

impl BenchmarkTable {
    /// Creates a table from one accuracy or score per architecture.
    ///
    /// # Shapes and units
    /// - `archs`: `[A]`, each architecture once
    /// - `accuracies`: `[A]`, percent, or any other score of which larger is better
    ///
    /// # Errors
    /// Returns [`NasBenchError::LengthMismatch`], [`NasBenchError::DuplicateArch`] or [`NasBenchError::NotFinite`].
    pub fn new(
        name: impl Into<String>,
        archs: Vec<Arch>,
        accuracies: Vec<f64>,
    ) -> Result<Self, NasBenchError> {
        let name = name.into();
        if archs.len() != accuracies.len() {
            let (archs, accuracies) = (archs.len(), accuracies.len());
            return Err(NasBenchError::LengthMismatch { name, archs, accuracies });
        }
        if let Some(index) = accuracies.iter().position(|accuracy| !accuracy.is_finite()) {
            return Err(NasBenchError::NotFinite { name, index, accuracy: accuracies[index] });
        }
        let mut index = HashMap::with_capacity(archs.len());
        for (second, arch) in archs.iter().enumerate() {
            if let Some(first) = index.insert(arch.clone(), second) {
                return Err(NasBenchError::DuplicateArch { name, arch: arch.to_string(), first, second });
            }
        }
        Ok(Self { name, dataset: None, archs, accuracies, by_seed: BTreeMap::new(), index })
    }

    /// Reads a CSV file with the columns `arch`, `accuracy` and, optionally, `seed`. Other columns are ignored.
    ///
    /// The name of the table is the name of the file without its ending. With a column `seed` an architecture has one row per
    /// training run, and its accuracy is the mean over its seeds. Architectures are written in any text form of the space.
    ///
    /// # Errors
    /// Returns [`NasBenchError::Io`] if the file cannot be read, and other errors of [`NasBenchError`], with the line, if its
    /// content is not valid.
    pub fn load(path: impl AsRef<Path>, space: &dyn SearchSpace) -> Result<Self, NasBenchError> {
        let path = path.as_ref();
        let csv = std::fs::read(path).map_err(|source| NasBenchError::Io { path: path.into(), source })?;
        let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        Self::read_csv(&name, path, &csv, space)
    }

    /// Reads the text of a CSV file, as [`BenchmarkTable::load`] does. Errors show `name` in place of a path.
    ///
    /// # Errors
    /// Returns the errors of [`BenchmarkTable::load`].
    pub fn from_csv(name: &str, csv: &[u8], space: &dyn SearchSpace) -> Result<Self, NasBenchError> {
        Self::read_csv(name, name.as_ref(), csv, space)
    }

    fn read_csv(name: &str, path: &Path, csv: &[u8], space: &dyn SearchSpace) -> Result<Self, NasBenchError> {
        let mut rows = Rows::new(path, csv)?;
        let (arch, accuracy) = (rows.column("arch")?, rows.column("accuracy")?);
        let seed = rows.column("seed").ok();
        let mut lines: HashMap<(Arch, u64), u64> = HashMap::new();
        let mut index: HashMap<Arch, usize> = HashMap::new();
        let (mut archs, mut runs) = (Vec::new(), BTreeMap::<u64, HashMap<usize, f64>>::new());
        while let Some(row) = rows.next_row()? {
            let (arch, seed) = (row.arch(arch, space)?, seed.map(|seed| row.seed(seed)).transpose()?);
            let accuracy = row.number(accuracy)?;
            let place = *index.entry(arch.clone()).or_insert_with(|| {
                archs.push(arch.clone());
                archs.len() - 1
            });
            // Without a column of seeds an architecture has one row.
            let key = seed.unwrap_or(0);
            match lines.entry((arch, key)) {
                Entry::Vacant(entry) => drop(entry.insert(row.line)),
                Entry::Occupied(entry) => {
                    let arch = match seed {
                        Some(seed) => format!("{} with seed {seed}", archs[place]),
                        None => archs[place].to_string(),
                    };
                    let (path, unit, first) = (path.into(), RowUnit::Line, *entry.get());
                    return Err(NasBenchError::Duplicate { path, line: row.line, unit, arch, first });
                }
            }
            runs.entry(key).or_default().insert(place, accuracy);
        }
        if archs.is_empty() {
            return Err(NasBenchError::Empty { path: path.into() });
        }
        let by_seed: BTreeMap<u64, Vec<Option<f64>>> = runs
            .into_iter()
            .map(|(seed, runs)| (seed, (0..archs.len()).map(|place| runs.get(&place).copied()).collect()))
            .collect();
        let accuracies = means(&by_seed, archs.len());
        let table = Self::new(name, archs, accuracies)?;
        Ok(if seed.is_some() { table.with_seeds(by_seed) } else { table })
    }

    /// Sets the name of the data set on which the architectures were trained and tested, such as `cifar10`.
    #[must_use]
    pub fn with_dataset(self, dataset: impl Into<String>) -> Self {
        Self { dataset: Some(dataset.into()), ..self }
    }

    /// Removes the seeds with which not all architectures were trained.
    ///
    /// It is for files that are extended seed by seed: if some architectures have a mean over more seeds than others, luck
    /// decides their order. If no seed is complete, all of them stay.
    #[must_use]
    pub fn with_complete_seeds_only(mut self) -> Self {
        let mut complete = self.by_seed.clone();
        complete.retain(|_, list| list.iter().all(Option::is_some));
        if !complete.is_empty() {
            self.accuracies = means(&complete, self.archs.len());
            self.by_seed = complete;
        }
        self
    }

    /// Adds the accuracies of each seed.
    pub(crate) fn with_seeds(self, by_seed: BTreeMap<u64, Vec<Option<f64>>>) -> Self {
        Self { by_seed, ..self }
    }

    /// Returns the name of the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the name of the data set on which the architectures were trained and tested, or `None` if the table does not
    /// say it. Names are `mini`, `cifar10`, `cifar100` and `imagenet16-120`.
    pub fn dataset(&self) -> Option<&str> {
        self.dataset.as_deref()
    }

    /// Returns the architectures, `[A]`.
    pub fn archs(&self) -> &[Arch] {
        &self.archs
    }

    /// Returns the accuracies, `[A]`, in percent of the test images; for a table of scores, the scores.
    pub fn accuracies(&self) -> &[f64] {
        &self.accuracies
    }

    /// Returns the accuracy of one architecture in percent, or `None` if the table does not contain it.
    pub fn accuracy(&self, arch: &Arch) -> Option<f64> {
        self.index.get(arch).map(|&i| self.accuracies[i])
    }

    /// Returns the accuracies of each seed, `[A]`, in percent; `None` for architectures that were not trained with it. The map
    /// is empty if the table contains means only.
    pub fn by_seed(&self) -> &BTreeMap<u64, Vec<Option<f64>>> {
        &self.by_seed
    }

    /// Returns the scores and the accuracies of the architectures that both tables contain, in the order of `scores`: the two
    /// lists that ranking metrics compare.
    ///
    /// # Shapes
    /// Returns two lists of the same length, up to A.
    pub fn paired_with(&self, scores: &Self) -> (Vec<f64>, Vec<f64>) {
        let pair = |(arch, score): (&Arch, &f64)| Some((*score, self.accuracy(arch)?));
        scores.archs.iter().zip(&scores.accuracies).filter_map(pair).unzip()
    }
}

impl fmt::Display for BenchmarkTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} architectures", self.name, self.archs.len())?;
        match &self.dataset {
            Some(dataset) => write!(f, " on {dataset}"),
            None => Ok(()),
        }
    }
}

/// Computes the mean of every architecture over the seeds with which it was trained.
fn means(by_seed: &BTreeMap<u64, Vec<Option<f64>>>, archs: usize) -> Vec<f64> {
    let mean = |i: usize| {
        let runs: Vec<f64> = by_seed.values().filter_map(|list| list[i]).collect();
        runs.iter().sum::<f64>() / runs.len() as f64
    };
    (0..archs).map(mean).collect()
}

/// Reads the file of a downloaded table.
pub(crate) fn read_file(path: &Path, download: Download) -> Result<Vec<u8>, NasBenchError> {
    std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => NasBenchError::Missing { path: path.into(), download },
        _ => NasBenchError::Io { path: path.into(), source },
    })
}

/// The architectures of a file, each of which may occur once.
pub(crate) struct EveryArch<'a> {
    path: &'a Path,
    download: Download,
    unit: RowUnit,
    archs: Vec<Arch>,
    rows: HashMap<Arch, u64>,
}

impl<'a> EveryArch<'a> {
    pub(crate) fn of_lines(path: &'a Path, download: Download) -> Self {
        Self { path, download, unit: RowUnit::Line, archs: Vec::new(), rows: HashMap::new() }
    }

    pub(crate) fn of_entries(path: &'a Path, download: Download) -> Self {
        Self { unit: RowUnit::Entry, ..Self::of_lines(path, download) }
    }

    /// Adds the architecture of a line or entry.
    pub(crate) fn add(&mut self, arch: Arch, line: u64) -> Result<(), NasBenchError> {
        if let Some(first) = self.rows.insert(arch.clone(), line) {
            let (path, arch, unit) = (self.path.into(), arch.to_string(), self.unit);
            return Err(NasBenchError::Duplicate { path, line, unit, arch, first });
        }
        self.archs.push(arch);
        Ok(())
    }

    /// Returns the architectures if they are all of a search space.
    pub(crate) fn all_of(self, space: &dyn SearchSpace) -> Result<Vec<Arch>, NasBenchError> {
        match space.archs().find(|arch| !self.rows.contains_key(arch)) {
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

    /// Returns the architectures if there is at least one.
    pub(crate) fn some(self) -> Result<Vec<Arch>, NasBenchError> {
        if self.archs.is_empty() {
            Err(NasBenchError::Empty { path: self.path.into() })
        } else {
            Ok(self.archs)
        }
    }
}

/// A CSV file that is read row by row; its errors name the line.
pub(crate) struct Rows<'a> {
    path: &'a Path,
    header: csv::StringRecord,
    reader: csv::Reader<&'a [u8]>,
    lines: Lines<'a>,
}

/// The name and the index of a column.
#[derive(Clone, Copy)]
pub(crate) struct Column<'a> {
    name: &'a str,
    index: usize,
}

pub(crate) struct Row<'a> {
    path: &'a Path,
    pub(crate) line: u64,
    cells: csv::StringRecord,
}

/// Counts lines as editors do: `\n`, `\r\n` and `\r` end a line.
///
/// The position of the csv crate points behind the previous record, which is before the `\n` of `\r\n` and before empty
/// lines, so that its line is too small.
struct Lines<'a> {
    text: &'a [u8],
    /// The byte up to which lines were counted, and the line of this byte.
    counted: (usize, u64),
}

impl Lines<'_> {
    /// Returns the line of the first record at or behind a byte. Bytes must not decrease from call to call.
    fn line_of_record(&mut self, byte: u64) -> u64 {
        let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let start = usize::try_from(byte).map_or(self.text.len(), |byte| byte.min(self.text.len()));
        let start = start + self.text[start..].iter().take_while(|byte| is_end(byte)).count();
        let (from, line) = self.counted;
        let ends = |&i: &usize| match self.text[i] {
            b'\n' => true,
            b'\r' => self.text.get(i + 1) != Some(&b'\n'),
            _ => false,
        };
        self.counted = (start, line + (from..start).filter(ends).count() as u64);
        self.counted.1
    }
}

impl<'a> Rows<'a> {
    pub(crate) fn new(path: &'a Path, csv: &'a [u8]) -> Result<Self, NasBenchError> {
        let (mut reader, mut lines) = (csv::Reader::from_reader(csv), Lines { text: csv, counted: (0, 1) });
        let header = reader.headers().cloned().map_err(|error| csv_error(path, &error, &mut lines))?;
        Ok(Self { path, header, reader, lines })
    }

    /// Reads a file without a header, whose columns have these names.
    pub(crate) fn without_header(path: &'a Path, csv: &'a [u8], columns: &[&str]) -> Self {
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(csv);
        Self { path, header: columns.into(), reader, lines: Lines { text: csv, counted: (0, 1) } }
    }

    pub(crate) fn column<'c>(&self, name: &'c str) -> Result<Column<'c>, NasBenchError> {
        let missing = || NasBenchError::NoColumn {
            path: self.path.into(),
            column: name.to_owned(),
            found: self.header.iter().collect::<Vec<_>>().join(", "),
        };
        self.header.iter().position(|h| h == name).map(|index| Column { name, index }).ok_or_else(missing)
    }

    pub(crate) fn next_row(&mut self) -> Result<Option<Row<'a>>, NasBenchError> {
        let mut cells = csv::StringRecord::new();
        match self.reader.read_record(&mut cells) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = self.lines.line_of_record(cells.position().map_or(0, csv::Position::byte));
                let (found, expected) = (cells.len(), self.header.len());
                if found != expected {
                    let reason = format!("the row has {found} cells, but the table has {expected} columns");
                    return Err(NasBenchError::Csv { path: self.path.into(), line, reason });
                }
                Ok(Some(Row { path: self.path, line, cells }))
            }
            Err(error) => Err(csv_error(self.path, &error, &mut self.lines)),
        }
    }
}

fn csv_error(path: &Path, error: &csv::Error, lines: &mut Lines<'_>) -> NasBenchError {
    let (position, reason) = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            (pos, format!("the row has {len} cells, but the header has {expected_len}"))
        }
        csv::ErrorKind::Utf8 { pos, .. } => (pos, "the row is not UTF-8 text".to_owned()),
        _ => (&None, error.to_string()),
    };
    let line = lines.line_of_record(position.as_ref().map_or(0, csv::Position::byte));
    NasBenchError::Csv { path: path.into(), line, reason }
}

impl Row<'_> {
    pub(crate) fn text(&self, column: Column<'_>) -> &str {
        &self.cells[column.index]
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

    fn seed(&self, column: Column<'_>) -> Result<u64, NasBenchError> {
        let text = self.text(column);
        let bad =
            |_| NasBenchError::BadSeed { path: self.path.into(), line: self.line, text: text.to_owned() };
        text.parse().map_err(bad)
    }

    pub(crate) fn arch(&self, column: Column<'_>, space: &dyn SearchSpace) -> Result<Arch, NasBenchError> {
        let text = self.text(column);
        let bad = |source| {
            let (path, line, unit) = (self.path.into(), self.line, RowUnit::Line);
            NasBenchError::BadArch { path, line, unit, source }
        };
        space.parse(text).map_err(bad)
    }
}
