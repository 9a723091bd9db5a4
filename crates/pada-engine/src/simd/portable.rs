use super::{Kernel, Number, Vector};

/// A vector as an array, for every processor. `Portable<f64>` is the reference that kernels are checked with.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T>([T; LANES]);

const LANES: usize = 8;

macro_rules! portable {
    ($t:ty) => {
        impl Portable<$t> {
            #[inline(always)]
            fn zip(self, other: Self, f: impl Fn($t, $t) -> $t) -> Self {
                Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
            }
        }

        impl Vector for Portable<$t> {
            type Elem = $t;
            type Unit = $t;
            type Factor = Self;
            const LANES: usize = LANES;
            const REGISTERS: usize = 16;

            #[inline(always)]
            fn splat(value: $t) -> Self {
                Self([value; LANES])
            }

            #[inline(always)]
            unsafe fn load(from: *const $t) -> Self {
                // SAFETY: the caller promises that LANES numbers can be read; an array of them needs no more alignment.
                Self(unsafe { from.cast::<[$t; LANES]>().read() })
            }

            #[inline(always)]
            unsafe fn load_f32(from: *const f32) -> Self {
                // SAFETY: the caller promises that LANES numbers can be read.
                Self(unsafe { from.cast::<[f32; LANES]>().read() }.map(<$t>::from))
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $t) {
                // SAFETY: the caller promises that LANES numbers can be written.
                unsafe { to.cast::<[$t; LANES]>().write(self.0) }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.zip(other, |a, b| a + b)
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.zip(other, |a, b| a - b)
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.zip(other, |a, b| a * b)
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                // Not `f64::mul_add`, which is a slow library call if the processor lacks the instruction.
                Self(std::array::from_fn(|i| self.0[i] * factor.0[i] + term.0[i]))
            }

            #[inline(always)]
            fn where_between(self, x: Self, low: Self, high: Self) -> Self {
                let inside = |i: usize| low.0[i] < x.0[i] && x.0[i] < high.0[i];
                Self(std::array::from_fn(|i| if inside(i) { self.0[i] } else { <$t>::ZERO }))
            }

            #[inline(always)]
            fn where_larger(self, x: Self, best: Self, otherwise: Self) -> Self {
                let larger = |i: usize| x.0[i] > best.0[i] || x.0[i].is_nan();
                Self(std::array::from_fn(|i| if larger(i) { self.0[i] } else { otherwise.0[i] }))
            }

            #[inline(always)]
            fn at_most(self, bound: Self) -> Self {
                self.zip(bound, |x, b| if x > b { b } else { x })
            }

            #[inline(always)]
            fn at_least(self, bound: Self) -> Self {
                self.zip(bound, |x, b| if x < b { b } else { x })
            }

            #[inline(always)]
            fn factor(unit: $t) -> Self {
                Self::splat(unit)
            }

            #[inline(always)]
            unsafe fn load_factor(from: *const $t) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self::load(from) }
            }

            #[inline(always)]
            fn add_product(self, a: Self, b: Self) -> Self {
                a.mul_add(b, self)
            }

            #[inline(always)]
            unsafe fn store_units(self, to: *mut $t) {
                // SAFETY: as the caller promises.
                unsafe { self.store(to) }
            }

            fn as_units(numbers: &[$t]) -> Option<&[$t]> {
                Some(numbers)
            }

            #[inline(always)]
            fn dispatch<K: Kernel<$t, $t>>(kernel: K) -> K::Output {
                kernel.run::<Self>()
            }
        }
    };
}
portable!(f32);
portable!(f64);
