use std::path::Path;

use crate::{DataError, ImageSet, Normalize, Splits};

/// A file of a published data set.
#[derive(Clone, Copy, Debug)]
pub struct PinnedFile {
    /// Its name.
    pub name: &'static str,
    /// SHA-256 of its bytes, in hex.
    pub sha256: &'static str,
}

/// The official binary files, training batches first.
pub const CIFAR10_FILES: [PinnedFile; 6] = [
    PinnedFile {
        name: "data_batch_1.bin",
        sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    },
    PinnedFile {
        name: "data_batch_2.bin",
        sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    },
    PinnedFile {
        name: "data_batch_3.bin",
        sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    },
    PinnedFile {
        name: "data_batch_4.bin",
        sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    },
    PinnedFile {
        name: "data_batch_5.bin",
        sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    PinnedFile {
        name: "test_batch.bin",
        sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
];

/// What the labels mean.
pub const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// Images in each file.
const RECORDS: usize = 10_000;
/// A label, then 32×32 red, green and blue bytes, row by row.
const RECORD: usize = 1 + 3 * 32 * 32;
const CLASSES: u8 = 10;

/// Mean and deviation as the released PA-DA code writes them.
const NORMALIZE: Normalize = Normalize { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] };

/// Reads CIFAR-10 from its official binary files.
///
/// # Errors
/// [`DataError`]: a file that is missing, has the wrong length or a label above 9.
///
/// # Source
/// Krizhevsky, Learning multiple layers of features from tiny images, 2009.
pub fn cifar10(dir: &Path) -> Result<Splits<ImageSet>, DataError> {
    let (train, test) = CIFAR10_FILES.split_at(5);
    Ok(Splits { train: read("cifar10 train", dir, train)?, test: read("cifar10 test", dir, test)? })
}

fn read(name: &str, dir: &Path, files: &[PinnedFile]) -> Result<ImageSet, DataError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for file in files {
        let path = dir.join(file.name);
        let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => DataError::Missing { path: path.clone() },
            _ => DataError::Io { path: path.clone(), source },
        })?;
        if bytes.len() != RECORDS * RECORD {
            let (found, expected) = (bytes.len() as u64, (RECORDS * RECORD) as u64);
            return Err(DataError::WrongSize { path, found, expected, record: found / RECORD as u64 });
        }
        // Only now: files that are missing or cut ask for no memory.
        pixels.reserve_exact(files.len() * RECORDS * (RECORD - 1) - pixels.len());
        for (record, bytes) in bytes.chunks_exact(RECORD).enumerate() {
            let label = bytes[0];
            if label >= CLASSES {
                return Err(DataError::BadLabel { path, record, label });
            }
            labels.push(u16::from(label));
            pixels.extend_from_slice(&bytes[1..]);
        }
    }
    let (name, classes) = (name.to_owned(), usize::from(CLASSES));
    Ok(ImageSet { name, channels: 3, height: 32, width: 32, classes, pixels, labels, normalize: NORMALIZE })
}
