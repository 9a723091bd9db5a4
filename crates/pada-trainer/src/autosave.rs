use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// When to write checkpoints between steps, and where.
pub(crate) struct Autosave {
    folder: PathBuf,
    every: Duration,
    last: Instant,
}

impl Autosave {
    pub(crate) fn new(folder: &Path, every: Duration) -> Self {
        Self { folder: folder.into(), every, last: Instant::now() }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every
    }

    /// A checkpoint has just been written.
    pub(crate) fn saved(&mut self) {
        self.last = Instant::now();
    }
}
