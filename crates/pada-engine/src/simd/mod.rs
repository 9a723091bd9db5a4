//! Vectors of numbers: one trait, an implementation per instruction set, chosen when the program runs.
#![allow(unsafe_code, reason = "kernels: vector instructions and raw loads")]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Half};

/// A number kernels compute with: `f32`, or `f64` to check them.
pub(crate) trait Number:
    Copy + Send + Sync + Default + PartialOrd + std::fmt::Debug + std::ops::AddAssign + 'static
{
    const ZERO: Self;
    fn from_f32(value: f32) -> Self;
    fn from_f64(value: f64) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
}

macro_rules! number {
    ($t:ty) => {
        impl Number for $t {
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn from_f32(value: f32) -> Self {
                value as Self
            }

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    };
}
number!(f32);
number!(f64);

/// `LANES` numbers that are computed with at once.
///
/// Values of an instruction set's type exist only inside [`Vector::dispatch`], which the caller reaches only where the
/// processor has the instructions; that is what makes the methods safe.
pub(crate) trait Vector: Copy + Send + Sync + 'static {
    type Elem: Number;
    const LANES: usize;
    /// How many vectors the processor holds at once.
    const REGISTERS: usize;

    fn splat(value: Self::Elem) -> Self;

    /// # Safety
    /// `from` must be valid for reading `LANES` numbers.
    unsafe fn load(from: *const Self::Elem) -> Self;

    /// # Safety
    /// `to` must be valid for writing `LANES` numbers.
    unsafe fn store(self, to: *mut Self::Elem);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;

    /// `self · factor + term`, rounded once where the processor can.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// `self` where `low < x < high`, else 0; also 0 where `x` is NaN.
    fn where_between(self, x: Self, low: Self, high: Self) -> Self;

    /// The smaller of `self` and `bound`; NaN in `self` stays.
    fn at_most(self, bound: Self) -> Self;

    /// The larger of `self` and `bound`; NaN in `self` stays.
    fn at_least(self, bound: Self) -> Self;

    /// Runs a kernel compiled for this instruction set.
    fn dispatch<K: Kernel<Self::Elem>>(kernel: K) -> K::Output;

    #[inline(always)]
    fn zero() -> Self {
        Self::splat(Self::Elem::ZERO)
    }
}

/// Work that is compiled once for every instruction set. `run` must be `#[inline(always)]`, and so must all it calls: only
/// then is it compiled with the instructions it is dispatched to.
pub(crate) trait Kernel<T: Number> {
    type Output;

    fn run<V: Vector<Elem = T>>(self) -> Self::Output;
}
