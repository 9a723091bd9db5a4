use std::io::Write;
use std::path::{Path, PathBuf};

use pada_exec::Precision;
use sha2::{Digest, Sha256};

use super::compile::{Compiled, compile_with_log, options};
use super::discover::{Version, compiler};
use super::usage::{self, ResourceUsage};
use super::{CudaError, source};

/// Length of a checksum in bytes.
const CHECKSUM: usize = 32;
/// Extension of the files in the cache.
const ENDING: &str = ".kernels";
/// Extension of the assembler's report, which [`precompile`] writes next to the kernels.
const REPORT: &str = "report";

/// Returns the cache folder of compiled kernels: `$PADA_CACHE`, or `pada` in the user's cache folder. `None` if there is no home folder.
pub fn kernel_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    folder("PADA_CACHE").or_else(|| Some(user()?.join("pada")))
}

/// The result of [`precompile`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Precompiled {
    /// Path of the compiled kernels.
    pub file: PathBuf,
    /// Registers, stack and spills of every kernel, as the assembler reported them.
    pub usage: Vec<ResourceUsage>,
}

/// Compiles all kernels for a target such as `sm_90` into a cache folder, for machines without NVRTC. No GPU is needed.
///
/// Kernels that the folder already contains, together with the assembler's report, are not compiled again.
///
/// # Errors
/// Returns an error if NVRTC is missing or fails, or [`CudaError::Cache`] if a file cannot be written.
pub fn precompile(target: &str, precision: Precision, folder: &Path) -> Result<Precompiled, CudaError> {
    let (key, compiler) = (Key { target, precision }, compiler()?);
    let file = folder.join(key.file_name(compiler));
    let report = file.with_extension(REPORT);
    let stored = || usage::parse(&std::fs::read_to_string(&report).ok()?).filter(|_| read(&file).is_some());
    if let Some(usage) = stored() {
        return Ok(Precompiled { file, usage });
    }
    let (Compiled { image, log }, usage) = compile_with_log(target, precision)?;
    store(&file, &image)?;
    match std::fs::write(&report, log) {
        Ok(()) => Ok(Precompiled { file, usage }),
        Err(error) => Err(CudaError::Cache { path: report, message: error.to_string() }),
    }
}

/// Writes compiled kernels to a cache folder, in the file that [`super::Driver::open`] reads for this target, precision and NVRTC version.
///
/// Emulated drivers receive their kernels in this way.
///
/// # Errors
/// Returns [`CudaError::Cache`] if the file cannot be written.
pub fn put_in_cache(
    folder: &Path,
    target: &str,
    precision: Precision,
    compiler: Version,
    image: &[u8],
) -> Result<(), CudaError> {
    store(&folder.join(Key { target, precision }.file_name(compiler)), image)
}

fn store(path: &Path, image: &[u8]) -> Result<(), CudaError> {
    write(path, image).map_err(|error| CudaError::Cache { path: path.to_owned(), message: error.to_string() })
}

/// A cache of compiled kernels on disk. If a file is damaged or cannot be written, the kernels are compiled again.
#[derive(Clone, Debug)]
pub(super) struct Cache<'a> {
    /// The folder of the files. `None` disables the cache.
    pub(super) folder: Option<&'a Path>,
}

/// The inputs of a compilation, apart from the compiler itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) target: &'a str,
    pub(super) precision: Precision,
}

impl Cache<'_> {
    /// Returns the kernels of this compiler and key, from the cache or from `make`.
    pub(super) fn get(
        &self,
        key: Key<'_>,
        compiler: Version,
        make: impl FnOnce() -> Result<Vec<u8>, CudaError>,
    ) -> Result<Vec<u8>, CudaError> {
        let Some(folder) = self.folder else { return make() };
        let path = folder.join(key.file_name(compiler));
        if let Some(image) = read(&path) {
            return Ok(image);
        }
        let image = make()?;
        if let Err(error) = write(&path, &image) {
            tracing::warn!(
                "{}: cannot write the kernel cache: {error}; the next program will compile the kernels again",
                path.display()
            );
        }
        Ok(image)
    }

    /// Returns the kernels of the newest compiler in the cache that a driver of this version supports. No compiler is needed.
    pub(super) fn newest(&self, key: Key<'_>, driver: Version) -> Option<Vec<u8>> {
        let prefix = format!("{}-", key.hash());
        let mut versions: Vec<(Version, PathBuf)> = vec![];
        for entry in self.folder?.read_dir().ok()?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(ENDING));
            if let Some(version) = version.and_then(Version::parse) {
                versions.push((version, entry.path()));
            }
        }
        versions.retain(|(version, _)| version.major <= driver.major);
        versions.sort_by_key(|&(version, _)| std::cmp::Reverse(version));
        versions.iter().find_map(|(_, path)| read(path))
    }
}

impl Key<'_> {
    /// Returns a hash of the kernels' source and of all compiler options.
    fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for part in options(self.target, self.precision).iter().chain([&source()]) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hex::encode(hasher.finalize())
    }

    fn file_name(&self, compiler: Version) -> String {
        format!("{}-{compiler}{ENDING}", self.hash())
    }
}

/// Reads a file. Returns `None` if it is missing or its checksum is wrong.
fn read(path: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(path).ok()?;
    let (checksum, image) = bytes.split_at_checked(CHECKSUM)?;
    (Sha256::digest(image).as_slice() == checksum).then(|| image.to_vec())
}

/// Writes a file atomically, so that other processes may write the same file.
fn write(path: &Path, image: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().expect("every path in the cache has a parent folder");
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

    fn key(target: &str, precision: Precision) -> Key<'_> {
        Key { target, precision }
    }

    #[test]
    fn kernels_are_made_once_for_each_key_and_again_when_a_file_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("not/there/yet");
        let cache = Cache { folder: Some(&below) };
        let keys = [
            (key("sm_80", Precision::F32), version(12, 4)),
            (key("sm_90", Precision::F32), version(12, 4)),
            (key("sm_80", Precision::Bf16), version(12, 4)),
            (key("sm_80", Precision::F32), version(13, 0)),
        ];
        for (i, &(key, compiler)) in keys.iter().enumerate() {
            let made = vec![i as u8; 100];
            assert_eq!(cache.get(key, compiler, || Ok(made.clone())).unwrap(), made);
            assert_eq!(cache.get(key, compiler, || panic!("it is there")).unwrap(), made);
        }
        let (key, compiler) = keys[0];
        let path = below.join(key.file_name(compiler));
        for damaged in [&[0_u8; 132][..], &[], &[1; 5]] {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(cache.get(key, compiler, || Ok(vec![7])).unwrap(), [7]);
            assert_eq!(cache.get(key, compiler, || panic!("it is there again")).unwrap(), [7]);
        }
    }

    #[test]
    fn without_a_folder_that_can_be_written_kernels_are_made_every_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let key = key("sm_80", Precision::F64);
        for folder in [None, Some(file.path())] {
            let cache = Cache { folder };
            for made in [vec![1], vec![2]] {
                assert_eq!(cache.get(key, version(12, 4), || Ok(made.clone())).unwrap(), made);
            }
            assert_eq!(cache.newest(key, version(13, 0)), None);
        }
        let error = CudaError::NoCompiler;
        let made = Cache { folder: None }.get(key, version(12, 4), || Err(error.clone()));
        assert_eq!(made.unwrap_err(), error);
    }

    #[test]
    fn without_a_compiler_the_newest_kernels_that_the_driver_loads_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, own) = (Cache { folder: Some(folder.path()) }, key("sm_90", Precision::F32));
        for (i, compiler) in [version(12, 8), version(13, 0), version(12, 10)].into_iter().enumerate() {
            put_in_cache(folder.path(), "sm_90", Precision::F32, compiler, &[i as u8]).unwrap();
        }
        assert_eq!(cache.newest(own, version(13, 2)), Some(vec![1]));
        assert_eq!(cache.newest(own, version(12, 4)), Some(vec![2]), "12.10 is newer than 12.8");
        assert_eq!(cache.newest(own, version(11, 8)), None);
        assert_eq!(cache.newest(key("sm_80", Precision::F32), version(13, 2)), None);
        assert_eq!(cache.newest(key("sm_90", Precision::Bf16), version(13, 2)), None);
        std::fs::write(folder.path().join(own.file_name(version(13, 0))), "damaged").unwrap();
        assert_eq!(cache.newest(own, version(13, 2)), Some(vec![2]));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_for_whoever_fills_the_cache() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let put = put_in_cache(file.path(), "sm_90", Precision::F32, version(13, 0), &[]);
        let CudaError::Cache { path, .. } = put.unwrap_err() else { panic!("another error") };
        assert!(path.starts_with(file.path()));
    }
}
