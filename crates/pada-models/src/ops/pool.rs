//! candle 0.11: pooling has no padding, kernel ≠ stride has no gradient, and the gradient of max pooling is too small by 1/k²
//! (`backprop.rs:349`, `:363`, `:373`).

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use pada_graph::Pool;
use rayon::prelude::*;

use super::number::{Number, slice, storage, with_number};

pub(super) fn avg_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    apply(x, pool, Kind::Average)
}

pub(super) fn max_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    apply(x, pool, Kind::Maximum)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Average,
    Maximum,
}

#[derive(Clone, Copy)]
struct PoolOp {
    kind: Kind,
    pool: Pool,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
}

fn apply(x: &Tensor, pool: Pool, kind: Kind) -> Result<Tensor> {
    let (_, _, height, width) = x.dims4()?;
    let Pool { kernel, stride, padding } = pool;
    if height + 2 * padding < kernel || width + 2 * padding < kernel || 2 * padding > kernel {
        bail!("pooling of {:?}: {pool:?}", x.dims());
    }
    let steps = |size: usize| (size + 2 * padding - kernel) / stride + 1;
    let (out_height, out_width) = (steps(height), steps(width));
    x.contiguous()?.apply_op1(PoolOp { kind, pool, height, width, out_height, out_width })
}

impl PoolOp {
    /// Rows or columns of the input that the window at `out` covers.
    fn window(&self, out: usize, size: usize) -> std::ops::Range<usize> {
        let start = out * self.pool.stride;
        start.saturating_sub(self.pool.padding)..(start + self.pool.kernel - self.pool.padding).min(size)
    }

    /// Calls `visit(output pixel, input pixels of its window in row order)`.
    fn for_each(&self, mut visit: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
        for out_y in 0..self.out_height {
            for out_x in 0..self.out_width {
                let columns = self.window(out_x, self.width);
                let rows = self.window(out_y, self.height);
                let mut pixels = rows.flat_map(|y| columns.clone().map(move |x| y * self.width + x));
                visit(out_y * self.out_width + out_x, &mut pixels);
            }
        }
    }

    fn count(&self, out_pixel: usize) -> usize {
        let (y, x) = (out_pixel / self.out_width, out_pixel % self.out_width);
        self.window(y, self.height).len() * self.window(x, self.width).len()
    }

    fn forward<T: Number>(&self, x: &[T]) -> Vec<T> {
        let (in_pixels, out_pixels) = (self.height * self.width, self.out_height * self.out_width);
        let mut out = vec![T::zero(); x.len() / in_pixels * out_pixels];
        let planes = out.par_chunks_mut(out_pixels).zip(x.par_chunks(in_pixels));
        planes.for_each(|(out, x)| self.pool_plane(x, out));
        out
    }

    fn backward<T: Number>(&self, x: &[T], grad: &[T]) -> Vec<T> {
        let (in_pixels, out_pixels) = (self.height * self.width, self.out_height * self.out_width);
        let mut out = vec![T::zero(); x.len()];
        let planes = out.par_chunks_mut(in_pixels).zip(x.par_chunks(in_pixels));
        planes.zip(grad.par_chunks(out_pixels)).for_each(|((out, x), g)| self.spread_plane(x, g, out));
        out
    }

    fn pool_plane<T: Number>(&self, x: &[T], out: &mut [T]) {
        self.for_each(|o, pixels| {
            out[o] = match self.kind {
                Kind::Average => {
                    let mut sum = T::zero();
                    pixels.for_each(|i| sum += x[i]);
                    sum / T::from_f64(self.count(o) as f64)
                }
                Kind::Maximum => x[largest(x, pixels)],
            };
        });
    }

    fn spread_plane<T: Number>(&self, x: &[T], grad: &[T], out: &mut [T]) {
        self.for_each(|o, pixels| match self.kind {
            Kind::Average => {
                let share = grad[o] / T::from_f64(self.count(o) as f64);
                pixels.for_each(|i| out[i] += share);
            }
            Kind::Maximum => out[largest(x, pixels)] += grad[o],
        });
    }
}

/// The first pixel with the largest number; a NaN wins, so that it stays visible.
fn largest<T: Number>(x: &[T], pixels: &mut dyn Iterator<Item = usize>) -> usize {
    pixels
        .reduce(|best, i| if x[i] > x[best] || x[i].to_f64().is_nan() { i } else { best })
        .expect("padding is at most half a window, so every window holds a pixel")
}

impl CustomOp1 for PoolOp {
    fn name(&self) -> &'static str {
        if self.kind == Kind::Average { "avg_pool2d" } else { "max_pool2d" }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let dims = layout.dims();
        let y = with_number!(x, T => storage(self.forward::<T>(slice(x, layout)?)));
        Ok((y, Shape::from((dims[0], dims[1], self.out_height, self.out_width))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(x.apply_op2_no_bwd(&grad.contiguous()?, &PoolGradient(*self))?))
    }
}

struct PoolGradient(PoolOp);

impl CustomOp2 for PoolGradient {
    fn name(&self) -> &'static str {
        "pooling gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        g: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gx = with_number!(x, T => storage(self.0.backward::<T>(slice(x, xl)?, slice(g, gl)?)));
        Ok((gx, xl.shape().clone()))
    }
}
