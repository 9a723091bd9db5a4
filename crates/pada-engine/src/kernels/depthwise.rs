use super::{Mask, WriteMode};
use crate::geometry::{Phase, Places, Tap};
use crate::simd::{Kernel, Number, Unit, Vector};

/// Number of pixels that share each weight that is read. There are enough independent sums to hide the latency of additions.
const PIXELS: usize = 8;
/// Number of pixels whose channels are all summed before the next pixels are read. They fit the cache.
const BLOCK: usize = 64;

/// A depthwise convolution of one image. It also computes the gradient with respect to the input.
///
/// # Shapes
/// - `x`: padded image, `[H, W, stride]`; `weights`: `[taps, stride]`; `out`: `[H', W', stride]`
pub(crate) struct DepthwiseKernel<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) phases: &'a [Phase],
    pub(crate) weights: &'a [T],
    pub(crate) stride: usize,
    /// Bias, `[stride]`.
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
    pub(crate) mask: Option<Mask<'a, T>>,
}

impl<T: Number, U: Unit> Kernel<T, U> for DepthwiseKernel<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        self.check::<V>();
        let phases = self.phases;
        for phase in phases {
            let pixels = phase.base.len();
            let mut pixel = 0;
            while pixel + PIXELS <= pixels {
                for channel in (0..self.stride).step_by(V::LANES) {
                    self.tile::<V, PIXELS>(phase, channel, pixel);
                }
                pixel += PIXELS;
            }
            while pixel < pixels {
                for channel in (0..self.stride).step_by(V::LANES) {
                    self.tile::<V, 1>(phase, channel, pixel);
                }
                pixel += 1;
            }
        }
    }
}

impl<T: Number> DepthwiseKernel<'_, T> {
    /// Checks the bounds that the loops rely on.
    #[inline(always)]
    fn check<V: Vector<Elem = T>>(&self) {
        assert!(self.stride.is_multiple_of(V::LANES));
        assert!(self.bias.is_none_or(|bias| bias.len() >= self.stride));
        for phase in self.phases {
            let [first, last] = [phase.base.first(), phase.base.last()];
            for tap in &phase.taps {
                assert!(first as isize + tap.offset >= 0);
                assert!(last.wrapping_add_signed(tap.offset) + self.stride <= self.x.len());
                assert!((tap.weight + 1) * self.stride <= self.weights.len());
            }
            assert!(phase.out.last() + self.stride <= self.out.len());
            assert!(phase.out.len() >= phase.base.len());
            if let Some(mask) = &self.mask {
                assert!(phase.mask.len() >= phase.base.len());
                assert!(phase.mask.last() + self.stride <= mask.x.len());
            }
        }
    }

    /// Computes `P` pixels times one vector of channels. The sums stay in registers while all taps are added.
    #[inline(always)]
    fn tile<V: Vector<Elem = T>, const P: usize>(&mut self, phase: &Phase, channel: usize, pixel: usize) {
        // SAFETY: `check` has compared the largest places of all pixels and taps with the lengths of the slices;
        // `channel + LANES` is at most `stride`, and `pixel + P` at most the number of pixels.
        unsafe {
            let mut bases = [self.x.as_ptr(); P];
            for (p, base) in bases.iter_mut().enumerate() {
                *base = base.wrapping_add(*phase.base.get_unchecked(pixel + p) as usize + channel);
            }
            let mut first = V::zero();
            if let Some(bias) = self.bias {
                first = V::load(bias.as_ptr().add(channel));
            }
            let mut sums = [first; P];
            for tap in &phase.taps {
                let w = V::load(self.weights.as_ptr().add(tap.weight * self.stride + channel));
                for (sum, x) in sums.iter_mut().zip(&bases) {
                    *sum = V::load(x.wrapping_offset(tap.offset)).mul_add(w, *sum);
                }
            }
            for (p, mut sum) in sums.into_iter().enumerate() {
                if let Some(mask) = &self.mask {
                    let place = *phase.mask.get_unchecked(pixel + p) as usize + channel;
                    let x = V::load(mask.x.as_ptr().add(place));
                    sum = sum.where_between(x, V::zero(), V::splat(mask.high));
                }
                let out = self.out.as_mut_ptr().add(*phase.out.get_unchecked(pixel + p) as usize + channel);
                if self.write_mode == WriteMode::Accumulate {
                    sum = sum.add(V::load(out));
                }
                sum.store(out);
            }
        }
    }
}

/// Adds the weight gradient of a depthwise convolution for one image to `sums`, `[taps, stride]`.
pub(crate) struct DepthwiseGradient<'a, T> {
    pub(crate) x: &'a [T],
    /// Per output pixel: its offset in `x`.
    pub(crate) x_places: &'a Places,
    pub(crate) taps: &'a [Tap],
    /// Padded gradient of the output.
    pub(crate) gradient: &'a [T],
    /// Per output pixel: its offset in `gradient`.
    pub(crate) gradient_places: &'a Places,
    pub(crate) stride: usize,
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for DepthwiseGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        self.check::<V>();
        let mut pixel = 0;
        while pixel < self.x_places.len() {
            let end = (pixel + BLOCK).min(self.x_places.len());
            for channel in (0..self.stride).step_by(V::LANES) {
                self.taps::<V>(pixel..end, channel);
            }
            pixel = end;
        }
    }
}

impl<T: Number> DepthwiseGradient<'_, T> {
    /// Checks the bounds that the loops rely on.
    #[inline(always)]
    fn check<V: Vector<Elem = T>>(&self) {
        assert!(self.stride.is_multiple_of(V::LANES));
        assert!(self.x_places.len() == self.gradient_places.len());
        let [first, last] = [self.x_places.first(), self.x_places.last()];
        for tap in self.taps {
            assert!(first as isize + tap.offset >= 0);
            assert!(last.wrapping_add_signed(tap.offset) + self.stride <= self.x.len());
            assert!((tap.weight + 1) * self.stride <= self.sums.len());
        }
        assert!(self.gradient_places.last() + self.stride <= self.gradient.len());
    }

    /// Adds all taps of a vector of channels for some pixels, several taps at once. The sizes suit kernels with 9, 25 = 9 + 9 + 7 and
    /// 49 = 5 · 9 + 4 taps.
    #[inline(always)]
    fn taps<V: Vector<Elem = T>>(&mut self, pixels: std::ops::Range<usize>, channel: usize) {
        let mut tap = 0;
        while tap < self.taps.len() {
            tap += match self.taps.len() - tap {
                9.. => self.tile::<V, 9>(pixels.clone(), tap, channel),
                7.. => self.tile::<V, 7>(pixels.clone(), tap, channel),
                4.. => self.tile::<V, 4>(pixels.clone(), tap, channel),
                _ => self.tile::<V, 1>(pixels.clone(), tap, channel),
            };
        }
    }

    /// Adds `K` taps, from `tap` on, and returns `K`. The sums stay in registers while the pixels are added.
    #[inline(always)]
    fn tile<V: Vector<Elem = T>, const K: usize>(
        &mut self,
        pixels: std::ops::Range<usize>,
        tap: usize,
        channel: usize,
    ) -> usize {
        // SAFETY: `check` has compared the largest places of all pixels and taps with the lengths of the slices;
        // `channel + LANES` is at most `stride`, `tap + K` at most the number of taps.
        unsafe {
            let taps = self.taps.get_unchecked(tap..tap + K);
            let mut sums = [V::zero(); K];
            for (sum, tap) in sums.iter_mut().zip(taps) {
                *sum = V::load(self.sums.as_ptr().add(tap.weight * self.stride + channel));
            }
            let (x, gradient) = (self.x.as_ptr().add(channel), self.gradient.as_ptr().add(channel));
            for pixel in pixels {
                let g = V::load(gradient.add(*self.gradient_places.get_unchecked(pixel) as usize));
                let x = x.wrapping_add(*self.x_places.get_unchecked(pixel) as usize);
                for (sum, tap) in sums.iter_mut().zip(taps) {
                    *sum = V::load(x.wrapping_offset(tap.offset)).mul_add(g, *sum);
                }
            }
            for (sum, tap) in sums.into_iter().zip(taps) {
                sum.store(self.sums.as_mut_ptr().add(tap.weight * self.stride + channel));
            }
        }
        K
    }
}
