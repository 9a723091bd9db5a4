use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{Dataset, InMemoryDataset};

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
    /// DIFFERS: These are not the 25,000 and 25,000 images of NAS-Bench-201, whose list is not part of this crate. Accuracies on the
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
}
