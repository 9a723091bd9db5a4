//! SIMD vectors: one trait with an implementation per instruction set. The instruction set is selected at run time.
#![allow(unsafe_code, reason = "kernels: vector instructions and raw loads")]

mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512, Avx512Bf16, Avx512Half};

/// A number type of the kernels: `f32`, or `f64` for checks.
pub(crate) trait Number:
    Copy
    + Send
    + Sync
    + Default
    + PartialOrd
    + std::fmt::Debug
    + std::ops::Add<Output = Self>
    + std::ops::AddAssign
    + bytemuck::Pod
    + std::ops::MulAssign
    + 'static
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

/// The element type of dense convolutions: a number, or a pair of numbers of half the size that one instruction multiplies.
pub(crate) trait Unit: Copy + Send + Sync + Default + std::fmt::Debug + 'static {
    /// Numbers per unit.
    const PER: usize;

    /// Sets one of its numbers.
    fn set(&mut self, part: usize, value: f64);
}

impl Unit for f32 {
    const PER: usize = 1;

    fn set(&mut self, _: usize, value: f64) {
        *self = value as f32;
    }
}

impl Unit for f64 {
    const PER: usize = 1;

    fn set(&mut self, _: usize, value: f64) {
        *self = value;
    }
}

/// A pair of bf16 numbers, the first one in the lower half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Pair(u32);

impl Unit for Pair {
    const PER: usize = 2;

    fn set(&mut self, part: usize, value: f64) {
        let shift = 16 * part;
        self.0 = self.0 & !(0xFFFF << shift) | u32::from(to_bf16(value as f32)) << shift;
    }
}

/// Rounds to the nearest bf16 number, ties to even.
fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16
}

/// A SIMD vector of `LANES` numbers.
///
/// Vectors of an instruction set exist only inside of [`Vector::dispatch`], which checks that the processor has the instructions. This is
/// why the arithmetic methods are safe.
pub(crate) trait Vector: Copy + Send + Sync + 'static {
    type Elem: Number;
    /// The element type of dense convolutions.
    type Unit: Unit;
    /// A vector of units.
    type Factor: Copy;
    const LANES: usize;
    /// Number of vector registers.
    const REGISTERS: usize;

    fn splat(value: Self::Elem) -> Self;

    /// # Safety
    /// `from` must be valid for reading `LANES` numbers.
    unsafe fn load(from: *const Self::Elem) -> Self;

    /// Loads weights, which are stored in f32.
    ///
    /// # Safety
    /// `from` must be valid for reading `LANES` numbers.
    unsafe fn load_f32(from: *const f32) -> Self;

    /// # Safety
    /// `to` must be valid for writing `LANES` numbers.
    unsafe fn store(self, to: *mut Self::Elem);

    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;

    /// Returns `self · factor + term`. It is rounded once if the processor has fused multiply-add.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// Returns `self` where `low < x < high`, else 0. Where `x` is NaN the result is 0.
    fn where_between(self, x: Self, low: Self, high: Self) -> Self;

    /// Returns `self` where `x > best` or `x` is NaN, else `otherwise`.
    fn where_larger(self, x: Self, best: Self, otherwise: Self) -> Self;

    /// Returns the smaller of `self` and `bound`. NaN in `self` stays NaN.
    fn at_most(self, bound: Self) -> Self;

    /// Returns the larger of `self` and `bound`. NaN in `self` stays NaN.
    fn at_least(self, bound: Self) -> Self;

    /// Returns a vector with the same unit in every lane.
    fn factor(unit: Self::Unit) -> Self::Factor;

    /// # Safety
    /// `from` must be valid for reading `LANES` units.
    unsafe fn load_factor(from: *const Self::Unit) -> Self::Factor;

    /// Returns `self + a · b`. For pairs, both products are added.
    fn add_product(self, a: Self::Factor, b: Self::Factor) -> Self;

    /// Converts the numbers to `LANES / PER` units and stores them.
    ///
    /// # Safety
    /// `to` must be valid for writing `LANES / PER` units.
    unsafe fn store_units(self, to: *mut Self::Unit);

    /// Returns numbers as units without conversion. `None` if the two types differ.
    fn as_units(numbers: &[Self::Elem]) -> Option<&[Self::Unit]>;

    /// Runs a kernel that is compiled for this instruction set.
    fn dispatch<K: Kernel<Self::Elem, Self::Unit>>(kernel: K) -> K::Output;

    #[inline(always)]
    fn zero() -> Self {
        Self::splat(Self::Elem::ZERO)
    }
}

/// A computation that is compiled once for every instruction set.
///
/// `run` and all functions that it calls must be `#[inline(always)]`. Otherwise they are not compiled with the instructions of
/// [`Vector::dispatch`].
pub(crate) trait Kernel<T: Number, U: Unit> {
    type Output;

    fn run<V: Vector<Elem = T, Unit = U>>(self) -> Self::Output;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_the_nearest_bf16() {
        for (value, bits) in [(1.0, 0x3F80), (-2.5, 0xC020), (0.0, 0), (f32::INFINITY, 0x7F80), (1e-45, 0)] {
            assert_eq!(to_bf16(value), bits, "{value}");
        }
        // Halfway between two: the even one. A little more: the next.
        assert_eq!(to_bf16(f32::from_bits(0x3F80_8000)), 0x3F80);
        assert_eq!(to_bf16(f32::from_bits(0x3F81_8000)), 0x3F82);
        assert_eq!(to_bf16(f32::from_bits(0x3F80_8001)), 0x3F81);
        assert!(to_bf16(f32::NAN) & 0x7FFF > 0x7F80);
        let mut pair = Pair::default();
        pair.set(1, 1.0);
        pair.set(0, -2.5);
        assert_eq!(pair, Pair(0x3F80_C020));
    }
}
