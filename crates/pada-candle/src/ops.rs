//! The layers of a network as PyTorch computes them, composed of candle operations.
//!
//! candle 0.11 has most of these layers itself. Where its version differs from PyTorch's, or its backward pass is wrong, a comment says how,
//! with the line in candle-core.
//!
//! Images are `[B, C, H, W]`. An [`Op`](pada_graph::Op) of a graph gives the numbers of a layer.

use candle_core::{Result, Tensor, bail};
use candle_nn::{Conv2d, Conv2dConfig, Linear, Module};
use pada_graph::{Conv, Pool};

/// Two-dimensional convolution, as `torch.nn.functional.conv2d`.
///
/// # Shapes
/// - `x`: `[B, C_in, H, W]`, `weight`: `[C_out, C_in / groups, k_h, k_w]`, `bias`: `[C_out]`
/// - returns `[B, C_out, H', W']`, `H' = (H + 2·padding − offset − dilation·(k_h − 1) − 1) / stride + 1` with the numbers of
///   [`Conv::axes`]
///
/// # Errors
/// Returns candle's error if the shapes do not fit.
pub fn conv2d(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv) -> Result<Tensor> {
    // The gradient of a strided convolution's input is computed for square images only, because its size follows from the height
    // (backprop.rs:276). It is right if windows cover the input exactly, so padding is added and the rest is cut off here.
    let (axes, mut x) = (conv.axes(), x.clone());
    for (dim, axis) in [2, 3].into_iter().zip(axes) {
        let extent = conv.dilation * (axis.kernel - 1) + 1;
        x = x.pad_with_zeros(dim, axis.padding, axis.padding)?;
        let Some(spare) = x.dim(dim)?.checked_sub(conv.offset + extent) else {
            bail!("a window of {extent} does not fit into {:?}", x.dims())
        };
        x = x.narrow(dim, conv.offset, spare / axis.stride * axis.stride + extent)?;
    }
    // candle has one stride for both directions. Where they differ, all windows are computed and the wanted ones are picked.
    let [rows, columns] = axes.map(|axis| axis.stride);
    let stride = if rows == columns { rows } else { 1 };
    let Conv { dilation, groups, .. } = *conv;
    let config = Conv2dConfig { padding: 0, stride, dilation, groups, cudnn_fwd_algo: None };
    let y = Conv2d::new(weight.clone(), bias.cloned(), config).forward(&x.contiguous()?)?;
    every(&y, [rows / stride, columns / stride])
}

/// Linear layer, as `torch.nn.functional.linear`.
///
/// # Shapes
/// `x`: `[B, F]`, `weight`: `[K, F]`, `bias`: `[K]`; returns `[B, K]`
///
/// # Errors
/// Returns candle's error if the shapes do not fit.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    Linear::new(weight.clone(), Some(bias.clone())).forward(x)
}

/// Batch normalisation with the statistics of the batch and without scale and shift: `(x − mean) / √(var + eps)`.
///
/// # Errors
/// Returns candle's error.
pub fn batch_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    // `candle_nn::BatchNorm` always has running statistics, and they become infinite for one value per channel.
    let [mean, var] = moments(x)?;
    normalize(x, &mean, &var, eps)
}

/// Mean and biased variance of each channel, `[1, C, 1, 1]` each.
///
/// # Errors
/// Returns candle's error.
pub fn moments(x: &Tensor) -> Result<[Tensor; 2]> {
    // In two steps: candle adds along a dimension that is not the last one number after the other, which loses digits in f32.
    let mean_of = |x: &Tensor| x.mean_keepdim((2, 3))?.mean_keepdim(0);
    let mean = mean_of(x)?;
    let var = mean_of(&x.broadcast_sub(&mean)?.sqr()?)?;
    Ok([mean, var])
}

/// `(x − mean) / √(var + eps)`.
///
/// # Shapes
/// `mean` and `var`: `[1, C, 1, 1]`
///
/// # Errors
/// Returns candle's error if the shapes do not fit.
pub fn normalize(x: &Tensor, mean: &Tensor, var: &Tensor, eps: f64) -> Result<Tensor> {
    x.broadcast_sub(mean)?.broadcast_div(&(var + eps)?.sqrt()?)
}

/// `max(x, 0)` with derivative 0 at 0. NaN stays NaN.
///
/// # Errors
/// Returns candle's error.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    // The derivative of candle's `relu` at 0 is 1 (backprop.rs:636). It matters where an edge of a cell is zero.
    let x = x.contiguous()?;
    x.le(0.0)?.where_cond(&x.zeros_like()?, &x)
}

/// `min(max(x, 0), 6)` with derivative 0 at 0 and 6. NaN stays NaN.
///
/// # Errors
/// Returns candle's error.
pub fn relu6(x: &Tensor) -> Result<Tensor> {
    // candle has `clamp`, whose derivative at both ends is 1/2 (backprop.rs:214).
    let x = relu(x)?;
    x.ge(6.0)?.where_cond(&(x.ones_like()? * 6.0)?, &x)
}

/// Average pooling that does not count the padding, as `torch.nn.functional.avg_pool2d` with `count_include_pad=False`.
///
/// # Shapes
/// `x`: `[B, C, H, W]`; returns `[B, C, H', W']`, `H' = (H + 2·padding − kernel) / stride + 1`
///
/// # Errors
/// Returns candle's error if the window does not fit.
pub fn avg_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    // candle's has no padding, and no gradient if kernel and stride differ (backprop.rs:349).
    let sum = |x: &Tensor| {
        let taps = taps(&pad(x, pool.padding)?, pool)?;
        taps[1..].iter().try_fold(taps[0].clone(), |sum, tap| sum + tap)
    };
    let count = sum(&x.narrow(0, 0, 1)?.narrow(1, 0, 1)?.ones_like()?)?;
    every(&sum(x)?.broadcast_div(&count)?, [pool.stride; 2])
}

/// Max pooling, as `torch.nn.functional.max_pool2d`. The gradient goes to the first maximum in row order, and NaN is larger than any number.
///
/// # Shapes
/// `x`: `[B, C, H, W]`; returns `[B, C, H', W']`, with the `H'` of [`avg_pool2d`]
///
/// # Errors
/// Returns candle's error if the window does not fit.
pub fn max_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    // candle's has no padding, no gradient if kernel and stride differ, and else one that is too small by 1/k² (backprop.rs:363, 373).
    // The logarithm turns the ones of the image into 0 and the zeros of the padding into −∞.
    let border = pad(&x.narrow(0, 0, 1)?.narrow(1, 0, 1)?.ones_like()?, pool.padding)?.log()?;
    let taps = taps(&pad(x, pool.padding)?.broadcast_add(&border)?, pool)?;
    let max = taps[1..].iter().try_fold(taps[0].clone(), |max, tap| {
        // Only NaN differs from itself.
        let replaces = (tap.gt(&max)? + tap.ne(tap)?)?;
        replaces.where_cond(tap, &max)
    })?;
    every(&max, [pool.stride; 2])
}

/// Adds zeros on all four sides of an image.
fn pad(x: &Tensor, padding: usize) -> Result<Tensor> {
    x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)
}

/// The pixels that each position of a pooling kernel reads at stride 1, in row order: k² tensors `[B, C, H', W']`.
fn taps(x: &Tensor, pool: Pool) -> Result<Vec<Tensor>> {
    let (_, _, height, width) = x.dims4()?;
    let k = pool.kernel;
    if height < k || width < k || 2 * pool.padding > k {
        bail!("pooling does not fit into {:?}: {pool:?}", x.dims());
    }
    let tap = |y, x_| x.narrow(2, y, height - k + 1)?.narrow(3, x_, width - k + 1)?.contiguous();
    (0..k * k).map(|i| tap(i / k, i % k)).collect()
}

/// Every row and every column whose index is a multiple of its stride.
fn every(x: &Tensor, strides: [usize; 2]) -> Result<Tensor> {
    let mut x = x.clone();
    for (dim, stride) in [2, 3].into_iter().zip(strides).filter(|(_, stride)| *stride > 1) {
        let indices = Tensor::arange_step(0, x.dim(dim)? as u32, stride as u32, x.device())?;
        x = x.index_select(&indices, dim)?;
    }
    Ok(x)
}
