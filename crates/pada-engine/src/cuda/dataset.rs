use pada_exec::{AugmentedIndex, ByteImages, DeviceDataset, Images, Pixels};

use super::arguments::{Bytes, Floats, Ints, NONE};
use super::memory::Block;
use super::{CudaError, Device};

/// Number of words per augmented index, in the order of `load_uploaded.cu`.
const INDEX_WORDS: usize = 8;

/// An uploaded data set in the memory of a device.
#[derive(Debug, Default)]
pub(super) struct UploadedDataset {
    bytes: Block,
    values: Block,
    labels: Block,
    /// The labels on the host, to compare with the labels of batches.
    classes: Vec<u32>,
    /// Bytes of one image.
    image_len: usize,
}

impl UploadedDataset {
    /// Uploads a data set.
    pub(super) fn new(device: &dyn Device, images: &ByteImages<'_>) -> Result<Self, CudaError> {
        let mut dataset =
            Self { classes: images.labels.to_vec(), image_len: images.shape.numel(), ..Self::default() };
        match dataset.fill(device, images) {
            Ok(()) => Ok(dataset),
            Err(error) => {
                dataset.blocks().into_iter().for_each(|block| block.release(device));
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
    pub(super) fn contains(&self, images: &Images<'_>) -> bool {
        images.shape.numel() == self.image_len
            && match images.pixels {
                Pixels::Given(_) => false,
                Pixels::Range(_, first, count) => first + count <= self.classes.len(),
                Pixels::Augmented(_, indices) => {
                    indices.iter().all(|augmented| (augmented.index as usize) < self.classes.len())
                }
            }
    }

    pub(super) fn blocks(&mut self) -> [&mut Block; 3] {
        let Self { bytes, values, labels, .. } = self;
        [bytes, values, labels]
    }
}

/// Returns the address of a batch's labels on the device if they are consecutive labels of an uploaded data set.
pub(super) fn labels(datasets: &[UploadedDataset], images: &Images<'_>, labels: &[u32]) -> Option<Ints> {
    let Pixels::Range(set, first, count) = images.pixels else { return None };
    let same = datasets[set.0].classes[first..first + count] == *labels;
    same.then(|| Ints(datasets[set.0].labels.address()).at(first))
}

/// The images of a batch on the device.
#[derive(Clone, Copy, Debug)]
pub(super) enum InputImages {
    /// Normalised pixels, `[B, C, H, W]`.
    Given(Floats),
    /// Images of an uploaded data set: augmented indices, `[B, 8]`, or consecutive images from `first` on.
    Uploaded { bytes: Bytes, values: Floats, indices: Ints, first: usize },
}

impl InputImages {
    /// Copies the pixels of a batch or its augmented indices to `block`.
    ///
    /// # Panics
    /// Panics if the batch refers to a data set that was not uploaded, see [`UploadedDataset::contains`].
    pub(super) fn new(
        device: &dyn Device,
        block: &mut Block,
        datasets: &[UploadedDataset],
        images: &Images<'_>,
    ) -> Result<Self, CudaError> {
        let uploaded = |set: DeviceDataset, indices, first| {
            let UploadedDataset { bytes, values, .. } = &datasets[set.0];
            Self::Uploaded { bytes: Bytes(bytes.address()), values: Floats(values.address()), indices, first }
        };
        Ok(match images.pixels {
            Pixels::Given(pixels) => Self::Given(Floats(block.filled(device, bytemuck::cast_slice(pixels))?)),
            Pixels::Range(set, first, _) => uploaded(set, Ints(NONE), first),
            Pixels::Augmented(set, indices) => {
                let words: Vec<i32> = indices.iter().flat_map(words).collect();
                uploaded(set, Ints(block.filled(device, bytemuck::cast_slice(&words))?), 0)
            }
        })
    }
}

fn words(augmented: &AugmentedIndex) -> [i32; INDEX_WORDS] {
    let [[top, bottom], [left, right]] = augmented.cutout.map(|edges| edges.map(|at| at as i32));
    [
        augmented.index as i32,
        augmented.offset_y,
        augmented.offset_x,
        i32::from(augmented.flipped),
        top,
        bottom,
        left,
        right,
    ]
}
