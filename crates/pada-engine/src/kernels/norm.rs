use super::stage::vector;
use crate::simd::{Kernel, Number, Vector};

/// Partial sums that run side by side, so that additions need not wait for one another and rounding stays small.
const CHAINS: usize = 4;

/// Sums of one image for the statistics of a batch norm, per channel: `Σ(x − first)` and `Σ(x − first)²` with the image's first
/// pixel; a shift near the mean, so that the variance keeps its digits.
pub(crate) struct Moments<'a, T> {
    /// `[pixels, stride]`
    pub(crate) x: &'a [T],
    pub(crate) stride: usize,
    /// `[2, stride]`
    pub(crate) sums: &'a mut [T],
}

impl<T: Number> Kernel<T> for Moments<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let (plain, squares) = self.sums.split_at_mut(self.stride);
        for channel in (0..self.stride).step_by(V::LANES) {
            let first = vector::<V>(self.x, channel);
            let sums = reduce::<V>([self.x, self.x], self.stride, channel, |[x, _]| {
                let x = x.sub(first);
                [x, x.mul(x)]
            });
            store(plain, channel, sums[0]);
            store(squares, channel, sums[1]);
        }
    }
}

/// Sums of one image for the gradient of a batch norm, per channel: `Σg` and `Σg·(y − mean)`.
pub(crate) struct GradientSums<'a, T> {
    /// Gradient after the norm, `[pixels, stride]`.
    pub(crate) g: &'a [T],
    /// What was normalised.
    pub(crate) y: &'a [T],
    /// `[stride]`
    pub(crate) mean: &'a [T],
    pub(crate) stride: usize,
    /// `[2, stride]`
    pub(crate) sums: &'a mut [T],
}

impl<T: Number> Kernel<T> for GradientSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let (plain, products) = self.sums.split_at_mut(self.stride);
        for channel in (0..self.stride).step_by(V::LANES) {
            let mean = vector::<V>(self.mean, channel);
            let sums = reduce::<V>([self.g, self.y], self.stride, channel, |[g, y]| [g, g.mul(y.sub(mean))]);
            store(plain, channel, sums[0]);
            store(products, channel, sums[1]);
        }
    }
}

#[inline(always)]
fn store<V: Vector>(list: &mut [V::Elem], channel: usize, value: V) {
    let list = &mut list[channel..][..V::LANES];
    // SAFETY: the slice holds LANES numbers.
    unsafe { value.store(list.as_mut_ptr()) }
}

/// Σ over pixels of `f` of the channels at `channel`.
#[inline(always)]
fn reduce<V: Vector>(
    lists: [&[V::Elem]; 2],
    stride: usize,
    channel: usize,
    f: impl Fn([V; 2]) -> [V; 2],
) -> [V; 2] {
    let len = lists[0].len();
    assert!(lists[1].len() == len && len.is_multiple_of(stride) && channel + V::LANES <= stride);
    let pixels = len / stride;
    let mut chains = [[V::zero(); 2]; CHAINS];
    let mut pixel = 0;
    // SAFETY: `pixel` is below `len / stride`, and `channel + LANES` at most `stride`.
    let at = |pixel: usize| unsafe {
        [
            V::load(lists[0].as_ptr().add(pixel * stride + channel)),
            V::load(lists[1].as_ptr().add(pixel * stride + channel)),
        ]
    };
    while pixel + CHAINS <= pixels {
        for (i, chain) in chains.iter_mut().enumerate() {
            let [a, b] = f(at(pixel + i));
            *chain = [chain[0].add(a), chain[1].add(b)];
        }
        pixel += CHAINS;
    }
    while pixel < pixels {
        let [a, b] = f(at(pixel));
        chains[0] = [chains[0][0].add(a), chains[0][1].add(b)];
        pixel += 1;
    }
    let [a, b, c, d] = chains;
    std::array::from_fn(|i| a[i].add(b[i]).add(c[i].add(d[i])))
}
