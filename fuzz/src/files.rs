use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

/// Returns a temporary folder of this process, in memory if the system has such folders.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let new = || {
        let memory = Path::new("/dev/shm");
        let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        made.expect("there is room for temporary files")
    };
    FOLDER.get_or_init(new).path()
}

/// Writes a file with these bytes, and replaces an earlier file of the same name.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    std::fs::create_dir_all(path.parent().expect("the file is in a folder")).expect("folders can be made");
    std::fs::write(&path, bytes).expect("there is room for temporary files");
    path
}
