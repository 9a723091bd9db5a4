use super::combine::Affine;
use crate::geometry::Padded;
use crate::plan::Act;
use crate::simd::{Kernel, Number, Vector};

/// Copies an image into a padded buffer as a convolution reads it: normalised, activated, with a border of zeros.
pub(crate) struct Stage<'a, T> {
    /// `[H, W, stride]`
    pub(crate) source: &'a [T],
    /// What the norm before the activation does; none to take the numbers as they are.
    pub(crate) affine: Option<Affine<'a, T>>,
    pub(crate) act: Act,
    pub(crate) padded: Padded,
    pub(crate) out: &'a mut [T],
}

impl<T: Number> Kernel<T> for Stage<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Padded { stride, .. } = self.padded;
        let source = self.source;
        if self.affine.is_none() && self.act == Act::None {
            return for_each_row(self.padded, self.out, |row, out| {
                out.copy_from_slice(&source[row * out.len()..][..out.len()]);
            });
        }
        let (low, high) = bounds::<V>(self.act);
        let affine = self.affine;
        for_each_row(self.padded, self.out, |row, out| {
            let source = &source[row * out.len()..][..out.len()];
            let mut channel = 0;
            while channel < stride {
                let affine = affine.as_ref().map(|affine| affine.at::<V>(channel));
                let mut place = channel;
                while place + V::LANES <= out.len() {
                    // SAFETY: both rows hold `out.len()` numbers, and `place + LANES` is at most that.
                    unsafe {
                        let mut x = V::load(source.as_ptr().add(place));
                        if let Some(affine) = &affine {
                            x = affine.apply(x);
                        }
                        x.at_least(low).at_most(high).store(out.as_mut_ptr().add(place));
                    }
                    place += stride;
                }
                channel += V::LANES;
            }
        });
    }
}

/// What an activation keeps its input between.
#[inline(always)]
pub(super) fn bounds<V: Vector>(act: Act) -> (V, V) {
    let (low, high) = act.bounds();
    (V::splat(V::Elem::from_f64(low)), V::splat(V::Elem::from_f64(high)))
}

/// Calls `write(row, numbers of the row)` for the rows of the image and sets the border to zero.
#[inline(always)]
fn for_each_row<T: Number>(padded: Padded, out: &mut [T], mut write: impl FnMut(usize, &mut [T])) {
    let Padded { height, border, stride, .. } = padded;
    let (side, row) = (border * stride, padded.row());
    let out = &mut out[..padded.len()];
    out[..border * row].fill(T::ZERO);
    out[(border + height) * row..].fill(T::ZERO);
    for (y, out) in out[border * row..].chunks_exact_mut(row).take(height).enumerate() {
        out[..side].fill(T::ZERO);
        out[row - side..].fill(T::ZERO);
        write(y, &mut out[side..row - side]);
    }
}

/// The gradient behind a batch norm, from the gradient `g` after it: `a·g + b·(y − mean) + c`, where a, b and c come from the
/// batch, `[stride]` each.
#[derive(Clone, Copy)]
pub(crate) struct NormGradient<'a, T> {
    /// Gradient of the normalised values, `[H, W, stride]`.
    pub(crate) g: &'a [T],
    /// What was normalised, `[H, W, stride]`.
    pub(crate) y: &'a [T],
    pub(crate) mean: &'a [T],
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    pub(crate) c: &'a [T],
}

/// Copies the gradient of an operation's output into a padded buffer: that of its direct readers, that which comes through a
/// batch norm, or the sum of both.
pub(crate) struct StageGradient<'a, T> {
    pub(crate) direct: Option<&'a [T]>,
    pub(crate) norm: Option<NormGradient<'a, T>>,
    pub(crate) padded: Padded,
    pub(crate) out: &'a mut [T],
}

impl<T: Number> Kernel<T> for StageGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let Padded { stride, .. } = self.padded;
        let Some(norm) = self.norm else {
            let direct = self.direct.expect("a gradient comes from somewhere");
            return for_each_row(self.padded, self.out, |row, out| {
                out.copy_from_slice(&direct[row * out.len()..][..out.len()]);
            });
        };
        let direct = self.direct;
        for_each_row(self.padded, self.out, |row, out| {
            let len = out.len();
            let [g, y] = [norm.g, norm.y].map(|list| &list[row * len..][..len]);
            let direct = direct.map(|list| &list[row * len..][..len]);
            let mut channel = 0;
            while channel < stride {
                let [mean, a, b, c] =
                    [norm.mean, norm.a, norm.b, norm.c].map(|list| vector::<V>(list, channel));
                let mut place = channel;
                while place + V::LANES <= len {
                    // SAFETY: all rows hold `len` numbers, and `place + LANES` is at most that.
                    unsafe {
                        let load = |list: &[T]| V::load(list.as_ptr().add(place));
                        let mut sum = load(g).mul_add(a, load(y).sub(mean).mul_add(b, c));
                        if let Some(direct) = direct {
                            sum = sum.add(load(direct));
                        }
                        sum.store(out.as_mut_ptr().add(place));
                    }
                    place += stride;
                }
                channel += V::LANES;
            }
        });
    }
}

/// The vector of channels that starts at `channel`.
#[inline(always)]
pub(super) fn vector<V: Vector>(list: &[V::Elem], channel: usize) -> V {
    let list = &list[channel..][..V::LANES];
    // SAFETY: the slice holds LANES numbers.
    unsafe { V::load(list.as_ptr()) }
}
