use super::transforms::{transform_gradient, transform_input};
use super::{BLOCK, Blocks, POSITIONS, Tiles};
use crate::geometry::Padded;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Adds the transformed weight gradient of a dense convolution for one image to `sums`: `Σ (Bᵀ d B) ⊙ (A y Aᵀ)` over all tiles.
/// [`super::TransformSums`] transforms the sums of all images back.
///
/// # Shapes
/// - `x`: padded input, `[H, W, stride]`; `gradient`: padded gradient of the output, `[H, W, C_out rounded up]`
/// - `sums`: `[36, C_in, C_out rounded up]`
pub(crate) struct TiledGradient<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) padded: Padded,
    pub(crate) channels_in: usize,
    pub(crate) gradient: &'a [T],
    pub(crate) gradient_padded: Padded,
    pub(crate) sums: &'a mut [T],
    /// Transformed tiles of the input, `[36, BLOCK, stride]`, and of the gradient.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for TiledGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        let tiles = self.check::<V>();
        for block in (Blocks { first: 0, count: tiles.count() }) {
            let (inputs, gradients) = self.scratch.split_at_mut(POSITIONS * BLOCK * self.padded.stride);
            transform_input::<V>(self.x, self.padded, tiles, block, inputs);
            transform_gradient::<V>(self.gradient, self.gradient_padded, tiles, block, gradients);
            for position in 0..POSITIONS {
                let mut c = 0;
                while c < self.channels_in {
                    c += match self.channels_in - c {
                        16.. if V::REGISTERS >= 32 => self.rows::<V, 16>(position, block.len, c),
                        8.. => self.rows::<V, 8>(position, block.len, c),
                        4.. => self.rows::<V, 4>(position, block.len, c),
                        _ => self.rows::<V, 1>(position, block.len, c),
                    };
                }
            }
        }
    }
}

impl<T: Number> TiledGradient<'_, T> {
    /// Checks the bounds that the loops rely on.
    #[inline(always)]
    fn check<V: Vector<Elem = T>>(&self) -> Tiles {
        let tiles = Tiles::new(self.padded);
        let (x, y) = (self.padded, self.gradient_padded);
        assert!((x.height, x.width) == (y.height, y.width) && self.channels_in <= x.stride);
        assert!(y.stride.is_multiple_of(V::LANES));
        assert!(self.sums.len() >= POSITIONS * self.channels_in * y.stride);
        assert!(self.scratch.len() >= POSITIONS * BLOCK * (x.stride + y.stride));
        tiles
    }

    /// Adds `C` input channels, from `c` on, times all output channels, at one position, and returns `C`.
    #[inline(always)]
    fn rows<V: Vector<Elem = T>, const C: usize>(
        &mut self,
        position: usize,
        tiles: usize,
        c: usize,
    ) -> usize {
        let (stride_in, stride_out) = (self.padded.stride, self.gradient_padded.stride);
        // SAFETY: `check` has compared the lengths of the sums and of the scratch memory; `tiles` is at most `BLOCK`, `c + C` at most
        // `channels_in`, and `channel + LANES` at most `stride_out`.
        unsafe {
            let scratch = self.scratch.as_ptr();
            let x = scratch.add(position * BLOCK * stride_in + c);
            let gradient = scratch.add(POSITIONS * BLOCK * stride_in + position * BLOCK * stride_out);
            for channel in (0..stride_out).step_by(V::LANES) {
                let mut sums = [V::zero(); C];
                for tile in 0..tiles {
                    let g = V::load(gradient.add(tile * stride_out + channel));
                    let x = x.add(tile * stride_in);
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = V::splat(*x.add(i)).mul_add(g, *sum);
                    }
                }
                let to = (position * self.channels_in + c) * stride_out + channel;
                let to = self.sums.as_mut_ptr().add(to);
                for (i, sum) in sums.into_iter().enumerate() {
                    let to = to.add(i * stride_out);
                    sum.add(V::load(to)).store(to);
                }
            }
        }
        C
    }
}
