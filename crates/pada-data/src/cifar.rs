use std::path::Path;

use crate::{DataError, InMemoryDataset, Normalize, Splits};

/// A file of a published data set with its checksum.
#[derive(Clone, Copy, Debug)]
pub struct PinnedFile {
    /// File name.
    pub name: &'static str,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: &'static str,
    /// Number of images in the file.
    pub images: usize,
}

/// CIFAR-10 or CIFAR-100: 32×32 colour images in the official binary files.
///
/// # Source
/// Krizhevsky, Learning multiple layers of features from tiny images, 2009.
#[derive(Clone, Copy, Debug)]
pub struct Cifar {
    /// Name of the data set in configs, in downloads, and of its folder.
    pub name: &'static str,
    /// Name as published.
    pub title: &'static str,
    /// Training files in their official order.
    pub train: &'static [PinnedFile],
    /// Test file.
    pub test: PinnedFile,
    /// Class names, `[K]`.
    pub classes: &'static [&'static str],
    /// Number of label bytes before the pixels. The last one is the label that is used.
    labels: usize,
    /// Normalisation by mean and standard deviation of the training images, with four digits.
    normalize: Normalize,
    /// Mean and standard deviation with the digits of the released code of PA-DA: `CIFAR_MEAN` and `CIFAR_STD` in `nasbench201/datasets/dataloader.py`
    /// of <https://github.com/ShunLu91/PA-DA> at e65ad62.
    pub released: Normalize,
}

/// CIFAR-10, normalised by mean and standard deviation with four digits.
pub const CIFAR10: Cifar = Cifar {
    name: "cifar10",
    title: "CIFAR-10",
    train: &[
        PinnedFile {
            name: "data_batch_1.bin",
            sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
            images: 10_000,
        },
        PinnedFile {
            name: "data_batch_2.bin",
            sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
            images: 10_000,
        },
        PinnedFile {
            name: "data_batch_3.bin",
            sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
            images: 10_000,
        },
        PinnedFile {
            name: "data_batch_4.bin",
            sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
            images: 10_000,
        },
        PinnedFile {
            name: "data_batch_5.bin",
            sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
            images: 10_000,
        },
    ],
    test: PinnedFile {
        name: "test_batch.bin",
        sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
        images: 10_000,
    },
    classes: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
    labels: 1,
    normalize: Normalize { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] },
    released: Normalize {
        mean: [0.491_399_68, 0.482_158_27, 0.446_531_24],
        std: [0.247_032_33, 0.243_485_05, 0.261_587_68],
    },
};

/// CIFAR-100 with its 100 fine classes. The 20 coarse classes are not used.
pub const CIFAR100: Cifar = Cifar {
    name: "cifar100",
    title: "CIFAR-100",
    train: &[PinnedFile {
        name: "train.bin",
        sha256: "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        images: 50_000,
    }],
    test: PinnedFile {
        name: "test.bin",
        sha256: "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
        images: 10_000,
    },
    classes: &[
        "apple",
        "aquarium_fish",
        "baby",
        "bear",
        "beaver",
        "bed",
        "bee",
        "beetle",
        "bicycle",
        "bottle",
        "bowl",
        "boy",
        "bridge",
        "bus",
        "butterfly",
        "camel",
        "can",
        "castle",
        "caterpillar",
        "cattle",
        "chair",
        "chimpanzee",
        "clock",
        "cloud",
        "cockroach",
        "couch",
        "crab",
        "crocodile",
        "cup",
        "dinosaur",
        "dolphin",
        "elephant",
        "flatfish",
        "forest",
        "fox",
        "girl",
        "hamster",
        "house",
        "kangaroo",
        "keyboard",
        "lamp",
        "lawn_mower",
        "leopard",
        "lion",
        "lizard",
        "lobster",
        "man",
        "maple_tree",
        "motorcycle",
        "mountain",
        "mouse",
        "mushroom",
        "oak_tree",
        "orange",
        "orchid",
        "otter",
        "palm_tree",
        "pear",
        "pickup_truck",
        "pine_tree",
        "plain",
        "plate",
        "poppy",
        "porcupine",
        "possum",
        "rabbit",
        "raccoon",
        "ray",
        "road",
        "rocket",
        "rose",
        "sea",
        "seal",
        "shark",
        "shrew",
        "skunk",
        "skyscraper",
        "snail",
        "snake",
        "spider",
        "squirrel",
        "streetcar",
        "sunflower",
        "sweet_pepper",
        "table",
        "tank",
        "telephone",
        "television",
        "tiger",
        "tractor",
        "train",
        "trout",
        "tulip",
        "turtle",
        "wardrobe",
        "whale",
        "willow_tree",
        "wolf",
        "woman",
        "worm",
    ],
    labels: 2,
    normalize: Normalize { mean: [0.5071, 0.4865, 0.4409], std: [0.2673, 0.2564, 0.2762] },
    released: Normalize {
        mean: [125.3 / 255.0, 123.0 / 255.0, 113.9 / 255.0],
        std: [63.0 / 255.0, 62.1 / 255.0, 66.7 / 255.0],
    },
};

/// Images have red, green and blue planes, each row by row.
const SIDE: usize = 32;
const PIXELS: usize = 3 * SIDE * SIDE;

impl Cifar {
    /// All files, training files first.
    pub fn files(&self) -> impl Iterator<Item = &PinnedFile> {
        self.train.iter().chain([&self.test])
    }

    /// Returns whether a folder contains at least one of the training files.
    pub fn is_in(&self, dir: &Path) -> bool {
        self.train.iter().any(|file| dir.join(file.name).exists())
    }

    /// Reads the official binary files from a folder.
    ///
    /// # Errors
    /// Returns a [`DataError`] that names the file if it is missing, has the wrong length or contains a label that is not a class.
    pub fn read(&self, dir: &Path) -> Result<Splits<InMemoryDataset>, DataError> {
        let test = std::slice::from_ref(&self.test);
        Ok(Splits { train: self.part("train", dir, self.train)?, test: self.part("test", dir, test)? })
    }

    fn part(&self, part: &str, dir: &Path, files: &[PinnedFile]) -> Result<InMemoryDataset, DataError> {
        let record_bytes = self.labels + PIXELS;
        let images: usize = files.iter().map(|file| file.images).sum();
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for file in files {
            let path = dir.join(file.name);
            let bytes = std::fs::read(&path).map_err(|source| match source.kind() {
                std::io::ErrorKind::NotFound => DataError::Missing { path: path.clone(), set: self.name },
                _ => DataError::Io { path: path.clone(), source },
            })?;
            if bytes.len() != file.images * record_bytes {
                let (found, expected) = (bytes.len() as u64, (file.images * record_bytes) as u64);
                let record = found / record_bytes as u64;
                return Err(DataError::WrongSize { path, found, expected, record, set: self.name });
            }
            // Memory is reserved after the length check, so that missing or truncated files need none.
            pixels.reserve_exact(images * PIXELS - pixels.len());
            for (record, bytes) in bytes.chunks_exact(record_bytes).enumerate() {
                let label = bytes[self.labels - 1];
                if usize::from(label) >= self.classes.len() {
                    return Err(DataError::BadLabel { path, record, label, set: *self });
                }
                labels.push(u16::from(label));
                pixels.extend_from_slice(&bytes[self.labels..]);
            }
        }
        Ok(InMemoryDataset {
            name: format!("{} {part}", self.name),
            channels: 3,
            height: SIDE,
            width: SIDE,
            classes: self.classes.len(),
            pixels,
            labels,
            normalize: self.normalize,
        })
    }
}
