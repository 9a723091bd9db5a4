//! Index tables of convolutions: offsets of kernel taps into padded images, computed once per combination of settings and shapes.

use std::ops::Deref;

use pada_graph::{Axis, Conv, Shape};

use crate::plan::Connection;

/// One tap of a kernel, for all pixels of a [`Phase`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    /// Offset from the base of a pixel to the number that the tap reads.
    pub(crate) offset: isize,
    /// Index of the tap in the kernel, `ky · k_w + kx`.
    pub(crate) weight: usize,
}

/// Offsets of pixels in an image, with their minimum and maximum, so that kernels need not check every offset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    list: Vec<u32>,
    /// The minimum. `first` and `last` are 0 if the list is empty.
    first: usize,
    last: usize,
}

impl Places {
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    pub(crate) fn last(&self) -> usize {
        self.last
    }
}

impl FromIterator<u32> for Places {
    fn from_iter<I: IntoIterator<Item = u32>>(places: I) -> Self {
        let list: Vec<u32> = places.into_iter().collect();
        let [first, last] = [list.iter().min(), list.iter().max()];
        let [first, last] = [first, last].map(|place| place.map_or(0, |&place| place as usize));
        Self { list, first, last }
    }
}

impl Deref for Places {
    type Target = [u32];

    fn deref(&self) -> &[u32] {
        &self.list
    }
}

/// A set of pixels that read through the same taps.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// Per pixel: its offset in the padded image that is read.
    pub(crate) base: Places,
    /// Per pixel: its offset in the image that is written.
    pub(crate) out: Places,
    /// Per pixel: its offset in the padded input, for activation masks. Empty in the forward direction.
    pub(crate) mask: Places,
    pub(crate) taps: Vec<Tap>,
}

/// The layout of an image with a border of zeros, channels last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Padded {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Width of the border in pixels, the same on every side.
    pub(crate) border: usize,
    /// Distance between neighbouring pixels: the number of channels, rounded up to whole vectors.
    pub(crate) stride: usize,
}

impl Padded {
    pub(crate) fn new(shape: Shape, stride: usize, border: usize) -> Self {
        Self { height: shape.height, width: shape.width, border, stride }
    }

    /// Returns the distance between rows in numbers.
    pub(crate) fn row(&self) -> usize {
        (self.width + 2 * self.border) * self.stride
    }

    /// Returns the total length in numbers, border included.
    pub(crate) fn len(&self) -> usize {
        (self.height + 2 * self.border) * self.row()
    }

    /// Returns the offset of the pixel (y, x), counted from the corner inside the border. Both may be negative, to reach into the border.
    fn at(&self, y: isize, x: isize) -> isize {
        (y + self.border as isize) * self.row() as isize + (x + self.border as isize) * self.stride as isize
    }
}

/// The index tables of one convolution, forward and backward.
#[derive(Clone, Debug, Default)]
pub(crate) struct Geometry {
    /// The padded input that the forward kernel reads.
    pub(crate) input: Padded,
    /// The padded gradient of the output that the backward kernels read.
    pub(crate) output: Padded,
    /// The forward convolution, from input to output.
    pub(crate) forward: Vec<Phase>,
    /// The backward convolution, from the gradient of the output to the gradient of the input.
    pub(crate) backward: Vec<Phase>,
    /// Per output pixel: its offset in the padded gradient of the output.
    pub(crate) gradient: Places,
    pub(crate) kernel_taps: usize,
}

/// The input rows (or columns) with one remainder modulo the stride, and the taps that reach them.
struct Residue {
    first: usize,
    /// Index of the tap, and its output row (or column) relative to `input row / stride`.
    taps: Vec<(usize, isize)>,
}

impl Geometry {
    /// Computes the tables. `border` is the width of the input's border, at least the padding of the convolution.
    pub(crate) fn new(
        conv: &Conv,
        connection: Connection,
        [input, output]: [Shape; 2],
        strides: [usize; 2],
        border: usize,
    ) -> Self {
        let [height, width] = conv.axes();
        let [rows, columns] = [height, width].map(|axis| residues(conv, axis));
        let reach = |residues: &[Residue], axis: Axis, size: usize, out_size: usize| {
            let places = residues.iter().flat_map(|r| {
                let last = (size.saturating_sub(1 + r.first) / axis.stride) as isize;
                r.taps.iter().flat_map(move |&(_, q)| [-q, last + q - (out_size as isize - 1)])
            });
            places.max().unwrap_or(0).max(0) as usize
        };
        let vertical = reach(&rows, height, input.height, output.height);
        let out_border = vertical.max(reach(&columns, width, input.width, output.width));
        let x = Padded::new(input, strides[0], border);
        let y = Padded::new(output, strides[1], out_border);
        let gradient = pixels(output).map(|(oy, ox)| y.at(oy as isize, ox as isize) as u32).collect();
        let mut forward = forward(conv, output, x, strides[1]);
        if connection == Connection::Dense && strides[0] == input.channels && conv.dilation == 1 {
            // The taps of a kernel row read adjacent numbers, so they are merged to one tap with more channels.
            forward.taps.retain(|tap| tap.weight.is_multiple_of(width.kernel));
            forward.taps.iter_mut().for_each(|tap| tap.weight /= width.kernel);
        }
        let forward = vec![forward];
        let backward = backward(conv, [&rows, &columns], input, x, y);
        Self { input: x, output: y, forward, backward, gradient, kernel_taps: height.kernel * width.kernel }
    }
}

impl Geometry {
    /// Returns how many adjacent numbers one tap reads, for C_in input channels.
    pub(crate) fn run(&self, channels: usize) -> usize {
        channels * self.kernel_taps / self.forward[0].taps.len()
    }
}

fn pixels(shape: Shape) -> impl Iterator<Item = (usize, usize)> {
    (0..shape.height).flat_map(move |y| (0..shape.width).map(move |x| (y, x)))
}

fn forward(conv: &Conv, output: Shape, x: Padded, out_stride: usize) -> Phase {
    let [height, width] = conv.axes();
    let place = |axis: Axis, out: usize| (out * axis.stride + conv.offset) as isize - axis.padding as isize;
    let base = pixels(output).map(|(oy, ox)| x.at(place(height, oy), place(width, ox)) as u32).collect();
    let out = (0..output.pixels()).map(|o| (o * out_stride) as u32).collect();
    let step = |tap: usize| tap * conv.dilation;
    let taps = (0..height.kernel * width.kernel).map(|weight| {
        let (ky, kx) = (weight / width.kernel, weight % width.kernel);
        Tap { offset: (step(ky) * x.row() + step(kx) * x.stride) as isize, weight }
    });
    Phase { base, out, mask: Places::default(), taps: taps.collect() }
}

/// Groups input rows (or columns) by their remainder modulo the stride.
///
/// Output `o` reads input `i` through tap `k` if `i = o·stride + offset + k·dilation − padding`.
fn residues(conv: &Conv, axis: Axis) -> Vec<Residue> {
    let stride = axis.stride as isize;
    let reached = |first: usize| {
        (0..axis.kernel).filter_map(move |k| {
            let distance = (first + axis.padding) as isize - (k * conv.dilation + conv.offset) as isize;
            (distance.rem_euclid(stride) == 0).then(|| (k, distance.div_euclid(stride)))
        })
    };
    (0..axis.stride).map(|first| Residue { first, taps: reached(first).collect() }).collect()
}

fn backward(conv: &Conv, [rows, columns]: [&[Residue]; 2], input: Shape, x: Padded, y: Padded) -> Vec<Phase> {
    let [height, width] = conv.axes();
    let mut phases = Vec::new();
    for (rows, columns) in rows.iter().flat_map(|r| columns.iter().map(move |c| (r, c))) {
        let (mut base, mut out, mut mask, mut taps) = (vec![], vec![], vec![], vec![]);
        for iy in (rows.first..input.height).step_by(height.stride) {
            for ix in (columns.first..input.width).step_by(width.stride) {
                let [oy, ox] = [iy / height.stride, ix / width.stride].map(|v| v as isize);
                base.push(y.at(oy, ox) as u32);
                out.push(((iy * input.width + ix) * x.stride) as u32);
                mask.push(x.at(iy as isize, ix as isize) as u32);
            }
        }
        for &(ky, qy) in &rows.taps {
            for &(kx, qx) in &columns.taps {
                let offset = qy * y.row() as isize + qx * y.stride as isize;
                taps.push(Tap { offset, weight: ky * width.kernel + kx });
            }
        }
        if !base.is_empty() {
            let [base, out, mask] = [base, out, mask].map(Places::from_iter);
            phases.push(Phase { base, out, mask, taps });
        }
    }
    phases
}
