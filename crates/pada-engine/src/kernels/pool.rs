use std::ops::Range;

use pada_graph::{Pool, Shape};

use super::WriteMode;
use super::pad_input::{put, vector};
use crate::simd::{Kernel, Number, Unit, Vector};

/// The windows of a pooling: the input pixels that each output pixel covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) pool: Pool,
    pub(crate) input: Shape,
    pub(crate) output: Shape,
    /// Distance between neighbouring pixels in numbers.
    pub(crate) stride: usize,
}

impl Windows {
    pub(crate) fn new(pool: Pool, input: Shape, output: Shape, stride: usize) -> Self {
        Self { pool, input, output, stride }
    }

    /// Returns the rows or columns that the window of output `out` covers.
    #[inline(always)]
    fn range(&self, out: usize, size: usize) -> Range<usize> {
        let start = out * self.pool.stride;
        start.saturating_sub(self.pool.padding)..(start + self.pool.kernel - self.pool.padding).min(size)
    }

    /// Returns, for every output pixel, its offset and the rows and columns that it covers.
    #[inline(always)]
    fn all(self) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
        let Shape { height, width, .. } = self.output;
        (0..height * width).map(move |pixel| {
            let (rows, columns) =
                (self.range(pixel / width, self.input.height), self.range(pixel % width, self.input.width));
            (pixel * self.stride, rows, columns)
        })
    }

    /// Returns whether this is the 3×3 window of a cell, with stride 1 and padding 1.
    fn is_cell(&self) -> bool {
        self.pool == Pool { kernel: 3, stride: 1, padding: 1 }
    }

    #[inline(always)]
    fn place(&self, y: usize, x: usize) -> usize {
        (y * self.input.width + x) * self.stride
    }
}

/// Average pooling of one image. The padding does not count, as with `count_include_pad=False` in PyTorch.
pub(crate) struct AvgPool<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for AvgPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let windows = self.windows;
        if windows.is_cell() {
            return cell_window::<V>(windows, self.x, self.out, self.write_mode, Divide::Result);
        }
        for (place, rows, columns) in windows.all() {
            for channel in (0..windows.stride).step_by(V::LANES) {
                let mut sum = V::zero();
                for y in rows.clone() {
                    for x in columns.clone() {
                        sum = sum.add(vector(self.x, windows.place(y, x) + channel));
                    }
                }
                put(self.out, place + channel, sum.mul(share(rows.len() * columns.len())), self.write_mode);
            }
        }
    }
}

/// The gradient of [`AvgPool`] with respect to its input.
pub(crate) struct AvgPoolGradient<'a, T> {
    pub(crate) gradient: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for AvgPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let windows = self.windows;
        if windows.is_cell() {
            return cell_window::<V>(windows, self.gradient, self.out, self.write_mode, Divide::Terms);
        }
        if self.write_mode == WriteMode::Store {
            self.out.fill(T::ZERO);
        }
        for (place, rows, columns) in windows.all() {
            for channel in (0..windows.stride).step_by(V::LANES) {
                let g = vector::<V>(self.gradient, place + channel).mul(share(rows.len() * columns.len()));
                for y in rows.clone() {
                    for x in columns.clone() {
                        put(self.out, windows.place(y, x) + channel, g, WriteMode::Accumulate);
                    }
                }
            }
        }
    }
}

/// The operand of the division by the number of pixels of a window: the sum in the forward pass, each term in the backward pass.
#[derive(Clone, Copy, PartialEq)]
enum Divide {
    Result,
    Terms,
}

/// Sums over 3×3 windows by columns of three pixels. Each column sum is computed once and used by three windows.
#[inline(always)]
fn cell_window<V: Vector>(
    windows: Windows,
    x: &[V::Elem],
    out: &mut [V::Elem],
    write_mode: WriteMode,
    divide: Divide,
) {
    let Shape { height, width, .. } = windows.input;
    assert!(x.len() == out.len() && x.len() == windows.input.pixels() * windows.stride);
    assert!(windows.stride.is_multiple_of(V::LANES) && width > 0);
    for y in 0..height {
        let rows = windows.range(y, height);
        for channel in (0..windows.stride).step_by(V::LANES) {
            let column = Column::<V> { windows, x, first: rows.start, rows: rows.len(), channel, divide };
            let (mut left, mut middle) = (V::zero(), column.sum(0));
            for at in 0..width {
                let right = if at + 1 < width { column.sum(at + 1) } else { V::zero() };
                let mut sum = left.add(middle).add(right);
                if divide == Divide::Result {
                    sum = sum.mul(share::<V>(rows.len() * windows.range(at, width).len()));
                }
                put(out, windows.place(y, at) + channel, sum, write_mode);
                (left, middle) = (middle, right);
            }
        }
    }
}

#[inline(always)]
fn share<V: Vector>(count: usize) -> V {
    V::splat(V::Elem::from_f64(1.0 / count as f64))
}

/// A column of up to three pixels.
struct Column<'a, V: Vector> {
    windows: Windows,
    x: &'a [V::Elem],
    first: usize,
    rows: usize,
    channel: usize,
    divide: Divide,
}

impl<V: Vector> Column<'_, V> {
    #[inline(always)]
    fn sum(&self, at: usize) -> V {
        let Windows { input: Shape { height, width, .. }, .. } = self.windows;
        let mut sum = V::zero();
        for y in self.first..self.first + self.rows {
            let place = self.windows.place(y, at) + self.channel;
            // SAFETY: y and `at` lie inside the image, and `channel + LANES` is at most the stride.
            let x = unsafe { V::load(self.x.as_ptr().add(place)) };
            sum = match self.divide {
                Divide::Result => sum.add(x),
                Divide::Terms => x.mul_add(share(self.windows.range(y, height).len()), sum),
            };
        }
        match self.divide {
            Divide::Result => sum,
            Divide::Terms => sum.mul(share(self.windows.range(at, width).len())),
        }
    }
}

/// Max pooling of one image.
pub(crate) struct MaxPool<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
}

impl<T: Number, U: Unit> Kernel<T, U> for MaxPool<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        let windows = self.windows;
        for (place, rows, columns) in windows.all() {
            for channel in (0..windows.stride).step_by(V::LANES) {
                let mut best = vector::<V>(self.x, windows.place(rows.start, columns.start) + channel);
                for y in rows.clone() {
                    for x in columns.clone() {
                        let x = vector::<V>(self.x, windows.place(y, x) + channel);
                        best = x.where_larger(x, best, best);
                    }
                }
                put(self.out, place + channel, best, WriteMode::Store);
            }
        }
    }
}

/// The gradient of [`MaxPool`] with respect to its input. The gradient of a window belongs to its first maximum in row order.
pub(crate) struct MaxPoolGradient<'a, T> {
    pub(crate) x: &'a [T],
    pub(crate) gradient: &'a [T],
    pub(crate) windows: Windows,
    pub(crate) out: &'a mut [T],
    pub(crate) write_mode: WriteMode,
}

impl<T: Number, U: Unit> Kernel<T, U> for MaxPoolGradient<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Elem = T, Unit = U>>(self) {
        if self.write_mode == WriteMode::Store {
            self.out.fill(T::ZERO);
        }
        let (windows, half) = (self.windows, V::splat(T::from_f64(0.5)));
        for (place, rows, columns) in windows.all() {
            for channel in (0..windows.stride).step_by(V::LANES) {
                let mut best = vector::<V>(self.x, windows.place(rows.start, columns.start) + channel);
                // Index of the largest input in the window, stored as a floating-point number.
                let (mut largest, mut number) = (V::zero(), V::zero());
                for y in rows.clone() {
                    for x in columns.clone() {
                        let x = vector::<V>(self.x, windows.place(y, x) + channel);
                        largest = number.where_larger(x, best, largest);
                        best = x.where_larger(x, best, best);
                        number = number.add(half).add(half);
                    }
                }
                let g = vector::<V>(self.gradient, place + channel);
                number = V::zero();
                for y in rows.clone() {
                    for x in columns.clone() {
                        let g = g.where_between(largest, number.sub(half), number.add(half));
                        put(self.out, windows.place(y, x) + channel, g, WriteMode::Accumulate);
                        number = number.add(half).add(half);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::isa::Isa;
    use crate::simd::Portable;
    #[cfg(target_arch = "x86_64")]
    use crate::simd::{Avx2, Avx512};

    const STRIDE: usize = 16;

    /// Numbers with few different values, so that there are ties, and one NaN.
    fn numbers(len: usize) -> Vec<f32> {
        let mut list: Vec<f32> = (0..len).map(|i| ((i * 7 + i / 5) % 4) as f32 - 2.0).collect();
        list[len / 2] = f32::NAN;
        list
    }

    /// A reference implementation of values and gradient.
    fn slow(windows: Windows, x: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
        let (mut out, mut grad) = (vec![0.0; gradient.len()], vec![0.0; x.len()]);
        for (to, rows, columns) in windows.all() {
            for channel in 0..STRIDE {
                let places =
                    rows.clone().flat_map(|y| columns.clone().map(move |x| windows.place(y, x) + channel));
                let larger = |a: usize, b: usize| if x[b] > x[a] || x[b].is_nan() { b } else { a };
                let from = places.reduce(larger).unwrap();
                out[to + channel] = x[from];
                grad[from] += gradient[to + channel];
            }
        }
        [out, grad]
    }

    fn check<V: Vector<Elem = f32, Unit = f32>>(windows: Windows) {
        let x = numbers(windows.input.pixels() * STRIDE);
        let gradient: Vec<f32> = (0..windows.output.pixels() * STRIDE).map(|i| (i % 11) as f32).collect();
        let [values, expected_grad] = slow(windows, &x, &gradient);
        let (mut out, mut grad) = (vec![1.0; values.len()], vec![1.0; expected_grad.len()]);
        V::dispatch(MaxPool { x: &x, windows, out: &mut out });
        V::dispatch(MaxPoolGradient {
            x: &x,
            gradient: &gradient,
            windows,
            out: &mut grad,
            write_mode: WriteMode::Store,
        });
        let bits = |list: &[f32]| list.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&out), bits(&values));
        assert_eq!(grad, expected_grad);
    }

    #[test]
    fn of_equal_numbers_the_first_is_largest_and_nan_stays() {
        let shape = |height, width| Shape::new(STRIDE, height, width);
        for (stride, input, output) in
            [(1, shape(5, 7), shape(5, 7)), (2, shape(6, 4), shape(3, 2)), (2, shape(5, 7), shape(3, 4))]
        {
            let windows = Windows::new(Pool { kernel: 3, stride, padding: 1 }, input, output, STRIDE);
            check::<Portable<f32>>(windows);
            #[cfg(target_arch = "x86_64")]
            {
                if Isa::detect() >= Isa::Avx2 {
                    check::<Avx2>(windows);
                }
                if Isa::detect() >= Isa::Avx512 {
                    check::<Avx512>(windows);
                }
            }
        }
    }
}
