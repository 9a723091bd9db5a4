use super::transforms::{transform_input, transform_output};
use super::{BLOCK, Block, Blocks, MOST_VECTORS, POSITIONS, Tiles};
use crate::geometry::Padded;
use crate::kernels::{Mask, WriteMode};
use crate::simd::{Kernel, Number, Unit, Vector};

/// A dense convolution of one image that [`super::suits`]. It also computes the gradient with respect to the input, which is a convolution
/// of the output's gradient with the flipped kernel.
///
/// # Shapes
/// - `x`: padded image, `[H, W, stride]`
/// - `weights`: `[36, C_in, C_out rounded up]`, transformed
/// - `out`: `[H, W, C_out rounded up]`
pub(crate) struct TiledConv<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) padded: Padded,
    pub(crate) weights: &'a [T],
    pub(crate) channels_in: usize,
    /// C_out, rounded up to whole vectors.
    pub(crate) stride_out: usize,
    /// Bias, `[C_out rounded up]`.
    pub(crate) bias: Option<&'a [T]>,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
    /// A mask with the layout of its image.
    pub(crate) mask: Option<(Mask<'a, T>, Padded)>,
    /// Transformed tiles: of the input, `[36, BLOCK, stride]`, and of some channels of the output.
    pub(crate) scratch: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for TiledConv<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        let tiles = self.check::<V>();
        let vectors = self.stride_out / V::LANES;
        for block in (Blocks { first: 0, count: tiles.count() }) {
            transform_input::<V>(self.x, self.padded, tiles, block, self.scratch);
            let mut vector = 0;
            while vector < vectors {
                let channel = vector * V::LANES;
                vector += match (vectors - vector, block.len) {
                    // Two or four vectors of output channels share each input number that is read.
                    (2.., 8..) if V::REGISTERS >= 32 => self.columns::<V, 8, 2>(tiles, block, channel),
                    (4.., _) if V::REGISTERS >= 32 => self.columns::<V, 4, 4>(tiles, block, channel),
                    (2.., _) => self.columns::<V, 4, 2>(tiles, block, channel),
                    (_, 16..) if V::REGISTERS >= 32 => self.columns::<V, 16, 1>(tiles, block, channel),
                    (_, 8..) => self.columns::<V, 8, 1>(tiles, block, channel),
                    _ => self.columns::<V, 4, 1>(tiles, block, channel),
                };
            }
        }
    }
}

impl<T: Number> TiledConv<'_, T> {
    /// Checks the bounds that the loops rely on.
    #[inline(always)]
    fn check<V: Vector<Elem = T>>(&self) -> Tiles {
        let tiles = Tiles::new(self.padded);
        let Padded { height, width, stride, .. } = self.padded;
        assert!(self.stride_out.is_multiple_of(V::LANES) && self.channels_in <= stride);
        assert!(self.bias.is_none_or(|bias| bias.len() >= self.stride_out));
        assert!(self.weights.len() >= POSITIONS * self.channels_in * self.stride_out);
        assert!(self.out.len() >= height * width * self.stride_out);
        assert!(self.scratch.len() >= POSITIONS * BLOCK * (stride + MOST_VECTORS * V::LANES));
        if let Some((mask, padded)) = &self.mask {
            assert!((padded.height, padded.width) == (height, width) && padded.stride >= self.stride_out);
            assert!(mask.x.len() >= padded.len());
        }
        tiles
    }

    /// Computes `Q` vectors of output channels, from `channel` on, for a block of tiles, and returns `Q`.
    #[inline(always)]
    fn columns<V: Vector<Elem = T>, const P: usize, const Q: usize>(
        &mut self,
        tiles: Tiles,
        block: Block,
        channel: usize,
    ) -> usize {
        for position in 0..POSITIONS {
            let mut tile = 0;
            while tile + P <= block.len {
                self.products::<V, P, Q>(position, tile, channel);
                tile += P;
            }
            while tile < block.len {
                self.products::<V, 1, Q>(position, tile, channel);
                tile += 1;
            }
        }
        for tile in 0..block.len {
            for q in 0..Q {
                self.write::<V, Q>(tiles.corner(block.first + tile), tile, [channel, q]);
            }
        }
        Q
    }

    /// Sums the products of `P` tiles with `Q` vectors of output channels over the input channels, at one position.
    #[inline(always)]
    fn products<V: Vector<Elem = T>, const P: usize, const Q: usize>(
        &mut self,
        position: usize,
        tile: usize,
        channel: usize,
    ) {
        let stride = self.padded.stride;
        // SAFETY: `check` has compared the lengths of the weights and of the scratch memory; `tile + P` is at most `BLOCK`, and
        // `channel + Q · LANES` at most `stride_out`. `Q` is at most `MOST_VECTORS`.
        unsafe {
            let x = self.scratch.as_ptr().add((position * BLOCK + tile) * stride);
            let mut weights =
                self.weights.as_ptr().add(position * self.channels_in * self.stride_out + channel);
            let mut sums = [[V::zero(); Q]; P];
            for c in 0..self.channels_in {
                let mut w = [V::zero(); Q];
                for (q, w) in w.iter_mut().enumerate() {
                    *w = V::load(weights.add(q * V::LANES));
                }
                for (p, sums) in sums.iter_mut().enumerate() {
                    let x = V::splat(*x.add(p * stride + c));
                    for (sum, w) in sums.iter_mut().zip(&w) {
                        *sum = x.mul_add(*w, *sum);
                    }
                }
                weights = weights.wrapping_add(self.stride_out);
            }
            let to = self.scratch.as_mut_ptr().add(POSITIONS * BLOCK * stride);
            let to = to.add((position * BLOCK + tile) * Q * V::LANES);
            for (p, sums) in sums.into_iter().enumerate() {
                for (q, sum) in sums.into_iter().enumerate() {
                    sum.store(to.add((p * Q + q) * V::LANES));
                }
            }
        }
    }

    /// Transforms one of the `Q` vectors of a tile back, and writes its pixels.
    #[inline(always)]
    fn write<V: Vector<Elem = T>, const Q: usize>(
        &mut self,
        [top, left]: [usize; 2],
        tile: usize,
        [channel, q]: [usize; 2],
    ) {
        let from = POSITIONS * BLOCK * self.padded.stride + (tile * Q + q) * V::LANES;
        let channel = channel + q * V::LANES;
        // SAFETY: `check` has compared all lengths. A tile lies inside of the image, and `channel` and the numbers of a vector are below
        // `stride_out`.
        unsafe {
            let products = self.scratch.as_ptr().add(from);
            let pixels = transform_output::<V>(products, BLOCK * Q * V::LANES);
            for (y, line) in pixels.into_iter().enumerate() {
                let mut out = self
                    .out
                    .as_mut_ptr()
                    .add(((top + y) * self.padded.width + left) * self.stride_out + channel);
                for (x, mut sum) in line.into_iter().enumerate() {
                    if let Some(bias) = self.bias {
                        sum = sum.add(V::load(bias.as_ptr().add(channel)));
                    }
                    if let Some((mask, padded)) = &self.mask {
                        let Padded { border, stride, .. } = *padded;
                        let place =
                            (top + y + border) * padded.row() + (left + x + border) * stride + channel;
                        let x = V::load(mask.x.as_ptr().add(place));
                        sum = sum.where_between(x, V::zero(), V::splat(mask.high));
                    }
                    if self.write_mode == WriteMode::Accumulate {
                        sum = sum.add(V::load(out));
                    }
                    sum.store(out);
                    out = out.wrapping_add(self.stride_out);
                }
            }
        }
    }
}
