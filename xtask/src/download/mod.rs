//! Data sets and tables. Only here does the project open a connection.

mod cifar;
mod darts_214;
mod data_frame;
mod http;
mod nas_bench_macro;
mod nb201;
mod nb201_merge;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
pub(crate) use cifar::verify;
use cifar::{CIFAR10_PUBLISHED, CIFAR100_PUBLISHED};
use pada_nasbench::Download;
use sha2::{Digest, Sha256};

use crate::files::write_whole;
use crate::paths;

/// What can be fetched.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum What {
    /// The official binary files of CIFAR-10, 184 MB.
    Cifar10,
    /// The official binary files of CIFAR-100, 184 MB.
    Cifar100,
    /// Accuracies, weights and MFLOPs of the 15,625 architectures of NAS-Bench-201, 3 MB.
    Nb201,
    /// Accuracies of the 6,561 networks of NAS-Bench-Macro, 0.4 MB.
    NasBenchMacro,
    /// Accuracies of 214 genotypes of the DARTS space, 0.1 MB; needs --from.
    #[value(name = "darts-214")]
    Darts214,
}

pub(crate) fn run(what: What, from: Option<&Path>) -> anyhow::Result<()> {
    let data = paths::data_dir();
    match what {
        What::Cifar10 => CIFAR10_PUBLISHED.download(&data, from),
        What::Cifar100 => CIFAR100_PUBLISHED.download(&data, from),
        What::Nb201 => nb201::download(&data.join(Download::Nb201.folder()), from),
        What::NasBenchMacro => nas_bench_macro::download(&data.join(Download::NasBenchMacro.folder()), from),
        What::Darts214 => darts_214::download(&data.join(Download::Darts214.folder()), from),
    }
}

/// A place something can be had from: what it is called, and how to get it.
type Source<'a, T> = (String, Box<dyn Fn() -> anyhow::Result<T> + 'a>);

/// The result of the first source that works; each that fails says why in one line.
fn first_that_works<T>(what: &str, sources: Vec<Source<'_, T>>) -> anyhow::Result<T> {
    for (name, get) in sources {
        eprintln!("{what}: trying {name}");
        match get() {
            Ok(result) => return Ok(result),
            Err(error) => eprintln!("{what}: {name} failed: {error:#}"),
        }
    }
    bail!("no source of {what} worked; give a folder that holds the files with --from DIR")
}

/// A table that is one file with a pinned checksum.
struct Table {
    download: Download,
    sha256: &'static str,
}

impl Table {
    /// Puts the table into `dir`, from the first source that works; `others` are tried after the folder `from`.
    fn download<'a>(
        &'a self,
        dir: &Path,
        from: Option<&'a Path>,
        others: Vec<Source<'a, Vec<u8>>>,
    ) -> anyhow::Result<()> {
        let (path, what) = (dir.join(self.download.file()), self.download.to_string());
        if path.is_file() && sha256(&read(path.clone())?) == self.sha256 {
            eprintln!("{what}: {} is complete and verified", path.display());
            return Ok(());
        }
        let mut sources: Vec<Source<'_, Vec<u8>>> = Vec::new();
        if let Some(from) = from {
            let place = [from.join(self.download.file()), self.download.path(from)];
            let get = move || match place.iter().find(|path| path.is_file()) {
                Some(path) => self.checked(read(path.clone())?),
                None => bail!("it does not hold {}", self.download.file()),
            };
            sources.push((from.display().to_string(), Box::new(get)));
        }
        sources.extend(others);
        write_whole(&path, &first_that_works(&what, sources)?)?;
        eprintln!("{what}: verified in {}", path.display());
        Ok(())
    }

    fn checked(&self, bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let found = sha256(&bytes);
        ensure!(found == self.sha256, "{} has SHA-256 {found}, not {}", self.download.file(), self.sha256);
        Ok(bytes)
    }
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn read(path: PathBuf) -> anyhow::Result<Vec<u8>> {
    std::fs::read(&path).with_context(|| path.display().to_string())
}
