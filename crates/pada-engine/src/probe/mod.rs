//! What a benchmark measures: each kernel of a cell alone, and the limits of the machine that it runs on.
//!
//! A kernel runs as the engine runs it: values of images lie one behind the other and come from memory, not from a cache; what is
//! padded lies in scratch memory of the thread.

mod kernels;
mod limits;

pub use kernels::Measurement;

use crate::isa::Isa;
use crate::simd::{Portable, Vector};

/// What the machine can do, and what the kernels do with it, on the threads of the current pool.
#[derive(Clone, Debug)]
pub struct Roofline {
    /// Multiplications and additions a second, in registers.
    pub flops_per_s: f64,
    /// Bytes read and written a second, by a copy that no cache holds.
    pub bytes_per_s: f64,
    /// Every kernel on every shape.
    pub kernels: Vec<Measurement>,
}

/// Measures limits and kernels; each time is the median of `repeats`.
///
/// # Panics
/// If `repeats` is 0.
pub fn roofline(repeats: usize) -> Roofline {
    match Isa::detect() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => measure::<crate::simd::Avx512>(repeats),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => measure::<crate::simd::Avx2>(repeats),
        _ => measure::<Portable<f32>>(repeats),
    }
}

/// Bytes of one value of all images: more than most caches hold.
const BYTES: usize = 64 << 20;

fn measure<V: Vector<Elem = f32, Unit = f32>>(repeats: usize) -> Roofline {
    Roofline {
        flops_per_s: limits::flops_per_s::<V>(repeats),
        bytes_per_s: limits::bytes_per_s(2 * BYTES, repeats),
        kernels: kernels::measure::<V>(BYTES, repeats),
    }
}

/// Median time of some work that was done once before.
fn median_s(repeats: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut once = || {
        let started = std::time::Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..repeats).map(|_| once()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[repeats / 2]
}
