use super::stage::vector;
use super::{Into, Mask};
use crate::geometry::{Phase, Tap};
use crate::simd::{Kernel, Number, Unit, Vector};

/// A convolution in which every channel has a kernel of its own, of one image; also its gradient with respect to the input.
///
/// # Shapes
/// - `x`: padded image, `[H, W, stride]`; `weights`: `[taps, stride]`; `out`: `[H', W', stride]`
pub(crate) struct DepthwiseKernel<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) phases: &'a [Phase],
    pub(crate) weights: &'a [T],
    pub(crate) stride: usize,
    /// Added to every pixel, `[stride]`.
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) out: &'a mut [T],
    pub(crate) into: Into,
    pub(crate) mask: Option<Mask<'a, T>>,
}

impl<T: Number, U: Unit> Kernel<T, U> for DepthwiseKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        for phase in self.phases {
            for (pixel, (&base, &out_place)) in phase.base.iter().zip(&phase.out).enumerate() {
                for channel in (0..self.stride).step_by(V::LANES) {
                    let mut sum = match self.bias {
                        Some(bias) => vector::<V>(bias, channel),
                        None => V::zero(),
                    };
                    for tap in &phase.taps {
                        let x =
                            vector::<V>(self.x, (base as usize).wrapping_add_signed(tap.offset) + channel);
                        sum = x.mul_add(vector(self.weights, tap.weight * self.stride + channel), sum);
                    }
                    if let Some(mask) = &self.mask {
                        let x = vector(mask.x, phase.mask[pixel] as usize + channel);
                        sum = sum.where_between(x, V::zero(), V::splat(mask.high));
                    }
                    if self.into == Into::Add {
                        sum = sum.add(vector(self.out, out_place as usize + channel));
                    }
                    let out = &mut self.out[out_place as usize + channel..][..V::LANES];
                    // SAFETY: the slice holds LANES numbers.
                    unsafe { sum.store(out.as_mut_ptr()) }
                }
            }
        }
    }
}

/// The gradient of a depthwise convolution's weights, of one image, added to `sums`, `[taps, stride]`.
pub(crate) struct DepthwiseGradient<'a, T> {
    pub(crate) x: &'a [T],
    /// Per output pixel: its place in `x`.
    pub(crate) x_places: &'a [u32],
    pub(crate) taps: &'a [Tap],
    /// Padded gradient of the output.
    pub(crate) gradient: &'a [T],
    /// Per output pixel: its place in `gradient`.
    pub(crate) gradient_places: &'a [u32],
    pub(crate) stride: usize,
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for DepthwiseGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        for tap in self.taps {
            for channel in (0..self.stride).step_by(V::LANES) {
                let mut sum = vector::<V>(self.sums, tap.weight * self.stride + channel);
                for (&x, &g) in self.x_places.iter().zip(self.gradient_places) {
                    let x = vector::<V>(self.x, (x as usize).wrapping_add_signed(tap.offset) + channel);
                    sum = x.mul_add(vector(self.gradient, g as usize + channel), sum);
                }
                let to = &mut self.sums[tap.weight * self.stride + channel..][..V::LANES];
                // SAFETY: the slice holds LANES numbers.
                unsafe { sum.store(to.as_mut_ptr()) }
            }
        }
    }
}
