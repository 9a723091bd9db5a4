use super::WriteMode;
use super::combine::Affine;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Computes the difference of a value and its anchor, and the sums of its squares.
pub(crate) struct Difference<'a, T> {
    /// Image, `[H, W, stride]`, and its norm.
    pub(crate) anchor: (&'a [T], Affine<'a, T>),
    pub(crate) value: (&'a [T], Affine<'a, T>),
    pub(crate) stride: usize,
    /// Value − anchor.
    pub(crate) out: &'a mut [T],
    /// Squares of the differences, summed over pixels, `[stride]`.
    pub(crate) squares: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for Difference<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (len, stride) = (self.out.len(), self.stride);
        assert!(stride.is_multiple_of(V::LANES) && len.is_multiple_of(stride));
        assert!(self.anchor.0.len() == len && self.value.0.len() == len && self.squares.len() == stride);
        for channel in (0..stride).step_by(V::LANES) {
            let (anchor, value) = (self.anchor.1.at::<V>(channel), self.value.1.at::<V>(channel));
            let mut sum = V::zero();
            for place in (channel..len).step_by(stride) {
                // SAFETY: all images are `len` numbers long, a multiple of `stride`, which is a multiple of LANES.
                unsafe {
                    let x = value.apply(V::load(self.value.0.as_ptr().add(place)));
                    let difference = x.sub(anchor.apply(V::load(self.anchor.0.as_ptr().add(place))));
                    sum = difference.mul_add(difference, sum);
                    difference.store(self.out.as_mut_ptr().add(place));
                }
            }
            // SAFETY: `channel + LANES` is at most `stride`, the length of the sums.
            unsafe { sum.store(self.squares.as_mut_ptr().add(channel)) }
        }
    }
}

/// Multiplies an image by a factor: the gradient of a squared difference with respect to the value, or of drop-path.
pub(crate) struct Multiple<'a, T> {
    pub(crate) numbers: &'a [T],
    pub(crate) factor: T,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for Multiple<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let len = self.out.len();
        assert!(len.is_multiple_of(V::LANES) && self.numbers.len() == len);
        let factor = V::splat(self.factor);
        for at in (0..len).step_by(V::LANES) {
            // SAFETY: both lists are `len` numbers long, a multiple of LANES.
            unsafe {
                let out = self.out.as_mut_ptr().add(at);
                let before = if self.write_mode == WriteMode::Accumulate { V::load(out) } else { V::zero() };
                V::load(self.numbers.as_ptr().add(at)).mul_add(factor, before).store(out);
            }
        }
    }
}
