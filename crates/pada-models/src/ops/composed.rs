use candle_core::{DType, Result, Tensor, bail};
use pada_graph::{Conv, Pool};

/// All taps of a kernel at once, as rows of a matrix.
pub(super) fn conv2d(x: &Tensor, weight: &Tensor, conv: &Conv) -> Result<Tensor> {
    let (images, c_in, ..) = x.dims4()?;
    let (c_out, c_group, k, k_w) = weight.dims4()?;
    let groups = conv.groups;
    if c_group * groups != c_in || c_out % groups != 0 || k != k_w {
        bail!("convolution of {:?} with a weight of {:?}: {conv:?}", x.dims(), weight.dims());
    }
    let x = bordered(x, conv.padding)?;
    let window = Window { kernel: k, stride: conv.stride, dilation: conv.dilation, offset: conv.offset };
    let taps = window.taps(&x)?;
    let (_, _, height, width) = taps[0].dims4()?;
    let rows = |tap: &Tensor| tap.reshape((images, groups, c_group, height * width));
    let patches = Tensor::cat(&taps.iter().map(rows).collect::<Result<Vec<_>>>()?, 2)?;
    let weight = weight.permute((0, 2, 3, 1))?.reshape((1, groups, c_out / groups, k * k * c_group))?;
    weight.broadcast_matmul(&patches)?.reshape((images, c_out, height, width))
}

pub(super) fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.broadcast_add(&bias.reshape((1, (), 1, 1))?)
}

pub(super) fn batch_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    let (distance, _, variance) = moments(x)?;
    distance.broadcast_div(&(variance + eps)?.sqrt()?)
}

pub(super) fn batch_moments(x: &Tensor) -> Result<Vec<[f64; 2]>> {
    let (_, mean, variance) = moments(x)?;
    let list = |t: Tensor| t.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>();
    Ok(list(mean)?.into_iter().zip(list(variance)?).map(|(mean, var)| [mean, var]).collect())
}

/// Distances to the mean, `[B, C, H, W]`; mean and biased variance, `[1, C, 1, 1]`.
fn moments(x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    x.dims4()?;
    let mean = x.mean_keepdim((0, 2, 3))?;
    let distance = x.broadcast_sub(&mean)?;
    let variance = distance.sqr()?.mean_keepdim((0, 2, 3))?;
    Ok((distance, mean, variance))
}

pub(super) fn avg_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    let sum = |x: &Tensor| -> Result<Tensor> {
        let taps = Window::of(pool).taps(&bordered(x, pool.padding)?)?;
        taps[1..].iter().try_fold(taps[0].clone(), |sum, tap| sum + tap)
    };
    check(x, pool)?;
    let (_, _, height, width) = x.dims4()?;
    let counts = sum(&Tensor::ones((1, 1, height, width), x.dtype(), x.device())?)?;
    sum(x)?.broadcast_div(&counts)
}

pub(super) fn max_pool2d(x: &Tensor, pool: Pool) -> Result<Tensor> {
    check(x, pool)?;
    let (_, _, height, width) = x.dims4()?;
    let inside = Tensor::ones((1, 1, height, width), DType::U8, x.device())?;
    let inside = bordered(&inside, pool.padding)?;
    let x = bordered(x, pool.padding)?;
    let least = Tensor::full(f64::NEG_INFINITY, x.shape(), x.device())?.to_dtype(x.dtype())?;
    let x = inside.broadcast_as(x.shape())?.contiguous()?.where_cond(&x, &least)?;
    let taps = Window::of(pool).taps(&x)?;
    taps[1..].iter().try_fold(taps[0].clone(), |best, tap| {
        // What is no number is not equal to itself.
        let better = (tap.gt(&best)? + tap.ne(tap)?)?;
        better.where_cond(tap, &best)
    })
}

pub(super) fn clamp(x: &Tensor, high: f64) -> Result<Tensor> {
    let x = x.contiguous()?;
    // Asked for what lies outside, so that what is no number stays none.
    let low = x.le(0.0)?.where_cond(&x.zeros_like()?, &x)?;
    if high.is_infinite() {
        return Ok(low);
    }
    let most = Tensor::full(high, x.shape(), x.device())?.to_dtype(x.dtype())?;
    low.ge(high)?.where_cond(&most, &low)
}

/// Zeros on every side.
fn bordered(x: &Tensor, padding: usize) -> Result<Tensor> {
    x.pad_with_zeros(2, padding, padding)?.pad_with_zeros(3, padding, padding)
}

fn check(x: &Tensor, pool: Pool) -> Result<()> {
    if 2 * pool.padding > pool.kernel {
        bail!("pooling of {:?}: {pool:?}", x.dims());
    }
    Ok(())
}

/// What a kernel reads of an image that has its border.
struct Window {
    kernel: usize,
    stride: usize,
    dilation: usize,
    offset: usize,
}

impl Window {
    fn of(pool: Pool) -> Self {
        Self { kernel: pool.kernel, stride: pool.stride, dilation: 1, offset: 0 }
    }

    /// What each tap reads, `[B, C, H', W']`, in row order.
    fn taps(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        let mut taps = Vec::new();
        for ky in 0..self.kernel {
            let rows = self.along(x, 2, ky)?;
            for kx in 0..self.kernel {
                taps.push(self.along(&rows, 3, kx)?);
            }
        }
        Ok(taps)
    }

    /// What one tap reads along a dimension.
    fn along(&self, x: &Tensor, dim: usize, tap: usize) -> Result<Tensor> {
        let (size, extent) = (x.dim(dim)?, self.offset + self.dilation * (self.kernel - 1) + 1);
        if size < extent {
            bail!("a window of {extent} does not fit into {:?}", x.dims());
        }
        let (first, count) = (self.offset + tap * self.dilation, (size - extent) / self.stride + 1);
        match self.stride {
            1 => x.narrow(dim, first, count)?.contiguous(),
            stride => {
                let places: Vec<u32> = (0..count).map(|out| (first + out * stride) as u32).collect();
                x.contiguous()?.index_select(&Tensor::new(places, x.device())?, dim)
            }
        }
    }
}
