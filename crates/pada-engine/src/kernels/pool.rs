use pada_graph::{Pool, Shape};

use super::Into;
use super::stage::vector;
use crate::simd::{Kernel, Number, Vector};

/// Which input pixels each output pixel of a pooling covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pool: Pool,
    input: Shape,
    output: Shape,
    /// Numbers from a pixel to the next.
    stride: usize,
}

impl Windows {
    pub(crate) fn new(pool: Pool, input: Shape, output: Shape, stride: usize) -> Self {
        Self { pool, input, output, stride }
    }

    /// Rows or columns that the window at `out` covers.
    #[inline(always)]
    fn range(&self, out: usize, size: usize) -> std::ops::Range<usize> {
        let start = out * self.pool.stride;
        start.saturating_sub(self.pool.padding)..(start + self.pool.kernel - self.pool.padding).min(size)
    }

    /// Calls `visit(output place, rows, columns)` for every output pixel.
    #[inline(always)]
    fn for_each(&self, mut visit: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>)) {
        for y in 0..self.output.height {
            let rows = self.range(y, self.input.height);
            for x in 0..self.output.width {
                let place = (y * self.output.width + x) * self.stride;
                visit(place, rows.clone(), self.range(x, self.input.width));
            }
        }
    }

    /// Whether it is the 3×3 window of a cell: as many outputs as inputs, a border of one.
    fn is_cell(&self) -> bool {
        self.pool == Pool { kernel: 3, stride: 1, padding: 1 }
    }

    #[inline(always)]
    fn place(&self, y: usize, x: usize) -> usize {
        (y * self.input.width + x) * self.stride
    }
}

/// Average pooling of one image, the padding not counted.
pub(crate) struct AvgPool<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
    pub(crate) into: Into,
}

impl<T: Number> Kernel<T> for AvgPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let windows = self.windows;
        if windows.is_cell() {
            return cell_window::<V>(windows, self.x, self.out, self.into, Divide::Result);
        }
        windows.for_each(|place, rows, columns| {
            let share = V::splat(T::from_f64(1.0 / (rows.len() * columns.len()) as f64));
            for channel in (0..windows.stride).step_by(V::LANES) {
                let mut sum = V::zero();
                for y in rows.clone() {
                    for x in columns.clone() {
                        sum = sum.add(vector(self.x, windows.place(y, x) + channel));
                    }
                }
                put(self.out, place + channel, sum.mul(share), self.into);
            }
        });
    }
}

/// The gradient of [`AvgPool`] with respect to its input.
pub(crate) struct AvgPoolGradient<'a, T> {
    pub(crate) gradient: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
    pub(crate) into: Into,
}

impl<T: Number> Kernel<T> for AvgPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        let windows = self.windows;
        if windows.is_cell() {
            return cell_window::<V>(windows, self.gradient, self.out, self.into, Divide::Terms);
        }
        if self.into == Into::Set {
            self.out.fill(T::ZERO);
        }
        windows.for_each(|place, rows, columns| {
            let share = V::splat(T::from_f64(1.0 / (rows.len() * columns.len()) as f64));
            for channel in (0..windows.stride).step_by(V::LANES) {
                let g = vector::<V>(self.gradient, place + channel).mul(share);
                for y in rows.clone() {
                    for x in columns.clone() {
                        put(self.out, windows.place(y, x) + channel, g, Into::Add);
                    }
                }
            }
        });
    }
}

/// Where the number of pixels of a window divides: forward the sum, backward each term.
#[derive(Clone, Copy, PartialEq)]
enum Divide {
    Result,
    Terms,
}

/// Sums over 3×3 windows, a column of three at a time: the columns on the left are kept while the window moves to the right.
#[inline(always)]
fn cell_window<V: Vector>(windows: Windows, x: &[V::Elem], out: &mut [V::Elem], into: Into, divide: Divide) {
    let Shape { height, width, .. } = windows.input;
    assert!(x.len() == out.len() && x.len() == windows.input.pixels() * windows.stride);
    let share = |at: usize, size: usize| 1.0 / windows.range(at, size).len() as f64;
    let splat = |value: f64| V::splat(V::Elem::from_f64(value));
    for y in 0..height {
        let rows = windows.range(y, height);
        let row_share = if divide == Divide::Result { share(y, height) } else { 1.0 };
        for channel in (0..windows.stride).step_by(V::LANES) {
            let column = |at: usize| {
                if at >= width {
                    return V::zero();
                }
                let mut sum = V::zero();
                for y in rows.clone() {
                    // SAFETY: y and `at` lie inside the image, and `channel + LANES` is at most the stride.
                    let value = unsafe { V::load(x.as_ptr().add(windows.place(y, at) + channel)) };
                    sum = match divide {
                        Divide::Result => sum.add(value),
                        Divide::Terms => value.mul_add(splat(share(y, height)), sum),
                    };
                }
                if divide == Divide::Terms { sum.mul(splat(share(at, width))) } else { sum }
            };
            let (mut left, mut middle) = (V::zero(), column(0));
            for at in 0..width {
                let right = column(at + 1);
                let mut sum = left.add(middle).add(right);
                if divide == Divide::Result {
                    sum = sum.mul(splat(row_share * share(at, width)));
                }
                put(out, windows.place(y, at) + channel, sum, into);
                (left, middle) = (middle, right);
            }
        }
    }
}

#[inline(always)]
fn put<V: Vector>(out: &mut [V::Elem], place: usize, mut value: V, into: Into) {
    let out = &mut out[place..][..V::LANES];
    // SAFETY: the slice holds LANES numbers.
    unsafe {
        if into == Into::Add {
            value = value.add(V::load(out.as_ptr()));
        }
        value.store(out.as_mut_ptr());
    }
}

/// Max pooling of one image.
pub(crate) struct MaxPool<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
}

impl<T: Number> Kernel<T> for MaxPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        for_each_largest(self.windows, self.x, |to, from| self.out[to] = self.x[from]);
    }
}

/// The gradient of [`MaxPool`]: it goes to the first of the largest numbers of a window, in row order.
pub(crate) struct MaxPoolGradient<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) gradient: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
    pub(crate) into: Into,
}

impl<T: Number> Kernel<T> for MaxPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T>>(self) {
        if self.into == Into::Set {
            self.out.fill(T::ZERO);
        }
        for_each_largest(self.windows, self.x, |to, from| self.out[from] += self.gradient[to]);
    }
}

/// Calls `visit(output place, place of its largest input)` for every pixel and channel; a NaN counts as largest, so that it
/// stays visible.
#[inline(always)]
fn for_each_largest<T: Number>(windows: Windows, x: &[T], mut visit: impl FnMut(usize, usize)) {
    windows.for_each(|to, rows, columns| {
        for channel in 0..windows.stride {
            let places =
                rows.clone().flat_map(|y| columns.clone().map(move |x| windows.place(y, x) + channel));
            let larger = |a: usize, b: usize| if x[b] > x[a] || x[b].to_f64().is_nan() { b } else { a };
            let from = places.reduce(larger).expect("padding is at most half a window");
            visit(to + channel, from);
        }
    });
}
