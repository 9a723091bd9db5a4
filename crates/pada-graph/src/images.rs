use std::ops::Range;

use crate::{ExecError, Graph, Shape};

/// Images of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// The images.
    pub pixels: Pixels<'a>,
    /// C × H × W of one image.
    pub shape: Shape,
}

/// Where the images of a batch are.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// `[B, C, H, W]`, normalised.
    Given(&'a [f32]),
    /// In a set that the executor holds: so many of them, from one on, as they are.
    Range(DeviceDataset, usize, usize),
    /// In a set that the executor holds, `[B]`.
    Picks(DeviceDataset, &'a [Pick]),
}

/// Images as bytes, with what they show: what an executor may hold, so that batches need only name them.
#[derive(Clone, Copy, Debug)]
pub struct ByteImages<'a> {
    /// `[N, C, H, W]`
    pub bytes: &'a [u8],
    /// `[N]`, class of each, from 0.
    pub labels: &'a [u32],
    /// C × H × W of one image.
    pub shape: Shape,
    /// `[C, 256]`, the normalised value of every byte.
    pub values: &'a [f32],
}

/// A set that an executor holds: its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceDataset(pub usize);

/// An image of a held set, and how it is changed.
///
/// Pixel (y, x) becomes that of the flipped column and shifted place; what lies outside is black, a byte of 0. Then the hole becomes
/// the mean colour, which is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Its place in the set.
    pub index: u32,
    /// How many rows further down it is read.
    pub down: i32,
    /// How many columns further right.
    pub right: i32,
    /// Whether left and right are exchanged.
    pub flipped: bool,
    /// Rows and columns of the hole, from the first to before the last; empty where there is none.
    pub hole: [[u32; 2]; 2],
}

impl Pick {
    /// An image as it is.
    pub fn plain(index: u32) -> Self {
        Self { index, down: 0, right: 0, flipped: false, hole: [[0; 2]; 2] }
    }
}

impl<'a> Images<'a> {
    /// Normalised images `[B, C, H, W]`.
    pub fn given(pixels: &'a [f32], shape: Shape) -> Self {
        Self { pixels: Pixels::Given(pixels), shape }
    }

    /// The numbers of images that are given.
    ///
    /// # Errors
    /// [`ExecError::NotHeld`] where they are named.
    pub fn numbers(&self) -> Result<&'a [f32], ExecError> {
        match self.pixels {
            Pixels::Given(pixels) => Ok(pixels),
            Pixels::Range(..) | Pixels::Picks(..) => Err(ExecError::NotHeld),
        }
    }

    /// B.
    pub fn len(&self) -> usize {
        match self.pixels {
            Pixels::Given(pixels) => pixels.len().checked_div(self.shape.numel()).unwrap_or(0),
            Pixels::Range(_, _, count) => count,
            Pixels::Picks(_, picks) => picks.len(),
        }
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        match self.pixels {
            Pixels::Given(pixels) => pixels.is_empty(),
            Pixels::Range(..) | Pixels::Picks(..) => self.len() == 0,
        }
    }

    /// Some of the images.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn part(&self, range: Range<usize>) -> Self {
        let numel = self.shape.numel();
        let pixels = match self.pixels {
            Pixels::Given(pixels) => Pixels::Given(&pixels[range.start * numel..range.end * numel]),
            Pixels::Range(set, first, count) => {
                assert!(range.end <= count, "there are {count} images");
                Pixels::Range(set, first + range.start, range.len())
            }
            Pixels::Picks(set, picks) => Pixels::Picks(set, &picks[range]),
        };
        Self { pixels, shape: self.shape }
    }

    /// Checks that the images fit a graph, and that it can be computed.
    ///
    /// # Errors
    /// [`ExecError::Uncomputed`], [`ExecError::ImageShape`], [`ExecError::EmptyBatch`] or [`ExecError::BatchLength`]
    pub fn check(&self, graph: &Graph) -> Result<(), ExecError> {
        if let Some(op) = graph.uncomputed() {
            return Err(ExecError::Uncomputed { op });
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
            return Err(ExecError::BatchLength { what: "numbers", found: pixels.len(), images: self.len() });
        }
        Ok(())
    }
}
