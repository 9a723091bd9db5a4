use std::path::{Path, PathBuf};

use pada_graph::WeightLayout;
use pada_report::EpochRecord;
use pada_sampler::SavedState;
use pada_space::SubSpace;
use serde_json::Value;

use crate::CheckpointError;
use crate::state::durable::{remove_temporary_files_of, write_durably};
use crate::state::file::{self, CheckpointFile, CheckpointState, NetworkState};
use crate::state::identity::identity_sha256;

/// A checkpoint: everything that training needs to resume, after an epoch or between two steps of one, as if it had never been
/// interrupted.
///
/// On disk it is a `.safetensors` file. The weights have their own names, so any reader of such files can use them. Everything else
/// is in tensors whose names start with [`pada_graph::CHECKPOINT_PREFIX`] and in the metadata of the file:
///
/// | metadata | content |
/// |---|---|
/// | `pada_checkpoint` | the version of the format, `1` |
/// | `pada_state` | JSON: the identity of the run, records of finished epochs, states of the samplers and of the rule |
/// | `pada_identity_sha256` | SHA-256 of the canonical JSON of the identity |
/// | `pada_sha256` | SHA-256 of all of the above and of all tensors |
///
/// Long lists of numbers in the state are tensors named `pada.state.…`; an object `{"$tensor": "pada.state.…"}` takes their place in
/// the JSON.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checkpoint {
    /// All weights, in the order of the layout.
    pub weights: Vec<f32>,
    /// SGD momentum of each weight.
    pub momentum: Vec<f32>,
    /// Moving average of squared gradients of each weight, if the optimizer is RMSprop.
    pub second_moment: Option<Vec<f32>>,
    /// Moving average of each weight, if the run has one.
    pub average: Option<Vec<f32>>,
    pub(crate) state: CheckpointState,
}

/// Which architectures the weights of a file can compute.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct CheckpointScope {
    /// True if the training rule chooses weights for each architecture, as CLOSE does. Such weights cannot score architectures without the
    /// rule.
    pub by_rule: bool,
    /// The part of the space that was trained; `None` if the file does not say.
    pub part: Option<SubSpace>,
}

/// The state of the data sampler in a checkpoint.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DataState {
    /// The file of the checkpoint.
    pub path: PathBuf,
    /// Number of finished epochs of the stage that the checkpoint belongs to.
    pub epochs: usize,
    /// The state of the sampler, for example a [`pada_sampler::DataImportanceState`].
    pub state: SavedState,
}

/// Number of checkpoints that are kept. If the newest one is damaged, training resumes from the one before.
const KEEP: usize = 2;

impl Checkpoint {
    /// Number of finished epochs.
    pub fn epoch(&self) -> usize {
        self.state.epochs.len()
    }

    /// Records of the finished epochs.
    pub fn epochs(&self) -> &[EpochRecord] {
        &self.state.epochs
    }

    /// Number of finished steps of the epoch in progress; 0 between two epochs.
    pub fn step(&self) -> usize {
        self.state.running.as_ref().map_or(0, |running| running.step)
    }

    /// Everything that makes the run what it is. Only a run with an equal identity can resume from this checkpoint.
    pub fn identity(&self) -> &Value {
        &self.state.identity
    }

    /// SHA-256 of the canonical JSON of [`Checkpoint::identity`], in hexadecimal.
    pub fn identity_sha256(&self) -> String {
        identity_sha256(&self.state.identity)
    }

    /// Names of the classes, `[K]`, in the order of the outputs. Empty if they are not known or if an earlier version wrote the file.
    pub fn class_names(&self) -> &[String] {
        &self.state.class_names
    }

    /// State of the path sampler.
    pub fn paths(&self) -> &SavedState {
        &self.state.paths
    }

    /// State of the data sampler.
    pub fn data(&self) -> &SavedState {
        &self.state.data
    }

    /// State of the training rule.
    pub fn rule(&self) -> &SavedState {
        &self.state.rule
    }

    /// Writes the checkpoint into a folder, as `epoch-0007.safetensors` after seven epochs or `epoch-0007-step-00020.safetensors` after
    /// 20 further steps, and removes all but the last two checkpoints. Also removes temporary files of writes that were killed; only
    /// one process may write checkpoints into a folder. Returns the path of the file.
    ///
    /// # Errors
    /// Returns [`CheckpointError::Io`] if the file cannot be written. Earlier checkpoints are untouched then.
    pub fn save(&self, folder: &Path, layout: &WeightLayout) -> Result<PathBuf, CheckpointError> {
        let name = match self.step() {
            0 => format!("epoch-{:04}.safetensors", self.epoch()),
            step => format!("epoch-{:04}-step-{step:05}.safetensors", self.epoch()),
        };
        let path = folder.join(name);
        remove_temporary_files_of(folder, "epoch-")?;
        write_durably(&path, &self.to_file(layout).to_bytes())?;
        let all = list(folder)?;
        for old in all.iter().take(all.len().saturating_sub(KEEP)) {
            std::fs::remove_file(old).map_err(|source| CheckpointError::Io { path: old.clone(), source })?;
        }
        Ok(path)
    }

    /// Reads the newest intact checkpoint of a folder. Returns it with its path, or `None` if there is no checkpoint. A damaged
    /// checkpoint is skipped with a warning and renamed to `NAME.damaged`, so that it does not count as one of the two that are kept.
    ///
    /// # Errors
    /// Returns [`CheckpointError`], for example [`CheckpointError::NoneIntact`] if every checkpoint is damaged, and
    /// [`CheckpointError::Mismatch`] if the newest belongs to another network.
    pub fn latest(folder: &Path, layout: &WeightLayout) -> Result<Option<(PathBuf, Self)>, CheckpointError> {
        let Some((path, file)) = latest_file(folder)? else { return Ok(None) };
        let checkpoint = Self::from_file(file, layout, &path)?;
        Ok(Some((path, checkpoint)))
    }

    /// Returns the paths of the checkpoints of a folder, oldest first, without reading them.
    ///
    /// # Errors
    /// Returns [`CheckpointError::Io`] if the folder cannot be read.
    pub fn files(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
        list(folder)
    }

    /// Reads the state of the data sampler from the newest intact checkpoint of a folder. Changes nothing in the folder, so a run may
    /// be in progress there. Returns `None` if no checkpoint can be read.
    ///
    /// # Errors
    /// Returns [`CheckpointError::Io`] if the folder cannot be read.
    pub fn data_state(folder: &Path) -> Result<Option<DataState>, CheckpointError> {
        // A run in progress may remove a file that was listed a moment ago. All older files are gone then too, newer ones are not.
        let read = |path: PathBuf| {
            let CheckpointState { epochs, data: state, .. } = CheckpointFile::read(&path).ok()?.state;
            Some(DataState { path, epochs: epochs.len(), state })
        };
        Ok(list(folder)?.into_iter().rev().find_map(read))
    }

    /// Reads which architectures the weights of a file can compute, and checks the checksum if the file is a checkpoint. A file that
    /// is no checkpoint has the default scope.
    ///
    /// # Errors
    /// Returns [`CheckpointError::Io`] if the file cannot be read, and [`CheckpointError::Damaged`],
    /// [`CheckpointError::NewerFormat`] or [`CheckpointError::UnversionedFormat`] if it is a checkpoint that cannot be used.
    pub fn scope(path: &Path) -> Result<CheckpointScope, CheckpointError> {
        let io = |source| CheckpointError::Io { path: path.into(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        if !file::is_checkpoint(&bytes) {
            return Ok(CheckpointScope::default());
        }
        let state = CheckpointFile::from_bytes(&bytes, path)?.state;
        Ok(CheckpointScope { by_rule: state.rule_places_weights, part: Some(state.part) })
    }

    /// Reads one file.
    ///
    /// # Errors
    /// Returns [`CheckpointError`] if the file cannot be read, is damaged, is no checkpoint, has another format, or is the checkpoint
    /// of another network ([`CheckpointError::Mismatch`]).
    pub fn read(path: &Path, layout: &WeightLayout) -> Result<Self, CheckpointError> {
        Self::from_file(CheckpointFile::read(path)?, layout, path)
    }

    pub(crate) fn from_file(
        file: CheckpointFile,
        layout: &WeightLayout,
        path: &Path,
    ) -> Result<Self, CheckpointError> {
        let other = |reason| CheckpointError::Mismatch { path: path.into(), reason };
        let NetworkState { weights, momentum, second_moment, average } =
            file.network(layout).map_err(other)?;
        Ok(Self { weights, momentum, second_moment, average, state: file.state })
    }

    fn to_file(&self, layout: &WeightLayout) -> CheckpointFile {
        let Self { weights, momentum, second_moment, average, state } = self.clone();
        CheckpointFile::new(state, &NetworkState { weights, momentum, second_moment, average }, layout)
    }
}

/// The newest intact checkpoint of a folder, of any network, see [`Checkpoint::latest`].
pub(crate) fn latest_file(folder: &Path) -> Result<Option<(PathBuf, CheckpointFile)>, CheckpointError> {
    let mut damaged = Vec::new();
    for path in list(folder)?.into_iter().rev() {
        match CheckpointFile::read(&path) {
            Ok(file) => {
                for (bad, error) in damaged {
                    tracing::warn!("{error}; resuming from {}", path.display());
                    let io = |source| CheckpointError::Io { path: PathBuf::clone(&bad), source };
                    std::fs::rename(&bad, bad.with_added_extension("damaged")).map_err(io)?;
                }
                return Ok(Some((path, file)));
            }
            Err(error @ CheckpointError::Damaged { .. }) => damaged.push((path, error)),
            Err(error) => return Err(error),
        }
    }
    let none = |newest| CheckpointError::NoneIntact { folder: folder.into(), newest: Box::new(newest) };
    damaged.into_iter().next().map_or(Ok(None), |(_, newest)| Err(none(newest)))
}

/// The checkpoints of a folder, oldest first.
fn list(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut found = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        found.extend(epoch_and_step(name).map(|place| (place, path)));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let io = |source| CheckpointError::Io { path: folder.into(), source };
    let entries = std::fs::read_dir(folder).map_err(io)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(io)).collect()
}

/// Epoch and step of a checkpoint's file name.
fn epoch_and_step(name: &str) -> Option<(usize, usize)> {
    let rest = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?;
    let (epoch, step) = rest.split_once("-step-").unwrap_or((rest, "0"));
    Some((epoch.parse().ok()?, step.parse().ok()?))
}
