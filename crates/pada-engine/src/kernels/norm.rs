use super::pad_input::vector;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Number of independent partial sums. They hide the latency of additions and reduce rounding errors.
const CHAINS: usize = 4;

/// Sums of one image for the statistics of a batch norm, per channel: `Σ(x − first)` and `Σ(x − first)²`.
///
/// `first` is the first pixel of the image. It is close to the mean, which avoids cancellation in the variance.
pub(crate) struct Moments<'a, T> {
    /// `[pixels, stride]`
    pub(crate) x: &'a [T],
    pub(crate) stride: usize,
    /// `[2, stride]`
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for Moments<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (plain, squares) = self.sums.split_at_mut(self.stride);
        sums::<V, Powers>([self.x; 2], self.x, self.stride, [plain, squares]);
    }
}

/// Sums of one image for the gradient of a batch norm, per channel: `Σg` and `Σg·(y − mean)`.
pub(crate) struct GradientSums<'a, T> {
    /// Gradient of the normalised values, `[pixels, stride]`.
    pub(crate) g: &'a [T],
    /// Input of the norm, `[pixels, stride]`.
    pub(crate) y: &'a [T],
    /// `[stride]`
    pub(crate) mean: &'a [T],
    pub(crate) stride: usize,
    /// `[2, stride]`
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for GradientSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (plain, products) = self.sums.split_at_mut(self.stride);
        sums::<V, Products>([self.g, self.y], self.mean, self.stride, [plain, products]);
    }
}

#[inline(always)]
fn store<V: Vector>(list: &mut [V::Elem], channel: usize, value: V) {
    let list = &mut list[channel..][..V::LANES];
    // SAFETY: the slice holds LANES numbers.
    unsafe { value.store(list.as_mut_ptr()) }
}

/// The terms that a pixel adds to two sums.
///
/// It is a trait instead of a closure because only `#[inline(always)]` functions are always compiled with the instructions of their caller.
trait Terms {
    fn of<V: Vector>(subtracted: V, pixel: [V; 2]) -> [V; 2];
}

struct Powers;

impl Terms for Powers {
    #[inline(always)]
    fn of<V: Vector>(first: V, [x, _]: [V; 2]) -> [V; 2] {
        let x = x.sub(first);
        [x, x.mul(x)]
    }
}

struct Products;

impl Terms for Products {
    #[inline(always)]
    fn of<V: Vector>(mean: V, [g, y]: [V; 2]) -> [V; 2] {
        [g, g.mul(y.sub(mean))]
    }
}

/// Sums the terms of all channels over pixels. Two vectors of channels are computed at once, because they share cache lines.
///
/// # Shapes
/// `lists`: `[pixels, stride]` each; `subtracted`: `[stride]` or more; `sums`: `[stride]` each
#[inline(always)]
fn sums<V: Vector, K: Terms>(
    lists: [&[V::Elem]; 2],
    subtracted: &[V::Elem],
    stride: usize,
    sums: [&mut [V::Elem]; 2],
) {
    let [plain, other] = sums;
    let mut channel = 0;
    while channel + 2 * V::LANES <= stride {
        reduce::<V, K, 2>(lists, subtracted, stride, channel, [plain, other]);
        channel += 2 * V::LANES;
    }
    if channel < stride {
        reduce::<V, K, 1>(lists, subtracted, stride, channel, [plain, other]);
    }
}

/// Sums the terms of `Q` vectors of channels, from `channel` on.
#[inline(always)]
fn reduce<V: Vector, K: Terms, const Q: usize>(
    lists: [&[V::Elem]; 2],
    subtracted: &[V::Elem],
    stride: usize,
    channel: usize,
    sums: [&mut [V::Elem]; 2],
) {
    let len = lists[0].len();
    assert!(lists[1].len() == len && len.is_multiple_of(stride) && channel + Q * V::LANES <= stride);
    let pixels = len / stride;
    let mut first = [V::zero(); Q];
    for (q, first) in first.iter_mut().enumerate() {
        *first = vector::<V>(subtracted, channel + q * V::LANES);
    }
    let mut chains = [[[V::zero(); 2]; Q]; CHAINS];
    let mut pixel = 0;
    while pixel < pixels {
        for (i, chain) in chains.iter_mut().enumerate().take(pixels - pixel) {
            for (q, chain) in chain.iter_mut().enumerate() {
                let at = (pixel + i) * stride + channel + q * V::LANES;
                // SAFETY: `pixel + i` is below `len / stride`, and `channel + Q · LANES` at most `stride`.
                let pair =
                    unsafe { [V::load(lists[0].as_ptr().add(at)), V::load(lists[1].as_ptr().add(at))] };
                let [a, b] = K::of(first[q], pair);
                *chain = [chain[0].add(a), chain[1].add(b)];
            }
        }
        pixel += CHAINS;
    }
    let [plain, other] = sums;
    let [a, b, c, d] = chains;
    for q in 0..Q {
        let at = channel + q * V::LANES;
        store(plain, at, a[q][0].add(b[q][0]).add(c[q][0].add(d[q][0])));
        store(other, at, a[q][1].add(b[q][1]).add(c[q][1].add(d[q][1])));
    }
}
