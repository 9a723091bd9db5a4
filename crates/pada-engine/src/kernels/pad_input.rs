use super::WriteMode;
use super::combine::Affine;
use crate::geometry::Padded;
use crate::plan::Activation;
use crate::simd::{Kernel, Number, Unit, Vector};

/// Copies the input of a convolution to a padded buffer: normalised, activated, with a border of zeros.
pub(crate) struct PadInput<'a, T> {
    /// `[H, W, stride]`
    pub(crate) source: &'a [T],
    /// Coefficients of the norm before the activation. `None` if there is no norm.
    pub(crate) affine: Option<Affine<'a, T>>,
    pub(crate) act: Activation,
    pub(crate) padded: Padded,
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for PadInput<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (stride, width) = (self.padded.stride, self.padded.width * self.padded.stride);
        let (low, high) = bounds::<V>(self.act);
        for (source, out) in self.source.chunks_exact(width).zip(rows(self.padded, self.out)) {
            if self.affine.is_none() && self.act == Activation::None {
                out.copy_from_slice(source);
                continue;
            }
            match self.affine {
                None => activate::<V, false>(source, out, stride, Affine::default(), (low, high)),
                Some(affine) => activate::<V, true>(source, out, stride, affine, (low, high)),
            }
        }
    }
}

/// Activates a row, and normalises it first if `NORMALISED` is set.
#[inline(always)]
fn activate<V: Vector, const NORMALISED: bool>(
    source: &[V::Elem],
    out: &mut [V::Elem],
    stride: usize,
    affine: Affine<'_, V::Elem>,
    (low, high): (V, V),
) {
    assert!(source.len() == out.len() && out.len().is_multiple_of(stride) && stride.is_multiple_of(V::LANES));
    assert!(!NORMALISED || affine.is_for(stride));
    for pixel in (0..out.len()).step_by(stride) {
        for channel in (0..stride).step_by(V::LANES) {
            // SAFETY: both rows contain whole pixels, which are whole vectors, and the norm has as many channels.
            unsafe {
                let mut x = V::load(source.as_ptr().add(pixel + channel));
                if NORMALISED {
                    x = affine.at_unchecked::<V>(channel).apply(x);
                }
                x.at_least(low).at_most(high).store(out.as_mut_ptr().add(pixel + channel));
            }
        }
    }
}

/// Returns the lower and upper bound that an activation clamps its input to.
#[inline(always)]
pub(super) fn bounds<V: Vector>(act: Activation) -> (V, V) {
    let (low, high) = act.bounds();
    (V::splat(V::Elem::from_f64(low)), V::splat(V::Elem::from_f64(high)))
}

/// Sets the border to zero and returns the rows inside it.
#[inline(always)]
fn rows<T: Number>(padded: Padded, out: &mut [T]) -> impl Iterator<Item = &mut [T]> {
    let Padded { height, border, stride, .. } = padded;
    let (side, row) = (border * stride, padded.row());
    let out = &mut out[..padded.len()];
    out[..border * row].fill(T::ZERO);
    out[(border + height) * row..].fill(T::ZERO);
    out[border * row..].chunks_exact_mut(row).take(height).map(move |out| {
        out[..side].fill(T::ZERO);
        out[row - side..].fill(T::ZERO);
        &mut out[side..row - side]
    })
}

/// The gradient of a batch norm with respect to its input, `a·g + b·(y − mean) + c`.
///
/// The coefficients `a`, `b` and `c`, `[stride]` each, depend on the statistics of the batch.
#[derive(Clone, Copy)]
pub(crate) struct NormGradient<'a, T> {
    /// Gradient with respect to the normalised values, `[H, W, stride]`.
    pub(crate) g: &'a [T],
    /// Input of the norm, `[H, W, stride]`.
    pub(crate) y: &'a [T],
    pub(crate) mean: &'a [T],
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    pub(crate) c: &'a [T],
}

/// Copies the gradient of an operation's output to a padded buffer.
///
/// The gradient comes from operations that read the output directly, from operations that read it through a batch norm, or is the sum of
/// both.
pub(crate) struct PadOutputGrad<'a, T> {
    pub(crate) direct: Option<&'a [T]>,
    pub(crate) norm: Option<NormGradient<'a, T>>,
    pub(crate) padded: Padded,
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for PadOutputGrad<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let (stride, width) = (self.padded.stride, self.padded.width * self.padded.stride);
        for (row, out) in rows(self.padded, self.out).enumerate() {
            let range = row * width..(row + 1) * width;
            let direct = self.direct.map(|list| &list[range.clone()]);
            let Some(norm) = &self.norm else {
                out.copy_from_slice(
                    direct.expect("without a gradient through the norm, there is a direct one"),
                );
                continue;
            };
            norm.row::<V>(range, stride, direct, out);
        }
    }
}

impl<T: Number> NormGradient<'_, T> {
    /// Computes a row of the gradient.
    #[inline(always)]
    fn row<V: Vector<Elem = T>>(
        &self,
        range: std::ops::Range<usize>,
        stride: usize,
        direct: Option<&[T]>,
        out: &mut [T],
    ) {
        let (g, y) = (&self.g[range.clone()], &self.y[range]);
        let Self { mean, a, b, c, .. } = *self;
        assert!(g.len() == out.len() && direct.is_none_or(|list| list.len() == out.len()));
        assert!(out.len().is_multiple_of(stride) && stride.is_multiple_of(V::LANES));
        assert!([mean, a, b, c].iter().all(|list| list.len() >= stride));
        for pixel in (0..out.len()).step_by(stride) {
            for channel in (0..stride).step_by(V::LANES) {
                let at = pixel + channel;
                // SAFETY: all rows contain as many whole pixels, which are whole vectors, and the norm has as many channels.
                unsafe {
                    let (mean, a) = (V::load(mean.as_ptr().add(channel)), V::load(a.as_ptr().add(channel)));
                    let (b, c) = (V::load(b.as_ptr().add(channel)), V::load(c.as_ptr().add(channel)));
                    let y = V::load(y.as_ptr().add(at)).sub(mean);
                    let mut sum = V::load(g.as_ptr().add(at)).mul_add(a, y.mul_add(b, c));
                    if let Some(direct) = direct {
                        sum = sum.add(V::load(direct.as_ptr().add(at)));
                    }
                    sum.store(out.as_mut_ptr().add(at));
                }
            }
        }
    }
}

/// Loads the vector of channels that starts at `channel`.
#[inline(always)]
pub(super) fn vector<V: Vector>(list: &[V::Elem], channel: usize) -> V {
    let list = &list[channel..][..V::LANES];
    // SAFETY: the slice holds LANES numbers.
    unsafe { V::load(list.as_ptr()) }
}

/// Stores a vector at `place`, or adds it to the numbers there.
#[inline(always)]
pub(super) fn put<V: Vector>(out: &mut [V::Elem], place: usize, mut value: V, write_mode: WriteMode) {
    let out = &mut out[place..][..V::LANES];
    // SAFETY: the slice holds LANES numbers.
    unsafe {
        if write_mode == WriteMode::Accumulate {
            value = value.add(V::load(out.as_ptr()));
        }
        value.store(out.as_mut_ptr());
    }
}

/// Returns what an activation makes of a vector; `low` and `high` are its [`bounds`].
#[inline(always)]
pub(super) fn activated<V: Vector>(act: Activation, x: V, low: V, high: V) -> V {
    if act == Activation::None { x } else { x.at_least(low).at_most(high) }
}

/// Converts numbers to units. Both lists contain the same number of numbers.
pub(crate) struct ToUnits<'a, T, U> {
    pub(crate) numbers: &'a [T],
    pub(crate) units: &'a mut [U],
}

impl<T: Number, U: Unit> Kernel<T, U> for ToUnits<'_, T, U> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        assert!(
            self.numbers.len().is_multiple_of(V::LANES) && self.units.len() * U::PER == self.numbers.len()
        );
        for at in (0..self.numbers.len()).step_by(V::LANES) {
            // SAFETY: both lists contain as many numbers, a multiple of LANES.
            unsafe {
                V::load(self.numbers.as_ptr().add(at)).store_units(self.units.as_mut_ptr().add(at / U::PER))
            }
        }
    }
}
