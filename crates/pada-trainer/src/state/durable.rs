use std::io::Write;
use std::path::{Path, PathBuf};

use crate::CheckpointError;

/// Writes a file so that after a crash it has either its old content or its new content, complete. The content is written to a
/// temporary file in the same folder, synced to disk, and renamed.
///
/// A process that is killed during the write leaves the temporary file behind. Its name is that of the file with a leading dot and the
/// ending `.tmp`; [`remove_temporary_files`] removes it.
///
/// A symbolic link is followed, and stays a link. A device or a pipe is written to and not replaced.
///
/// # Errors
/// Returns [`CheckpointError::Io`] with the path of the file. The old content is untouched then.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let write = || {
        if is_special(path) {
            return std::fs::File::options().write(true).open(path)?.write_all(bytes);
        }
        let path = &followed(path);
        let mut file = temporary(path)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The rename itself must reach the disk too.
        synced(std::fs::File::open(folder(path))?.sync_all())
    };
    write().map_err(|source| CheckpointError::Io { path: path.into(), source: without_its_path(source) })
}

/// Checks that a file can be written, for example before the work whose result it will hold. Leaves nothing behind.
///
/// # Errors
/// Returns [`CheckpointError::Io`] with the path of the file if it cannot be written.
pub fn check_writable(path: &Path) -> Result<(), CheckpointError> {
    let io = |source| CheckpointError::Io { path: path.into(), source: without_its_path(source) };
    if path.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    if is_special(path) {
        return Ok(());
    }
    temporary(&followed(path)).map(drop).map_err(io)
}

/// Returns whether a path is that of a device, a pipe or a socket.
fn is_special(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir())
}

/// Returns the file that a symbolic link leads to, which need not exist, or the path itself.
fn followed(path: &Path) -> PathBuf {
    /// The number of links in a row that Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = std::fs::read_link(&path) else { break };
        path = folder(&path).join(target);
    }
    path
}

/// Accepts that a file system cannot sync a folder, as some network file systems.
fn synced(result: std::io::Result<()>) -> std::io::Result<()> {
    use std::io::ErrorKind::{InvalidInput, Unsupported};
    result
        .or_else(|error| if matches!(error.kind(), InvalidInput | Unsupported) { Ok(()) } else { Err(error) })
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The ending of temporary files.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Returns whether a file name is that of a temporary file of [`write_durably`].
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX)
}

/// Removes the temporary files that interrupted writes left in a folder. Call it only while no other process writes there.
///
/// # Errors
/// Returns [`CheckpointError::Io`] with the path that cannot be read or removed.
pub fn remove_temporary_files(folder: &Path) -> Result<(), CheckpointError> {
    remove_temporary_files_of(folder, "")
}

/// Removes the temporary files of files whose names start with `prefix`.
pub(crate) fn remove_temporary_files_of(folder: &Path, prefix: &str) -> Result<(), CheckpointError> {
    let is_ours = |name: &str| is_temporary(name) && name.starts_with(&temporary_prefix(prefix));
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CheckpointError::Io { path, source }
    };
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let entry = entry.map_err(io(folder))?;
        if entry.file_name().to_str().is_some_and(is_ours) {
            tracing::info!("removing {}, which an interrupted write left behind", entry.path().display());
            std::fs::remove_file(entry.path()).map_err(io(&entry.path()))?;
        }
    }
    Ok(())
}

/// Returns the prefix of the name of a temporary file that becomes the file `name`.
fn temporary_prefix(name: &str) -> String {
    format!(".{name}")
}

/// A temporary file next to `path`. It has the permissions of any new file, not only those of its owner.
fn temporary(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (prefix, folder) = (temporary_prefix(&format!("{name}.")), folder(path));
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(TEMPORARY_SUFFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Removes the path of the temporary file, with which errors of tempfile end and which no user knows.
fn without_its_path(error: std::io::Error) -> std::io::Error {
    let said = error.to_string();
    match said.split_once(" at path ") {
        Some((what, _)) => std::io::Error::new(error.kind(), what.to_owned()),
        None => error,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_has_the_permissions_of_any_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| folder.path().join(name));
        std::fs::write(&plain, "new").unwrap();
        write_durably(&ours, b"old").unwrap();
        check_writable(&ours).unwrap();
        assert_eq!(std::fs::read(&ours).unwrap(), b"old");
        write_durably(&ours, b"new").unwrap();
        assert_eq!(std::fs::read(&ours).unwrap(), b"new");
        let permissions = |path| std::fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions(ours), permissions(plain));
        assert_eq!(folder.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_and_pipes_are_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let [target, link, dangling, pipe] =
            ["target", "link", "dangling", "pipe"].map(|name| folder.path().join(name));
        std::fs::write(&target, "old").unwrap();
        std::os::unix::fs::symlink("target", &link).unwrap();
        std::os::unix::fs::symlink("new", &dangling).unwrap();
        for (path, file) in [(&link, &target), (&dangling, &folder.path().join("new"))] {
            check_writable(path).unwrap();
            write_durably(path, b"new").unwrap();
            assert!(path.is_symlink());
            assert_eq!(std::fs::read(file).unwrap(), b"new");
        }

        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let read = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::read(pipe).unwrap()
        });
        check_writable(&pipe).unwrap();
        write_durably(&pipe, b"new").unwrap();
        assert_eq!(read.join().unwrap(), b"new");
        assert!(!pipe.is_file(), "the pipe is replaced");
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_no_error() {
        for (kind, fine) in [
            (std::io::ErrorKind::InvalidInput, true),
            (std::io::ErrorKind::Unsupported, true),
            (std::io::ErrorKind::StorageFull, false),
        ] {
            assert_eq!(synced(Err(kind.into())).is_ok(), fine, "{kind}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("no/file")] {
            for result in [check_writable(&path), write_durably(&path, b"new")] {
                let error = result.unwrap_err();
                assert!(!error.to_string().contains(" at path "), "{error}");
                assert!(matches!(error, CheckpointError::Io { path: p, .. } if p == path));
            }
        }
    }
}
