//! Runs a plan: one image after the other within a level, the images of a batch spread over threads.

mod backward;
mod forward;

use pada_graph::{HostWeights, Images};

use crate::geometry::Padded;
use crate::kernels::{Affine, ConvKernel, DepthwiseKernel, Into, Mask, NormGradient, Stage, StageGradient};
use crate::memory::{Others, Staged};
use crate::plan::{Backward, Buffer, BufferId, Connection, ConvOp, Plan, Source};
use crate::simd::{Number, Vector};
use crate::statistics::Coefficients;

/// What all images of a pass share.
pub(crate) struct Pass<'a, T> {
    pub(crate) plan: &'a Plan,
    pub(crate) host: &'a HostWeights,
    pub(crate) packed: &'a [T],
    pub(crate) coefficients: &'a Coefficients<T>,
    pub(crate) images: &'a Images<'a>,
}

/// One image on its way through a level.
pub(crate) struct Place<'a, T> {
    /// Its number in the batch.
    pub(crate) image: usize,
    /// How many images of its chunk were there before it.
    pub(crate) seen: usize,
    /// Its part of the arena.
    pub(crate) values: &'a mut [T],
    /// Statistics of its chunk.
    pub(crate) partial: &'a mut [f64],
    /// Gradient sums of its chunk.
    pub(crate) sums: &'a mut [T],
}
impl<T: Number> Pass<'_, T> {
    fn affine(&self, source: &Source, stride: usize) -> Affine<'_, T> {
        match source.norm {
            Some(norm) => self.coefficients.affine(self.plan, norm),
            None => self.coefficients.identity(stride),
        }
    }

    /// The numbers of a vector, or of a map channel by channel, as the weights of a linear layer are.
    fn vector(&self, others: &Others<'_, T>, buffer: BufferId) -> Vec<T> {
        let Buffer { shape, stride } = self.plan.buffers[buffer];
        let x = others.buffer(self.plan, buffer);
        (0..shape.channels).flat_map(|c| x[c..].iter().step_by(stride).copied()).collect()
    }

    fn range(&self, way: &Backward, gradient: usize) -> std::ops::Range<usize> {
        let place = way.places[gradient];
        place..place + self.plan.buffers[way.buffers[gradient]].len()
    }

    /// The padded input of a convolution; it stays for others that read the same.
    fn stage<'s, V: Vector<Elem = T>>(
        &self,
        conv: &ConvOp,
        others: &Others<'_, T>,
        staged: &'s mut Staged<T>,
    ) -> &'s [T] {
        let padded = conv.geometry.input;
        let out = staged.numbers.get(padded.len());
        let key = (conv.source, padded.border);
        if staged.key != Some(key) {
            staged.key = Some(key);
            let source = others.buffer(self.plan, conv.source.buffer);
            let affine = conv.source.norm.map(|norm| self.coefficients.affine(self.plan, norm));
            V::dispatch(Stage { source, affine, act: conv.source.act, padded, out });
        }
        out
    }

    fn stage_gradient<V: Vector<Elem = T>>(
        &self,
        way: &Backward,
        buffer: BufferId,
        others: &Others<'_, T>,
        padded: Padded,
        out: &mut [T],
    ) {
        let parts = way.of[buffer];
        let direct = parts.direct.map(|id| others.get(self.range(way, id)));
        let norm = parts.norm.map(|(norm, after)| {
            let [a, b, c] = self.coefficients.gradient(self.plan, norm);
            NormGradient {
                g: others.get(self.range(way, after)),
                y: others.buffer(self.plan, buffer),
                mean: self.coefficients.mean(self.plan, norm),
                a,
                b,
                c,
            }
        });
        V::dispatch(StageGradient { direct, norm, padded, out });
    }

    fn convolve<V: Vector<Elem = T>>(
        &self,
        conv: &ConvOp,
        direction: Direction<'_, T>,
        x: &[T],
        weights: &[T],
        [channels_in, stride_out]: [usize; 2],
        out: &mut [T],
    ) {
        let (phases, bias, into, mask) = match direction {
            Direction::Forward { bias } => (&conv.geometry.forward, bias, Into::Set, None),
            Direction::Backward { mask, into } => (&conv.geometry.backward, None, into, mask),
        };
        match conv.connection {
            Connection::Dense => {
                V::dispatch(ConvKernel {
                    x,
                    phases,
                    weights,
                    channels_in,
                    stride_out,
                    bias,
                    out,
                    into,
                    mask,
                });
            }
            Connection::Depthwise => {
                V::dispatch(DepthwiseKernel {
                    x,
                    phases,
                    weights,
                    stride: stride_out,
                    bias,
                    out,
                    into,
                    mask,
                });
            }
        }
    }
}

enum Direction<'a, T> {
    Forward { bias: Option<&'a [T]> },
    Backward { mask: Option<Mask<'a, T>>, into: Into },
}
