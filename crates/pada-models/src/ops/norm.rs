//! candle 0.11: `BatchNorm` always keeps running statistics and takes about ten passes over its input.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

use super::number::{Number, slice, storage, with_number};

pub(super) fn batch_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    x.dims4()?;
    x.contiguous()?.apply_op1(NormOp { eps })
}

pub(super) fn batch_moments(x: &Tensor) -> Result<Vec<[f64; 2]>> {
    let (_, count, ..) = x.dims4()?;
    let x = x.contiguous()?;
    let (data, layout) = x.storage_and_layout();
    let Storage::Cpu(data) = &*data else { bail!("batch moments are computed on the CPU") };
    with_number!(data, T => {
        let channels = Channels::new(slice::<T>(data, layout)?, layout.dims());
        Ok((0..count).into_par_iter().map(|c| channels.mean_and_variance(c)).collect())
    })
}

#[derive(Clone, Copy)]
struct NormOp {
    eps: f64,
}

/// Mean and 1/√(var + eps) of one channel.
#[derive(Clone, Copy)]
struct Moments {
    mean: f64,
    inv_std: f64,
}

/// Channels of a `[B, C, H, W]` buffer.
struct Channels<'a, T> {
    values: &'a [T],
    count: usize,
    pixels: usize,
}

impl<'a, T: Number> Channels<'a, T> {
    fn new(values: &'a [T], dims: &[usize]) -> Self {
        Self { values, count: dims[1], pixels: dims[2] * dims[3] }
    }

    /// One channel's numbers, image by image.
    fn planes(&self, channel: usize) -> impl Iterator<Item = &'a [T]> {
        let per_image = self.count * self.pixels;
        self.values.chunks_exact(per_image).map(move |image| &image[channel * self.pixels..][..self.pixels])
    }

    fn moments(&self, channel: usize, eps: f64) -> Moments {
        let [mean, var] = self.mean_and_variance(channel);
        Moments { mean, inv_std: 1.0 / (var + eps).sqrt() }
    }

    fn mean_and_variance(&self, channel: usize) -> [f64; 2] {
        let n = (self.values.len() / self.count) as f64;
        let mean = self.planes(channel).map(|plane| sum(plane, |v| v)).sum::<f64>() / n;
        let squares = |plane| sum(plane, |v| (v - mean) * (v - mean));
        let var = self.planes(channel).map(squares).sum::<f64>() / n;
        [mean, var]
    }

    fn all_moments(&self, eps: f64) -> Vec<Moments> {
        (0..self.count).into_par_iter().map(|c| self.moments(c, eps)).collect()
    }
}

/// Σ f(v) in f64, in eight lanes.
fn sum<T: Number>(values: &[T], f: impl Fn(f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let chunks = values.chunks_exact(lanes.len());
    let rest: f64 = chunks.remainder().iter().map(|v| f(v.to_f64())).sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, v)| *lane += f(v.to_f64()));
    }
    lanes.iter().sum::<f64>() + rest
}

fn normalise<T: Number>(x: &[T], dims: &[usize], eps: f64) -> Vec<T> {
    let channels = Channels::new(x, dims);
    let moments = channels.all_moments(eps);
    let mut out = x.to_vec();
    out.par_chunks_mut(channels.pixels).enumerate().for_each(|(plane, out)| {
        let Moments { mean, inv_std } = moments[plane % channels.count];
        out.iter_mut().for_each(|v| *v = T::from_f64((v.to_f64() - mean) * inv_std));
    });
    out
}

/// `inv_std · (g − mean(g) − x̂ · mean(g · x̂))` with x̂ the normalised input.
fn gradient<T: Number>(x: &[T], g: &[T], dims: &[usize], eps: f64) -> Vec<T> {
    let (xs, gs) = (Channels::new(x, dims), Channels::new(g, dims));
    let n = (x.len() / xs.count) as f64;
    let moments = xs.all_moments(eps);
    let means = |c: usize| {
        let Moments { mean, inv_std } = moments[c];
        let g_sum = gs.planes(c).map(|plane| sum(plane, |v| v)).sum::<f64>();
        let dot = |(x, g): (&[T], &[T])| -> f64 {
            x.iter().zip(g).map(|(x, g)| (x.to_f64() - mean) * inv_std * g.to_f64()).sum()
        };
        (g_sum / n, xs.planes(c).zip(gs.planes(c)).map(dot).sum::<f64>() / n)
    };
    let means: Vec<(f64, f64)> = (0..xs.count).into_par_iter().map(means).collect();
    let mut out = g.to_vec();
    out.par_chunks_mut(xs.pixels).zip(x.par_chunks(xs.pixels)).enumerate().for_each(|(plane, (out, x))| {
        let Moments { mean, inv_std } = moments[plane % xs.count];
        let (g_mean, gx_mean) = means[plane % xs.count];
        for (g, x) in out.iter_mut().zip(x) {
            // In f64: a convolution's bias sums these over a channel, and the sum must come out as zero.
            *g = T::from_f64(inv_std * (g.to_f64() - g_mean - (x.to_f64() - mean) * inv_std * gx_mean));
        }
    });
    out
}

impl CustomOp1 for NormOp {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = with_number!(x, T => storage(normalise::<T>(slice(x, layout)?, layout.dims(), self.eps)));
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(x.apply_op2_no_bwd(&grad.contiguous()?, &NormGradient(*self))?))
    }
}

struct NormGradient(NormOp);

impl CustomOp2 for NormGradient {
    fn name(&self) -> &'static str {
        "batch norm gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        g: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let gx = with_number!(x, T => {
            storage(gradient::<T>(slice(x, xl)?, slice(g, gl)?, xl.dims(), self.0.eps))
        });
        Ok((gx, xl.shape().clone()))
    }
}
