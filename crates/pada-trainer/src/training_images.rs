use pada_data::{Augment, DrawnImages, Placed};
use pada_graph::{DeviceDataset, Images, Pick, Pixels, Shape};
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
    Held(DeviceDataset, Vec<Pick>),
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
            let draw = parts.images.source().draw(indices, augment, rng);
            let placed = draw.placed().expect("a set of photographs is not held");
            let source = StepSource::Held(set, placed.into_iter().map(pick).collect());
            return Ok(StepImages { indices: indices.to_vec(), source });
        }
        let DrawnImages { pixels, indices } = parts.images.take(indices, augment, rng)?;
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
            parts.images.ask(indices, augment, rng);
        }
    }

    fn held(&mut self, parts: &mut TrainerParts) -> Result<Option<DeviceDataset>, TrainError> {
        if let Some(held) = self.held {
            return Ok(held);
        }
        let held = match parts.images.source() {
            pada_data::ImageSource::Held(set) => {
                let labels: Vec<u32> = set.labels.iter().map(|&label| u32::from(label)).collect();
                fixed_images::upload(parts.executor.as_mut(), set, &labels)?
            }
            pada_data::ImageSource::Folder(_) => None,
        };
        Ok(*self.held.insert(held))
    }
}

impl StepImages {
    /// As a pass takes them.
    pub(crate) fn images(&self, shape: Shape) -> Images<'_> {
        let pixels = match &self.source {
            StepSource::Made(pixels) => Pixels::Given(pixels),
            StepSource::Held(set, picks) => Pixels::Picks(*set, picks),
        };
        Images { pixels, shape }
    }
}

fn pick(Placed { index, down, right, flipped, hole }: Placed) -> Pick {
    Pick { index, down, right, flipped, hole }
}
