//! Files of architectures and of scores.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;

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

/// Applies `read` to every line of a file of architectures. `read` also returns the name that must be unique in the file.
pub(crate) fn read_arch_lines<T>(
    path: &Path,
    mut read: impl FnMut(&str) -> Result<(String, T), PadaError>,
) -> Result<Vec<(String, T)>, PadaError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| PadaError::Read { path: path.into(), source })?;
    let (mut archs, mut lines) = (Vec::new(), HashMap::new());
    for (line, text) in (1..).zip(text.lines().map(str::trim)) {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (arch, found) = read(text).map_err(|error| match error {
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

/// Reads the columns `arch` and `accuracy` of a CSV file. Other columns are ignored.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file cannot be read, [`PadaError::Scores`] with the line of a missing column, an invalid number, or an
/// invalid or duplicate architecture, and [`PadaError::NoArchs`] if there is no row.
pub fn read_scores(path: &Path, space: &dyn SearchSpace) -> Result<Vec<(Arch, f64)>, PadaError> {
    read_numbers(path, "accuracy", space)
}

/// Reads the columns `arch` and `column` of a CSV file, which may be a zero-cost score: `-inf` and `NaN` are scores that are not defined, and
/// both are read as −∞.
///
/// # Errors
/// Returns the errors of [`read_scores`].
pub fn read_score_column(
    path: &Path,
    column: &str,
    space: &dyn SearchSpace,
) -> Result<Vec<(Arch, f64)>, PadaError> {
    let undefined = |text: &str| matches!(text, "-inf" | "NaN").then_some(f64::NEG_INFINITY);
    read_numbers_or(path, column, space, undefined)
}

/// Reads the column `arch` and a given column of numbers of a CSV file.
pub(crate) fn read_numbers(
    path: &Path,
    column: &str,
    space: &dyn SearchSpace,
) -> Result<Vec<(Arch, f64)>, PadaError> {
    read_numbers_or(path, column, space, |_| None)
}

/// Reads a column in which `other` may accept texts that are not finite numbers.
fn read_numbers_or(
    path: &Path,
    column: &str,
    space: &dyn SearchSpace,
    other: impl Fn(&str) -> Option<f64>,
) -> Result<Vec<(Arch, f64)>, PadaError> {
    let bytes = std::fs::read(path).map_err(|source| PadaError::Read { path: path.into(), source })?;
    let bad = |line: u64, reason: String| PadaError::Scores { path: path.into(), line, reason };
    let line_of = |e: &csv::Error, line| e.position().map_or(line, csv::Position::line);
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let header = reader.headers().map_err(|e| bad(line_of(&e, 1), e.to_string()))?.clone();
    let place = |name: &str| {
        let there = header.iter().collect::<Vec<_>>().join(", ");
        let missing = || bad(1, format!("there is no column {name}; the columns are {there}"));
        header.iter().position(|h| h == name).ok_or_else(missing)
    };
    let (arch_place, number_place) = (place("arch")?, place(column)?);
    let mut scores = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (line, row) in (2..).zip(reader.records()) {
        let row = row.map_err(|e| bad(line_of(&e, line), e.to_string()))?;
        let line = row.position().map_or(line, csv::Position::line);
        let arch = space.parse(&row[arch_place]).map_err(|e| bad(line, e.to_string()))?;
        let text = &row[number_place];
        let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let number = number
            .or_else(|| other(text.trim()))
            .ok_or_else(|| bad(line, format!("{column} is {text:?}, but it must be a finite number")))?;
        if !seen.insert(arch.clone()) {
            return Err(bad(line, format!("{arch} occurs for the second time")));
        }
        scores.push((arch, number));
    }
    if scores.is_empty() {
        return Err(PadaError::NoArchs { path: path.into() });
    }
    Ok(scores)
}
