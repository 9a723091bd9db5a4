//! Several ranks that train one supernet: all of them hold all weights and draw the same random numbers, so that each takes every step
//! alike. Rank 0 alone writes files.

use std::path::{Path, PathBuf};

use pada_dist::{DistError, ProcessGroup};
use pada_graph::{BatchNormSync, State};

use crate::{Checkpoint, CheckpointError, TrainError, Trainer, weights_sha256};

/// Where the others have a checkpoint from.
const FROM_RANK_0: &str = "the checkpoint of rank 0";

impl Trainer {
    /// The run as one of several ranks; all of them must be given the same settings and parts.
    pub fn across(mut self, world: ProcessGroup, norms: BatchNormSync) -> Self {
        (self.world, self.norms) = (world, norms);
        self
    }

    /// What a checkpoint says of the ranks; nothing where their number changes nothing.
    pub(crate) fn ranks_entry(&self) -> Option<(String, String)> {
        let key = "number of ranks (that must stay where compute.norms is \"local\")";
        (self.norms == BatchNormSync::Local).then(|| (key.to_owned(), self.world.size().to_string()))
    }

    /// Rank 0 goes on as [`Trainer::resume`] does, the others from the same checkpoint, wherever they run and however many there were.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] or [`TrainError::ProcessGroup`]
    pub fn resume_together(&mut self, folder: &Path) -> Result<(), TrainError> {
        if self.world.is_single() {
            return Ok(self.resume(folder)?);
        }
        let layout = self.parts.net.weights();
        let found = match self.world.index() {
            0 => Checkpoint::latest(folder, layout)?,
            _ => None,
        };
        let bytes = found.as_ref().map(|(_, checkpoint)| checkpoint.to_bytes(layout)).unwrap_or_default();
        let bytes = self.world.broadcast(bytes)?;
        let (path, checkpoint) = match found {
            Some(found) => found,
            None if bytes.is_empty() => return Ok(()),
            None => {
                let path = PathBuf::from(FROM_RANK_0);
                let damaged = |reason| CheckpointError::Damaged { path: path.clone(), reason };
                let checkpoint = Checkpoint::from_bytes(&bytes, layout).map_err(damaged)?;
                (path, checkpoint)
            }
        };
        Ok(self.go_on(path, checkpoint)?)
    }

    /// Refuses to go on where ranks no longer hold the same weights, as those of different processors or system libraries might.
    pub(crate) fn check_weights(&self) -> Result<(), TrainError> {
        if self.world.is_single() {
            return Ok(());
        }
        let weights = weights_sha256(&self.parts.executor.read(State::Weights));
        let sent = self.world.traffic();
        tracing::info!(sent.messages, sent.bytes, sent.seconds, "to other ranks so far");
        match self.world.first_mismatch(weights.into_bytes())? {
            Some(peer) => Err(DistError::WeightsDiverged { peer, epoch: self.epochs.len() }.into()),
            None => Ok(()),
        }
    }
}
