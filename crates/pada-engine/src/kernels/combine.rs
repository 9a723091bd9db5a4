use super::pad_input::bounds;
use crate::plan::Activation;
use crate::simd::{Kernel, Number, Unit, Vector};

use super::WriteMode;

/// The coefficients of a batch norm, which computes `(x − mean) · scale + shift`; `[stride]` each.
#[derive(Clone, Copy, Default)]
pub(crate) struct Affine<'a, T> {
    pub(crate) mean: &'a [T],
    pub(crate) scale: &'a [T],
    pub(crate) shift: &'a [T],
}

/// The coefficients of an [`Affine`] for one vector of channels.
#[derive(Clone, Copy)]
pub(super) struct AffineVector<V> {
    mean: V,
    scale: V,
    shift: V,
}

impl<T: Number> Affine<'_, T> {
    /// Returns whether there are coefficients for `stride` channels.
    #[inline(always)]
    pub(super) fn is_for(&self, stride: usize) -> bool {
        [self.mean, self.scale, self.shift].iter().all(|list| list.len() >= stride)
    }

    #[inline(always)]
    pub(super) fn at<V: Vector<Elem = T>>(&self, channel: usize) -> AffineVector<V> {
        assert!(self.is_for(channel + V::LANES));
        // SAFETY: the assertion above has checked the number of channels.
        unsafe { self.at_unchecked(channel) }
    }

    /// # Safety
    /// There must be `LANES` channels from `channel` on.
    #[inline(always)]
    pub(super) unsafe fn at_unchecked<V: Vector<Elem = T>>(&self, channel: usize) -> AffineVector<V> {
        // SAFETY: the caller promises that there are as many channels.
        unsafe {
            AffineVector {
                mean: V::load(self.mean.as_ptr().add(channel)),
                scale: V::load(self.scale.as_ptr().add(channel)),
                shift: V::load(self.shift.as_ptr().add(channel)),
            }
        }
    }
}

impl<V: Vector> AffineVector<V> {
    #[inline(always)]
    pub(super) fn apply(&self, x: V) -> V {
        x.sub(self.mean).mul_add(self.scale, self.shift)
    }
}

/// A sum of normalised images with an activation, as in a node of a cell.
pub(crate) struct Combine<'a, T> {
    /// Images `[H, W, stride]`, each with the norm that is applied before the sum.
    pub(crate) terms: &'a [(&'a [T], Affine<'a, T>)],
    pub(crate) act: Activation,
    pub(crate) stride: usize,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for Combine<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(mut self) {
        assert!(self.stride.is_multiple_of(V::LANES) && self.out.len().is_multiple_of(self.stride));
        assert!(self.terms.iter().all(|(x, _)| x.len() == self.out.len()));
        match self.terms.len() {
            0 if self.write_mode == WriteMode::Store => self.out.fill(T::ZERO),
            0 => {}
            1 => self.sum::<V, 1>(0),
            2 => self.sum::<V, 2>(0),
            3 => self.sum::<V, 3>(0),
            n => {
                for term in 0..n {
                    self.sum::<V, 1>(term);
                    self.write_mode = WriteMode::Accumulate;
                }
            }
        }
        if self.act != Activation::None {
            let (low, high) = bounds::<V>(self.act);
            for at in (0..self.out.len()).step_by(V::LANES) {
                // SAFETY: the length is a multiple of LANES.
                unsafe {
                    let out = self.out.as_mut_ptr().add(at);
                    V::load(out).at_least(low).at_most(high).store(out);
                }
            }
        }
    }
}

impl<T: Number> Combine<'_, T> {
    /// Adds `N` terms, from `first` on.
    #[inline(always)]
    fn sum<V: Vector<Elem = T>, const N: usize>(&mut self, first: usize) {
        let terms = &self.terms[first..first + N];
        assert!(terms.iter().all(|(_, affine)| affine.is_for(self.stride)));
        for pixel in (0..self.out.len()).step_by(self.stride) {
            for channel in (0..self.stride).step_by(V::LANES) {
                let place = pixel + channel;
                // SAFETY: every term is as long as `out`, whose length is a multiple of `stride`, which is a multiple of LANES. Every
                // norm has as many channels.
                unsafe {
                    let out = self.out.as_mut_ptr().add(place);
                    let mut sum =
                        terms[0].1.at_unchecked::<V>(channel).apply(V::load(terms[0].0.as_ptr().add(place)));
                    for (x, affine) in &terms[1..] {
                        sum =
                            sum.add(affine.at_unchecked::<V>(channel).apply(V::load(x.as_ptr().add(place))));
                    }
                    if self.write_mode == WriteMode::Accumulate {
                        sum = sum.add(V::load(out));
                    }
                    sum.store(out);
                }
            }
        }
    }
}

/// Copies a gradient, masked with the derivative of an activation.
pub(crate) struct PassThroughGrad<'a, T> {
    pub(crate) gradient: &'a [T],
    /// Output of the activation, and its kind. `None` copies the gradient unchanged.
    pub(crate) mask: Option<(&'a [T], Activation)>,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for PassThroughGrad<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let len = self.out.len();
        assert!(len.is_multiple_of(V::LANES) && self.gradient.len() == len);
        assert!(self.mask.is_none_or(|(made, _)| made.len() == len));
        for at in (0..len).step_by(V::LANES) {
            // SAFETY: all lists are `len` numbers long, a multiple of LANES.
            unsafe {
                let mut g = V::load(self.gradient.as_ptr().add(at));
                if let Some((made, act)) = self.mask {
                    let (low, high) = bounds::<V>(act);
                    g = g.where_between(V::load(made.as_ptr().add(at)), low, high);
                }
                let out = self.out.as_mut_ptr().add(at);
                if self.write_mode == WriteMode::Accumulate {
                    g = g.add(V::load(out));
                }
                g.store(out);
            }
        }
    }
}
