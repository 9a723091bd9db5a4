use std::fs::File;
use std::path::Path;

use pada_exec::{Executor, State};
use pada_space::SearchSpace;
use pada_trainer::{ArchScore, weights_sha256, write_durably};
use serde::{Deserialize, Serialize};

use crate::config::{ComputeConfig, Recalibration};
use crate::error::PadaError;
use crate::eval::arch_files::{not_written, read_if_there};
use crate::eval::line_file::LineFile;
use crate::run::folder::lock;
use crate::run::scoring::Scoring;

const SCORES: &str = "scores.csv";
/// Name of the file that describes what the scores of a folder depend on.
pub(crate) const SUBJECT: &str = "subject.json";
const HEADER: &str = "arch,correct,total";

/// Everything that the scores of a folder depend on. Scores with another subject are not comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    pub(crate) space: String,
    /// SHA-256 of the weights.
    pub(crate) weights: String,
    /// Settings of the training, if they determine which weights an architecture has.
    pub(crate) chosen_by: String,
    /// SHA-256 of the images that are scored on.
    pub(crate) images: String,
    /// Images per batch.
    pub(crate) batch: usize,
    /// Number and batch size of the images from which running statistics are recomputed.
    pub(crate) recalibration: Option<[usize; 2]>,
    /// Executor and precision.
    pub(crate) compute: ComputeConfig,
}

impl Subject {
    /// Computes what scores of a supernet depend on. `chosen_by` are the settings of the training, if they determine which weights an architecture
    /// has.
    pub(crate) fn of(
        scoring: &Scoring,
        executor: &dyn Executor,
        chosen_by: String,
        recalibrate: Option<Recalibration>,
        compute: ComputeConfig,
    ) -> Self {
        Self {
            space: scoring.network.space.name().to_owned(),
            weights: weights_sha256(&executor.read(State::Weights)),
            chosen_by,
            images: scoring.images.sha256(),
            batch: scoring.batch,
            recalibration: recalibrate.map(|r| [r.images, r.batch]),
            compute,
        }
    }

    pub(crate) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a subject has string keys only")
    }
}

/// The scores of a search on disk. Each score is appended as soon as it is known, so a killed search loses none.
///
/// Only one process can open the folder at a time. The lock ends with the process.
pub(crate) struct ScoreCache {
    lines: LineFile,
    _lock: File,
}

impl ScoreCache {
    /// Opens or creates a folder for scores on `images` images. Also returns the scores that it already has.
    pub(crate) fn open(
        folder: &Path,
        subject: &Subject,
        images: usize,
        space: &dyn SearchSpace,
    ) -> Result<(Self, Vec<ArchScore>), PadaError> {
        let write = |source| PadaError::Write { path: folder.into(), source };
        std::fs::create_dir_all(folder).map_err(write)?;
        let lock = lock(folder)?;
        check_subject(&folder.join(SUBJECT), subject)?;
        let path = folder.join(SCORES);
        let text = read_if_there(&path)?.unwrap_or_default();
        let (scores, whole) = read_lines(&text, images, space);
        if whole < text.len() {
            tracing::warn!("{}: the last lines are damaged and will be scored again", path.display());
        }
        let lines = LineFile::open(&path, whole, HEADER)?;
        Ok((Self { lines, _lock: lock }, scores))
    }

    /// Appends a score.
    pub(crate) fn add(&mut self, score: &ArchScore) -> Result<(), PadaError> {
        let ArchScore { arch, correct, total } = score;
        self.lines.add(&format!("{arch},{correct},{total}"))
    }
}

/// Checks that the folder has scores of this subject. A folder without a subject gets this one.
pub(crate) fn check_subject(path: &Path, subject: &Subject) -> Result<(), PadaError> {
    let other = |what| Err(PadaError::OtherScores { path: path.into(), what });
    let Some(text) = read_if_there(path)? else {
        return write_durably(path, &subject.to_json()).map_err(not_written);
    };
    match serde_json::from_slice::<Subject>(&text) {
        Ok(there) if there == *subject => Ok(()),
        Ok(there) if there.space != subject.space => other("space"),
        Ok(there) if [&there.weights, &there.chosen_by] != [&subject.weights, &subject.chosen_by] => {
            other("supernet")
        }
        Ok(there) if there.images != subject.images => other("set of images"),
        Ok(_) => other("batch, recalibration or executor"),
        Err(_) => other("kind"),
    }
}

/// Reads the scores in the folder of a search, on `images` images each, up to the first damaged line. [`crate::search_run`] and
/// [`crate::search_weights`] continue from these scores. The search may be running.
///
/// # Errors
/// Returns [`PadaError::Read`] if the file cannot be read.
pub fn read_search_scores(
    folder: &Path,
    images: usize,
    space: &dyn SearchSpace,
) -> Result<Vec<ArchScore>, PadaError> {
    let path = folder.join(SCORES);
    let text = std::fs::read(&path).map_err(|source| PadaError::Read { path, source })?;
    Ok(read_lines(&text, images, space).0)
}

/// Reads all lines up to the first damaged one. Returns their scores and their length in bytes.
fn read_lines(text: &[u8], images: usize, space: &dyn SearchSpace) -> (Vec<ArchScore>, usize) {
    let rest = text.strip_prefix(HEADER.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
    let Some(mut rest) = rest else { return (vec![], 0) };
    let mut scores = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let Some(score) = read_line(&rest[..end], images, space) else { break };
        scores.push(score);
        rest = &rest[end + 1..];
    }
    (scores, text.len() - rest.len())
}

fn read_line(line: &[u8], images: usize, space: &dyn SearchSpace) -> Option<ArchScore> {
    let mut cells = std::str::from_utf8(line).ok()?.split(',');
    let arch = space.parse(cells.next()?).ok()?;
    let (correct, total) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
    let valid = cells.next().is_none() && total == images && correct <= total;
    valid.then_some(ArchScore { arch, correct, total })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use pada_space::Nb201;

    use super::*;

    fn subject() -> Subject {
        Subject {
            space: "nb201".into(),
            weights: "a".into(),
            chosen_by: String::new(),
            images: "b".into(),
            batch: 5,
            recalibration: None,
            compute: crate::config::RunConfig::default().compute,
        }
    }

    fn open(folder: &Path, subject: &Subject) -> Result<Vec<ArchScore>, PadaError> {
        ScoreCache::open(folder, subject, 10, &Nb201::new()).map(|(_, scores)| scores)
    }

    #[test]
    fn a_torn_line_is_dropped_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let score = |digits: &str, correct| ArchScore {
            arch: Nb201::new().parse(digits).unwrap(),
            correct,
            total: 10,
        };
        let (mut cache, none) = ScoreCache::open(folder.path(), &subject(), 10, &Nb201::new()).unwrap();
        assert_eq!(none, []);
        cache.add(&score("123412", 3)).unwrap();
        cache.add(&score("000000", 1)).unwrap();
        let error = open(folder.path(), &subject()).unwrap_err();
        assert!(matches!(error, PadaError::FolderInUse { .. }), "{error}");
        drop(cache);
        let path = folder.path().join(SCORES);
        for torn in ["33333", "333333,11,10\n", "333333,5,9\n333333,5,10\n"] {
            let whole = "arch,correct,total\n123412,3,10\n000000,1,10\n";
            std::fs::write(&path, format!("{whole}{torn}")).unwrap();
            let expected = [score("123412", 3), score("000000", 1)];
            assert_eq!(read_search_scores(folder.path(), 10, &Nb201::new()).unwrap(), expected);
            assert_eq!(open(folder.path(), &subject()).unwrap(), expected);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "after {torn:?}");
        }
    }

    #[test]
    fn scores_of_another_subject_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        open(folder.path(), &subject()).unwrap();
        let others = [
            (Subject { weights: "c".into(), ..subject() }, "supernet"),
            (Subject { chosen_by: "c".into(), ..subject() }, "supernet"),
            (Subject { images: "c".into(), ..subject() }, "set of images"),
            (Subject { batch: 6, ..subject() }, "batch"),
        ];
        for (other, word) in others {
            let error = open(folder.path(), &other).unwrap_err();
            assert!(matches!(&error, PadaError::OtherScores { what, .. } if what.contains(word)), "{error}");
        }
        open(folder.path(), &subject()).unwrap();
    }
}
