use crate::geometry::{Places, Tap};
use crate::simd::{Kernel, Number, Unit, Vector};

/// Adds the weight gradient of a dense convolution for one image to `sums`.
///
/// # Shapes
/// - `x`: padded input, `[H, W, C_in]`; `gradient`: padded gradient of the output, `[H', W', C_out rounded up]`
/// - `sums`: `[taps, C_in, C_out rounded up]`
pub(crate) struct WeightGradient<'a, T> {
    pub(crate) x: &'a [T],
    /// Per output pixel: its offset in `x`.
    pub(crate) x_places: &'a Places,
    pub(crate) taps: &'a [Tap],
    pub(crate) channels_in: usize,
    pub(crate) gradient: &'a [T],
    /// Per output pixel: its offset in `gradient`.
    pub(crate) gradient_places: &'a Places,
    pub(crate) stride_out: usize,
    pub(crate) sums: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for WeightGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        self.check::<V>();
        let taps = self.taps;
        for tap in taps {
            let mut c = 0;
            while c < self.channels_in {
                c += match self.channels_in - c {
                    16.. if V::REGISTERS >= 32 => self.rows::<V, 16>(tap, c),
                    8.. => self.rows::<V, 8>(tap, c),
                    4.. => self.rows::<V, 4>(tap, c),
                    _ => self.rows::<V, 1>(tap, c),
                };
            }
        }
    }
}

impl<T: Number> WeightGradient<'_, T> {
    /// Checks the bounds that the loops rely on.
    #[inline(always)]
    fn check<V: Vector<Elem = T>>(&self) {
        assert!(self.stride_out.is_multiple_of(V::LANES));
        assert!(self.x_places.len() == self.gradient_places.len());
        let last = self.x_places.last();
        for tap in self.taps {
            assert!(tap.offset >= 0);
            let end = last + tap.offset as usize + self.channels_in;
            assert!(end <= self.x.len());
            assert!((tap.weight + 1) * self.channels_in * self.stride_out <= self.sums.len());
        }
        assert!(self.gradient_places.last() + self.stride_out <= self.gradient.len());
    }

    /// Adds `C` input channels, from `c` on, for all output channels, and returns `C`.
    #[inline(always)]
    fn rows<V: Vector<Elem = T>, const C: usize>(&mut self, tap: &Tap, c: usize) -> usize {
        let mut channel = 0;
        while channel < self.stride_out {
            self.tile::<V, C>(tap, c, channel);
            channel += V::LANES;
        }
        C
    }

    /// Adds `C` input channels times one vector of output channels. The sums stay in registers while all pixels are added.
    #[inline(always)]
    fn tile<V: Vector<Elem = T>, const C: usize>(&mut self, tap: &Tap, c: usize, channel: usize) {
        // SAFETY: `check` has compared the largest places of all pixels and taps with the lengths of the slices; `c + C` is at
        // most `channels_in`, and `channel + LANES` at most `stride_out`.
        unsafe {
            let x = self.x.as_ptr().offset(tap.offset).add(c);
            let gradient = self.gradient.as_ptr().add(channel);
            let mut sums = [V::zero(); C];
            for (&x_place, &place) in self.x_places.iter().zip(self.gradient_places.iter()) {
                let g = V::load(gradient.add(place as usize));
                let x = x.add(x_place as usize);
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = V::splat(*x.add(i)).mul_add(g, *sum);
                }
            }
            let first = (tap.weight * self.channels_in + c) * self.stride_out + channel;
            for (i, sum) in sums.into_iter().enumerate() {
                let to = self.sums.as_mut_ptr().add(first + i * self.stride_out);
                sum.add(V::load(to)).store(to);
            }
        }
    }
}
