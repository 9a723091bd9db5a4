#![doc = include_str!("../README.md")]

mod cifar;
mod darts_1000;
mod darts_214;
mod data_frame;
mod error;
mod few_shot_scores;
mod http;
mod nas_bench_macro;
mod nb201;
mod nb201_merge;
mod nb201_proxies;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

pub use cifar::verify_cifar;
use cifar::{CIFAR10_PUBLISHED, CIFAR100_PUBLISHED};
pub use error::FetchError;
use pada_data::{CIFAR10, CIFAR100};
use pada_nasbench::Download;
use sha2::{Digest, Sha256};

/// A data set or a benchmark table that [`fetch`] can get.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Resource {
    /// The six official binary files of CIFAR-10, 184 MB.
    Cifar10,
    /// The two official binary files of CIFAR-100, 184 MB.
    Cifar100,
    /// Accuracies, parameters and MFLOPs of the 15,625 architectures of NAS-Bench-201, 3 MB.
    Nb201,
    /// Accuracies of the 6,561 networks of NAS-Bench-Macro, 0.4 MB.
    NasBenchMacro,
    /// Scores of all architectures of NAS-Bench-201 with the supernets of few-shot NAS, before and after the split, 0.6 MB.
    FewShotScores,
    /// Accuracies of 214 genotypes of the DARTS space, 0.1 MB; only from a local folder.
    ///
    /// This table has no public source.
    #[cfg_attr(feature = "clap", value(name = "darts-214"))]
    Darts214,
    /// Accuracies of 1,000 random genotypes with the operations of DARTS, 282 of them in its space, 0.4 MB.
    #[cfg_attr(feature = "clap", value(name = "darts-1000"))]
    Darts1000,
    /// 13 zero-cost scores of 9,445 architectures of NAS-Bench-201, published with NASLib, 2 MB.
    Nb201Proxies,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cifar10 => f.pad(CIFAR10.name),
            Self::Cifar100 => f.pad(CIFAR100.name),
            Self::Nb201 => f.pad(&Download::Nb201.to_string()),
            Self::NasBenchMacro => f.pad(&Download::NasBenchMacro.to_string()),
            Self::FewShotScores => f.pad("few-shot-scores"),
            Self::Darts214 => f.pad(&Download::Darts214.to_string()),
            Self::Darts1000 => f.pad(&Download::Darts1000.to_string()),
            Self::Nb201Proxies => f.pad("nb201-proxies"),
        }
    }
}

/// A message of [`fetch`] about its progress.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A source is tried.
    Trying {
        /// A folder, an address or a package.
        source: &'a str,
    },
    /// A part of a file was received.
    Received {
        /// Bytes of the file so far, those of an earlier, interrupted call included.
        bytes: u64,
        /// Bytes of the whole file, if the server says it.
        total: Option<u64>,
    },
    /// A source failed. The next one is tried.
    Failed {
        /// A folder, an address or a package.
        source: &'a str,
        /// Why it failed.
        error: &'a FetchError,
    },
}

/// A callback for [`Event`]s.
pub type Events<'a> = &'a dyn Fn(Event<'_>);

/// The result of [`fetch`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The files, all of them complete and verified.
    pub files: Vec<PathBuf>,
    /// The origin of the files.
    pub origin: Origin,
}

/// The origin of the files of [`Fetched`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// They were in the data folder already.
    DataFolder,
    /// They were written by this call.
    Source,
}

/// Puts the files of a resource into the data folder, from the first source that works. The local folder `from` is tried first.
///
/// # Errors
/// Returns [`FetchError::NoSource`] if every source failed, and [`FetchError::Io`] if the data folder cannot be written.
pub fn fetch(
    resource: Resource,
    data: &Path,
    from: Option<&Path>,
    events: Events<'_>,
) -> Result<Fetched, FetchError> {
    let job = Job { resource, from, events };
    match resource {
        Resource::Cifar10 => CIFAR10_PUBLISHED.download(&job, data),
        Resource::Cifar100 => CIFAR100_PUBLISHED.download(&job, data),
        Resource::Nb201 => nb201::download(&job, &data.join(Download::Nb201.folder())),
        Resource::NasBenchMacro => {
            nas_bench_macro::download(&job, &data.join(Download::NasBenchMacro.folder()))
        }
        Resource::FewShotScores => few_shot_scores::download(&job, &data.join(few_shot_scores::FOLDER)),
        Resource::Darts214 => darts_214::download(&job, &data.join(Download::Darts214.folder())),
        Resource::Darts1000 => darts_1000::download(&job, &data.join(Download::Darts1000.folder())),
        Resource::Nb201Proxies => nb201_proxies::download(&job, &data.join(nb201_proxies::FOLDER)),
    }
}

/// Returns the SHA-256 of bytes in hexadecimal.
///
/// ```
/// let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// assert_eq!(pada_fetch::sha256(b""), empty);
/// ```
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A resource to fetch, and the receiver of the messages about it.
struct Job<'a> {
    resource: Resource,
    /// The local folder.
    from: Option<&'a Path>,
    events: Events<'a>,
}

/// A place that something can be had from: its name, and how to get it.
type Source<'a, T> = (String, Box<dyn Fn() -> Result<T, FetchError> + 'a>);

impl Job<'_> {
    /// The result of the first source that works.
    fn first_that_works<T>(&self, sources: Vec<Source<'_, T>>) -> Result<T, FetchError> {
        for (source, get) in &sources {
            (self.events)(Event::Trying { source });
            match get() {
                Ok(result) => return Ok(result),
                Err(error) => (self.events)(Event::Failed { source, error: &error }),
            }
        }
        Err(FetchError::NoSource { resource: self.resource })
    }
}

/// A table that is one file with a pinned checksum.
struct Table {
    download: Download,
    sha256: &'static str,
}

impl Table {
    /// Puts the table into `dir`, from the first source that works; `others` are tried after the local folder.
    fn download<'a>(
        &'a self,
        job: &Job<'a>,
        dir: &Path,
        others: Vec<Source<'a, Vec<u8>>>,
    ) -> Result<Fetched, FetchError> {
        let path = dir.join(self.download.file());
        if path.is_file() && sha256(&read(&path)?) == self.sha256 {
            return Ok(Fetched { files: vec![path], origin: Origin::DataFolder });
        }
        let mut sources: Vec<Source<'_, Vec<u8>>> = Vec::new();
        if let Some(from) = job.from {
            let places = [from.join(self.download.file()), self.download.path(from)];
            let get = move || match places.iter().find(|path| path.is_file()) {
                Some(path) => self.checked(read(path)?),
                None => Err(FetchError::format(format!("it does not hold {}", self.download.file()))),
            };
            sources.push((from.display().to_string(), Box::new(get)));
        }
        sources.extend(others);
        write_whole(&path, &job.first_that_works(sources)?)?;
        Ok(Fetched { files: vec![path], origin: Origin::Source })
    }

    fn checked(&self, bytes: Vec<u8>) -> Result<Vec<u8>, FetchError> {
        checked(self.download.file(), bytes, self.sha256)
    }
}

/// The bytes of a file that has the expected SHA-256.
fn checked(file: &str, bytes: Vec<u8>, expected: &'static str) -> Result<Vec<u8>, FetchError> {
    let found = sha256(&bytes);
    if found == expected {
        Ok(bytes)
    } else {
        Err(FetchError::Checksum { file: file.to_owned(), found, expected })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FetchError> {
    std::fs::read(path).map_err(FetchError::io(path))
}

fn make_folder(path: &Path) -> Result<(), FetchError> {
    std::fs::create_dir_all(path).map_err(FetchError::io(path))
}

/// Writes a file that is there whole or not at all, and makes its folder.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".tmp");
    // As any new file has them; temporary files are their owner's alone.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let write = || {
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(FetchError::io(path))
}
