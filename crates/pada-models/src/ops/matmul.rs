use gemm::Parallelism;

use super::number::Number;

/// A row-major matrix, or the transpose of one.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    pub(super) values: &'a [T],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) order: Order,
}

/// How a matrix lies in memory.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    /// Row by row.
    Rows,
    /// Column by column: the transpose of a row-major matrix.
    Columns,
}

impl<'a, T> Matrix<'a, T> {
    /// `rows × cols`, row by row.
    pub(super) fn new(values: &'a [T], rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "a matrix of {rows} × {cols}");
        Self { values, rows, cols, order: Order::Rows }
    }

    /// Its transpose, without moving anything.
    pub(super) fn transposed(self) -> Self {
        let order = if self.order == Order::Rows { Order::Columns } else { Order::Rows };
        Self { rows: self.cols, cols: self.rows, order, ..self }
    }

    /// Distance of neighbours in a row, and of neighbours in a column.
    fn strides(&self) -> (isize, isize) {
        match self.order {
            Order::Rows => (1, self.cols as isize),
            Order::Columns => (self.rows as isize, 1),
        }
    }
}

/// What happens to the numbers that are there.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Into {
    Overwrite,
    Add,
}

/// `out = a · b` or `out += a · b`; `out` is row-major. On one thread: callers split the work over images.
pub(super) fn matmul<T: Number>(out: &mut [T], a: Matrix<'_, T>, b: Matrix<'_, T>, into: Into) {
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    assert_eq!(out.len(), a.rows * b.cols, "size of a product");
    let ((a_cs, a_rs), (b_cs, b_rs)) = (a.strides(), b.strides());
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let keep = if into == Into::Add { T::one() } else { T::zero() };
    let read = into == Into::Add;
    #[allow(unsafe_code)]
    // SAFETY: gemm reads and writes `rows × cols` numbers at the strides given. `Matrix::new` and the asserts above make all
    // three slices exactly that long; `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            read,
            a.values.as_ptr(),
            a_cs,
            a_rs,
            b.values.as_ptr(),
            b_cs,
            b_rs,
            keep,
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
