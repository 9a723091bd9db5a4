//! Convolutions with 3×3 taps and stride 1 by Winograd's minimal filtering.
//!
//! The output of an image is divided into tiles of 4×4 pixels. A tile depends on 6×6 pixels of the padded input. With the input tile d and
//! the kernel g, the output tile is `Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`, where ⊙ multiplies numbers at equal positions. So a pair of channels needs
//! 36 products for 16 pixels, and not 144. For each of the 36 positions, the sum over the input channels is a product of two matrices.
//!
//! The gradient of the kernel is `Gᵀ[Σ (Bᵀ d B) ⊙ (A y Aᵀ)]G`, where y is a tile of the gradient of the output, and the sum is over all
//! tiles of all images.
//!
//! # Source
//! Lavin & Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016: F(4×4, 3×3) with the points 0, ±1, ±2 and ∞.

mod conv;
mod gradient;
mod transforms;

pub(crate) use conv::TiledConv;
pub(crate) use gradient::TiledGradient;
pub(crate) use transforms::{TransformKernels, TransformSums};

use pada_graph::{Conv, Extent, Shape};

use crate::geometry::Padded;

/// Pixels of a side of an output tile.
const TILE: usize = 4;
/// Pixels of a side of an input tile.
const SIDE: usize = TILE + 2;
/// Positions of a transformed tile.
pub(crate) const POSITIONS: usize = SIDE * SIDE;
/// Taps of a kernel.
pub(crate) const TAPS: usize = 9;
/// Tiles that are transformed together, so that they stay in a cache.
const BLOCK: usize = 16;
/// With fewer input or output channels, transforms cost more than they save.
const FEWEST_CHANNELS: usize = 8;
/// Largest number of vectors of output channels that are computed together.
const MOST_VECTORS: usize = 4;

/// Returns whether a dense convolution can be divided into tiles, and is faster so. The answer is the same on every processor.
pub(crate) fn suits(conv: &Conv, [input, output]: [Shape; 2]) -> bool {
    let Conv { kernel, stride, padding, dilation, groups, offset, extent, .. } = *conv;
    let settings = (kernel, stride, padding, dilation, groups, offset) == (3, 1, 1, 1, 1, 0);
    let whole_tiles = output.height.is_multiple_of(TILE) && output.width.is_multiple_of(TILE);
    let channels = input.channels.min(output.channels);
    settings && extent == Extent::Square && whole_tiles && channels >= FEWEST_CHANNELS
}

/// Returns the length of the scratch memory of a convolution, forward and backward, between images with these numbers per pixel.
pub(crate) fn scratch_len(strides: [usize; 2], lanes: usize) -> usize {
    let [x, y] = strides.map(|stride| stride.max(MOST_VECTORS * lanes));
    POSITIONS * BLOCK * (x + y)
}

/// The tiles of an image.
#[derive(Clone, Copy, Debug)]
struct Tiles {
    height: usize,
    width: usize,
}

impl Tiles {
    #[inline(always)]
    fn new(image: Padded) -> Self {
        assert!(image.height.is_multiple_of(TILE) && image.width.is_multiple_of(TILE) && image.border >= 1);
        Self { height: image.height, width: image.width }
    }

    #[inline(always)]
    fn count(self) -> usize {
        (self.height / TILE) * (self.width / TILE)
    }

    /// Returns the first pixel of a tile, (y, x).
    #[inline(always)]
    fn corner(self, tile: usize) -> [usize; 2] {
        let row = self.width / TILE;
        [tile / row * TILE, tile % row * TILE]
    }
}

/// A range of tiles that are computed together.
#[derive(Clone, Copy)]
struct Block {
    first: usize,
    /// At most [`BLOCK`].
    len: usize,
}

/// Divides `count` tiles into blocks.
struct Blocks {
    first: usize,
    count: usize,
}

impl Iterator for Blocks {
    type Item = Block;

    #[inline(always)]
    fn next(&mut self) -> Option<Block> {
        let block = Block { first: self.first, len: BLOCK.min(self.count - self.first) };
        self.first += block.len;
        (block.len > 0).then_some(block)
    }
}

#[cfg(test)]
mod tests {
    use pada_graph::WeightId;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::geometry::Geometry;
    use crate::kernels::{ConvKernel, Mask, WeightGradient, WriteMode};
    use crate::plan::Connection;
    use crate::simd::{Number, Portable, Unit, Vector};

    /// Input and output channels, height, width and the border of the input. The largest image has several blocks of tiles.
    const CASES: [([usize; 2], [usize; 2], usize); 6] = [
        ([8, 8], [4, 4], 1),
        ([16, 16], [8, 12], 1),
        ([16, 40], [4, 8], 2),
        ([20, 9], [12, 12], 1),
        ([64, 64], [8, 8], 3),
        ([9, 16], [32, 32], 1),
    ];

    /// One convolution with random numbers, in the layouts of the kernels.
    struct Case<T> {
        geometry: Geometry,
        channels: [usize; 2],
        strides: [usize; 2],
        x: Vec<T>,
        gradient: Vec<T>,
        /// `[9, C_in, stride]`, and of the flipped kernel `[9, C_out, stride]`.
        taps: [Vec<T>; 2],
        bias: Vec<T>,
        /// The numbers in an output before a kernel adds to them.
        before: Vec<T>,
    }

    impl<T: Number + Unit> Case<T> {
        fn new(channels: [usize; 2], [height, width]: [usize; 2], border: usize, lanes: usize) -> Self {
            let mut rng = ChaCha8Rng::seed_from_u64(7);
            let mut number = || T::from_f64(f64::from(rng.random_range(-1.0..1.0_f32)));
            let strides = channels.map(|c: usize| c.next_multiple_of(lanes));
            let [input, output] = channels.map(|c| Shape::new(c, height, width));
            let conv = Conv::same(WeightId(0), channels[1], 3, 1);
            assert!(suits(&conv, [input, output]));
            let geometry = Geometry::new(&conv, Connection::Tiled, [input, output], strides, border);
            let mut image = |padded: Padded, channels: usize| {
                let mut image = vec![T::ZERO; padded.len()];
                for y in padded.border..padded.border + height {
                    for x in padded.border..padded.border + width {
                        let pixel = y * padded.row() + x * padded.stride;
                        image[pixel..pixel + channels].iter_mut().for_each(|v| *v = number());
                    }
                }
                image
            };
            let (x, gradient) = (image(geometry.input, channels[0]), image(geometry.output, channels[1]));
            let mut taps = [
                vec![T::ZERO; TAPS * channels[0] * strides[1]],
                vec![T::ZERO; TAPS * channels[1] * strides[0]],
            ];
            for tap in 0..TAPS {
                for ci in 0..channels[0] {
                    for co in 0..channels[1] {
                        let weight = number();
                        taps[0][(tap * channels[0] + ci) * strides[1] + co] = weight;
                        taps[1][(tap * channels[1] + co) * strides[0] + ci] = weight;
                    }
                }
            }
            let bias = (0..strides[1]).map(|_| number()).collect();
            let before = (0..height * width * strides[0].max(strides[1])).map(|_| number()).collect();
            Self { geometry, channels, strides, x, gradient, taps, bias, before }
        }

        fn transformed<V: Vector<Elem = T, Unit = T>>(taps: &[T]) -> Vec<T> {
            let mut out = vec![T::ZERO; taps.len() / TAPS * POSITIONS];
            V::dispatch(TransformKernels { taps, out: &mut out });
            out
        }

        fn scratch<V: Vector<Elem = T, Unit = T>>(&self) -> Vec<T> {
            vec![T::ZERO; scratch_len(self.strides, V::LANES)]
        }

        /// Returns the outputs of both algorithms: in tiles, and direct.
        fn forward<V: Vector<Elem = T, Unit = T>>(
            &self,
            with_bias: bool,
            write_mode: WriteMode,
        ) -> [Vec<T>; 2] {
            let [mut ours, mut theirs] = [self.before.clone(), self.before.clone()];
            let bias = with_bias.then_some(&self.bias[..]);
            let (channels_in, stride_out) = (self.channels[0], self.strides[1]);
            V::dispatch(TiledConv {
                x: &self.x,
                padded: self.geometry.input,
                weights: &Self::transformed::<V>(&self.taps[0]),
                channels_in,
                stride_out,
                bias,
                out: &mut ours,
                write_mode,
                mask: None,
                scratch: &mut self.scratch::<V>(),
            });
            V::dispatch(ConvKernel {
                x: &self.x,
                phases: &self.geometry.forward,
                weights: &self.taps[0],
                units_in: channels_in,
                stride_out,
                bias,
                out: &mut theirs,
                write_mode,
                mask: None,
            });
            [ours, theirs]
        }

        /// Returns the gradients of the input by both algorithms.
        fn backward<V: Vector<Elem = T, Unit = T>>(
            &self,
            high: Option<f64>,
            write_mode: WriteMode,
        ) -> [Vec<T>; 2] {
            let [mut ours, mut theirs] = [self.before.clone(), self.before.clone()];
            let mask = || high.map(|high| Mask { x: &self.x, high: T::from_f64(high) });
            let (channels_in, stride_out) = (self.channels[1], self.strides[0]);
            let pairs = channels_in * stride_out;
            let flipped: Vec<T> = self.taps[1].chunks_exact(pairs).rev().flatten().copied().collect();
            V::dispatch(TiledConv {
                x: &self.gradient,
                padded: self.geometry.output,
                weights: &Self::transformed::<V>(&flipped),
                channels_in,
                stride_out,
                bias: None,
                out: &mut ours,
                write_mode,
                mask: mask().map(|mask| (mask, self.geometry.input)),
                scratch: &mut self.scratch::<V>(),
            });
            V::dispatch(ConvKernel {
                x: &self.gradient,
                phases: &self.geometry.backward,
                weights: &self.taps[1],
                units_in: channels_in,
                stride_out,
                bias: None,
                out: &mut theirs,
                write_mode,
                mask: mask(),
            });
            [ours, theirs]
        }

        /// Returns the weight gradients by both algorithms, added up over two passes.
        fn weights<V: Vector<Elem = T, Unit = T>>(&self) -> [Vec<T>; 2] {
            let (pairs, geometry) = (self.channels[0] * self.strides[1], &self.geometry);
            let [mut ours, mut theirs] = [vec![T::ZERO; TAPS * pairs], vec![T::ZERO; TAPS * pairs]];
            let mut sums = vec![T::ZERO; POSITIONS * pairs];
            for _ in 0..2 {
                V::dispatch(TiledGradient {
                    x: &self.x,
                    padded: geometry.input,
                    channels_in: self.channels[0],
                    gradient: &self.gradient,
                    gradient_padded: geometry.output,
                    sums: &mut sums,
                    scratch: &mut self.scratch::<V>(),
                });
                V::dispatch(WeightGradient {
                    x: &self.x,
                    x_places: &geometry.forward[0].base,
                    taps: &geometry.forward[0].taps,
                    channels_in: self.channels[0],
                    gradient: &self.gradient,
                    gradient_places: &geometry.gradient,
                    stride_out: self.strides[1],
                    sums: &mut theirs,
                });
            }
            V::dispatch(TransformSums { sums: &sums, gradient: &mut ours });
            [ours, theirs]
        }
    }

    fn assert_near<T: Number>([ours, theirs]: [Vec<T>; 2], allowed: f64, what: &str) {
        let largest = theirs.iter().fold(0.0_f64, |largest, v| largest.max(v.to_f64().abs()));
        assert_eq!(ours.len(), theirs.len());
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let off = (ours.to_f64() - theirs.to_f64()).abs();
            assert!(off <= allowed * largest, "{what}, number {i}: {ours:?}, not {theirs:?}");
        }
    }

    fn check<V: Vector<Unit = <V as Vector>::Elem>>(name: &str, allowed: f64)
    where
        V::Elem: Unit,
    {
        for (channels, size, border) in CASES {
            let case = Case::<V::Elem>::new(channels, size, border, V::LANES);
            let what = |part: &str| format!("{name}, {channels:?} channels, {size:?} pixels: {part}");
            for write_mode in [WriteMode::Store, WriteMode::Accumulate] {
                assert_near(case.forward::<V>(true, write_mode), allowed, &what("output with a bias"));
                assert_near(case.forward::<V>(false, write_mode), allowed, &what("output"));
                for high in [None, Some(f64::INFINITY), Some(0.5)] {
                    assert_near(
                        case.backward::<V>(high, write_mode),
                        allowed,
                        &what("gradient of the input"),
                    );
                }
            }
            assert_near(case.weights::<V>(), allowed, &what("gradient of the weights"));
        }
    }

    #[test]
    fn tiles_compute_what_direct_sums_do() {
        check::<Portable<f64>>("f64", 1e-13);
        check::<Portable<f32>>("f32", 2e-5);
        #[cfg(target_arch = "x86_64")]
        {
            use crate::simd::{Avx2, Avx512, Avx512Half};
            if Avx2::is_available() {
                check::<Avx2>("AVX2", 2e-5);
            }
            if Avx512::is_available() {
                check::<Avx512>("AVX-512", 2e-5);
                check::<Avx512Half>("half of AVX-512", 2e-5);
            }
        }
    }

    #[test]
    fn only_convolutions_of_whole_tiles_are_divided() {
        let shape = Shape::new(16, 8, 8);
        let same = Conv::same(WeightId(0), 16, 3, 1);
        assert!(suits(&same, [shape, shape]));
        for other in [
            Conv { kernel: 5, padding: 2, ..same.clone() },
            Conv { stride: 2, ..same.clone() },
            Conv { padding: 0, ..same.clone() },
            Conv { dilation: 2, padding: 2, ..same.clone() },
            Conv { groups: 2, ..same.clone() },
            Conv { offset: 1, ..same.clone() },
            Conv { extent: Extent::Row, ..same.clone() },
        ] {
            assert!(!suits(&other, [shape, shape]), "{other:?}");
        }
        for [input, output] in [
            [Shape::new(3, 8, 8), shape],
            [shape, Shape::new(4, 8, 8)],
            [Shape::new(16, 6, 8), Shape::new(16, 6, 8)],
            [Shape::new(16, 8, 7), Shape::new(16, 8, 7)],
        ] {
            assert!(!suits(&same, [input, output]), "{input:?} {output:?}");
        }
    }
}
