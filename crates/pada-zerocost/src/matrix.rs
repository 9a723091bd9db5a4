//! The few matrices that scores need: symmetric ones of one row per image.

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
    fn correlations_are_those_of_numpy() {
        // numpy.corrcoef([[1, 2, 4], [2, 1, 0], [1, 1, 1]])
        let found = correlations(&[&[1.0, 2.0, 4.0], &[2.0, 1.0, 0.0], &[1.0; 3]]);
        assert!((found[1] + 0.981_980_506_061_965_8).abs() < 1e-12, "{found:?}");
        assert_eq!([found[0], found[4]], [1.0, 1.0]);
        assert!(found[8].is_nan() && found[2].is_nan());
    }
}
