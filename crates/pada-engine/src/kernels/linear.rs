use super::pad_input::vector;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Number of independent vectors of sums, which hide the latency of additions.
const VECTORS: usize = 8;
/// Numbers per vector of the widest instruction set.
const WIDEST: usize = 16;

/// A linear layer for one image, `weight · x + bias`.
///
/// # Shapes
/// - `x`: `[C]` or longer; `weight`: `[K, C]`; `bias`: `[K]`
/// - `out`: `[K]` or longer, padded with zeros
pub(crate) struct Linear<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for Linear<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let channels = self.weight.len() / self.bias.len();
        let (out, rest) = self.out.split_at_mut(self.bias.len());
        rest.fill(T::ZERO);
        for ((row, &bias), out) in self.weight.chunks_exact(channels).zip(self.bias).zip(out) {
            *out = T::from_f64(dot::<V>(row, &self.x[..channels]) + f64::from(bias));
        }
    }
}

/// Returns the dot product of two lists of the same length.
#[inline(always)]
fn dot<V: Vector>(row: &[f32], x: &[V::Elem]) -> f64 {
    assert!(row.len() == x.len());
    let whole = x.len() - x.len() % V::LANES;
    let mut sums = [V::zero(); VECTORS];
    let mut at = 0;
    while at < whole {
        for (i, sum) in sums.iter_mut().enumerate().take((whole - at) / V::LANES) {
            let at = at + i * V::LANES;
            // SAFETY: both lists contain at least LANES numbers from `at` on.
            unsafe { *sum = V::load_f32(row.as_ptr().add(at)).mul_add(V::load(x.as_ptr().add(at)), *sum) }
        }
        at += VECTORS * V::LANES;
    }
    let mut total = 0.0;
    for sum in sums {
        let mut lanes = [V::Elem::ZERO; WIDEST];
        // SAFETY: no vector is wider than the list.
        unsafe { sum.store(lanes.as_mut_ptr()) }
        for lane in &lanes[..V::LANES] {
            total += lane.to_f64();
        }
    }
    for (&w, x) in row[whole..].iter().zip(&x[whole..]) {
        total += f64::from(w) * x.to_f64();
    }
    total
}

/// Adds the gradient of [`Linear`] with respect to weights and bias to `sums`: `[K, C]`, then `[K]`.
pub(crate) struct LinearWeightGradient<'a, T> {
    /// `[C]`
    pub(crate) x: &'a [T],
    /// `[K]`
    pub(crate) gradient: &'a [T],
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for LinearWeightGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let channels = self.x.len();
        let whole = channels - channels % V::LANES;
        let (weights, biases) = self.sums.split_at_mut(self.gradient.len() * channels);
        for ((sums, bias), &g) in weights.chunks_exact_mut(channels).zip(biases).zip(self.gradient) {
            let factor = V::splat(g);
            for at in (0..whole).step_by(V::LANES) {
                let sum = vector::<V>(self.x, at).mul_add(factor, vector(sums, at));
                let to = &mut sums[at..][..V::LANES];
                // SAFETY: the slice holds LANES numbers.
                unsafe { sum.store(to.as_mut_ptr()) }
            }
            for (sum, x) in sums[whole..].iter_mut().zip(&self.x[whole..]) {
                *sum += T::from_f64(g.to_f64() * x.to_f64());
            }
            *bias += g;
        }
    }
}

/// The gradient of [`Linear`] with respect to its input.
pub(crate) struct LinearInputGradient<'a, T> {
    /// `[K, C]`
    pub(crate) weight: &'a [f32],
    /// `[K]`
    pub(crate) gradient: &'a [T],
    /// `[C]`
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for LinearInputGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        let channels = self.out.len();
        assert!(self.weight.len() == self.gradient.len() * channels);
        let mut at = 0;
        while at + VECTORS * V::LANES <= channels {
            self.columns::<V, VECTORS>(at);
            at += VECTORS * V::LANES;
        }
        while at + V::LANES <= channels {
            self.columns::<V, 1>(at);
            at += V::LANES;
        }
        for (c, out) in self.out.iter_mut().enumerate().skip(at) {
            let mut total = 0.0;
            for (k, g) in self.gradient.iter().enumerate() {
                total += g.to_f64() * f64::from(self.weight[k * channels + c]);
            }
            *out = T::from_f64(total);
        }
    }
}

impl<T: Number> LinearInputGradient<'_, T> {
    /// Computes `N` vectors of channels, from `at` on. The sums stay in registers while all classes are added.
    #[inline(always)]
    fn columns<V: Vector<Elem = T>, const N: usize>(&mut self, at: usize) {
        let channels = self.out.len();
        let mut sums = [V::zero(); N];
        for (k, &g) in self.gradient.iter().enumerate() {
            let g = V::splat(g);
            for (i, sum) in sums.iter_mut().enumerate() {
                let place = k * channels + at + i * V::LANES;
                // SAFETY: `at + N · LANES` is at most C, and `run` has compared K · C with the length of the weights.
                unsafe { *sum = V::load_f32(self.weight.as_ptr().add(place)).mul_add(g, *sum) }
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            // SAFETY: as above, for `out`, which holds C numbers.
            unsafe { sum.store(self.out.as_mut_ptr().add(at + i * V::LANES)) }
        }
    }
}
