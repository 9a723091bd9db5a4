use super::WriteMode;
use super::combine::{Affine, AffineVector};
use super::pad_input::{activated, bounds, put, vector};
use crate::plan::Activation;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Global average pooling of one image after norm and activation.
pub(crate) struct GlobalPool<'a, T> {
    /// `[pixels, stride]`
    pub(crate) x: &'a [T],
    pub(crate) affine: Option<Affine<'a, T>>,
    pub(crate) act: Activation,
    pub(crate) stride: usize,
    /// `[stride]`
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for GlobalPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (low, high) = bounds::<V>(self.act);
        let share = V::splat(T::from_f64(self.stride as f64 / self.x.len() as f64));
        for channel in (0..self.stride).step_by(V::LANES) {
            let affine = at::<V>(&self.affine, channel);
            let mut sum = V::zero();
            for pixel in self.x.chunks_exact(self.stride) {
                let mut x = vector::<V>(pixel, channel);
                if let Some(affine) = &affine {
                    x = affine.apply(x);
                }
                sum = sum.add(activated(self.act, x, low, high));
            }
            put(self.out, channel, sum.mul(share), WriteMode::Store);
        }
    }
}

#[inline(always)]
#[expect(clippy::manual_map, reason = "a closure need not be compiled with the caller's instructions")]
fn at<V: Vector>(affine: &Option<Affine<'_, V::Elem>>, channel: usize) -> Option<AffineVector<V>> {
    match affine {
        Some(affine) => Some(affine.at(channel)),
        None => None,
    }
}

/// The gradient of [`GlobalPool`] with respect to the normalised values.
pub(crate) struct GlobalPoolGradient<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) affine: Option<Affine<'a, T>>,
    pub(crate) act: Activation,
    pub(crate) stride: usize,
    /// `[stride]`
    pub(crate) gradient: &'a [T],
    /// `[pixels, stride]`
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for GlobalPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (low, high) = bounds::<V>(self.act);
        let share = V::splat(T::from_f64(self.stride as f64 / self.x.len() as f64));
        for channel in (0..self.stride).step_by(V::LANES) {
            let affine = at::<V>(&self.affine, channel);
            let g = vector::<V>(self.gradient, channel).mul(share);
            for (x, out) in self.x.chunks_exact(self.stride).zip(self.out.chunks_exact_mut(self.stride)) {
                let mut x = vector::<V>(x, channel);
                if let Some(affine) = &affine {
                    x = affine.apply(x);
                }
                let g = if self.act == Activation::None { g } else { g.where_between(x, low, high) };
                put(out, channel, g, self.write_mode);
            }
        }
    }
}
