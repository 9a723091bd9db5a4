use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::{ImageSet, ImageSource};

/// A data set as published: images to train on and images to test on.
#[derive(Clone, Debug, PartialEq)]
pub struct Splits<T = ImageSource> {
    /// Training images in their official order.
    pub train: T,
    /// Test images in their official order.
    pub test: T,
}

impl From<Splits<ImageSet>> for Splits {
    fn from(Splits { train, test }: Splits<ImageSet>) -> Self {
        Self { train: train.into(), test: test.into() }
    }
}

/// Seed of the half split; part of its definition.
const HALVES_SEED: u64 = 201;

impl Splits {
    /// The training images cut into two halves, to train on and to validate on, each in official order.
    ///
    /// The halves are a fixed random choice of this project. They are not NAS-Bench-201's own 25,000 and 25,000, whose list is
    /// in no package; accuracies on its validation half compare with these up to the choice of images.
    pub fn halves(&self) -> (ImageSource, ImageSource) {
        let mut order: Vec<u32> = (0..self.train.len() as u32).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(HALVES_SEED));
        let (train, valid) = order.split_at_mut(self.train.len() / 2);
        train.sort_unstable();
        valid.sort_unstable();
        (self.train.subset(train), self.train.subset(valid))
    }
}
