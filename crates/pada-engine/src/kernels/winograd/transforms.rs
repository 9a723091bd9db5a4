use super::{BLOCK, Block, POSITIONS, SIDE, TAPS, TILE, Tiles};
use crate::geometry::Padded;
use crate::simd::{Kernel, Number, Unit, Vector};

#[inline(always)]
fn splat<V: Vector>(value: f64) -> V {
    V::splat(V::Elem::from_f64(value))
}

/// A matrix that transforms `N` numbers to `M` numbers. It is a type and not a function, because every function of a kernel must be inlined.
trait Transform<const N: usize, const M: usize> {
    fn apply<V: Vector>(numbers: [V; N]) -> [V; M];
}

/// Bᵀ
struct OfInput;
/// Aᵀ
struct OfOutput;
/// A
struct OfGradient;
/// G
struct OfKernel;
/// Gᵀ
struct OfSums;

impl Transform<SIDE, SIDE> for OfInput {
    #[inline(always)]
    fn apply<V: Vector>(d: [V; SIDE]) -> [V; SIDE] {
        let a = d[2].mul_add(splat(-4.0), d[4]);
        let b = d[1].mul_add(splat(-4.0), d[3]);
        let (c, e) = (d[4].sub(d[2]), d[3].sub(d[1]));
        [
            d[0].mul_add(splat(4.0), d[2].mul_add(splat(-5.0), d[4])),
            a.add(b),
            a.sub(b),
            e.mul_add(splat(2.0), c),
            e.mul_add(splat(-2.0), c),
            d[1].mul_add(splat(4.0), d[3].mul_add(splat(-5.0), d[5])),
        ]
    }
}

impl Transform<SIDE, TILE> for OfOutput {
    #[inline(always)]
    fn apply<V: Vector>(m: [V; SIDE]) -> [V; TILE] {
        let (s, d) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (p, q) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(s).add(p),
            q.mul_add(splat(2.0), d),
            p.mul_add(splat(4.0), s),
            q.mul_add(splat(8.0), d).add(m[5]),
        ]
    }
}

impl Transform<TILE, SIDE> for OfGradient {
    #[inline(always)]
    fn apply<V: Vector>(y: [V; TILE]) -> [V; SIDE] {
        let (s, d) = (y[0].add(y[2]), y[1].add(y[3]));
        let (f, g) = (y[2].mul_add(splat(4.0), y[0]), y[3].mul_add(splat(4.0), y[1]));
        [y[0], s.add(d), s.sub(d), g.mul_add(splat(2.0), f), g.mul_add(splat(-2.0), f), y[3]]
    }
}

impl Transform<3, SIDE> for OfKernel {
    #[inline(always)]
    fn apply<V: Vector>(g: [V; 3]) -> [V; SIDE] {
        let (s, u) = (g[0].add(g[2]), g[2].mul_add(splat(4.0), g[0]));
        [
            g[0].mul(splat(1.0 / 4.0)),
            s.add(g[1]).mul(splat(-1.0 / 6.0)),
            s.sub(g[1]).mul(splat(-1.0 / 6.0)),
            g[1].mul_add(splat(2.0), u).mul(splat(1.0 / 24.0)),
            g[1].mul_add(splat(-2.0), u).mul(splat(1.0 / 24.0)),
            g[2],
        ]
    }
}

impl Transform<SIDE, 3> for OfSums {
    #[inline(always)]
    fn apply<V: Vector>(s: [V; SIDE]) -> [V; 3] {
        let (a, b) = (s[1].add(s[2]), s[2].sub(s[1]));
        let (c, d) = (s[3].add(s[4]), s[3].sub(s[4]));
        let sixth: V = splat(1.0 / 6.0);
        [
            s[0].mul_add(splat(1.0 / 4.0), c.mul_add(splat(1.0 / 24.0), a.mul(splat(-1.0 / 6.0)))),
            b.mul_add(sixth, d.mul(splat(1.0 / 12.0))),
            c.sub(a).mul_add(sixth, s[5]),
        ]
    }
}

/// Applies a transform to both axes of a tile of `N × N` vectors, `[y][x]`. Returns `[y][x]` of `M × M` vectors.
///
/// # Safety
/// `from` must be valid for reading vectors at `y · row + x · column` for all x and y below `N`.
#[inline(always)]
unsafe fn transformed<F: Transform<N, M>, V: Vector, const N: usize, const M: usize>(
    from: *const V::Elem,
    [row, column]: [usize; 2],
) -> [[V; M]; M] {
    let mut columns = [[V::zero(); M]; N];
    for (x, transformed) in columns.iter_mut().enumerate() {
        let mut line = [V::zero(); N];
        for (y, value) in line.iter_mut().enumerate() {
            // SAFETY: as the caller promises.
            *value = unsafe { V::load(from.add(y * row + x * column)) };
        }
        *transformed = F::apply(line);
    }
    let mut rows = [[V::zero(); M]; M];
    for (y, row) in rows.iter_mut().enumerate() {
        let mut line = [V::zero(); N];
        for (value, column) in line.iter_mut().zip(&columns) {
            *value = column[y];
        }
        *row = F::apply(line);
    }
    rows
}

/// Transforms the tiles of a block of an image, and writes them to `out`, `[36, BLOCK, stride]`. A tile starts `outside` pixels above and to the
/// left of its corner.
///
/// # Panics
/// Panics if the image or `out` is too short.
#[inline(always)]
fn transform_tiles<F: Transform<N, SIDE>, V: Vector, const N: usize>(
    image: &[V::Elem],
    padded: Padded,
    outside: usize,
    tiles: Tiles,
    block: Block,
    out: &mut [V::Elem],
) {
    let Padded { border, stride, .. } = padded;
    let row = padded.row();
    assert!(image.len() >= padded.len() && out.len() >= POSITIONS * BLOCK * stride && block.len <= BLOCK);
    assert!(stride.is_multiple_of(V::LANES) && block.first + block.len <= tiles.count());
    assert!(border >= outside && N <= TILE + 2 * outside);
    for t in 0..block.len {
        let [top, left] = tiles.corner(block.first + t);
        let corner = (top + border - outside) * row + (left + border - outside) * stride;
        for channel in (0..stride).step_by(V::LANES) {
            // SAFETY: a tile and `outside` pixels around it lie inside of the padded image, whose length was compared; `channel` and the
            // numbers of a vector are below `stride`. `out` has room for 36 positions of `BLOCK` tiles.
            unsafe {
                let from = image.as_ptr().add(corner + channel);
                let lines = transformed::<F, V, N, SIDE>(from, [row, stride]);
                let mut to = out.as_mut_ptr().add(t * stride + channel);
                for line in lines {
                    for value in line {
                        value.store(to);
                        to = to.wrapping_add(BLOCK * stride);
                    }
                }
            }
        }
    }
}

/// Transforms the input tiles of a block: `Bᵀ d B`.
#[inline(always)]
pub(super) fn transform_input<V: Vector>(
    x: &[V::Elem],
    padded: Padded,
    tiles: Tiles,
    block: Block,
    out: &mut [V::Elem],
) {
    transform_tiles::<OfInput, V, SIDE>(x, padded, 1, tiles, block, out);
}

/// Transforms the tiles of a gradient: `A y Aᵀ`.
#[inline(always)]
pub(super) fn transform_gradient<V: Vector>(
    gradient: &[V::Elem],
    padded: Padded,
    tiles: Tiles,
    block: Block,
    out: &mut [V::Elem],
) {
    transform_tiles::<OfGradient, V, TILE>(gradient, padded, 0, tiles, block, out);
}

/// Transforms one vector of channels of one output tile: `Aᵀ m A`, `[y][x]`.
///
/// # Safety
/// `from` must be valid for reading vectors at all 36 multiples of `step`.
#[inline(always)]
pub(super) unsafe fn transform_output<V: Vector>(from: *const V::Elem, step: usize) -> [[V; TILE]; TILE] {
    // SAFETY: as the caller promises.
    unsafe { transformed::<OfOutput, V, SIDE, TILE>(from, [SIDE * step, step]) }
}

/// Transforms kernels: `G g Gᵀ`.
///
/// # Shapes
/// - `taps`: `[9, N]`, the taps of all pairs of channels
/// - `out`: `[36, N]`
pub(crate) struct TransformKernels<'a, T> {
    pub(crate) taps: &'a [T],
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for TransformKernels<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let pairs = self.taps.len() / TAPS;
        assert!(pairs.is_multiple_of(V::LANES) && self.out.len() >= POSITIONS * pairs);
        for pair in (0..pairs).step_by(V::LANES) {
            // SAFETY: `pair` and the numbers of a vector are below `pairs`; there are 9 taps, and `out` has room for 36 positions.
            unsafe {
                let from = self.taps.as_ptr().add(pair);
                let lines = transformed::<OfKernel, V, 3, SIDE>(from, [3 * pairs, pairs]);
                for (y, line) in lines.into_iter().enumerate() {
                    for (x, value) in line.into_iter().enumerate() {
                        value.store(self.out.as_mut_ptr().add((y * SIDE + x) * pairs + pair));
                    }
                }
            }
        }
    }
}

/// Adds transformed sums of products to the gradient of kernels: `Gᵀ s G`.
///
/// # Shapes
/// - `sums`: `[36, N]`
/// - `gradient`: `[9, N]`
pub(crate) struct TransformSums<'a, T> {
    pub(crate) sums: &'a [T],
    pub(crate) gradient: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for TransformSums<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let pairs = self.gradient.len() / TAPS;
        assert!(pairs.is_multiple_of(V::LANES) && self.sums.len() >= POSITIONS * pairs);
        for pair in (0..pairs).step_by(V::LANES) {
            // SAFETY: `pair` and the numbers of a vector are below `pairs`; there are 36 positions, and 9 taps of all pairs.
            unsafe {
                let from = self.sums.as_ptr().add(pair);
                let lines = transformed::<OfSums, V, SIDE, 3>(from, [SIDE * pairs, pairs]);
                for (y, line) in lines.into_iter().enumerate() {
                    for (x, value) in line.into_iter().enumerate() {
                        let to = self.gradient.as_mut_ptr().add((3 * y + x) * pairs + pair);
                        value.add(V::load(to)).store(to);
                    }
                }
            }
        }
    }
}
