//! Training of one supernet by several processes. Each process has all weights and draws the same random numbers, so all processes take
//! the same steps. Only process 0 writes files.

use std::path::{Path, PathBuf};

use pada_dist::{DistError, ProcessGroup};
use pada_exec::{BatchNormSync, State};

use crate::TrainError;
use crate::r#loop::trainer::Trainer;
use crate::state::checkpoint::latest_file;
use crate::state::file::CheckpointFile;
use crate::state::identity::weights_sha256;

/// The path in errors of processes other than process 0, which do not know the file.
const FROM_PROCESS_0: &str = "the checkpoint of process 0";

impl Trainer {
    /// Trains together with the other processes of a group. All of them must have the same settings and parts.
    pub fn across(mut self, group: ProcessGroup, norms: BatchNormSync) -> Self {
        (self.group, self.norms) = (group, norms);
        self
    }

    /// Resumes from the newest checkpoint of process 0, see [`Trainer::resume`]. The other processes receive the checkpoint from process 0
    /// and need no access to its files. The number of processes may differ from the run that wrote it.
    ///
    /// # Errors
    /// Returns [`TrainError::Checkpoint`] if the checkpoint cannot be used, and [`TrainError::ProcessGroup`] if a process does not answer.
    pub fn resume_together(&mut self, folder: &Path) -> Result<(), TrainError> {
        if self.group.is_single() {
            return Ok(self.resume(folder)?);
        }
        let found = if self.group.index() == 0 { latest_file(folder)? } else { None };
        let bytes = found.as_ref().map(|(_, file)| file.to_bytes()).unwrap_or_default();
        let bytes = self.group.broadcast(bytes)?;
        let (path, file) = match found {
            Some(found) => found,
            None if bytes.is_empty() => return Ok(()),
            None => {
                let path = PathBuf::from(FROM_PROCESS_0);
                let file = CheckpointFile::from_bytes(&bytes, &path)?;
                (path, file)
            }
        };
        Ok(self.resume_from(path, file)?)
    }

    /// Returns an error if the processes no longer have the same weights. This can happen with different processors or system libraries.
    pub(crate) fn check_weights(&self) -> Result<(), TrainError> {
        if self.group.is_single() {
            return Ok(());
        }
        let weights = weights_sha256(&self.parts.executor.read(State::Weights));
        let sent = self.group.traffic();
        tracing::info!(sent.messages, sent.bytes, sent.seconds, "sent to other processes so far");
        match self.group.first_mismatch(weights.into_bytes())? {
            Some(peer) => Err(DistError::WeightsDiverged { peer, epoch: self.epochs.len() }.into()),
            None => Ok(()),
        }
    }
}
