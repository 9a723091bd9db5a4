use std::fmt::Debug;
use std::time::Duration;

use crate::DistError;

/// What carries messages between ranks.
pub trait Transport: Debug + Send + Sync {
    /// This process's number, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn size(&self) -> usize;

    /// Sends a message to another rank and returns the one that comes from there; both call this, and two messages between the same
    /// two ranks never overtake each other. Lengths may differ.
    ///
    /// # Errors
    /// [`DistError::Silent`] where nothing came within `patience`. The link must not be used after an error.
    fn swap(&self, peer: usize, message: Vec<u8>, patience: Duration) -> Result<Vec<u8>, DistError>;

    /// Says good-bye to the other ranks, once, after everything went well; may wait for them.
    fn close(&self) {}
}
