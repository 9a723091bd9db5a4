use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::PadaError;

/// A text file to which lines are appended as soon as they are known, so that a kill loses at most the line that is being written.
pub(crate) struct LineFile {
    path: PathBuf,
    file: File,
}

impl LineFile {
    /// Opens or creates a file and keeps its first `kept` bytes, which end in a whole line. An empty file gets the line `first`.
    pub(crate) fn open(path: &Path, kept: usize, first: &str) -> Result<Self, PadaError> {
        let write = |source| PadaError::Write { path: path.into(), source };
        let file = File::options().create(true).truncate(false).append(true).open(path).map_err(write)?;
        file.set_len(kept as u64).map_err(write)?;
        let mut lines = Self { path: path.into(), file };
        if kept == 0 {
            lines.add(first)?;
        }
        Ok(lines)
    }

    /// Appends a line, given without its end.
    pub(crate) fn add(&mut self, line: &str) -> Result<(), PadaError> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|source| PadaError::Write { path: self.path.clone(), source })
    }
}
