//! candle 0.11: the derivative of `relu` at 0 is 1 (`backprop.rs:636`), PyTorch's is 0; `relu6` is missing.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::number::{Number, slice, storage, with_number};

/// Numbers one thread takes at a time.
const CHUNK: usize = 1 << 14;

pub(super) fn relu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(ClampOp { name: "relu", upper: f64::INFINITY })
}

pub(super) fn relu6(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(ClampOp { name: "relu6", upper: 6.0 })
}

struct ClampOp {
    name: &'static str,
    upper: f64,
}

fn clamp<T: Number>(x: &[T], upper: T) -> Vec<T> {
    let mut out = x.to_vec();
    let clamp = |v: &mut T| {
        // Written so that NaN stays NaN.
        if *v < T::zero() {
            *v = T::zero();
        } else if *v > upper {
            *v = upper;
        }
    };
    out.par_chunks_mut(CHUNK).for_each(|chunk| chunk.iter_mut().for_each(clamp));
    out
}

impl CustomOp1 for ClampOp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = with_number!(x, T => storage(clamp::<T>(slice(x, layout)?, candle_core::WithDType::from_f64(self.upper))));
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let inside = y.gt(0.0)?;
        let inside = if self.upper.is_finite() { (inside * y.lt(self.upper)?)? } else { inside };
        Ok(Some((grad * inside.to_dtype(grad.dtype())?)?))
    }
}
