#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "one SAFETY comment below covers all blocks of this file"
)]

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{Kernel, Pair, Vector};

/// A vector of 16 numbers for AVX-512.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

/// A vector of 16 numbers for AVX-512 BF16. Dense convolutions multiply pairs of bf16 numbers and accumulate in f32.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16(__m512);

/// A vector of 8 numbers for AVX2 with fused multiply-add.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(__m256);

/// A vector of 8 numbers for AVX-512, which has twice as many registers as AVX2. It is used for values of 8 channels.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Half(__m256);

// SAFETY, for every `unsafe` block of this file: values of these types are created only inside of a kernel, kernels run only through
// `dispatch`, and `dispatch` checks first that the processor has the instructions. Loads and stores are as valid as their caller
// promises.

impl Avx512 {
    pub(crate) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && Avx2::is_available()
    }
}

impl Avx512Bf16 {
    pub(crate) fn is_available() -> bool {
        Avx512::is_available() && is_x86_feature_detected!("avx512bf16")
    }
}

impl Avx512Half {
    fn is_available() -> bool {
        Avx512::is_available()
    }
}

impl Avx2 {
    pub(crate) fn is_available() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }
}

macro_rules! sixteen_lanes {
    ($name:ident, $unit:ty, $factor:ty, $features:literal, { $($units:tt)* }) => {
        impl Vector for $name {
            type Elem = f32;
            type Unit = $unit;
            type Factor = $factor;
            const LANES: usize = 16;
            const REGISTERS: usize = 32;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                Self(unsafe { _mm512_set1_ps(value) })
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                Self(unsafe { _mm512_loadu_ps(from) })
            }

            #[inline(always)]
            unsafe fn load_f32(from: *const f32) -> Self {
                unsafe { Self::load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { _mm512_storeu_ps(to, self.0) }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                Self(unsafe { _mm512_add_ps(self.0, other.0) })
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                Self(unsafe { _mm512_sub_ps(self.0, other.0) })
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                Self(unsafe { _mm512_mul_ps(self.0, other.0) })
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
            }

            #[inline(always)]
            fn where_between(self, x: Self, low: Self, high: Self) -> Self {
                unsafe {
                    let above = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, low.0);
                    let inside = _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(above, x.0, high.0);
                    Self(_mm512_maskz_mov_ps(inside, self.0))
                }
            }

            #[inline(always)]
            fn where_larger(self, x: Self, best: Self, otherwise: Self) -> Self {
                unsafe {
                    let larger = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, best.0);
                    let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x.0, x.0);
                    Self(_mm512_mask_mov_ps(otherwise.0, larger | nan, self.0))
                }
            }

            // The min and max instructions return their second operand if one operand is NaN.
            #[inline(always)]
            fn at_most(self, bound: Self) -> Self {
                Self(unsafe { _mm512_min_ps(bound.0, self.0) })
            }

            #[inline(always)]
            fn at_least(self, bound: Self) -> Self {
                Self(unsafe { _mm512_max_ps(bound.0, self.0) })
            }

            $($units)*

            #[inline]
            fn dispatch<K: Kernel<f32, $unit>>(kernel: K) -> K::Output {
                #[target_feature(enable = $features)]
                fn compiled<K: Kernel<f32, $unit>>(kernel: K) -> K::Output {
                    kernel.run::<$name>()
                }
                assert!(Self::is_available(), "the processor lacks these instructions");
        unsafe { compiled(kernel) }
            }
        }
    };
}

sixteen_lanes!(Avx512, f32, Self, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma", {
    #[inline(always)]
    fn factor(unit: f32) -> Self {
        Self::splat(unit)
    }

    #[inline(always)]
    unsafe fn load_factor(from: *const f32) -> Self {
        // SAFETY: as the caller promises.
        unsafe { Self::load(from) }
    }

    #[inline(always)]
    fn add_product(self, a: Self, b: Self) -> Self {
        a.mul_add(b, self)
    }

    #[inline(always)]
    unsafe fn store_units(self, to: *mut f32) {
        // SAFETY: as the caller promises.
        unsafe { self.store(to) }
    }

    fn as_units(numbers: &[f32]) -> Option<&[f32]> {
        Some(numbers)
    }
});

sixteen_lanes!(Avx512Bf16, Pair, __m512i, "avx512f,avx512vl,avx512bw,avx512dq,avx512bf16,avx2,fma", {
    #[inline(always)]
    fn factor(unit: Pair) -> __m512i {
        unsafe { _mm512_set1_epi32(unit.0.cast_signed()) }
    }

    #[inline(always)]
    unsafe fn load_factor(from: *const Pair) -> __m512i {
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    fn add_product(self, a: __m512i, b: __m512i) -> Self {
        // The transmutes change only the type, not the bits.
        Self(unsafe {
            _mm512_dpbf16_ps(self.0, transmute::<__m512i, __m512bh>(a), transmute::<__m512i, __m512bh>(b))
        })
    }

    #[inline(always)]
    unsafe fn store_units(self, to: *mut Pair) {
        unsafe {
            let halves = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(self.0));
            _mm256_storeu_si256(to.cast(), halves);
        }
    }

    fn as_units(_: &[f32]) -> Option<&[Pair]> {
        None
    }
});

macro_rules! eight_lanes {
    ($name:ident, $registers:literal, $features:literal) => {
        impl Vector for $name {
            type Elem = f32;
            type Unit = f32;
            type Factor = Self;
            const LANES: usize = 8;
            const REGISTERS: usize = $registers;

            #[inline(always)]
            fn splat(value: f32) -> Self {
                Self(unsafe { _mm256_set1_ps(value) })
            }

            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                Self(unsafe { _mm256_loadu_ps(from) })
            }

            #[inline(always)]
            unsafe fn load_f32(from: *const f32) -> Self {
                unsafe { Self::load(from) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { _mm256_storeu_ps(to, self.0) }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                Self(unsafe { _mm256_add_ps(self.0, other.0) })
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                Self(unsafe { _mm256_sub_ps(self.0, other.0) })
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                Self(unsafe { _mm256_mul_ps(self.0, other.0) })
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, term: Self) -> Self {
                Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, term.0) })
            }

            #[inline(always)]
            fn where_between(self, x: Self, low: Self, high: Self) -> Self {
                unsafe {
                    let above = _mm256_cmp_ps::<_CMP_GT_OQ>(x.0, low.0);
                    let below = _mm256_cmp_ps::<_CMP_LT_OQ>(x.0, high.0);
                    Self(_mm256_and_ps(self.0, _mm256_and_ps(above, below)))
                }
            }

            #[inline(always)]
            fn where_larger(self, x: Self, best: Self, otherwise: Self) -> Self {
                unsafe {
                    let larger = _mm256_cmp_ps::<_CMP_GT_OQ>(x.0, best.0);
                    let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(x.0, x.0);
                    Self(_mm256_blendv_ps(otherwise.0, self.0, _mm256_or_ps(larger, nan)))
                }
            }

            #[inline(always)]
            fn at_most(self, bound: Self) -> Self {
                Self(unsafe { _mm256_min_ps(bound.0, self.0) })
            }

            #[inline(always)]
            fn at_least(self, bound: Self) -> Self {
                Self(unsafe { _mm256_max_ps(bound.0, self.0) })
            }

            #[inline(always)]
            fn factor(unit: f32) -> Self {
                Self::splat(unit)
            }

            #[inline(always)]
            unsafe fn load_factor(from: *const f32) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self::load(from) }
            }

            #[inline(always)]
            fn add_product(self, a: Self, b: Self) -> Self {
                a.mul_add(b, self)
            }

            #[inline(always)]
            unsafe fn store_units(self, to: *mut f32) {
                // SAFETY: as the caller promises.
                unsafe { self.store(to) }
            }

            fn as_units(numbers: &[f32]) -> Option<&[f32]> {
                Some(numbers)
            }

            #[inline]
            fn dispatch<K: Kernel<f32, f32>>(kernel: K) -> K::Output {
                #[target_feature(enable = $features)]
                fn compiled<K: Kernel<f32, f32>>(kernel: K) -> K::Output {
                    kernel.run::<$name>()
                }
                assert!(Self::is_available(), "the processor lacks these instructions");
                unsafe { compiled(kernel) }
            }
        }
    };
}
eight_lanes!(Avx2, 16, "avx2,fma");
eight_lanes!(Avx512Half, 32, "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma");
