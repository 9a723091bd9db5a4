use std::io::Write;
use std::path::Path;

use crate::CheckpointError;

/// Writes a file so that after a crash either the old content or the new one is there, whole: to a temporary file in the same
/// folder, synced to disk, then renamed.
///
/// # Errors
/// [`CheckpointError::Io`] naming the file; the old content is untouched.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let folder = folder(path);
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

/// Whether a file can be written there, found out before the work whose result it shall hold. Leaves nothing behind.
///
/// # Errors
/// [`CheckpointError::Io`] naming the file.
pub fn check_writable(path: &Path) -> Result<(), CheckpointError> {
    let io = |source| CheckpointError::Io { path: path.into(), source };
    if path.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    tempfile::NamedTempFile::new_in(folder(path)).map(drop).map_err(io)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
