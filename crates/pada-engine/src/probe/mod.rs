//! Microbenchmarks: each kernel of a cell alone, and the limits of the machine (a roofline model).
//!
//! A kernel runs under the conditions of the engine: images are consecutive in memory and exceed the caches, and padded copies are in
//! scratch memory of the thread.

mod kernels;
mod limits;

pub use kernels::Measurement;

use crate::isa::Isa;
use crate::simd::{Portable, Vector};

/// The limits of the machine and the speed of the kernels, on all threads of the current rayon pool.
#[derive(Clone, Debug)]
pub struct Roofline {
    /// Peak floating-point operations per second, measured with fused multiply-adds in registers.
    pub flops_per_s: f64,
    /// Memory bandwidth in bytes per second, read plus written, measured with a copy that exceeds the caches.
    pub bytes_per_s: f64,
    /// The measurements of every kernel on every shape.
    pub kernels: Vec<Measurement>,
}

/// Measures the limits of the machine and all kernels. Each time is the median of `repeats` runs.
///
/// # Panics
/// Panics if `repeats` is 0.
pub fn roofline(repeats: usize) -> Roofline {
    match Isa::detect() {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => measure::<crate::simd::Avx512>(repeats),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => measure::<crate::simd::Avx2>(repeats),
        _ => measure::<Portable<f32>>(repeats),
    }
}

/// Size of one value of all images, larger than most caches.
const BYTES: usize = 64 << 20;

fn measure<V: Vector<Elem = f32, Unit = f32>>(repeats: usize) -> Roofline {
    Roofline {
        flops_per_s: limits::flops_per_s::<V>(repeats),
        bytes_per_s: limits::bytes_per_s(2 * BYTES, repeats),
        kernels: kernels::measure::<V>(BYTES, repeats),
    }
}

/// Returns the median time of `work` in seconds, after one warm-up run.
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
