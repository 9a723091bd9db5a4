use std::hint::black_box;

use rayon::prelude::*;

use super::median_s;
use crate::simd::{Kernel, Unit, Vector};

/// Sums that do not wait for each other: more than the eight that two units with a latency of four cycles need, and few enough
/// for 16 registers.
const CHAINS: usize = 12;
/// A few hundredths of a second.
const ROUNDS: usize = 1 << 23;

/// Multiplications and additions a second on all threads together.
pub(super) fn flops_per_s<V: Vector<Elem = f32>>(repeats: usize) -> f64 {
    let seconds = median_s(repeats, || {
        rayon::broadcast(|_| V::dispatch(MultiplyAdds));
    });
    let each = 2 * ROUNDS * CHAINS * V::LANES;
    (each * rayon::current_num_threads()) as f64 / seconds
}

/// Nothing but fused multiply-adds in registers.
struct MultiplyAdds;

impl<U: Unit> Kernel<f32, U> for MultiplyAdds {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = f32, Unit = U>>(self) {
        // Unknown to the compiler, so that it cannot work out the result.
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

/// Bytes read and written a second by a copy of `bytes` on all threads together.
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
