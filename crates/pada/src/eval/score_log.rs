//! Zero-cost scores on disk, so that a killed command loses none.

use std::collections::HashMap;
use std::path::Path;

use pada_space::{Arch, SearchSpace};
use pada_zerocost::{Score, ScoreValue};

use crate::error::PadaError;
use crate::eval::arch_files::read_if_there;
use crate::eval::line_file::LineFile;

/// A file with one line per score: `score,arch,value`. Its first line describes everything that the scores depend on. Each score is appended
/// as soon as it is known.
pub(crate) struct ScoreLog {
    lines: LineFile,
    known: HashMap<(Score, Arch), f64>,
}

impl ScoreLog {
    /// Opens or creates the file. `subject` is one line without line breaks.
    ///
    /// # Errors
    /// Returns [`PadaError::OtherScores`] if the file has scores of another subject, and the errors of reading and writing.
    pub(crate) fn open(path: &Path, subject: &str, space: &dyn SearchSpace) -> Result<Self, PadaError> {
        let text = read(path)?;
        let first = format!("{subject}\n");
        let mut known = HashMap::new();
        let whole = match text.strip_prefix(first.as_str()) {
            Some(lines) => first.len() + read_lines(lines, space, &mut known),
            None if first.starts_with(&text) => 0,
            None => {
                return Err(PadaError::OtherScores { path: path.into(), what: "network, images or seed" });
            }
        };
        Ok(Self { lines: LineFile::open(path, whole, subject)?, known })
    }

    /// Does the same as [`ScoreLog::open`], and removes scores of another subject.
    pub(crate) fn replace(path: &Path, subject: &str, space: &dyn SearchSpace) -> Result<Self, PadaError> {
        match Self::open(path, subject, space) {
            Err(PadaError::OtherScores { .. }) => {
                std::fs::remove_file(path)
                    .map_err(|source| PadaError::Write { path: path.into(), source })?;
                Self::open(path, subject, space)
            }
            other => other,
        }
    }

    /// Also reads the scores of the file of another process. Those of another subject are ignored.
    pub(crate) fn learn(
        &mut self,
        path: &Path,
        subject: &str,
        space: &dyn SearchSpace,
    ) -> Result<(), PadaError> {
        if let Some(lines) = read(path)?.strip_prefix(&format!("{subject}\n")) {
            read_lines(lines, space, &mut self.known);
        }
        Ok(())
    }

    pub(crate) fn get(&self, score: Score, arch: &Arch) -> Option<ScoreValue> {
        let value = *self.known.get(&(score, arch.clone()))?;
        Some(ScoreValue { value, reason: None })
    }

    /// Appends a score. One that is not defined is left out: it is computed again, so that its reason is known.
    pub(crate) fn add(&mut self, score: Score, arch: &Arch, value: ScoreValue) -> Result<(), PadaError> {
        if value.reason.is_some() {
            return Ok(());
        }
        self.lines.add(&format!("{score},{arch},{}", value.value))
    }
}

/// Returns the text of a file, or nothing if there is none.
fn read(path: &Path) -> Result<String, PadaError> {
    Ok(read_if_there(path)?.map_or_else(String::new, |bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Reads lines up to one that was cut off by a kill, and returns their length in bytes. That line and all after it are written again.
fn read_lines(mut text: &str, space: &dyn SearchSpace, known: &mut HashMap<(Score, Arch), f64>) -> usize {
    let mut whole = 0;
    while let Some((line, behind)) = text.split_once('\n') {
        let Some((key, value)) = read_line(line, space) else { break };
        // Earlier versions wrote scores that are not defined.
        if value.is_finite() {
            known.insert(key, value);
        }
        whole += line.len() + 1;
        text = behind;
    }
    whole
}

fn read_line(line: &str, space: &dyn SearchSpace) -> Option<((Score, Arch), f64)> {
    let mut cells = line.split(',');
    let (score, arch, value) = (cells.next()?, cells.next()?, cells.next()?);
    Some(((score.parse().ok()?, space.parse(arch).ok()?), value.parse().ok()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_space::Nb201;

    use super::*;

    #[test]
    fn scores_survive_a_kill_and_belong_to_their_subject() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("part");
        let space = Nb201::new();
        let arch = |text: &str| space.parse(text).unwrap();
        let mut log = ScoreLog::open(&path, "a", &space).unwrap();
        let value = ScoreValue { value: 0.1 + 0.2, reason: None };
        log.add(Score::Nwot, &arch("123412"), value).unwrap();
        let none = ScoreValue { value: f64::NEG_INFINITY, reason: Some("zero") };
        log.add(Score::Nwot, &arch("000000"), none).unwrap();
        drop(log);
        let whole = std::fs::read_to_string(&path).unwrap();
        for torn in ["nwo", "nwot,12341", "nwot,123412,x\n"] {
            std::fs::write(&path, format!("{whole}{torn}")).unwrap();
            let log = ScoreLog::open(&path, "a", &space).unwrap();
            assert_eq!(log.get(Score::Nwot, &arch("123412")), Some(value));
            assert_eq!(log.get(Score::Nwot, &arch("000000")), None, "its reason is not stored");
            assert_eq!(log.get(Score::Jacov, &arch("123412")), None);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "after {torn:?}");
        }
        let other = ScoreLog::open(&path, "b", &space);
        assert!(matches!(other, Err(PadaError::OtherScores { .. })));
        std::fs::write(&path, "not scores").unwrap();
        let foreign = ScoreLog::open(&path, "a", &space);
        assert!(matches!(foreign, Err(PadaError::OtherScores { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "not scores");
    }
}
