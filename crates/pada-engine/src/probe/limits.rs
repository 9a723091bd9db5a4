use std::hint::black_box;

use rayon::prelude::*;

use super::median_s;
use crate::simd::{Kernel, Unit, Vector};

/// Number of independent sums. It is more than the eight that two units with a latency of four cycles need, and small enough for 16
/// registers.
const CHAINS: usize = 12;
/// Number of rounds, which take a few hundredths of a second.
const ROUNDS: usize = 1 << 23;

/// Measures the floating-point operations per second of all threads together.
pub(super) fn flops_per_s<V: Vector<Elem = f32>>(repeats: usize) -> f64 {
    let seconds = median_s(repeats, || {
        rayon::broadcast(|_| V::dispatch(MultiplyAdds));
    });
    let each = 2 * ROUNDS * CHAINS * V::LANES;
    (each * rayon::current_num_threads()) as f64 / seconds
}

/// A kernel of fused multiply-adds in registers, without memory accesses.
struct MultiplyAdds;

impl<U: Unit> Kernel<f32, U> for MultiplyAdds {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = f32, Unit = U>>(self) {
        // `black_box` hides the values from the compiler, so that it cannot precompute the result.
        let (factor, term) = (V::splat(black_box(0.5)), V::splat(black_box(0.25)));
        let mut sums = [V::splat(black_box(1.0)); CHAINS];
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = V::splat(black_box(i as f32));
        }
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, term);
            }
        }
        black_box(&sums);
    }
}

/// Measures the bytes per second, read plus written, of a copy of `bytes` bytes by all threads together.
pub(super) fn bytes_per_s(bytes: usize, repeats: usize) -> f64 {
    let from = vec![1_u8; bytes];
    let mut to = vec![0_u8; bytes];
    let part = bytes.div_ceil(rayon::current_num_threads());
    let seconds = median_s(repeats, || {
        to.par_chunks_mut(part).zip(from.par_chunks(part)).for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&to);
    });
    2.0 * bytes as f64 / seconds
}
