use pada_data::{Augment, ImageBatch};
use pada_graph::{AugmentedIndex, DeviceDataset, Images, Pixels, Shape};
use rand::Rng;

use crate::{TrainError, TrainerParts, fixed_images};

/// Where the images of steps come from: the set that the executor holds, if it takes it, otherwise they are made batch by batch. Either
/// way the same numbers are drawn and the same images come out.
#[derive(Debug, Default)]
pub(crate) struct TrainingImages {
    /// What the executor said when it was asked.
    held: Option<Option<DeviceDataset>>,
}

/// The images of a step.
pub(crate) struct StepImages {
    /// `[B]`, which ones; those that were drawn but for damaged photographs.
    pub(crate) indices: Vec<u32>,
    source: StepSource,
}

enum StepSource {
    Made(Vec<f32>),
    Held(DeviceDataset, Vec<AugmentedIndex>),
}

impl TrainingImages {
    /// A batch, changed at random.
    pub(crate) fn batch(
        &mut self,
        parts: &mut TrainerParts,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) -> Result<StepImages, TrainError> {
        if let Some(set) = self.held(parts)? {
            let plan = parts.images.source().plan(indices, augment, rng)?;
            let augmented = plan.augmented_indices().expect("folders of photographs are not uploaded");
            let source = StepSource::Held(set, augmented.into_iter().map(augmented_index).collect());
            return Ok(StepImages { indices: indices.to_vec(), source });
        }
        let ImageBatch { pixels, indices } = parts.images.load(indices, augment, rng)?;
        Ok(StepImages { indices, source: StepSource::Made(pixels) })
    }

    /// Begins to make the next batch while this one is trained on, unless the executor makes it from what it holds.
    pub(crate) fn ahead(
        &self,
        parts: &mut TrainerParts,
        indices: &[u32],
        augment: &Augment,
        rng: &mut dyn Rng,
    ) {
        if !matches!(self.held, Some(Some(_))) {
            parts.images.prefetch(indices, augment, rng);
        }
    }

    fn held(&mut self, parts: &mut TrainerParts) -> Result<Option<DeviceDataset>, TrainError> {
        if let Some(held) = self.held {
            return Ok(held);
        }
        let held = match parts.images.source() {
            pada_data::Dataset::InMemory(set) => {
                let labels: Vec<u32> = set.labels.iter().map(|&label| u32::from(label)).collect();
                fixed_images::upload(parts.executor.as_mut(), set, &labels)?
            }
            pada_data::Dataset::Folder(_) => None,
        };
        Ok(*self.held.insert(held))
    }
}

impl StepImages {
    /// As a pass takes them.
    pub(crate) fn images(&self, shape: Shape) -> Images<'_> {
        let pixels = match &self.source {
            StepSource::Made(pixels) => Pixels::Given(pixels),
            StepSource::Held(set, picks) => Pixels::Augmented(*set, picks),
        };
        Images { pixels, shape }
    }
}

/// The same fields in the type of the executor contract: pada-data and pada-graph do not depend on each other.
fn augmented_index(from: pada_data::AugmentedIndex) -> AugmentedIndex {
    let pada_data::AugmentedIndex { index, offset_y, offset_x, flipped, cutout } = from;
    AugmentedIndex { index, offset_y, offset_x, flipped, cutout }
}
