use std::fmt;

/// A vector instruction set for which the engine has kernels, ordered by vector width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Code without special instructions, for every processor.
    Portable,
    /// AVX2 with fused multiply-add: vectors of 8 `f32` numbers.
    Avx2,
    /// AVX-512: vectors of 16 `f32` numbers.
    Avx512,
}

impl Isa {
    /// Returns the widest instruction set of this processor.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if crate::simd::Avx512::is_available() {
                return Self::Avx512;
            }
            if crate::simd::Avx2::is_available() {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// Returns whether this processor has AVX-512 BF16 instructions. Without them, [`pada_exec::Precision::Bf16`] computes in f32.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        crate::simd::Avx512Bf16::is_available()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable vectors",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}
