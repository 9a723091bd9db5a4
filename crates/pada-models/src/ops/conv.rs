//! candle 0.11: the backward pass of a strided convolution fails on non-square images (`backprop.rs:276`), the gradient of the
//! input is a naive loop, and both gradients are always computed.
//!
//! One image at a time: patches as columns of a matrix, then a matrix product.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::matmul::{Into, Matrix, matmul};
use super::number::{Number, slice, storage, with_number};

/// Images per partial sum of a weight gradient: fixed, so that the sum does not depend on the number of threads.
const IMAGES_PER_PART: usize = 8;

pub(super) fn conv2d(x: &Tensor, weight: &Tensor, conv: &pada_graph::Conv) -> Result<Tensor> {
    if conv.offset > 0 {
        let (pad, offset) = (conv.padding, conv.offset);
        let x = x.pad_with_zeros(2, pad, pad)?.pad_with_zeros(3, pad, pad)?;
        let rest = |dim| Ok::<_, candle_core::Error>(x.dim(dim)?.saturating_sub(offset));
        let x = x.narrow(2, offset, rest(2)?)?.narrow(3, offset, rest(3)?)?;
        return conv2d(&x, weight, &pada_graph::Conv { offset: 0, padding: 0, ..conv.clone() });
    }
    let (_, c_in, height, width) = x.dims4()?;
    let (c_out, c_group, k, k_w) = weight.dims4()?;
    let extent = conv.dilation * (k - 1) + 1;
    let (high, wide) = (height + 2 * conv.padding, width + 2 * conv.padding);
    if c_group * conv.groups != c_in || c_out % conv.groups != 0 || k != k_w || high < extent || wide < extent
    {
        bail!("convolution of {:?} with a weight of {:?}: {conv:?}", x.dims(), weight.dims());
    }
    let window = Window {
        channels: c_group,
        height,
        width,
        out_height: (high - extent) / conv.stride + 1,
        out_width: (wide - extent) / conv.stride + 1,
        kernel: k,
        stride: conv.stride,
        padding: conv.padding,
        dilation: conv.dilation,
    };
    let op = ConvOp { window, groups: conv.groups, group_out: c_out / conv.groups };
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// Where the taps of a kernel fall on an image of one group's channels.
#[derive(Clone, Copy)]
struct Window {
    channels: usize,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
}

impl Window {
    fn image(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// Rows of the patch matrix: one per channel and tap.
    fn taps(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Columns of the patch matrix: one per output pixel.
    fn pixels(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Whether the image already is its patch matrix.
    fn is_plain(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.padding == 0
    }

    /// Calls `visit(place in the patch matrix, place in the image, length)` for every run of neighbouring taps inside the image.
    fn for_each_run(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let mut row = 0;
        for c in 0..self.channels {
            for (tap_y, tap_x) in (0..self.kernel).flat_map(|y| (0..self.kernel).map(move |x| (y, x))) {
                let columns = self.inside(tap_x, self.width, self.out_width);
                for out_y in self.inside(tap_y, self.height, self.out_height) {
                    let y = out_y * self.stride + tap_y * self.dilation - self.padding;
                    let to = (row * self.out_height + out_y) * self.out_width;
                    let from = (c * self.height + y) * self.width + tap_x * self.dilation;
                    if self.stride == 1 && !columns.is_empty() {
                        visit(to + columns.start, from + columns.start - self.padding, columns.len());
                    } else {
                        columns.clone().for_each(|x| visit(to + x, from + x * self.stride - self.padding, 1));
                    }
                }
                row += 1;
            }
        }
    }

    /// The outputs for which a tap falls inside an image of this size.
    fn inside(&self, tap: usize, size: usize, outputs: usize) -> Range<usize> {
        let offset = tap * self.dilation;
        let first = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let end = (size + self.padding).saturating_sub(offset).div_ceil(self.stride).min(outputs);
        first.min(end)..end
    }

    fn image_to_patches<T: Number>(&self, image: &[T], patches: &mut [T]) {
        // Taps outside the image are never visited, so they keep the zeros the buffer started with.
        self.for_each_run(|patch, pixel, n| patches[patch..][..n].copy_from_slice(&image[pixel..][..n]));
    }

    fn add_patches_to_image<T: Number>(&self, patches: &[T], image: &mut [T]) {
        self.for_each_run(|patch, pixel, n| {
            let pairs = image[pixel..][..n].iter_mut().zip(&patches[patch..][..n]);
            pairs.for_each(|(sum, &value)| *sum += value);
        });
    }
}

#[derive(Clone, Copy)]
struct ConvOp {
    window: Window,
    groups: usize,
    /// Output channels of one group.
    group_out: usize,
}

impl ConvOp {
    fn image_in(&self) -> usize {
        self.groups * self.window.image()
    }

    fn image_out(&self) -> usize {
        self.groups * self.group_out * self.window.pixels()
    }

    /// Numbers in one group's weights.
    fn group_weights(&self) -> usize {
        self.group_out * self.window.taps()
    }

    /// Calls `f(group, patches)` for every group of one image.
    fn with_patches<T: Number>(
        &self,
        image: &[T],
        buffer: &mut [T],
        mut f: impl FnMut(usize, Matrix<'_, T>),
    ) {
        let (taps, pixels) = (self.window.taps(), self.window.pixels());
        for (group, channels) in image.chunks_exact(self.window.image()).enumerate() {
            if self.window.is_plain() {
                f(group, Matrix::new(channels, taps, pixels));
            } else {
                self.window.image_to_patches(channels, buffer);
                f(group, Matrix::new(buffer, taps, pixels));
            }
        }
    }

    fn buffer<T: Number>(&self) -> Vec<T> {
        vec![T::zero(); self.window.taps() * self.window.pixels()]
    }

    fn forward<T: Number>(&self, x: &[T], weight: &[T]) -> Vec<T> {
        let (taps, pixels) = (self.window.taps(), self.window.pixels());
        let mut out = vec![T::zero(); x.len() / self.image_in() * self.image_out()];
        let images = out.par_chunks_mut(self.image_out()).zip(x.par_chunks(self.image_in()));
        images.for_each_init(
            || self.buffer(),
            |buffer, (out, image)| {
                self.with_patches(image, buffer, |group, patches| {
                    let weight = &weight[group * self.group_weights()..][..self.group_weights()];
                    let out = &mut out[group * self.group_out * pixels..][..self.group_out * pixels];
                    matmul(out, Matrix::new(weight, self.group_out, taps), patches, Into::Overwrite);
                });
            },
        );
        out
    }

    fn input_gradient<T: Number>(&self, grad: &[T], weight: &[T]) -> Vec<T> {
        let (taps, pixels) = (self.window.taps(), self.window.pixels());
        let mut out = vec![T::zero(); grad.len() / self.image_out() * self.image_in()];
        let images = out.par_chunks_mut(self.image_in()).zip(grad.par_chunks(self.image_out()));
        images.for_each_init(
            || self.buffer(),
            |buffer, (image, grad)| {
                for (group, channels) in image.chunks_exact_mut(self.window.image()).enumerate() {
                    let weight = &weight[group * self.group_weights()..][..self.group_weights()];
                    let grad = &grad[group * self.group_out * pixels..][..self.group_out * pixels];
                    let weight = Matrix::new(weight, self.group_out, taps).transposed();
                    matmul(buffer, weight, Matrix::new(grad, self.group_out, pixels), Into::Overwrite);
                    self.window.add_patches_to_image(buffer, channels);
                }
            },
        );
        out
    }

    fn weight_gradient<T: Number>(&self, x: &[T], grad: &[T]) -> Vec<T> {
        let pixels = self.window.pixels();
        let numel = self.groups * self.group_weights();
        let parts = x.par_chunks(IMAGES_PER_PART * self.image_in());
        let sums: Vec<Vec<T>> = parts
            .zip(grad.par_chunks(IMAGES_PER_PART * self.image_out()))
            .map_init(
                || self.buffer(),
                |buffer, (images, grads)| {
                    let mut sum = vec![T::zero(); numel];
                    for (image, grad) in
                        images.chunks_exact(self.image_in()).zip(grads.chunks_exact(self.image_out()))
                    {
                        self.with_patches(image, buffer, |group, patches| {
                            let grad = &grad[group * self.group_out * pixels..][..self.group_out * pixels];
                            let sum = &mut sum[group * self.group_weights()..][..self.group_weights()];
                            matmul(
                                sum,
                                Matrix::new(grad, self.group_out, pixels),
                                patches.transposed(),
                                Into::Add,
                            );
                        });
                    }
                    sum
                },
            )
            .collect();
        let mut total = vec![T::zero(); numel];
        for sum in sums {
            total.iter_mut().zip(sum).for_each(|(t, s)| *t += s);
        }
        total
    }

    fn weight_shape(&self) -> Shape {
        let Window { channels, kernel, .. } = self.window;
        Shape::from((self.groups * self.group_out, channels, kernel, kernel))
    }
}

impl CustomOp2 for ConvOp {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Window { out_height, out_width, .. } = self.window;
        let shape = Shape::from((xl.dims()[0], self.groups * self.group_out, out_height, out_width));
        let y = with_number!(x, T => storage(self.forward::<T>(slice(x, xl)?, slice(w, wl)?)));
        Ok((y, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let grad = grad.contiguous()?;
        let gx = x.track_op().then(|| grad.apply_op2_no_bwd(w, &InputGradient(*self))).transpose()?;
        let gw = w.track_op().then(|| x.apply_op2_no_bwd(&grad, &WeightGradient(*self))).transpose()?;
        Ok((gx, gw))
    }
}

struct InputGradient(ConvOp);

impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "conv2d input gradient"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        gl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ConvOp { window, groups, .. } = self.0;
        let shape = Shape::from((gl.dims()[0], groups * window.channels, window.height, window.width));
        let gx = with_number!(g, T => storage(self.0.input_gradient::<T>(slice(g, gl)?, slice(w, wl)?)));
        Ok((gx, shape))
    }
}

struct WeightGradient(ConvOp);

impl CustomOp2 for WeightGradient {
    fn name(&self) -> &'static str {
        "conv2d weight gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        g: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gw = with_number!(x, T => storage(self.0.weight_gradient::<T>(slice(x, xl)?, slice(g, gl)?)));
        Ok((gw, self.0.weight_shape()))
    }
}
