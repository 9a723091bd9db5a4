//! Files of architectures and of scores.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

use pada_models::pickle::{Pickle, Value};
use pada_space::{Arch, SearchSpace};
use pada_trainer::{ArchScore, CheckpointError, check_writable, write_durably};
use serde::Deserialize;

use crate::error::PadaError;
use crate::eval::ranking::{FUSED, Ranked};
use crate::eval::score_job::Scored;

/// Reads a file with one architecture per line. Empty lines and lines that start with `#` are skipped.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file cannot be read, [`PadaError::ArchList`] with the line of an invalid architecture,
/// [`PadaError::ArchTwice`] with the line of a duplicate, and [`PadaError::NoArchs`] if there is no architecture.
pub fn read_archs(path: &Path, space: &dyn SearchSpace) -> Result<Vec<Arch>, PadaError> {
    let parsed = read_arch_lines(path, |text| {
        let arch = space.parse(text)?;
        Ok((arch.to_string(), arch))
    })?;
    Ok(parsed.into_iter().map(|(_, arch)| arch).collect())
}

/// Reads a text file in UTF-8 or UTF-16, see [`crate::text::read`].
///
/// # Errors
/// Returns [`PadaError::Read`] if the file cannot be read or is no text.
pub(crate) fn read_text(path: &Path) -> Result<String, PadaError> {
    crate::text::read(path).map_err(|source| PadaError::Read { path: path.into(), source })
}

/// The column of the architectures.
const ARCH: &str = "arch";

/// A table as text, whose first line that is not empty is its header. Lines that start with `#` are skipped.
pub(crate) struct Table<'t> {
    pub(crate) header: Vec<String>,
    separator: u8,
    rows: csv::Reader<&'t [u8]>,
    lines: Lines<'t>,
}

/// Counts the lines of a text as editors do.
///
/// The position of the csv crate points behind the previous record, which is before the `\n` of `\r\n`, empty lines and comments, so that its line
/// is too small.
struct Lines<'t> {
    text: &'t str,
    /// The byte up to which lines were counted, and the line of this byte.
    counted: (usize, u64),
}

impl Lines<'_> {
    /// Returns the line of the first record at or behind a byte. Bytes must not decrease from call to call.
    fn of_record(&mut self, byte: u64) -> u64 {
        let mut start = usize::try_from(byte).map_or(self.text.len(), |byte| byte.min(self.text.len()));
        loop {
            let rest = &self.text[start..];
            let blank = rest.len() - rest.trim_start_matches(['\r', '\n']).len();
            let comment = match rest[blank..].starts_with('#') {
                true => rest[blank..].find('\n').unwrap_or(rest.len() - blank),
                false => 0,
            };
            start += blank + comment;
            if comment == 0 {
                break;
            }
        }
        let (from, line) = self.counted;
        self.counted = (start, line + self.text[from..start].matches('\n').count() as u64);
        self.counted.1
    }
}

impl<'t> Table<'t> {
    /// Reads the header. Columns are separated by tabs, semicolons or commas.
    pub(crate) fn of(path: &Path, text: &'t str) -> Result<Self, PadaError> {
        let cells = |line: &str, separator: u8| -> Vec<String> {
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .delimiter(separator)
                .from_reader(line.as_bytes());
            let row = reader.records().next().and_then(Result::ok).unwrap_or_default();
            row.iter().map(|cell| cell.trim().to_owned()).collect()
        };
        let header = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'));
        let header = header.unwrap_or_default();
        let is_there = |separator: &u8| header.contains(char::from(*separator));
        // Names can contain the other characters, for example `accuracy, %`.
        let separates =
            |separator: &u8| is_there(separator) && cells(header, *separator).iter().any(|name| name == ARCH);
        let separators = || [b'\t', b';', b','].into_iter();
        let usual = || [b',', b';', b'\t'].into_iter().find(is_there);
        let separator = separators().find(separates).or_else(usual).unwrap_or(b',');
        let builder = |separator| {
            let mut builder = csv::ReaderBuilder::new();
            builder.delimiter(separator).comment(Some(b'#'));
            builder
        };
        let mut rows = builder(separator).from_reader(text.as_bytes());
        let mut lines = Lines { text, counted: (0, 1) };
        let names =
            rows.headers().cloned().map_err(|error| csv_error(path, &error, separator, &mut lines))?;
        let header = names.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { header, separator, rows, lines })
    }

    /// Returns the index of a column, or `None` if the table has none of this name.
    ///
    /// # Errors
    /// Returns [`PadaError::ColumnTwice`] if two columns have the name.
    pub(crate) fn column(&self, path: &Path, name: &str) -> Result<Option<usize>, PadaError> {
        let mut places = (0..self.header.len()).filter(|&place| self.header[place] == name);
        match (places.next(), places.next()) {
            (_, Some(_)) => Err(PadaError::ColumnTwice { path: path.into(), column: name.to_owned() }),
            (first, None) => Ok(first),
        }
    }

    /// Returns the next row and its line.
    pub(crate) fn next(&mut self, path: &Path) -> Result<Option<(u64, csv::StringRecord)>, PadaError> {
        let mut row = csv::StringRecord::new();
        match self.rows.read_record(&mut row) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = self.lines.of_record(row.position().map_or(0, csv::Position::byte));
                Ok(Some((line, row)))
            }
            Err(error) => Err(csv_error(path, &error, self.separator, &mut self.lines)),
        }
    }

    /// Reads a number. Where commas do not separate columns, a comma is the decimal point.
    pub(crate) fn number(&self, text: &str) -> Option<f64> {
        let text = text.trim();
        if self.separator == b',' { text.parse().ok() } else { text.replace(',', ".").parse().ok() }
    }
}

/// Describes an error in the text of a table.
fn csv_error(path: &Path, error: &csv::Error, separator: u8, lines: &mut Lines<'_>) -> PadaError {
    let (position, reason) = match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let hint = match separator {
                b',' if len > expected_len => {
                    "; where a comma is the decimal point, separate columns by semicolons or tabs"
                }
                _ => "",
            };
            (pos.as_ref(), format!("the row has {len} cells, but the header has {expected_len}{hint}"))
        }
        _ => (error.position(), error.to_string()),
    };
    let line = lines.of_record(position.map_or(0, csv::Position::byte));
    PadaError::Scores { path: path.into(), line, reason }
}

/// Applies `read` to every line of a file of architectures, or to the column `arch` if the first line is the header of a table that has it.
/// `read` also returns the name that must be unique in the file.
pub(crate) fn read_arch_lines<T>(
    path: &Path,
    mut read: impl FnMut(&str) -> Result<(String, T), PadaError>,
) -> Result<Vec<(String, T)>, PadaError> {
    let text = read_text(path)?;
    let mut texts: Vec<(usize, String)> = Vec::new();
    let table = match Table::of(path, &text) {
        Ok(table) => table.column(path, ARCH)?.map(|column| (column, table)),
        Err(_) => None,
    };
    match table {
        Some((column, mut table)) => {
            while let Some((line, row)) = table.next(path)? {
                texts.push((line as usize, row[column].trim().to_owned()));
            }
        }
        None => {
            let lines = (1..).zip(text.lines().map(str::trim));
            let archs = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
            texts.extend(archs.map(|(line, text)| (line, text.to_owned())));
        }
    }
    let (mut archs, mut lines) = (Vec::new(), HashMap::new());
    for (line, text) in texts {
        let (arch, found) = read(&text).map_err(|error| match error {
            PadaError::Space(source) => PadaError::ArchList { path: path.into(), line, source },
            other => other,
        })?;
        if let Some(first) = lines.insert(arch.clone(), line) {
            return Err(PadaError::ArchTwice { path: path.into(), line, arch, first });
        }
        archs.push((arch, found));
    }
    if archs.is_empty() { Err(PadaError::NoArchs { path: path.into() }) } else { Ok(archs) }
}

/// Writes a CSV file with the columns `arch,correct,total,accuracy`, one row per score, in the given order. Accuracy is in percent.
///
/// # Errors
/// Returns [`PadaError::Write`] if the file cannot be written.
pub fn write_scores(path: &Path, scores: &[ArchScore]) -> Result<(), PadaError> {
    write_table(path, SCORES, scores.iter().map(|score| score_cells(score).to_vec()))
}

/// Writes zero-cost scores as a CSV file with the column `arch` and one column per score, and `fused` if they were fused. A score that is not
/// defined is `NaN` or `-inf`.
///
/// # Errors
/// Returns [`PadaError::Write`] if the file cannot be written.
pub fn write_zero_cost(path: &Path, scored: &Scored) -> Result<(), PadaError> {
    let names = scored.scores.iter().map(|(score, ..)| score.name());
    let header = std::iter::once("arch").chain(names).chain(scored.fused.iter().map(|_| FUSED));
    let rows = scored.archs.iter().enumerate().map(|(i, arch)| {
        let scores = scored.scores.iter().map(move |(_, values, _)| values[i].value);
        let numbers = scores.chain(scored.fused.iter().map(move |fused| fused[i]));
        std::iter::once(arch.to_string()).chain(numbers.map(|number| number.to_string())).collect()
    });
    write_table(path, header, rows)
}

/// Writes a ranking as [`write_scores`] does, with one more column for each of [`Ranked::columns`]. The column `accuracy` contains
/// [`Ranked::accuracies`], and a score that is not defined is `NaN` or `-inf`.
///
/// # Errors
/// Returns [`PadaError::Write`] if the file cannot be written.
pub fn write_ranking(path: &Path, ranked: &Ranked) -> Result<(), PadaError> {
    let header = SCORES.into_iter().chain(ranked.columns.iter().map(|(name, _)| name.as_str()));
    let rows = ranked.scores.iter().enumerate().map(|(i, score)| {
        let more = ranked.columns.iter().map(|(_, list)| list[i].to_string());
        let [arch, correct, total, _] = score_cells(score);
        [arch, correct, total, ranked.accuracies[i].to_string()].into_iter().chain(more).collect()
    });
    write_table(path, header, rows)
}

/// The columns of the scores of a supernet.
const SCORES: [&str; 4] = ["arch", "correct", "total", "accuracy"];

fn score_cells(score: &ArchScore) -> [String; 4] {
    let ArchScore { arch, correct, total } = score;
    [arch.to_string(), correct.to_string(), total.to_string(), score.accuracy().to_string()]
}

/// Writes a CSV file atomically.
pub(crate) fn write_table<'h>(
    path: &Path,
    header: impl IntoIterator<Item = &'h str>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), PadaError> {
    const INTO_MEMORY: &str = "memory takes every record";
    let mut csv = csv::Writer::from_writer(vec![]);
    csv.write_record(header).expect(INTO_MEMORY);
    for row in rows {
        csv.write_record(row).expect(INTO_MEMORY);
    }
    write_file(path, &csv.into_inner().expect(INTO_MEMORY))
}

/// Reads a file. Returns `None` if there is none.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file exists but cannot be read.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, PadaError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PadaError::Read { path: path.into(), source }),
    }
}

/// Writes a file atomically: after an error, the file is complete or unchanged.
///
/// # Errors
/// Returns [`PadaError::Write`] if the file cannot be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), PadaError> {
    write_durably(path, bytes).map_err(not_written)
}

/// Checks before scoring that [`write_scores`] can write to a path.
///
/// # Errors
/// Returns [`PadaError::Write`] if it cannot.
pub fn check_scores_file(path: &Path) -> Result<(), PadaError> {
    check_writable(path).map_err(not_written)
}

/// Checks the name of a file that a user wants written, before any work: an ending must fit the format, and it must not be one of the
/// files that the command reads.
///
/// # Errors
/// Returns [`PadaError::WrongEnding`] or [`PadaError::OverwritesInput`].
pub fn check_output(
    path: &Path,
    endings: &'static [&'static str],
    inputs: &[&Path],
) -> Result<(), PadaError> {
    let fits = |ending: &OsStr| endings.iter().any(|known| ending.eq_ignore_ascii_case(known));
    if path.extension().is_some_and(|ending| !fits(ending)) {
        return Err(PadaError::WrongEnding { path: path.into(), endings });
    }
    // Links lead to one file, so the files are compared and not their names.
    let real = |path: &Path| path.canonicalize().ok();
    match real(path) {
        Some(file) if inputs.iter().any(|input| real(input).as_ref() == Some(&file)) => {
            Err(PadaError::OverwritesInput { path: path.into() })
        }
        _ => Ok(()),
    }
}

/// Converts the error of a file that cannot be written to an error of this crate.
pub(crate) fn not_written(error: CheckpointError) -> PadaError {
    match error {
        CheckpointError::Io { path, source } => PadaError::Write { path, source },
        other => other.into(),
    }
}

/// Reads partial scores that [`write_scores`] wrote. Returns the scores of those `archs` that the file has, each with its index in `archs`.
/// All other rows are ignored. An architecture may have scores on several numbers of images.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file exists but cannot be read.
pub(crate) fn read_some_scores(
    path: &Path,
    archs: &HashMap<&Arch, usize>,
    space: &dyn SearchSpace,
) -> Result<Vec<(usize, ArchScore)>, PadaError> {
    let Some(bytes) = read_if_there(path)? else { return Ok(vec![]) };
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let score = |row: Result<ScoreRow, csv::Error>| {
        let row = row.ok().filter(|row| row.correct <= row.total)?;
        let arch = space.parse(&row.arch).ok()?;
        let place = *archs.get(&arch)?;
        Some((place, ArchScore { arch, correct: row.correct, total: row.total }))
    };
    Ok(reader.deserialize::<ScoreRow>().filter_map(score).collect())
}

#[derive(Deserialize)]
struct ScoreRow {
    arch: String,
    correct: usize,
    total: usize,
}

/// Reads the architectures of a table and their scores: the first of the columns `accuracy` and `score` that is there, or the share of `correct`
/// in `total`, in percent. Columns are separated by commas, semicolons or tabs.
///
/// A file of the released code of PA&DA, `results/*.npy`, has the score `pred`.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file cannot be read, [`PadaError::NoColumn`] with the columns of the file if it does not have the one that is
/// read, [`PadaError::UndefinedScore`] with the line of a score that is not a finite number, [`PadaError::Scores`] with the line of an invalid number,
/// of more correct images than there are, or of an invalid or duplicate architecture, and [`PadaError::NoArchs`] if there is no row.
pub fn read_scores(path: &Path, space: &dyn SearchSpace) -> Result<Vec<(Arch, f64)>, PadaError> {
    Ok(ScoreFile::default().read(path, space)?.scores)
}

/// Reads the columns `arch` and `column` of a table, which may be a zero-cost score: `-inf` and `NaN` are scores that are not defined, and
/// both are read as −∞.
///
/// # Errors
/// Returns the errors of [`read_scores`].
pub fn read_score_column(
    path: &Path,
    column: &str,
    space: &dyn SearchSpace,
) -> Result<Vec<(Arch, f64)>, PadaError> {
    let column = Some(column.to_owned());
    Ok(ScoreFile { column, undefined: Undefined::RankLast }.read(path, space)?.scores)
}

/// Reads the names of the columns of a table.
pub(crate) fn columns(path: &Path) -> Result<Vec<String>, PadaError> {
    Ok(Table::of(path, &read_text(path)?)?.header)
}

/// A reader of tables of scores, with its settings.
#[derive(Clone, Debug, Default)]
pub struct ScoreFile {
    /// The column of the scores. `None` reads the columns that [`read_scores`] describes.
    pub column: Option<String>,
    /// Treatment of rows whose score is not a finite number.
    pub undefined: Undefined,
}

/// Treatment of rows whose score is not a finite number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Undefined {
    /// An error with the line.
    #[default]
    Refuse,
    /// `-inf` and `NaN`, which zero-cost scores are where they are not defined, are read as −∞. Other texts are an error.
    RankLast,
    /// A row with an infinite number, `NaN`, an empty cell, or a word that stands for a missing number, such as `NA` or `None`, is left out.
    /// Other texts are an error.
    Skip,
}

/// The content of a table of scores.
#[derive(Clone, Debug)]
pub struct ScoresRead {
    /// Architectures and their scores, in the order of the file.
    pub scores: Vec<(Arch, f64)>,
    /// Number of rows that were left out because their score is not a finite number.
    pub skipped: usize,
}

impl ScoreFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Returns the errors of [`read_scores`].
    pub fn read(&self, path: &Path, space: &dyn SearchSpace) -> Result<ScoresRead, PadaError> {
        let rows = match path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
            true => released_scores(path, self.column.as_deref().unwrap_or(RELEASED_SCORE))?,
            false => self.rows(path)?,
        };
        self.collect(path, space, rows)
    }

    /// Reads the rows of a table.
    fn rows(&self, path: &Path) -> Result<Vec<Row>, PadaError> {
        let text = read_text(path)?;
        let mut table = Table::of(path, &text)?;
        let no_column = |table: &Table<'_>, name: &str| PadaError::NoColumn {
            path: path.into(),
            column: name.to_owned(),
            columns: table.header.join(", "),
            advice: "",
        };
        let arch = table.column(path, ARCH)?.ok_or_else(|| no_column(&table, ARCH))?;
        let usual = ["accuracy", "score"].into_iter().find(|name| table.header.iter().any(|own| own == name));
        let [correct, total] =
            ["correct", "total"].map(|name| table.header.iter().position(|own| own == name));
        let counts = match (&self.column, usual, correct, total) {
            (None, None, Some(correct), Some(total)) => Some([correct, total]),
            _ => None,
        };
        let column = match counts {
            Some(_) => "correct / total",
            None => self.column.as_deref().or(usual).unwrap_or("accuracy"),
        };
        let place = match counts {
            Some([correct, _]) => correct,
            None => table.column(path, column)?.ok_or_else(|| no_column(&table, column))?,
        };
        let mut rows = Vec::new();
        while let Some((line, row)) = table.next(path)? {
            let bad = |reason: String| PadaError::Scores { path: path.into(), line, reason };
            let cell = |place: usize| -> Result<f64, PadaError> {
                let text = row[place].trim();
                let number = table.number(text).or_else(|| is_missing(text).then_some(f64::NAN));
                number.ok_or_else(|| {
                    bad(format!("{} is {text:?}, but it must be a number", table.header[place]))
                })
            };
            let (score, text) = match counts {
                None => (cell(place)?, row[place].trim().to_owned()),
                Some([correct, total]) => {
                    let text = format!("{} / {}", row[correct].trim(), row[total].trim());
                    let (correct, total) = (cell(correct)?, cell(total)?);
                    if correct < 0.0 || correct > total {
                        return Err(bad(format!(
                            "correct / total is {text}, but correct must be a number from 0 to total"
                        )));
                    }
                    (100.0 * correct / total, text)
                }
            };
            // An empty cell is no score of a program, so that it is not ranked last.
            let is_missing = is_missing(&text);
            rows.push(Row {
                line,
                arch: row[arch].to_owned(),
                column: column.to_owned(),
                score,
                text,
                is_missing,
            });
        }
        Ok(rows)
    }

    /// Returns the score of a row, or `None` if the row is left out.
    fn score(&self, path: &Path, row: Row) -> Result<Option<f64>, PadaError> {
        let is_worst = (row.score.is_nan() && !row.is_missing) || row.score == f64::NEG_INFINITY;
        match self.undefined {
            _ if row.score.is_finite() => Ok(Some(row.score)),
            Undefined::Skip => Ok(None),
            Undefined::RankLast if is_worst => Ok(Some(f64::NEG_INFINITY)),
            Undefined::Refuse | Undefined::RankLast => {
                let Row { line, column, text, .. } = row;
                Err(PadaError::UndefinedScore { path: path.into(), line, column, text, advice: "" })
            }
        }
    }

    fn collect(&self, path: &Path, space: &dyn SearchSpace, rows: Vec<Row>) -> Result<ScoresRead, PadaError> {
        let (mut scores, mut skipped) = (Vec::new(), 0);
        let mut seen = std::collections::HashSet::new();
        for row in rows {
            let bad = |reason: String| PadaError::Scores { path: path.into(), line: row.line, reason };
            let arch = space.parse(&row.arch).map_err(|e| bad(e.to_string()))?;
            if !seen.insert(arch.clone()) {
                return Err(bad(format!("{arch} occurs for the second time")));
            }
            match self.score(path, row)? {
                Some(score) => scores.push((arch, score)),
                None => skipped += 1,
            }
        }
        if scores.is_empty() {
            return Err(PadaError::NoArchs { path: path.into() });
        }
        Ok(ScoresRead { scores, skipped })
    }
}

/// A row of a list of scores.
struct Row {
    /// Line of a text, or number of an entry, from 1.
    line: u64,
    arch: String,
    /// The column of the score, for messages.
    column: String,
    /// The score, which may be NaN or infinite.
    score: f64,
    /// The text of the score, for messages.
    text: String,
    /// True if there is no score at all.
    is_missing: bool,
}

/// Returns true for an empty cell and the words that programs write for a missing number.
fn is_missing(text: &str) -> bool {
    const WORDS: [&str; 7] = ["", "na", "n/a", "#n/a", "<na>", "none", "null"];
    WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// Reads a column of finite numbers of a CSV file.
pub(crate) fn read_numbers(
    path: &Path,
    column: &str,
    space: &dyn SearchSpace,
) -> Result<Vec<(Arch, f64)>, PadaError> {
    let column = Some(column.to_owned());
    Ok(ScoreFile { column, undefined: Undefined::Refuse }.read(path, space)?.scores)
}

/// The score of the supernet in files of the released code of PA&DA.
const RELEASED_SCORE: &str = "pred";

/// Reads a file that the released code of PA&DA writes with `numpy.save`: dicts with `id`, `model_gene`, `pred` and `target`. Returns one of the
/// numbers of each architecture.
///
/// # Source
/// `results/*.npy` of <https://github.com/ShunLu91/PA-DA>
fn released_scores(path: &Path, column: &str) -> Result<Vec<Row>, PadaError> {
    let bytes = std::fs::read(path).map_err(|source| PadaError::Read { path: path.into(), source })?;
    let bad =
        |line: usize, reason: String| PadaError::Scores { path: path.into(), line: line as u64, reason };
    let pickle = numpy_objects(&bytes).ok_or_else(|| {
        bad(
            1,
            "it is not a numpy file of pickled objects; write a CSV file with the columns arch and accuracy"
                .to_owned(),
        )
    })?;
    let pickle = Pickle::read(pickle).map_err(|error| bad(1, error.to_string()))?;
    let entry = |dict: &[Value], name: &str| {
        let mut pairs = dict.chunks_exact(2);
        let pair = pairs.find(|pair| matches!(&pair[0], Value::Text(key) if &**key == name));
        pair.map(|pair| pair[1].clone())
    };
    let mut rows: Vec<Row> = Vec::new();
    for dict in &pickle.lists {
        let Some(gene) = entry(dict, "model_gene") else { continue };
        let arch = match &gene {
            Value::Text(text) => text.to_string(),
            other => {
                let digits = pickle.numbers(other).unwrap_or_default();
                digits.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
            }
        };
        let line = rows.len() + 1;
        let value = entry(dict, column);
        let is_missing = matches!(value, Some(Value::Other));
        let number = value.and_then(|value| pickle.numbers(&value)).filter(|numbers| numbers.len() == 1);
        let score = number.map(|numbers| numbers[0]).or(is_missing.then_some(f64::NAN));
        let score = score.ok_or_else(|| {
            bad(line, format!("{arch} has no number {column}; the numbers are pred and target"))
        })?;
        let text = if is_missing { "None".to_owned() } else { score.to_string() };
        rows.push(Row { line: line as u64, arch, column: column.to_owned(), score, text, is_missing });
    }
    Ok(rows)
}

/// Returns the pickle of a numpy file with an array of objects.
fn numpy_objects(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>()?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk::<2>().map(|(n, rest)| (usize::from(u16::from_le_bytes(*n)), rest))?,
        _ => rest.split_first_chunk::<4>().map(|(n, rest)| (u32::from_le_bytes(*n) as usize, rest))?,
    };
    let (header, pickle) = rest.split_at_checked(length)?;
    header.windows(3).any(|text| text == b"'|O").then_some(pickle)
}
