use std::io::Write;
use std::path::Path;

use crate::CheckpointError;

/// Writes a file so that after a crash either the old content or the new one is there, whole: to a temporary file in the same
/// folder, synced to disk, then renamed.
///
/// # Errors
/// [`CheckpointError::Io`] naming the file; the old content is untouched.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The rename itself must reach the disk too.
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(|source| CheckpointError::Io { path: path.into(), source })
}
