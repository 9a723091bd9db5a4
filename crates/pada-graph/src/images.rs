use std::ops::Range;

use crate::{ExecError, Graph, Shape};

/// The images of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The pixels.
    pub pixels: Pixels<'a>,
    /// Shape of one image.
    pub shape: Shape,
}

/// The pixels of a batch: given by the caller, or in a data set on the device.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// Normalised pixels, `[B, C, H, W]`.
    Given(&'a [f32]),
    /// Images of an uploaded data set without augmentation: the index of the first image, and the number of images.
    Range(DeviceDataset, usize, usize),
    /// Images of an uploaded data set with augmentation, `[B]`.
    Augmented(DeviceDataset, &'a [AugmentedIndex]),
}

/// A labelled data set as bytes, for [`Executor::upload_dataset`](crate::Executor::upload_dataset).
#[derive(Clone, Copy, Debug)]
pub struct ByteImages<'a> {
    /// `[N, C, H, W]`
    pub bytes: &'a [u8],
    /// `[N]`, class of each image.
    pub labels: &'a [u32],
    /// Shape of one image.
    pub shape: Shape,
    /// `[C, 256]`, the normalised value of every byte in every channel.
    pub values: &'a [f32],
}

/// The identifier of a data set that was uploaded to an executor. It is valid for this executor only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDataset(pub usize);

/// An image of an uploaded data set and its augmentation: random crop with padding, horizontal flip, and cutout.
///
/// The augmented pixel (y, x) is read at (y + `offset_y`, x' + `offset_x`), where x' is the flipped column if `flipped` is set and x
/// otherwise. Pixels outside of the image are zero bytes (the padding of `RandomCrop`). Then the cutout region becomes the mean colour,
/// which is 0 after normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AugmentedIndex {
    /// Index of the image in the data set.
    pub index: u32,
    /// Vertical crop offset in pixels.
    pub offset_y: i32,
    /// Horizontal crop offset in pixels.
    pub offset_x: i32,
    /// Whether the image is flipped horizontally.
    pub flipped: bool,
    /// Rows and columns of the cutout region as half-open ranges. Both are empty if there is no cutout.
    pub cutout: [[u32; 2]; 2],
}

impl AugmentedIndex {
    /// An image without augmentation.
    pub fn plain(index: u32) -> Self {
        Self { index, offset_y: 0, offset_x: 0, flipped: false, cutout: [[0; 2]; 2] }
    }
}

impl<'a> Images<'a> {
    /// Creates a batch of normalised images, `[B, C, H, W]`.
    pub fn given(pixels: &'a [f32], shape: Shape) -> Self {
        Self { pixels: Pixels::Given(pixels), shape }
    }

    /// Returns the pixels that the caller gave.
    ///
    /// # Errors
    /// Returns [`ExecError::UnknownDataset`] if the batch refers to an uploaded data set.
    pub fn numbers(&self) -> Result<&'a [f32], ExecError> {
        match self.pixels {
            Pixels::Given(pixels) => Ok(pixels),
            Pixels::Range(..) | Pixels::Augmented(..) => Err(ExecError::UnknownDataset),
        }
    }

    /// Returns B, the number of images.
    pub fn len(&self) -> usize {
        match self.pixels {
            Pixels::Given(pixels) => pixels.len().checked_div(self.shape.numel()).unwrap_or(0),
            Pixels::Range(_, _, count) => count,
            Pixels::Augmented(_, indices) => indices.len(),
        }
    }

    /// Returns whether there are no images.
    pub fn is_empty(&self) -> bool {
        match self.pixels {
            Pixels::Given(pixels) => pixels.is_empty(),
            Pixels::Range(..) | Pixels::Augmented(..) => self.len() == 0,
        }
    }

    /// Returns the images of a range of the batch.
    ///
    /// # Panics
    /// Panics if the range does not lie inside the batch.
    pub fn part(&self, range: Range<usize>) -> Self {
        let numel = self.shape.numel();
        let pixels = match self.pixels {
            Pixels::Given(pixels) => Pixels::Given(&pixels[range.start * numel..range.end * numel]),
            Pixels::Range(set, first, count) => {
                assert!(range.end <= count, "the batch has {count} images");
                Pixels::Range(set, first + range.start, range.len())
            }
            Pixels::Augmented(set, indices) => Pixels::Augmented(set, &indices[range]),
        };
        Self { pixels, shape: self.shape }
    }

    /// Checks that executors support the graph and that the images fit it.
    ///
    /// # Errors
    /// Returns [`ExecError::UnsupportedOp`], [`ExecError::ImageShape`], [`ExecError::EmptyBatch`] or [`ExecError::BatchLength`].
    pub fn check(&self, graph: &Graph) -> Result<(), ExecError> {
        if let Some(op) = graph.unsupported_op() {
            return Err(ExecError::UnsupportedOp { op });
        }
        let input = graph.nodes().iter().find(|node| node.op == crate::Op::Input);
        let (found, numel) = (self.shape, self.shape.numel());
        if let Some(expected) = input.map(|node| node.shape).filter(|&expected| expected != found) {
            return Err(ExecError::ImageShape { expected, found });
        }
        if self.is_empty() {
            return Err(ExecError::EmptyBatch);
        }
        if let Pixels::Given(pixels) = self.pixels
            && (numel == 0 || !pixels.len().is_multiple_of(numel))
        {
            return Err(ExecError::BatchLength {
                what: "pixel values",
                found: pixels.len(),
                images: self.len(),
            });
        }
        Ok(())
    }
}
