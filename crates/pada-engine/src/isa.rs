use std::fmt;

/// Instruction sets the engine has kernels for, in order of width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// Plain code, on every processor.
    Portable,
    /// 8 numbers at once, with fused multiply-add.
    Avx2,
    /// 16 numbers at once.
    Avx512,
}

impl Isa {
    /// The widest this processor has.
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

/// Whether this processor multiplies bf16 numbers in convolutions; without, [`pada_exec::Precision::Bf16`] computes in f32.
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
