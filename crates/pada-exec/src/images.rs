use std::ops::Range;

use pada_graph::{Graph, Op, Shape};

use crate::device_data::{AugmentedIndex, DeviceDataset};
use crate::error::ExecError;

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

    /// Checks that the images fit a graph.
    ///
    /// # Errors
    /// Returns [`ExecError::ImageShape`], [`ExecError::EmptyBatch`] or [`ExecError::BatchLength`].
    pub fn check(&self, graph: &Graph) -> Result<(), ExecError> {
        let input = graph.nodes().iter().find(|node| node.op == Op::Input);
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
