//! The division of images into strips, which the kernels of `kernels/strips.cu` keep in shared memory. It depends only on shapes and on the
//! precision.

use super::arguments::{Kernel, StripArgs, Window};
use super::slabs::{ENOUGH, Slabs};
use crate::plan::Connection;

/// Pixels that are multiplied together. They lie in one row of an image.
const OCTET: usize = 8;
/// The largest number of channels, in or out, for which strips are used. With more of them, [`super::slabs::Columns::Many`] reads less.
const MOST_CHANNELS: usize = 128;

/// Channels whose weights are in shared memory at once, `STRIP_DEPTH` of the kernels with numbers of four bytes. With f64 the weights are
/// loaded for every strip.
const SHARED_CHANNELS: usize = 16;

/// The largest strip that a kernel has shared memory for, in pixels.
#[derive(Clone, Copy, Debug)]
struct Limit {
    pixels: usize,
    with_border: usize,
}

/// Channels per block of the kernels for strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StripChannels {
    Sixteen,
    ThirtyTwo,
}

impl StripChannels {
    /// Returns the number of channels that wastes least for a list of `width` channels.
    pub(super) fn fitting(width: usize) -> Self {
        if width <= 16 { Self::Sixteen } else { Self::ThirtyTwo }
    }

    pub(super) fn count(self) -> usize {
        match self {
            Self::Sixteen => 16,
            Self::ThirtyTwo => 32,
        }
    }
}

/// The taps of a convolution that has kernels for strips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StripTaps {
    /// Kernel 1.
    One,
    /// Kernel 3 with a border of one pixel.
    Nine,
}

/// Equal strips of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Strips {
    pub(super) taps: StripTaps,
    /// Rows of an image in a strip.
    rows: usize,
    height: usize,
    width: usize,
    /// Pixels of a row, rounded up to octets.
    padded: usize,
    /// All pixels of the batch.
    pixels: usize,
}

impl Strips {
    /// Divides a batch of `pixels` pixels for a forward pass or for the gradient of the input, or returns `None` if the convolution has no
    /// kernels for strips.
    pub(super) fn new(
        connection: Connection,
        window: &Window,
        kernel: &Kernel,
        pixels: usize,
    ) -> Option<Self> {
        // `STRIP_PIXELS` and `STRIP_WITH_BORDER` in the kernels.
        Self::within(Limit { pixels: 128, with_border: 264 }, connection, window, kernel, pixels)
    }

    /// Divides a batch for the gradient of weights. `real` is the size of a number in bytes.
    pub(super) fn of_weights(
        connection: Connection,
        window: &Window,
        kernel: &Kernel,
        pixels: usize,
        channels: StripChannels,
        real: usize,
    ) -> Option<Self> {
        // `SLAB_PIXELS` and `SLAB_WITH_BORDER` in the kernels.
        let limit = match (channels, real == size_of::<f32>()) {
            (StripChannels::Sixteen, true) => Limit { pixels: 128, with_border: 264 },
            (StripChannels::Sixteen, false) => Limit { pixels: 64, with_border: 136 },
            (StripChannels::ThirtyTwo, true) => Limit { pixels: 64, with_border: 198 },
            (StripChannels::ThirtyTwo, false) => Limit { pixels: 32, with_border: 102 },
        };
        Self::within(limit, connection, window, kernel, pixels)
    }

    fn within(
        limit: Limit,
        connection: Connection,
        window: &Window,
        kernel: &Kernel,
        pixels: usize,
    ) -> Option<Self> {
        let &Window { step_y, step_x, dilation, border_y, border_x, .. } = window;
        let same_size = window.height == window.out_height && window.width == window.out_width;
        let channels = kernel.channels_in.max(kernel.channels_out) as usize;
        let dense = connection == Connection::Dense && kernel.groups == 1;
        if [step_y, step_x] != [1, 1] || !same_size || !dense || channels > MOST_CHANNELS {
            return None;
        }
        let (height, width) = (window.height as usize, window.width as usize);
        match (window.kernel, kernel.taps, [border_y, border_x], dilation) {
            (1, 1, [0, 0], _) => {
                let padded = limit.pixels;
                Some(Self { taps: StripTaps::One, rows: 1, height: 1, width: padded, padded, pixels })
            }
            (3, 9, [1, 1], 1) => {
                let padded = width.next_multiple_of(OCTET);
                let fits = |rows: &usize| {
                    height.is_multiple_of(*rows)
                        && rows * padded <= limit.pixels
                        && (rows + 2) * (padded + 2) <= limit.with_border
                };
                let rows = (1..=height).rev().find(fits)?;
                Some(Self { taps: StripTaps::Nine, rows, height, width, padded, pixels })
            }
            _ => None,
        }
    }

    /// Returns the rows of the matrix of all pixels that belong to each strip.
    pub(super) fn slabs(&self) -> Slabs {
        Slabs::of(self.pixels, self.rows * self.width)
    }

    /// Returns the number of strips that one block multiplies with the same weights. Blocks keep weights in shared memory if they need not
    /// load those of other channels in between.
    pub(super) fn each(&self, channels_read: usize, strips: usize) -> usize {
        if channels_read <= SHARED_CHANNELS { (strips / ENOUGH).max(1) } else { 1 }
    }

    pub(super) fn args(&self) -> StripArgs {
        let Self { rows, height, width, padded, pixels, .. } = *self;
        let [rows, height, width, padded, pixels] =
            [rows, height, width, padded, pixels].map(|number| number as i64);
        StripArgs { rows, height, width, padded, pixels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::arguments::{Floats, NONE};
    use crate::cuda::step::sizes;
    use pada_graph::Shape;

    fn strips(kernel: i64, height: usize, width: usize, images: usize) -> Option<Strips> {
        let shape = Shape::new(16, height, width);
        let window = Window { kernel, border_y: kernel / 2, border_x: kernel / 2, ..sizes(shape, shape) };
        let weights = Kernel {
            weights: Floats(NONE),
            channels_in: 16,
            channels_out: 16,
            groups: 1,
            taps: kernel * kernel,
        };
        Strips::new(Connection::Dense, &window, &weights, images * height * width)
    }

    #[test]
    fn strips_of_the_stages_of_nas_bench_201_are_as_large_as_they_fit() {
        let slabs = |size: usize| strips(3, size, size, 256).unwrap().slabs();
        assert_eq!([32, 16, 8].map(|size| slabs(size).rows), [128, 128, 64]);
        assert_eq!([32, 16, 8].map(|size| slabs(size).count), [2048, 512, 256]);
    }

    #[test]
    fn strips_never_cross_the_end_of_an_image_unless_the_kernel_is_one() {
        for (height, width) in [(7, 7), (6, 6), (5, 64), (1, 3), (56, 56)] {
            let strips = strips(3, height, width, 3).unwrap();
            assert!((height * width).is_multiple_of(strips.slabs().rows), "{strips:?}");
        }
        assert_eq!(strips(1, 7, 7, 3).unwrap().slabs(), Slabs::of(147, 128));
    }

    #[test]
    fn wide_images_and_other_kernels_have_no_strips() {
        assert!(strips(3, 8, 81, 1).is_none() && strips(5, 8, 8, 1).is_none());
    }
}
