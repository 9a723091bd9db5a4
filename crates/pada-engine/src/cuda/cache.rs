use std::io::Write;
use std::path::{Path, PathBuf};

use pada_graph::Precision;
use sha2::{Digest, Sha256};

use super::found::Version;
use super::{CudaError, macros, source};

/// Bytes of a checksum.
const CHECKSUM: usize = 32;

/// Compiled kernels on disk. A file that is damaged, or cannot be written, costs time and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Cache<'a> {
    /// Where files lie; none for no cache.
    pub(super) folder: Option<&'a Path>,
}

/// All that the result of a compilation depends on.
#[derive(Clone, Debug)]
pub(super) struct Key<'a> {
    pub(super) target: &'a str,
    pub(super) precision: Precision,
    pub(super) compiler: Version,
    pub(super) driver: Version,
}

impl Cache<'_> {
    /// What an earlier call made for this key, or what `make` makes now.
    pub(super) fn get(
        &self,
        key: &Key<'_>,
        make: impl FnOnce() -> Result<Vec<u8>, CudaError>,
    ) -> Result<Vec<u8>, CudaError> {
        let Some(folder) = self.folder else { return make() };
        let path = folder.join(key.file_name());
        if let Some(image) = read(&path) {
            return Ok(image);
        }
        let image = make()?;
        if let Err(error) = write(folder, &path, &image) {
            tracing::warn!("{}: {error}; kernels are compiled again next time", path.display());
        }
        Ok(image)
    }
}

impl Key<'_> {
    fn file_name(&self) -> PathBuf {
        let mut hasher = Sha256::new();
        for part in macros(self.precision).into_iter().chain([self.target, &source()]) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(format!("{} {}", self.compiler, self.driver));
        format!("{}.kernels", hex::encode(hasher.finalize())).into()
    }
}

/// The image of a file whose checksum is right.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let (checksum, image) = bytes.split_at_checked(CHECKSUM)?;
    (Sha256::digest(image).as_slice() == checksum).then(|| image.to_vec())
}

/// Whole or not at all, also where other processes write the same.
fn write(folder: &Path, path: &Path, image: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&Sha256::digest(image))?;
    file.write_all(image)?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32, minor: u32) -> Version {
        Version { major, minor }
    }

    fn key(target: &str, precision: Precision, driver: Version) -> Key<'_> {
        Key { target, precision, compiler: version(13, 0), driver }
    }

    #[test]
    fn kernels_are_made_once_for_each_key_and_again_when_a_file_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("not/there/yet");
        let cache = Cache { folder: Some(&below) };
        let keys = [
            key("sm_80", Precision::Single, version(12, 4)),
            key("sm_90", Precision::Single, version(12, 4)),
            key("sm_80", Precision::Half, version(12, 4)),
            key("sm_80", Precision::Single, version(13, 0)),
        ];
        for (i, key) in keys.iter().enumerate() {
            let made = vec![i as u8; 100];
            assert_eq!(cache.get(key, || Ok(made.clone())).unwrap(), made);
            assert_eq!(cache.get(key, || panic!("it is there")).unwrap(), made);
        }
        let path = below.join(keys[0].file_name());
        for damaged in [&[0_u8; 132][..], &[], &[1; 5]] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(&keys[0], || Ok(vec![7])).unwrap(), [7]);
            assert_eq!(cache.get(&keys[0], || panic!("it is there again")).unwrap(), [7]);
        }
    }

    #[test]
    fn without_a_folder_that_can_be_written_kernels_are_made_every_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = key("sm_80", Precision::Double, version(12, 4));
        for folder in [None, Some(file.path())] {
            let cache = Cache { folder };
            for made in [vec![1], vec![2]] {
                assert_eq!(cache.get(&key, || Ok(made.clone())).unwrap(), made);
            }
        }
        let error = CudaError::NoCompiler;
        assert_eq!(Cache { folder: None }.get(&key, || Err(error.clone())).unwrap_err(), error);
    }
}
