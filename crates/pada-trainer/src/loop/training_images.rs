use pada_data::{Augment, ImageBatch};
use pada_exec::{AugmentedIndex, DeviceDataset, Images, Pixels};
use pada_graph::Shape;
use rand::Rng;

use crate::TrainError;
use crate::r#loop::trainer::TrainerParts;
use crate::scoring::fixed_images;

/// Provides the images of training steps: from the data set on the device if it was uploaded, otherwise batch by batch. Both ways draw the
/// same random numbers and give the same images.
#[derive(Debug, Default)]
pub(crate) struct TrainingImages {
    /// The data set on the device. The outer option is `None` before the first attempt to upload it.
    uploaded: Option<Option<DeviceDataset>>,
}

/// The images of a step.
pub(crate) struct StepImages {
    /// `[B]`, the indices of the images that were drawn, without damaged photographs.
    pub(crate) indices: Vec<u32>,
    source: StepSource,
}

enum StepSource {
    Host(Vec<f32>),
    Device(DeviceDataset, Vec<AugmentedIndex>),
}

impl TrainingImages {
    /// Creates an augmented batch.
    pub(crate) fn batch(
        &mut self,
        parts: &mut TrainerParts,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) -> Result<StepImages, TrainError> {
        let uploaded = if augment.has_policy() { None } else { self.upload(parts)? };
        if let Some(set) = uploaded {
            let plan = parts.images.source().plan(indices, augment, rng)?;
            let augmented =
                plan.augmented_indices().expect("neither photographs nor policies are for uploaded images");
            let source = StepSource::Device(set, augmented.into_iter().map(augmented_index).collect());
            return Ok(StepImages { indices: indices.to_vec(), source });
        }
        let ImageBatch { pixels, indices } = parts.images.load(indices, augment, rng)?;
        Ok(StepImages { indices, source: StepSource::Host(pixels) })
    }

    /// Starts to prepare the next batch in the background, unless the device creates it.
    pub(crate) fn ahead(
        &self,
        parts: &mut TrainerParts,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) {
        if !matches!(self.uploaded, Some(Some(_))) {
            parts.images.prefetch(indices, augment, rng);
        }
    }

    fn upload(&mut self, parts: &mut TrainerParts) -> Result<Option<DeviceDataset>, TrainError> {
        if let Some(uploaded) = self.uploaded {
            return Ok(uploaded);
        }
        let uploaded = match parts.images.source() {
            pada_data::Dataset::InMemory(set) => {
                let labels: Vec<u32> = set.labels.iter().map(|&label| u32::from(label)).collect();
                fixed_images::upload(parts.executor.as_mut(), set, &labels)?
            }
            pada_data::Dataset::Folder(_) => None,
        };
        Ok(*self.uploaded.insert(uploaded))
    }
}

impl StepImages {
    /// Returns the images in the form that a pass expects.
    pub(crate) fn images(&self, shape: Shape) -> Images<'_> {
        let pixels = match &self.source {
            StepSource::Host(pixels) => Pixels::Given(pixels),
            StepSource::Device(set, picks) => Pixels::Augmented(*set, picks),
        };
        Images { pixels, shape }
    }
}

/// Converts an index of pada-data to the same type of pada-graph, because the two crates do not depend on each other.
fn augmented_index(from: pada_data::AugmentedIndex) -> AugmentedIndex {
    let pada_data::AugmentedIndex { index, offset_y, offset_x, flipped, cutout } = from;
    AugmentedIndex { index, offset_y, offset_x, flipped, cutout }
}
