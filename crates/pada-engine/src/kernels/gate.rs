use super::WriteMode;
use super::combine::Affine;
use super::pad_input::{activated, bounds, put, vector};
use crate::plan::Activation;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Returns the sigmoid of every number, computed in f64.
pub(crate) fn sigmoids<T: Number>(numbers: &[T]) -> Vec<T> {
    numbers.iter().map(|x| T::from_f64(1.0 / (1.0 + (-x.to_f64()).exp()))).collect()
}

/// Multiplies one image, after norm and activation, by one number per channel.
pub(crate) struct Gate<'a, T> {
    /// `[pixels, stride]`
    pub(crate) x: &'a [T],
    pub(crate) affine: Affine<'a, T>,
    pub(crate) act: Activation,
    /// Sigmoids of the gate, `[stride]`.
    pub(crate) factors: &'a [T],
    /// `[pixels, stride]`
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for Gate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (low, high) = bounds::<V>(self.act);
        let stride = self.factors.len();
        for channel in (0..stride).step_by(V::LANES) {
            let (affine, factor) = (self.affine.at::<V>(channel), vector::<V>(self.factors, channel));
            for (x, out) in self.x.chunks_exact(stride).zip(self.out.chunks_exact_mut(stride)) {
                let x = activated(self.act, affine.apply(vector::<V>(x, channel)), low, high);
                put(out, channel, x.mul(factor), WriteMode::Store);
            }
        }
    }
}

/// The gradient of [`Gate`] with respect to the normalised values.
pub(crate) struct GatedGradient<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) affine: Affine<'a, T>,
    pub(crate) act: Activation,
    pub(crate) factors: &'a [T],
    /// Gradient of the output, `[pixels, stride]`.
    pub(crate) gradient: &'a [T],
    /// `[pixels, stride]`
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for GatedGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (low, high) = bounds::<V>(self.act);
        let stride = self.factors.len();
        for channel in (0..stride).step_by(V::LANES) {
            let (affine, factor) = (self.affine.at::<V>(channel), vector::<V>(self.factors, channel));
            let pixels = self.x.chunks_exact(stride).zip(self.gradient.chunks_exact(stride));
            for ((x, gradient), out) in pixels.zip(self.out.chunks_exact_mut(stride)) {
                let mut g = vector::<V>(gradient, channel).mul(factor);
                if self.act != Activation::None {
                    g = g.where_between(affine.apply(vector::<V>(x, channel)), low, high);
                }
                put(out, channel, g, self.write_mode);
            }
        }
    }
}

/// The gradient of [`Gate`] with respect to the gate before its sigmoid: `s · (1 − s) · Σ gradient · x` over all pixels.
pub(crate) struct GateGradient<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) affine: Affine<'a, T>,
    pub(crate) act: Activation,
    pub(crate) factors: &'a [T],
    /// Gradient of the output, `[pixels, stride]`.
    pub(crate) gradient: &'a [T],
    /// `[stride]`
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for GateGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (low, high) = bounds::<V>(self.act);
        let stride = self.factors.len();
        for channel in (0..stride).step_by(V::LANES) {
            let (affine, factor) = (self.affine.at::<V>(channel), vector::<V>(self.factors, channel));
            let mut sum = V::zero();
            for (x, gradient) in self.x.chunks_exact(stride).zip(self.gradient.chunks_exact(stride)) {
                let x = activated(self.act, affine.apply(vector::<V>(x, channel)), low, high);
                sum = x.mul_add(vector::<V>(gradient, channel), sum);
            }
            let slope = factor.mul(V::splat(T::from_f64(1.0)).sub(factor));
            put(self.out, channel, sum.mul(slope), self.write_mode);
        }
    }
}
