use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{CIFAR10, Dataset, InMemoryDataset};

/// The training and the test split of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits<T = Dataset> {
    /// Training images in their official order.
    pub train: T,
    /// Test images in their official order.
    pub test: T,
}

impl From<Splits<InMemoryDataset>> for Splits {
    fn from(Splits { train, test }: Splits<InMemoryDataset>) -> Self {
        Self { train: train.into(), test: test.into() }
    }
}

/// Seed of [`Splits::halves`]; it is part of the definition of that split.
const HALVES_SEED: u64 = 201;

impl Splits {
    /// Splits the training images into two random halves of fixed seed: one for training and one for validation, each in official order.
    ///
    /// DIFFERS: These are not the 25,000 and 25,000 images of NAS-Bench-201, which [`Splits::nas_bench_201`] returns. Accuracies on this
    /// validation half are comparable with the benchmark's up to the choice of images.
    pub fn halves(&self) -> (Dataset, Dataset) {
        let mut order: Vec<u32> = (0..self.train.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(HALVES_SEED));
        let (train, valid) = order.split_at_mut(self.train.len() / 2);
        train.sort_unstable();
        valid.sort_unstable();
        let part = |indices: &[u32]| self.train.subset(indices).expect("all indices are in range");
        (part(train), part(valid))
    }

    /// Splits the training images of CIFAR-10 as NAS-Bench-201 does: 25,000 for training and 25,000 for validation, each in official
    /// order. Returns `None` if these are not the training images of CIFAR-10 in number and classes.
    ///
    /// # Source
    /// `nasbench201/datasets/cifar-split.txt` of <https://github.com/ShunLu91/PA-DA> at e65ad62, which is the list of the benchmark.
    pub fn nas_bench_201(&self) -> Option<(Dataset, Dataset)> {
        let images = 8 * NAS_BENCH_201.len();
        if self.train.len() != images || self.train.classes() != CIFAR10.classes.len() {
            return None;
        }
        let part = |indices: &[u32]| self.train.subset(indices).expect("all indices are in range");
        Some((part(&nas_bench_201_half(Half::Train)), part(&nas_bench_201_half(Half::Valid))))
    }
}

/// One bit per training image of CIFAR-10 in official order, the lowest bit of a byte first. It is set for training images.
static NAS_BENCH_201: &[u8] = include_bytes!("../data/nas-bench-201-split.bits");

/// The two halves of the split of NAS-Bench-201.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Train,
    Valid,
}

/// Returns the indices of a half, in increasing order.
fn nas_bench_201_half(half: Half) -> Vec<u32> {
    let is_train = |image: u32| NAS_BENCH_201[image as usize / 8] >> (image % 8) & 1 == 1;
    (0..8 * NAS_BENCH_201.len() as u32).filter(|&image| is_train(image) == (half == Half::Train)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use sha2::{Digest, Sha256};

    use super::*;
    use crate::mini;

    /// SHA-256 of the published file.
    const PUBLISHED: &str = "986da6174822048d4c5a25ee8ebdb7e754cd5372b51c633ffd4898ace8db9e32";

    /// The bits give back the published text, byte for byte.
    #[test]
    fn golden_split_of_nas_bench_201_is_the_published_one() {
        let line = |name: &str, half| {
            let images = nas_bench_201_half(half);
            assert_eq!(images.len(), 25_000);
            let quoted: Vec<String> = images.iter().map(|image| format!("\"{image}\"")).collect();
            format!("  \"{name}\"              : [\"int\"   , [{}]]", quoted.join(", "))
        };
        let text = format!("{{\n{},\n{}\n}}", line("train", Half::Train), line("valid", Half::Valid));
        assert_eq!(hex::encode(Sha256::digest(text)), PUBLISHED);
    }

    #[test]
    fn only_the_images_of_cifar_10_have_the_split_of_the_benchmark() {
        let mini = mini().unwrap();
        assert_eq!(Splits::from(mini.clone()).nas_bench_201(), None);
        let labels: Vec<u16> = (0..50_000).map(|image| image % 10).collect();
        let small = InMemoryDataset { height: 1, width: 1, ..mini.test };
        let pixels = (0..3 * 50_000_u32).map(|value| (value / 3) as u8).collect();
        let train = InMemoryDataset { pixels, labels, ..small.clone() };
        let test = InMemoryDataset { pixels: vec![], labels: vec![], ..small };
        let (train, valid) = Splits::from(Splits { train, test }).nas_bench_201().unwrap();
        assert_eq!((train.len(), valid.len()), (25_000, 25_000));
        // The first images of the published lists.
        let last_digits = |set: &Dataset| set.labels()[..5].to_vec();
        assert_eq!(last_digits(&train), [0, 5, 7, 1, 3], "images 0, 5, 7, 11 and 13");
        assert_eq!(last_digits(&valid), [1, 2, 3, 4, 6], "images 1, 2, 3, 4 and 6");
    }
}
