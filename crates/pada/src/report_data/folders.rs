use std::path::{Path, PathBuf};

use crate::PadaError;
use crate::run_folder::CONFIG;

/// The run folders that a path means: itself, or those within it in the order of their names, as `xtask reproduce` makes them.
///
/// # Errors
/// [`PadaError::NotARun`] where there is none, [`PadaError::Read`] for a folder that cannot be read.
pub fn run_folders(path: &Path) -> Result<Vec<PathBuf>, PadaError> {
    let is_run = |path: &Path| path.join(CONFIG).is_file();
    if is_run(path) || !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let io = |source| PadaError::Read { path: path.into(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(io)? {
        let within = entry.map_err(io)?.path();
        if is_run(&within) {
            found.push(within);
        }
    }
    found.sort_unstable();
    if found.is_empty() { Err(PadaError::NotARun { path: path.into(), file: CONFIG }) } else { Ok(found) }
}
