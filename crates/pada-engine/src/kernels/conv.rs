use crate::geometry::Phase;
use crate::simd::{Kernel, Number, Unit, Vector};

/// The write mode of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteMode {
    /// Overwrites the output.
    Store,
    /// Adds to the output.
    Accumulate,
}

/// Masks a gradient with the derivative of the activation before the convolution: it is kept where `0 < x < high`, else it is 0.
#[derive(Clone, Copy)]
pub(crate) struct Mask<'a, T> {
    /// The padded, activated input.
    pub(crate) x: &'a [T],
    pub(crate) high: T,
}

/// A dense convolution of one image. It also computes the gradient with respect to the input, which is a convolution of the output's
/// gradient with the flipped kernel.
///
/// # Shapes
/// - `x`: padded image in units, `[H, W, C_in]`
/// - `weights`: `[taps, units, C_out rounded up]`
/// - `out`: `[H', W', C_out rounded up]`
pub(crate) struct ConvKernel<'a, T, U> {
    pub(crate) x: &'a [U],
    pub(crate) phases: &'a [Phase],
    pub(crate) weights: &'a [U],
    /// Units per tap: C_in numbers, rounded up to whole units.
    pub(crate) units_in: usize,
    /// C_out, rounded up to whole vectors.
    pub(crate) stride_out: usize,
    /// Bias, `[C_out rounded up]`.
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
    pub(crate) mask: Option<Mask<'a, T>>,
}

impl<T: Number, U: Unit> Kernel<T, U> for ConvKernel<'_, T, U> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        self.check::<V>();
        let vectors = self.stride_out / V::LANES;
        let phases = self.phases;
        for phase in phases {
            let mut vector = 0;
            while vector + 2 <= vectors {
                // Two vectors of output channels share each input number that is read.
                if V::REGISTERS >= 32 {
                    self.columns::<V, 8, 2>(phase, vector * V::LANES);
                } else {
                    self.columns::<V, 4, 2>(phase, vector * V::LANES);
                }
                vector += 2;
            }
            if vector < vectors {
                if V::REGISTERS >= 32 {
                    self.columns::<V, 16, 1>(phase, vector * V::LANES);
                } else {
                    self.columns::<V, 8, 1>(phase, vector * V::LANES);
                }
            }
        }
    }
}

impl<T: Number, U: Unit> ConvKernel<'_, T, U> {
    /// Checks the bounds that the loops rely on.
    #[inline(always)]
    fn check<V: Vector<Elem = T, Unit = U>>(&self) {
        assert!(self.stride_out.is_multiple_of(V::LANES));
        assert!(self.bias.is_none_or(|bias| bias.len() >= self.stride_out));
        for phase in self.phases {
            let [first, last] = [phase.base.first(), phase.base.last()];
            for tap in &phase.taps {
                assert!(first as isize + tap.offset >= 0 && tap.offset % U::PER as isize == 0);
                assert!(last.wrapping_add_signed(tap.offset) / U::PER + self.units_in <= self.x.len());
                assert!((tap.weight + 1) * self.units_in * self.stride_out <= self.weights.len());
            }
            assert!(phase.out.last() + self.stride_out <= self.out.len());
            assert!(phase.out.len() >= phase.base.len());
            if let Some(mask) = &self.mask {
                assert!(phase.mask.len() >= phase.base.len());
                assert!(phase.mask.last() + self.stride_out <= mask.x.len());
            }
        }
    }

    /// Computes `Q` vectors of output channels, from `channel` on, for all pixels.
    #[inline(always)]
    fn columns<V: Vector<Elem = T, Unit = U>, const P: usize, const Q: usize>(
        &mut self,
        phase: &Phase,
        channel: usize,
    ) {
        let pixels = phase.base.len();
        let mut pixel = 0;
        while pixel + P <= pixels {
            self.tile::<V, P, Q>(phase, channel, pixel);
            pixel += P;
        }
        while pixel < pixels {
            self.tile::<V, 1, Q>(phase, channel, pixel);
            pixel += 1;
        }
    }

    /// Computes `P` pixels times `Q` vectors of output channels. The sums stay in registers while all taps and input channels are added.
    #[inline(always)]
    fn tile<V: Vector<Elem = T, Unit = U>, const P: usize, const Q: usize>(
        &mut self,
        phase: &Phase,
        channel: usize,
        pixel: usize,
    ) {
        // SAFETY: `check` has compared the largest places of all pixels and taps with the lengths of the slices;
        // `channel + Q · LANES` is at most `stride_out`, and `pixel + P` at most the number of pixels.
        unsafe {
            let mut bases = [self.x.as_ptr(); P];
            for (p, base) in bases.iter_mut().enumerate() {
                *base = base.wrapping_add(*phase.base.get_unchecked(pixel + p) as usize / U::PER);
            }
            let mut first = [V::zero(); Q];
            if let Some(bias) = self.bias {
                for (q, first) in first.iter_mut().enumerate() {
                    *first = V::load(bias.as_ptr().add(channel + q * V::LANES));
                }
            }
            let mut sums = [first; P];
            for tap in &phase.taps {
                let mut x = bases;
                for x in &mut x {
                    *x = x.wrapping_offset(tap.offset / U::PER as isize);
                }
                let mut weights =
                    self.weights.as_ptr().add(tap.weight * self.units_in * self.stride_out + channel);
                for c in 0..self.units_in {
                    let mut w = [V::load_factor(weights); Q];
                    for (q, w) in w.iter_mut().enumerate().skip(1) {
                        *w = V::load_factor(weights.add(q * V::LANES));
                    }
                    for (sums, x) in sums.iter_mut().zip(&x) {
                        let x = V::factor(*x.add(c));
                        for (sum, w) in sums.iter_mut().zip(&w) {
                            *sum = sum.add_product(x, *w);
                        }
                    }
                    weights = weights.wrapping_add(self.stride_out);
                }
            }
            for (p, sums) in sums.into_iter().enumerate() {
                let out = self.out.as_mut_ptr().add(*phase.out.get_unchecked(pixel + p) as usize + channel);
                for (q, mut sum) in sums.into_iter().enumerate() {
                    if let Some(mask) = &self.mask {
                        let place = *phase.mask.get_unchecked(pixel + p) as usize + channel + q * V::LANES;
                        let x = V::load(mask.x.as_ptr().add(place));
                        sum = sum.where_between(x, V::zero(), V::splat(mask.high));
                    }
                    let out = out.add(q * V::LANES);
                    if self.write_mode == WriteMode::Accumulate {
                        sum = sum.add(V::load(out));
                    }
                    sum.store(out);
                }
            }
        }
    }
}
