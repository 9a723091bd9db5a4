//! Packs data sets into files that are small enough to be copied one by one.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use pada_data::CIFAR10;
use pada_nasbench::{Download, NB201_FILE, NB201_SHA256};

use pada_fetch::{sha256, verify_cifar};
use xtask::files::write_whole;
use xtask::paths;

/// Largest size of a part in bytes.
const LARGEST_PART: u64 = 38_000_000;
/// Suffix of packed files. Python's standard library can unpack gzip, and its other formats hardly compress photographs further.
const ENDING: &str = ".gz";

/// A file of a data set.
pub(super) struct File {
    sha256: &'static str,
    /// The path of the file below `$PADA_DATA`.
    place: String,
}

impl File {
    /// The name of its part.
    fn part(&self) -> String {
        format!("{}{ENDING}", self.place.rsplit('/').next().unwrap_or(&self.place))
    }
}

/// All files that a run of configs/nb201 needs: CIFAR-10's official ones, and NAS-Bench-201's table.
fn files() -> Vec<File> {
    let pictures = CIFAR10
        .files()
        .map(|file| File { sha256: file.sha256, place: format!("{}/{}", CIFAR10.name, file.name) });
    let table = File { sha256: NB201_SHA256, place: format!("{}/{NB201_FILE}", Download::Nb201.folder()) };
    pictures.chain([table]).collect()
}

/// The list that restore.py reads: SHA-256, part, path. Every kit contains it, even without parts.
pub(super) fn list() -> String {
    let line = |file: &File| format!("{} {} {}\n", file.sha256, file.part(), file.place);
    files().iter().map(line).collect()
}

/// Returns the folder of the parts of a kit. It is a sibling of the kit, so that the kit can be copied without data.
pub(super) fn folder(kit: &Path) -> PathBuf {
    let mut name = kit.file_name().unwrap_or_default().to_owned();
    name.push("-data");
    kit.with_file_name(name)
}

/// Packs the files of `$PADA_DATA`, and returns the parts with their sizes.
///
/// # Errors
/// Returns an error if CIFAR-10 is missing or damaged, or if a part is too large. A missing table is skipped with a warning.
pub(super) fn pack(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let data = paths::data_dir();
    let pictures = data.join(CIFAR10.name);
    ensure!(
        verify_cifar(&CIFAR10, &pictures)?,
        "{} does not contain CIFAR-10; run `pada download cifar10`",
        pictures.display()
    );
    let mut parts = Vec::new();
    for file in files() {
        let path = data.join(&file.place);
        if !path.is_file() {
            eprintln!("gpu-kit: NO {}: run `pada download nb201` and pack again", path.display());
            continue;
        }
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let found = sha256(&bytes);
        ensure!(found == file.sha256, "{} has SHA-256 {found}, not {}", path.display(), file.sha256);
        let part = folder.join(file.part());
        parts.push((part.clone(), write_part(&part, &bytes)?));
    }
    Ok(parts)
}

/// Writes a part with these bytes and returns its size.
pub(super) fn write_part(path: &Path, bytes: &[u8]) -> anyhow::Result<u64> {
    let packed = gzip(bytes)?;
    let size = packed.len() as u64;
    ensure!(size <= LARGEST_PART, "{}: {size} bytes, a part has {LARGEST_PART} at most", path.display());
    write_whole(path, &packed)?;
    Ok(size)
}

pub(super) fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_list_names_every_file_of_cifar_10_and_the_table() {
        let list = list();
        let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split(' ').collect()).collect();
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[0][1..], ["data_batch_1.bin.gz", "cifar10/data_batch_1.bin"]);
        assert_eq!(lines[5][1..], ["test_batch.bin.gz", "cifar10/test_batch.bin"]);
        assert_eq!(lines[6], [NB201_SHA256, "nasbench201.csv.gz", "nasbench201/nasbench201.csv"]);
        assert!(lines.iter().all(|line| line.len() == 3 && line[0].len() == 64), "{list}");
    }

    #[test]
    fn parts_are_beside_their_kit() {
        assert_eq!(folder(Path::new("target/gpu-kit")), Path::new("target/gpu-kit-data"));
    }

    #[test]
    fn a_part_that_is_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut noise = vec![0; LARGEST_PART as usize + 1];
        ChaCha8Rng::seed_from_u64(0).fill_bytes(&mut noise);
        let path = folder.path().join("noise.gz");
        let error = write_part(&path, &noise).unwrap_err().to_string();
        assert!(error.contains("noise.gz") && error.contains("38000000 at most"), "{error}");
        assert!(!path.exists());
        assert!(write_part(&path, &noise[..1000]).unwrap() > 1000);
    }
}
