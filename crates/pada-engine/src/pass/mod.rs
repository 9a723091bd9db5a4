//! Runs the operations of a plan for one image and one level.

mod backward;
mod forward;

use pada_exec::Images;

use crate::geometry::{Geometry, Padded, Phase};
use crate::kernels::winograd::{TiledConv, scratch_len};
use crate::kernels::{
    Affine, ConvKernel, DepthwiseKernel, Mask, NormGradient, PadInput, PadOutputGrad, ToUnits, WriteMode,
};
use crate::memory::{Aligned, Image, Others, Scratch};
use crate::plan::{Backward, Buffer, BufferId, ConvOp, Dropped, Kind, Op, Plan, Source};
use crate::shard::Shard;
use crate::simd::{Number, Unit, Vector};
use crate::statistics::Coefficients;
use crate::weights::{Kernels, Packed};

/// The inputs that all images of a pass share.
pub(crate) struct Pass<'a, V: Vector> {
    pub(crate) plan: &'a Plan,
    pub(crate) kernels: Kernels<'a>,
    pub(crate) packed: Packed<'a, V::Elem, V::Unit>,
    pub(crate) coefficients: &'a Coefficients<V::Elem>,
    /// The images of this process.
    pub(crate) images: &'a Images<'a>,
    pub(crate) shard: &'a Shard<'a>,
    /// Factor of the whole loss.
    pub(crate) loss_scale: f64,
    /// `[slots, B]`, the factors of drop-path and dropout
    pub(crate) drop_path: &'a [f32],
}

/// One image and the memory that its operations write.
pub(crate) struct Place<'a, T> {
    /// Index of the image among the images of this process.
    pub(crate) image: usize,
    /// Number of images of its chunk that were computed before it.
    pub(crate) seen: usize,
    /// True for the last image of its chunk.
    pub(crate) is_last: bool,
    /// The memory of the image in the arena.
    pub(crate) values: &'a mut [T],
    /// Partial sums of statistics of its chunk.
    pub(crate) partial: &'a mut [f64],
    /// Weight gradients of its chunk.
    pub(crate) sums: &'a mut [T],
    /// The signs of the inputs of ReLUs for this image.
    pub(crate) signs: &'a mut [u64],
    /// The products of values and gradients for this image.
    pub(crate) products: &'a mut [f32],
}

impl<T: Number, U: Unit, V: Vector<Elem = T, Unit = U>> Pass<'_, V> {
    fn affine(&self, source: &Source, stride: usize) -> Affine<'_, T> {
        match source.norm {
            Some(norm) => self.coefficients.affine(self.plan, norm),
            None => self.coefficients.identity(stride),
        }
    }

    /// Returns the factors of an image: one of drop-path, or one of dropout for each channel.
    fn drop_factors(&self, op: &Op, image: usize) -> DropFactors<T> {
        let Kind::Drop { slot, dropped } = op.kind else { unreachable!("only called for `Kind::Drop`") };
        let factor = |slot: usize| {
            T::from_f32(self.drop_path[slot * self.shard.batch + self.shard.images.start + image])
        };
        match dropped {
            Dropped::Images => DropFactors::Image(factor(slot)),
            Dropped::Channels => {
                let Buffer { shape, stride } = self.plan.buffers[op.out];
                let mut factors = vec![T::ZERO; stride];
                factors.iter_mut().zip(slot..slot + shape.channels).for_each(|(f, slot)| *f = factor(slot));
                DropFactors::Channels(factors)
            }
        }
    }

    /// Returns the number that an operation of [`Kind::Scale`] multiplies its value by.
    fn factor(&self, op: &Op) -> T {
        let Kind::Scale { factors, index } = op.kind else { unreachable!("only called for `Kind::Scale`") };
        T::from_f32(self.kernels.host.weight(factors)[index])
    }

    /// Returns the numbers of a buffer without padding channels, in the order `[C, H, W]` of the weights of a linear layer.
    fn vector(&self, others: &Others<'_, T>, buffer: BufferId) -> Vec<T> {
        let Buffer { shape, stride } = self.plan.buffers[buffer];
        let x = others.buffer(self.plan, buffer);
        (0..shape.channels).flat_map(|c| x[c..].iter().step_by(stride).copied()).collect()
    }

    fn range(&self, backward_plan: &Backward, gradient: usize) -> std::ops::Range<usize> {
        let place = backward_plan.places[gradient];
        place..place + self.plan.buffers[backward_plan.buffers[gradient]].len()
    }

    /// Copies the input of a convolution to a padded buffer, unless an earlier convolution that reads the same value has done so.
    fn pad_input(&self, conv: &ConvOp, others: &Others<'_, T>, scratch: &mut Scratch<T, U>) {
        let padded = conv.geometry.input;
        let out = scratch.input.numbers.get(padded.len());
        let key = (conv.source, padded.border);
        if scratch.padded_source != Some(key) {
            scratch.padded_source = Some(key);
            let source = others.buffer(self.plan, conv.source.buffer);
            let affine = conv.source.norm.map(|norm| self.coefficients.affine(self.plan, norm));
            V::dispatch(PadInput { source, affine, act: conv.source.act, padded, out });
            Self::set_units(&mut scratch.input, padded.len());
        }
    }

    /// Converts the numbers of a padded image to units, if the two differ.
    fn set_units(image: &mut Image<T, U>, len: usize) {
        let numbers = &*image.numbers.get(len);
        if V::as_units(numbers).is_none() {
            V::dispatch(ToUnits { numbers, units: image.units.get(len / U::PER) });
        }
    }

    /// Returns a padded image in units, as convolutions read it.
    fn units(image: &mut Image<T, U>, len: usize) -> &[U] {
        let Image { numbers, units } = image;
        V::as_units(numbers.get(len)).unwrap_or_else(|| units.get(len / U::PER))
    }

    /// Copies the gradient of an operation's output to a padded buffer.
    fn pad_output_grad(
        &self,
        backward_plan: &Backward,
        buffer: BufferId,
        others: &Others<'_, T>,
        padded: Padded,
        out: &mut [T],
    ) {
        let parts = backward_plan.of[buffer];
        let direct = parts.direct.map(|id| others.get(self.range(backward_plan, id)));
        let norm = parts.norm.map(|(norm, after)| {
            let [a, b, c] = self.coefficients.gradient(self.plan, norm);
            NormGradient {
                g: others.get(self.range(backward_plan, after)),
                y: others.buffer(self.plan, buffer),
                mean: self.coefficients.mean(self.plan, norm),
                a,
                b,
                c,
            }
        });
        V::dispatch(PadOutputGrad { direct, norm, padded, out });
    }

    /// Runs a dense convolution, forward or backward. `units_in` is the number of units per tap of the image that is read, and `stride_out`
    /// is the stride of the image that is written.
    fn convolve(
        direction: Direction<'_, T>,
        [x, weights]: [&[U]; 2],
        [units_in, stride_out]: [usize; 2],
        out: &mut [T],
    ) {
        let Direction { phases, bias, write_mode, mask } = direction;
        V::dispatch(ConvKernel { x, phases, weights, units_in, stride_out, bias, out, write_mode, mask });
    }

    /// Runs a dense convolution by Winograd's algorithm, forward or backward, from the first of two images to the second. A mask has the layout
    /// of the second.
    fn convolve_in_tiles(
        direction: Direction<'_, T>,
        [x, weights]: [&[T]; 2],
        [padded, written]: [Padded; 2],
        channels_in: usize,
        out: &mut [T],
        tiles: &mut Aligned<T>,
    ) {
        let Direction { bias, write_mode, mask, .. } = direction;
        V::dispatch(TiledConv {
            x,
            padded,
            weights,
            channels_in,
            stride_out: written.stride,
            bias,
            out,
            write_mode,
            mask: mask.map(|mask| (mask, written)),
            scratch: tiles.get(scratch_len([padded.stride, written.stride], V::LANES)),
        });
    }

    /// Runs a depthwise convolution, forward or backward.
    fn convolve_depthwise(
        direction: Direction<'_, T>,
        [x, weights]: [&[T]; 2],
        stride: usize,
        out: &mut [T],
    ) {
        let Direction { phases, bias, write_mode, mask } = direction;
        V::dispatch(DepthwiseKernel { x, phases, weights, stride, bias, out, write_mode, mask });
    }
}

/// The factors of drop-path or dropout of an image.
enum DropFactors<T> {
    /// One for the whole image.
    Image(T),
    /// One per channel, and 0 for padding channels, `[stride]`.
    Channels(Vec<T>),
}

/// The direction of a convolution, forward or backward, with its index tables.
struct Direction<'a, T> {
    phases: &'a [Phase],
    bias: Option<&'a [T]>,
    write_mode: WriteMode,
    mask: Option<Mask<'a, T>>,
}

impl<'a, T> Direction<'a, T> {
    fn forward(geometry: &'a Geometry, bias: Option<&'a [T]>) -> Self {
        Self { phases: &geometry.forward, bias, write_mode: WriteMode::Store, mask: None }
    }

    fn backward(geometry: &'a Geometry, mask: Option<Mask<'a, T>>, write_mode: WriteMode) -> Self {
        Self { phases: &geometry.backward, bias: None, write_mode, mask }
    }
}
