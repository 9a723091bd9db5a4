use pada_exec::{AugmentedIndex, ByteImages, DeviceDataset, Images, Pixels};

use super::arguments::{Bytes, Floats, Ints, NONE};
use super::memory::Block;
use super::{CudaError, Device};

/// Number of words per augmented index, in the order of `load_held.cu`.
const PICK: usize = 8;

/// An uploaded data set in the memory of a device.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Block,
    values: Block,
    labels: Block,
    /// The labels on the host, to compare with the labels of batches.
    classes: Vec<u32>,
    /// Bytes of one image.
    image_len: usize,
}

impl Held {
    /// Uploads a data set.
    pub(super) fn new(device: &dyn Device, images: &ByteImages<'_>) -> Result<Self, CudaError> {
        let mut held =
            Self { classes: images.labels.to_vec(), image_len: images.shape.numel(), ..Self::default() };
        match held.fill(device, images) {
            Ok(()) => Ok(held),
            Err(error) => {
                held.blocks().into_iter().for_each(|block| block.release(device));
                Err(error)
            }
        }
    }

    fn fill(&mut self, device: &dyn Device, images: &ByteImages<'_>) -> Result<(), CudaError> {
        self.bytes.filled(device, images.bytes)?;
        self.values.filled(device, bytemuck::cast_slice(images.values))?;
        self.labels.filled(device, bytemuck::cast_slice(images.labels))?;
        Ok(())
    }

    /// Returns whether the data set contains all images of a batch.
    pub(super) fn has(&self, images: &Images<'_>) -> bool {
        images.shape.numel() == self.image_len
            && match images.pixels {
                Pixels::Given(_) => false,
                Pixels::Range(_, first, count) => first + count <= self.classes.len(),
                Pixels::Augmented(_, picks) => {
                    picks.iter().all(|pick| (pick.index as usize) < self.classes.len())
                }
            }
    }

    pub(super) fn blocks(&mut self) -> [&mut Block; 3] {
        let Self { bytes, values, labels, .. } = self;
        [bytes, values, labels]
    }
}

/// Returns the address of a batch's labels on the device if they are consecutive labels of an uploaded data set.
pub(super) fn labels(sets: &[Held], images: &Images<'_>, labels: &[u32]) -> Option<Ints> {
    let Pixels::Range(set, first, count) = images.pixels else { return None };
    let same = sets[set.0].classes[first..first + count] == *labels;
    same.then(|| Ints(sets[set.0].labels.address()).at(first))
}

/// The images of a batch on the device.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputImages {
    /// Normalised pixels, `[B, C, H, W]`.
    Given(Floats),
    /// Images of an uploaded data set: augmented indices, `[B, 8]`, or consecutive images from `first` on.
    Held { bytes: Bytes, values: Floats, picks: Ints, first: usize },
}

impl InputImages {
    /// Copies the pixels of a batch or its augmented indices to `block`.
    ///
    /// # Panics
    /// Panics if the batch refers to a data set that was not uploaded, see [`Held::has`].
    pub(super) fn new(
        device: &dyn Device,
        block: &mut Block,
        sets: &[Held],
        images: &Images<'_>,
    ) -> Result<Self, CudaError> {
        let held = |set: DeviceDataset, picks, first| {
            let Held { bytes, values, .. } = &sets[set.0];
            Self::Held { bytes: Bytes(bytes.address()), values: Floats(values.address()), picks, first }
        };
        Ok(match images.pixels {
            Pixels::Given(pixels) => Self::Given(Floats(block.filled(device, bytemuck::cast_slice(pixels))?)),
            Pixels::Range(set, first, _) => held(set, Ints(NONE), first),
            Pixels::Augmented(set, picks) => {
                let words: Vec<i32> = picks.iter().flat_map(words).collect();
                held(set, Ints(block.filled(device, bytemuck::cast_slice(&words))?), 0)
            }
        })
    }
}

fn words(pick: &AugmentedIndex) -> [i32; PICK] {
    let [[top, bottom], [left, right]] = pick.cutout.map(|edges| edges.map(|at| at as i32));
    [pick.index as i32, pick.offset_y, pick.offset_x, i32::from(pick.flipped), top, bottom, left, right]
}
