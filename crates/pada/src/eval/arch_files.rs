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

/// Reads a text file in UTF-8, or in UTF-16 with a byte order mark, as spreadsheet programs write it.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file cannot be read or has another encoding.
pub(crate) fn read_text(path: &Path) -> Result<String, PadaError> {
    let bytes = std::fs::read(path).map_err(|source| PadaError::Read { path: path.into(), source })?;
    let units = |of: fn([u8; 2]) -> u16| bytes[2..].as_chunks::<2>().0.iter().map(|&unit| of(unit)).collect();
    let utf16: Option<Vec<u16>> = match bytes.get(..2) {
        Some([0xff, 0xfe]) => Some(units(u16::from_le_bytes)),
        Some([0xfe, 0xff]) => Some(units(u16::from_be_bytes)),
        _ => None,
    };
    let text = match utf16 {
        Some(units) => String::from_utf16(&units).ok(),
        None => String::from_utf8(bytes).ok(),
    };
    let text = text.ok_or_else(|| {
        let source = std::io::Error::new(ErrorKind::InvalidData, "the file is not a text in UTF-8 or UTF-16");
        PadaError::Read { path: path.into(), source }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Returns the character that separates the columns of a table with this header.
fn separator(header: &str) -> u8 {
    [b',', b';', b'\t'].into_iter().find(|&c| header.contains(char::from(c))).unwrap_or(b',')
}

/// Applies `read` to every line of a file of architectures, or to the column `arch` if the first line is the header of a table that starts
/// with it. `read` also returns the name that must be unique in the file.
pub(crate) fn read_arch_lines<T>(
    path: &Path,
    mut read: impl FnMut(&str) -> Result<(String, T), PadaError>,
) -> Result<Vec<(String, T)>, PadaError> {
    let text = read_text(path)?;
    let header = text.lines().next().unwrap_or_default();
    // The first column of a table, such as the result of a search.
    let separator = separator(header);
    let is_table = header.split(char::from(separator)).next().is_some_and(|name| name.trim() == "arch");
    let cell = |line: &str| -> String {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).delimiter(separator).from_reader(line.as_bytes());
        let row = reader.records().next().and_then(Result::ok);
        row.and_then(|row| row.get(0).map(str::to_owned)).unwrap_or_default()
    };
    let (mut archs, mut lines) = (Vec::new(), HashMap::new());
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') || (is_table && line == 1) {
            continue;
        }
        let (arch, found) =
            read(&if is_table { cell(text) } else { text.to_owned() }).map_err(|error| match error {
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
/// Returns [`PadaError::Read`] if the file cannot be read, [`PadaError::Scores`] with the line of a missing column, an invalid number, or an
/// invalid or duplicate architecture, and [`PadaError::NoArchs`] if there is no row.
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

/// Reads the names of the columns of a CSV file.
pub(crate) fn columns(path: &Path) -> Result<Vec<String>, PadaError> {
    let bytes = std::fs::read(path).map_err(|source| PadaError::Read { path: path.into(), source })?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let bad = |error: csv::Error| PadaError::Scores { path: path.into(), line: 1, reason: error.to_string() };
    Ok(reader.headers().map_err(bad)?.iter().map(str::to_owned).collect())
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
    /// The row is left out.
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
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy")) {
            let rows = released_scores(path, self.column.as_deref().unwrap_or(RELEASED_SCORE))?;
            let rows = rows.into_iter().map(|(arch, score)| (arch, Some(score)));
            return self.collect(path, space, (1..).zip(rows));
        }
        let text = read_text(path)?;
        let bad = |line: u64, reason: String| PadaError::Scores { path: path.into(), line, reason };
        let line_of = |e: &csv::Error, line| e.position().map_or(line, csv::Position::line);
        let separator = separator(text.lines().next().unwrap_or_default());
        let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|e| bad(line_of(&e, 1), e.to_string()))?.clone();
        let place = |name: &str| {
            let there = header.iter().collect::<Vec<_>>().join(", ");
            let missing = || bad(1, format!("there is no column {name}; the columns are {there}"));
            header.iter().position(|h| h.trim() == name).ok_or_else(missing)
        };
        let arch_place = place("arch")?;
        let usual = || ["accuracy", "score"].into_iter().find(|name| place(name).is_ok());
        let column = match (&self.column, usual()) {
            (Some(column), _) => column.as_str(),
            (None, Some(column)) => column,
            (None, None) => "accuracy",
        };
        let counted = self.column.is_none() && usual().is_none();
        let counts = match (counted, place("correct"), place("total")) {
            (true, Ok(correct), Ok(total)) => Some([correct, total]),
            _ => None,
        };
        let number_place = if counts.is_some() { arch_place } else { place(column)? };
        let parse = |text: &str| -> Option<f64> {
            let text = text.trim();
            // Where semicolons separate columns, a comma is the decimal point.
            if separator == b';' { text.replace(',', ".").parse().ok() } else { text.parse().ok() }
        };
        let mut rows = Vec::new();
        for (line, row) in (2..).zip(reader.records()) {
            let row = row.map_err(|e| bad(line_of(&e, line), e.to_string()))?;
            let line = row.position().map_or(line, csv::Position::line);
            let number = match counts {
                Some([correct, total]) => {
                    parse(&row[correct]).zip(parse(&row[total])).map(|(c, t)| 100.0 * c / t)
                }
                None => parse(&row[number_place]),
            };
            let undefined = matches!(row[number_place].trim(), "-inf" | "NaN");
            let number = match number.filter(|number| number.is_finite()) {
                None if undefined && self.undefined == Undefined::RankLast => Some(f64::NEG_INFINITY),
                None if self.undefined != Undefined::Skip => {
                    let (what, text) = match counts {
                        Some([correct, total]) => {
                            ("correct / total", format!("{} / {}", &row[correct], &row[total]))
                        }
                        None => (column, row[number_place].to_owned()),
                    };
                    let reason = format!("{what} is {text:?}, but it must be a finite number");
                    return Err(bad(line, reason));
                }
                number => number,
            };
            rows.push((line, (row[arch_place].to_owned(), number)));
        }
        self.collect(path, space, rows.into_iter())
    }

    fn collect(
        &self,
        path: &Path,
        space: &dyn SearchSpace,
        rows: impl Iterator<Item = (u64, (String, Option<f64>))>,
    ) -> Result<ScoresRead, PadaError> {
        let bad = |line: u64, reason: String| PadaError::Scores { path: path.into(), line, reason };
        let (mut scores, mut skipped) = (Vec::new(), 0);
        let mut seen = std::collections::HashSet::new();
        for (line, (text, number)) in rows {
            let arch = space.parse(&text).map_err(|e| bad(line, e.to_string()))?;
            if !seen.insert(arch.clone()) {
                return Err(bad(line, format!("{arch} occurs for the second time")));
            }
            match number {
                Some(number) => scores.push((arch, number)),
                None => skipped += 1,
            }
        }
        if scores.is_empty() {
            return Err(PadaError::NoArchs { path: path.into() });
        }
        Ok(ScoresRead { scores, skipped })
    }
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

/// Reads a file that the released code of PA&DA writes with `numpy.save`: dicts with `id`, `model_gene`, `pred` and `target`. Returns the
/// text of each architecture and one of its numbers.
///
/// # Source
/// `results/*.npy` of <https://github.com/ShunLu91/PA-DA>
fn released_scores(path: &Path, column: &str) -> Result<Vec<(String, f64)>, PadaError> {
    let bytes = std::fs::read(path).map_err(|source| PadaError::Read { path: path.into(), source })?;
    let bad = |reason: String| PadaError::Scores { path: path.into(), line: 1, reason };
    let pickle = numpy_objects(&bytes).ok_or_else(|| {
        bad("it is not a numpy file of pickled objects; write a CSV file with the columns arch and accuracy".to_owned())
    })?;
    let pickle = Pickle::read(pickle).map_err(|error| bad(error.to_string()))?;
    let entry = |dict: &[Value], name: &str| {
        let pairs = dict.chunks_exact(2);
        pairs
            .filter(|pair| matches!(&pair[0], Value::Text(key) if &**key == name))
            .map(|pair| pair[1].clone())
            .next()
    };
    let mut rows = Vec::new();
    for dict in &pickle.lists {
        let Some(gene) = entry(dict, "model_gene") else { continue };
        let arch = match &gene {
            Value::Text(text) => text.to_string(),
            list => {
                let digit = |value: &Value| {
                    if let Value::Int(digit) = value { Some(digit.to_string()) } else { None }
                };
                let digits: Option<Vec<String>> = pickle.items(list).iter().map(digit).collect();
                digits.map(|digits| digits.join(",")).unwrap_or_default()
            }
        };
        let number = entry(dict, column).and_then(|value| float(&pickle, &value));
        let number = number
            .ok_or_else(|| bad(format!("{arch} has no number {column}; the numbers are pred and target")))?;
        rows.push((arch, number));
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

/// Reads a number, or a numpy scalar: a call with a dtype and the little-endian bytes of an `f8` or `f4`.
fn float(pickle: &Pickle, value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Int(number) => Some(*number as f64),
        Value::Call(call) => match pickle.items(&pickle.calls[*call].arguments) {
            [_, Value::Bytes(bytes)] => match bytes.len() {
                8 => Some(f64::from_le_bytes(bytes[..].try_into().ok()?)),
                4 => Some(f64::from(f32::from_le_bytes(bytes[..].try_into().ok()?))),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}
