use pada_exec::{AugmentedIndex, ByteImages, DeviceDataset, Images, Pixels};

use super::arguments::{Bytes, Floats, Ints, NONE};
use super::memory::Block;
use super::{CudaError, Device};

/// Numbers of a pick, as `load_held.cu` reads them.
const PICK: usize = 8;

/// A set of images in the memory of a device.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Block,
    values: Block,
    labels: Block,
    /// What each image shows, to compare with.
    classes: Vec<u32>,
    /// Bytes of one image.
    image_len: usize,
}

impl Held {
    /// Copies a set.
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

    /// Whether all images of a batch are in the set.
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

/// The labels of a batch, where they lie side by side in one of the sets.
pub(super) fn labels(sets: &[Held], images: &Images<'_>, labels: &[u32]) -> Option<Ints> {
    let Pixels::Range(set, first, count) = images.pixels else { return None };
    let same = sets[set.0].classes[first..first + count] == *labels;
    same.then(|| Ints(sets[set.0].labels.address()).at(first))
}

/// Where the images of a batch come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputImages {
    /// `[B, C, H, W]`
    Given(Floats),
    /// A set's bytes and values; `[B, 8]`, how each image is picked, or all from one on.
    Held { bytes: Bytes, values: Floats, picks: Ints, first: usize },
}

impl InputImages {
    /// Copies what the host has of a batch to `block`: pixels, or how images are picked.
    ///
    /// # Panics
    /// If images are named and not [held](Held::has).
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
