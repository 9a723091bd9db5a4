use std::collections::BTreeMap;

use pada_data::{Augment, DataLoader};
use pada_exec::{Batch, Images, Pixels};
use pada_graph::Shape;
use rand::{Rng, RngExt};

use crate::TrainError;
use crate::scoring::fixed_images::image_shape;

/// Images from which a search that trains a supernet draws batches of its own.
pub struct SearchImages {
    /// The images.
    pub images: DataLoader,
    /// Their augmentation.
    pub augment: Augment,
}

/// A batch of images in memory.
pub(super) struct SearchBatch {
    pixels: Vec<f32>,
    pub(super) labels: Vec<u32>,
    shape: Shape,
}

impl SearchImages {
    /// Returns the number of images.
    pub(super) fn len(&self) -> usize {
        self.images.source().len()
    }

    /// Draws a batch of different images and augments them.
    pub(super) fn draw(&mut self, count: usize, rng: &mut dyn Rng) -> Result<SearchBatch, TrainError> {
        let all = self.len();
        // The first draws of a Fisher-Yates shuffle, of which only the moved places are kept.
        let mut moved = BTreeMap::new();
        let picks = (0..count.min(all)).map(|place| {
            let other = rng.random_range(place..all);
            let pick = moved.get(&other).copied().unwrap_or(other);
            let here = moved.get(&place).copied().unwrap_or(place);
            moved.insert(other, here);
            pick as u32
        });
        let picks: Vec<u32> = picks.collect();
        let augment = self.augment;
        self.load(&picks, &augment, rng)
    }

    /// Returns these images as they are.
    pub(super) fn take(&mut self, picks: &[u32], rng: &mut dyn Rng) -> Result<SearchBatch, TrainError> {
        self.load(picks, &Augment::NONE, rng)
    }

    fn load(
        &mut self,
        picks: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) -> Result<SearchBatch, TrainError> {
        let loaded = self.images.load(picks, augment, rng)?;
        let labels = self.images.source().labels();
        let labels = loaded.indices.iter().map(|&i| u32::from(labels[i as usize])).collect();
        Ok(SearchBatch { pixels: loaded.pixels, labels, shape: image_shape(self.images.source()) })
    }
}

impl SearchBatch {
    pub(super) fn images(&self) -> Images<'_> {
        Images { pixels: Pixels::Given(&self.pixels), shape: self.shape }
    }

    pub(super) fn batch(&self) -> Batch<'_> {
        Batch { images: self.images(), labels: &self.labels }
    }
}
