//! The few matrices that scores need: symmetric ones of one row per image or channel.

use pada_graph::Shape;
use rayon::prelude::*;

/// A symmetric, positive definite matrix as its Cholesky factor.
pub(crate) struct Cholesky {
    n: usize,
    /// `[n, n]`, the lower triangle.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factorises a symmetric matrix `[n, n]`. Returns `None` if it is not positive definite up to rounding.
    pub(crate) fn of(matrix: &[f64], n: usize) -> Option<Self> {
        let largest = (0..n).map(|i| matrix[i * n + i]).fold(0.0, f64::max);
        let least = largest * n as f64 * f64::EPSILON;
        let mut lower = vec![0.0; n * n];
        for row in 0..n {
            for column in 0..=row {
                let dot: f64 = (0..column).map(|k| lower[row * n + k] * lower[column * n + k]).sum();
                let rest = matrix[row * n + column] - dot;
                lower[row * n + column] = if column < row {
                    rest / lower[column * n + column]
                } else if rest > least {
                    rest.sqrt()
                } else {
                    return None;
                };
            }
        }
        Some(Self { n, lower })
    }

    /// Returns the logarithm of the determinant.
    pub(crate) fn log_det(&self) -> f64 {
        (0..self.n).map(|i| 2.0 * self.lower[i * self.n + i].ln()).sum()
    }

    /// Returns the sum of the reciprocal eigenvalues: the trace of the inverse.
    pub(crate) fn inverse_trace(&self) -> f64 {
        let Self { n, lower } = self;
        let mut trace = 0.0;
        let mut column = vec![0.0; *n];
        // The trace of the inverse is the sum of squares of the inverse of the factor, column by column.
        for first in 0..*n {
            for row in first..*n {
                let unit = f64::from(u8::from(row == first));
                let dot: f64 = (first..row).map(|k| lower[row * n + k] * column[k]).sum();
                column[row] = (unit - dot) / lower[row * n + row];
                trace += column[row] * column[row];
            }
        }
        trace
    }
}

/// Computes Pearson's correlations of all pairs of rows, `[rows, rows]`. A constant row has NaN.
pub(crate) fn correlations(rows: &[&[f32]]) -> Vec<f64> {
    let directions: Vec<Vec<f64>> = rows.iter().map(|row| direction(row)).collect();
    let n = rows.len();
    let mut matrix = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = directions[i].iter().zip(&directions[j]).map(|(a, b)| a * b).sum();
            (matrix[i * n + j], matrix[j * n + i]) = (dot.clamp(-1.0, 1.0), dot.clamp(-1.0, 1.0));
        }
        if !matrix[i * n + i].is_nan() {
            matrix[i * n + i] = 1.0;
        }
    }
    matrix
}

/// Subtracts the mean of a row and scales the rest to length 1.
fn direction(row: &[f32]) -> Vec<f64> {
    let mean = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
    let length = row.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>().sqrt();
    row.iter().map(|&x| (f64::from(x) - mean) / length).collect()
}

/// Arranges values `[B, C, H, W]` as one row per pixel, `[B · H/r · W/r, C · r²]`: squares of r × r pixels are one pixel with more channels,
/// as in `torch.nn.functional.pixel_unshuffle`. Height and width are multiples of r.
pub(crate) fn pixel_rows(values: &[f32], shape: Shape, r: usize) -> Vec<f64> {
    let Shape { channels, height, width } = shape;
    let (columns, across) = (channels * r * r, width / r);
    let mut rows = vec![0.0; values.len()];
    let images = rows.chunks_exact_mut(shape.numel()).zip(values.chunks_exact(shape.numel()));
    for (rows, values) in images {
        for (c, plane) in values.chunks_exact(height * width).enumerate() {
            for (y, line) in plane.chunks_exact(width).enumerate() {
                for (x, &value) in line.iter().enumerate() {
                    let column = (c * r + y % r) * r + x % r;
                    rows[(y / r * across + x / r) * columns + column] = f64::from(value);
                }
            }
        }
    }
    rows
}

/// Computes aᵀ·b of two lists of rows, `[n, p]` and `[n, q]`. Returns `[p, q]`, the same bits for any number of threads.
pub(crate) fn products(a: &[f64], p: usize, b: &[f64], q: usize) -> Vec<f64> {
    /// Rows that a thread multiplies at a time.
    const ROWS: usize = 4096;
    let part = |(a, b): (&[f64], &[f64])| {
        let mut sums = vec![0.0; p * q];
        for (a, b) in a.chunks_exact(p).zip(b.chunks_exact(q)) {
            for (sums, &a) in sums.chunks_exact_mut(q).zip(a) {
                sums.iter_mut().zip(b).for_each(|(sum, &b)| *sum += a * b);
            }
        }
        sums
    };
    let parts: Vec<Vec<f64>> = a.par_chunks(ROWS * p).zip(b.par_chunks(ROWS * q)).map(part).collect();
    let mut total = vec![0.0; p * q];
    parts.iter().for_each(|part| total.iter_mut().zip(part).for_each(|(total, sum)| *total += sum));
    total
}

/// Computes the eigenvalues of a symmetric matrix `[n, n]`, in no particular order, by rotations that make its off-diagonal numbers zero
/// (Jacobi, 1846; Golub & Van Loan, *Matrix Computations*, section 8.5). They are NaN if a number of the matrix is.
pub(crate) fn symmetric_eigenvalues(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    /// Rotations converge quadratically; usually six to ten sweeps are enough.
    const SWEEPS: usize = 50;
    let size: f64 = matrix.iter().map(|x| x * x).sum();
    if !size.is_finite() {
        return vec![f64::NAN; n];
    }
    for _ in 0..SWEEPS {
        let rest: f64 =
            (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| matrix[i * n + j].powi(2)).sum();
        if rest <= size * f64::EPSILON * f64::EPSILON {
            break;
        }
        for i in 0..n {
            for j in 0..i {
                rotate(&mut matrix, n, i, j);
            }
        }
    }
    (0..n).map(|i| matrix[i * n + i]).collect()
}

/// Rotates rows and columns i and j so that their common number becomes zero.
fn rotate(matrix: &mut [f64], n: usize, i: usize, j: usize) {
    let off = matrix[i * n + j];
    if off == 0.0 {
        return;
    }
    let theta = (matrix[j * n + j] - matrix[i * n + i]) / (2.0 * off);
    let tan = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cos = 1.0 / tan.hypot(1.0);
    let sin = tan * cos;
    for k in 0..n {
        let (a, b) = (matrix[i * n + k], matrix[j * n + k]);
        (matrix[i * n + k], matrix[j * n + k]) = (cos * a - sin * b, sin * a + cos * b);
    }
    for k in 0..n {
        let (a, b) = (matrix[k * n + i], matrix[k * n + j]);
        (matrix[k * n + i], matrix[k * n + j]) = (cos * a - sin * b, sin * a + cos * b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn determinant_and_inverse_are_those_of_the_eigenvalues() {
        // The eigenvalues of [[a, b], [b, a]] are a + b and a − b.
        let factor = Cholesky::of(&[3.0, 1.0, 1.0, 3.0], 2).unwrap();
        assert!((factor.log_det() - 8.0_f64.ln()).abs() < 1e-14);
        assert!((factor.inverse_trace() - (0.25 + 0.5)).abs() < 1e-14);
        assert!(Cholesky::of(&[1.0, 1.0, 1.0, 1.0], 2).is_none(), "singular");
        assert!(Cholesky::of(&[1.0, 2.0, 2.0, 1.0], 2).is_none(), "indefinite");
    }

    #[test]
    fn eigenvalues_are_those_of_a_matrix_that_was_made_of_them() {
        let n = 24;
        let expected: Vec<f64> = (0..n).map(|i| if i < 3 { 0.0 } else { 2.0_f64.powi(i) - 40.0 }).collect();
        let mut matrix = vec![0.0; (n * n) as usize];
        let n = n as usize;
        (0..n).for_each(|i| matrix[i * n + i] = expected[i]);
        // A reflection across a vector, on both sides.
        let vector: Vec<f64> = (0..n).map(|i| (i as f64 * 0.7).sin() + 0.1).collect();
        let square: f64 = vector.iter().map(|x| x * x).sum();
        let mirror = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * vector[i] * vector[j] / square;
        let reflected =
            |i: usize, j: usize| (0..n).map(|k| mirror(i, k) * expected[k] * mirror(k, j)).sum::<f64>();
        (0..n).for_each(|i| (0..n).for_each(|j| matrix[i * n + j] = reflected(i, j)));
        let mut found = symmetric_eigenvalues(matrix, n);
        let mut expected = expected;
        found.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        let size = expected[n - 1];
        assert!(
            found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-13 * size),
            "{found:?}, expected {expected:?}"
        );
        assert!(symmetric_eigenvalues(vec![1.0, f64::NAN, f64::NAN, 1.0], 2).iter().all(|v| v.is_nan()));
    }

    #[test]
    fn squares_of_pixels_become_channels_and_products_sum_over_rows() {
        // Two images of one channel and 2×4 pixels; torch.nn.functional.pixel_unshuffle(x, 2).permute(0, 2, 3, 1).
        let values: Vec<f32> = (0..16_u8).map(f32::from).collect();
        let rows = pixel_rows(&values, Shape::new(1, 2, 4), 2);
        let expected = [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15].map(f64::from);
        assert_eq!(rows, expected);
        assert_eq!(products(&[1.0, 2.0, 3.0, 4.0], 2, &[5.0, 7.0], 1), [5.0 + 21.0, 10.0 + 28.0]);
    }

    #[test]
    fn correlations_are_those_of_numpy() {
        // numpy.corrcoef([[1, 2, 4], [2, 1, 0], [1, 1, 1]])
        let found = correlations(&[&[1.0, 2.0, 4.0], &[2.0, 1.0, 0.0], &[1.0; 3]]);
        assert!((found[1] + 0.981_980_506_061_965_8).abs() < 1e-12, "{found:?}");
        assert_eq!([found[0], found[4]], [1.0, 1.0]);
        assert!(found[8].is_nan() && found[2].is_nan());
    }
}
