//! candle 0.11: the gradient of a broadcast sums in f32, one number after the other; before a batch norm the sum is zero in
//! truth, and rounding is all that is left.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

use super::number::{Number, slice, storage, with_number};

pub(super) fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    if x.dims4()?.1 != bias.dims1()? {
        bail!("a bias of {:?} for {:?}", bias.dims(), x.dims());
    }
    x.contiguous()?.apply_op2(&bias.contiguous()?, AddBias)
}

struct AddBias;

fn add<T: Number>(x: &[T], bias: &[T], pixels: usize) -> Vec<T> {
    let mut out = x.to_vec();
    out.par_chunks_mut(pixels).enumerate().for_each(|(plane, out)| {
        let bias = bias[plane % bias.len()];
        out.iter_mut().for_each(|v| *v += bias);
    });
    out
}

fn channel_sums<T: Number>(x: &[T], channels: usize, pixels: usize) -> Vec<T> {
    let mut sums = vec![0.0; channels];
    for (plane, values) in x.chunks_exact(pixels).enumerate() {
        sums[plane % channels] += values.iter().map(|v| v.to_f64()).sum::<f64>();
    }
    sums.into_iter().map(T::from_f64).collect()
}

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let pixels = xl.dims()[2] * xl.dims()[3];
        let y = with_number!(x, T => storage(add::<T>(slice(x, xl)?, slice(b, bl)?, pixels)));
        Ok((y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let sums = grad.contiguous()?.apply_op1_no_bwd(&ChannelSums)?;
        Ok((Some(grad.clone()), Some(sums)))
    }
}

struct ChannelSums;

impl CustomOp1 for ChannelSums {
    fn name(&self) -> &'static str {
        "channel sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, pixels) = (layout.dims()[1], layout.dims()[2] * layout.dims()[3]);
        let sums = with_number!(x, T => storage(channel_sums::<T>(slice(x, layout)?, channels, pixels)));
        Ok((sums, Shape::from(channels)))
    }
}
