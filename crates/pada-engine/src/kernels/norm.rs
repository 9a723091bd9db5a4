use super::stage::vector;
use crate::simd::{Kernel, Number, Unit, Vector};

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

impl<T: Number, U: Unit> Kernel<T, U> for Moments<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (plain, squares) = self.sums.split_at_mut(self.stride);
        for channel in (0..self.stride).step_by(V::LANES) {
            let terms = Powers { first: vector::<V>(self.x, channel) };
            let sums = reduce(terms, [self.x, self.x], self.stride, channel);
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

impl<T: Number, U: Unit> Kernel<T, U> for GradientSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (plain, products) = self.sums.split_at_mut(self.stride);
        for channel in (0..self.stride).step_by(V::LANES) {
            let terms = Products { mean: vector::<V>(self.mean, channel) };
            let sums = reduce(terms, [self.g, self.y], self.stride, channel);
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

/// What a pixel adds to two sums. A trait and no closure: only `#[inline(always)]` functions are sure to be compiled with the
/// instructions of their caller.
trait Terms<V> {
    fn of(&self, pixel: [V; 2]) -> [V; 2];
}

struct Powers<V> {
    first: V,
}

impl<V: Vector> Terms<V> for Powers<V> {
    #[inline(always)]
    fn of(&self, [x, _]: [V; 2]) -> [V; 2] {
        let x = x.sub(self.first);
        [x, x.mul(x)]
    }
}

struct Products<V> {
    mean: V,
}

impl<V: Vector> Terms<V> for Products<V> {
    #[inline(always)]
    fn of(&self, [g, y]: [V; 2]) -> [V; 2] {
        [g, g.mul(y.sub(self.mean))]
    }
}

/// Σ over pixels of the terms of the channels at `channel`.
#[inline(always)]
fn reduce<V: Vector>(terms: impl Terms<V>, lists: [&[V::Elem]; 2], stride: usize, channel: usize) -> [V; 2] {
    let len = lists[0].len();
    assert!(lists[1].len() == len && len.is_multiple_of(stride) && channel + V::LANES <= stride);
    let pixels = len / stride;
    let mut chains = [[V::zero(); 2]; CHAINS];
    let mut pixel = 0;
    while pixel < pixels {
        for (i, chain) in chains.iter_mut().enumerate().take(pixels - pixel) {
            let at = (pixel + i) * stride + channel;
            // SAFETY: `pixel + i` is below `len / stride`, and `channel + LANES` at most `stride`.
            let pair = unsafe { [V::load(lists[0].as_ptr().add(at)), V::load(lists[1].as_ptr().add(at))] };
            let [a, b] = terms.of(pair);
            *chain = [chain[0].add(a), chain[1].add(b)];
        }
        pixel += CHAINS;
    }
    let [a, b, c, d] = chains;
    [a[0].add(b[0]).add(c[0].add(d[0])), a[1].add(b[1]).add(c[1].add(d[1]))]
}
