use super::combine::Affine;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Writes which normalised numbers of an image are positive: one bit each, pixel by pixel, without padding channels.
pub(crate) struct Signs<'a, T> {
    /// `[H, W, stride]`
    pub(crate) x: &'a [T],
    pub(crate) affine: Affine<'a, T>,
    pub(crate) channels: usize,
    pub(crate) stride: usize,
    /// One bit per pixel and channel; unused bits of the last word are 0.
    pub(crate) words: &'a mut [u64],
}

impl<T: Number, U: Unit> Kernel<T, U> for Signs<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let Self { x, affine, channels, stride, words } = self;
        assert!(x.len().is_multiple_of(stride) && channels <= stride && affine.is_for(stride));
        assert!(x.len() / stride * channels <= 64 * words.len());
        let mut row = [T::ZERO; 64];
        let (mut word, mut filled, mut next) = (0_u64, 0, 0);
        for pixel in x.chunks_exact(stride) {
            for first in (0..channels).step_by(row.len()) {
                let count = row.len().min(channels - first);
                normalise::<V>(&pixel[first..], &affine, first, &mut row[..count.next_multiple_of(V::LANES)]);
                let bits =
                    row[..count].iter().rev().fold(0, |bits, value| bits << 1 | u64::from(*value > T::ZERO));
                word |= bits << filled;
                filled += count;
                if filled >= 64 {
                    words[next] = word;
                    next += 1;
                    filled -= 64;
                    // The bits that did not fit, of which there are `filled`.
                    word = if filled == 0 { 0 } else { bits >> (count - filled) };
                }
            }
        }
        if filled > 0 {
            words[next] = word;
        }
    }
}

/// Normalises whole vectors of one pixel, from the channel `first` on.
#[inline(always)]
fn normalise<V: Vector>(pixel: &[V::Elem], affine: &Affine<'_, V::Elem>, first: usize, out: &mut [V::Elem]) {
    assert!(pixel.len() >= out.len());
    for at in (0..out.len()).step_by(V::LANES) {
        let x = affine.at::<V>(first + at).apply(super::pad_input::vector(pixel, at));
        super::pad_input::put(out, at, x, super::WriteMode::Store);
    }
}
