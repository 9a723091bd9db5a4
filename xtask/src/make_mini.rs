use anyhow::{Context, ensure};
use pada_data::{CIFAR10, MINI_SHA256, Splits, encode_mini, halve, select_mini};
use xtask::files::sha256;
use xtask::paths;

/// Writes `crates/pada-data/data/mini.png` and reports whether its checksum is the expected one.
pub(crate) fn run() -> anyhow::Result<()> {
    let dir = paths::data_dir().join(CIFAR10.name);
    for file in CIFAR10.files() {
        let path = dir.join(file.name);
        let holds = std::fs::read(&path).is_ok_and(|bytes| sha256(&bytes) == file.sha256);
        ensure!(holds, "{} is missing or damaged; run `pada download cifar10`", path.display());
    }
    let mini = select_mini(&CIFAR10.read(&dir)?);
    let mini = Splits { train: halve(&mini.train), test: halve(&mini.test) };
    let bytes = encode_mini(&mini)?;
    let path = paths::root()?.join("crates/pada-data/data/mini.png");
    std::fs::write(&path, &bytes).with_context(|| path.display().to_string())?;
    let hash = sha256(&bytes);
    eprintln!("{}: {} bytes, SHA-256 {hash}", path.display(), bytes.len());
    eprintln!("training images: mean and deviation {:?}", moments(&mini.train));
    ensure!(
        hash == MINI_SHA256,
        "that is not the pinned file; update MINI_SHA256 in crates/pada-data/src/mini.rs"
    );
    Ok(())
}

/// Mean and standard deviation of each channel, in units of 255.
fn moments(set: &pada_data::InMemoryDataset) -> Vec<(f64, f64)> {
    let plane = set.height * set.width;
    let channel = |c: usize| {
        let bytes = || set.pixels.chunks_exact(plane).skip(c).step_by(set.channels).flatten();
        let n = (set.pixels.len() / set.channels) as f64;
        let mean = bytes().map(|&b| f64::from(b) / 255.0).sum::<f64>() / n;
        (mean, (bytes().map(|&b| (f64::from(b) / 255.0 - mean).powi(2)).sum::<f64>() / n).sqrt())
    };
    (0..set.channels).map(channel).collect()
}
