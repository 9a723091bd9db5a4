use super::combine::Affine;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Computes the products of a normalised image and a gradient, summed over pixels: the gradient of a number that multiplies the image, before
/// it is summed over channels.
pub(crate) struct ScaleGradient<'a, T> {
    /// Image, `[H, W, stride]`, and its norm.
    pub(crate) x: (&'a [T], Affine<'a, T>),
    pub(crate) gradient: &'a [T],
    pub(crate) stride: usize,
    /// `[stride]`
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for ScaleGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (len, stride) = (self.gradient.len(), self.stride);
        assert!(stride.is_multiple_of(V::LANES) && len.is_multiple_of(stride));
        assert!(self.x.0.len() == len && self.sums.len() == stride);
        for channel in (0..stride).step_by(V::LANES) {
            let affine = self.x.1.at::<V>(channel);
            let mut sum = V::zero();
            for place in (channel..len).step_by(stride) {
                // SAFETY: both images are `len` numbers long, a multiple of `stride`, which is a multiple of LANES.
                unsafe {
                    let x = affine.apply(V::load(self.x.0.as_ptr().add(place)));
                    sum = V::load(self.gradient.as_ptr().add(place)).mul_add(x, sum);
                }
            }
            // SAFETY: `channel + LANES` is at most `stride`, the length of the sums.
            unsafe { sum.store(self.sums.as_mut_ptr().add(channel)) }
        }
    }
}
