//! Products of matrices in double precision.

/// Rows of `b` that are gone through for all rows of `a` before the next ones: so many stay in the
/// cache.
const BLOCK: usize = 64;

/// How a matrix lies in a slice: element `(row, column)` is at `row * rows + column * columns`.
#[derive(Clone, Copy)]
pub(super) struct Strides {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Strides {
    /// Row by row, `width` columns.
    pub(super) const fn plain(width: usize) -> Self {
        Self { rows: width, columns: 1 }
    }

    /// The transpose of what lies row by row with `width` columns.
    pub(super) const fn transposed(width: usize) -> Self {
        Self { rows: 1, columns: width }
    }
}

/// `c += a b`, with `a` of `m x k` as its strides say, `b` of `k x n` and `c` of `m x n` row by
/// row. What does not fit is left out.
///
/// Without fused operations: the result does not depend on the processor.
#[multiversion::multiversion(targets("x86_64+avx2", "x86_64+sse4.1"))]
pub(super) fn add_product(a: &[f64], strides: Strides, b: &[f64], n: usize, c: &mut [f64]) {
    let n = n.max(1);
    let at = |row: usize, column: usize| {
        a.get(row * strides.rows + column * strides.columns).copied().unwrap_or(0.0)
    };
    for (block, b) in b.chunks(BLOCK * n).enumerate() {
        for (row, c) in c.chunks_exact_mut(n).enumerate() {
            let mut column = block * BLOCK;
            for four in b.chunks(4 * n) {
                let factors = [
                    at(row, column),
                    at(row, column + 1),
                    at(row, column + 2),
                    at(row, column + 3),
                ];
                let (b0, rest) = four.split_at(n.min(four.len()));
                let (b1, rest) = rest.split_at(n.min(rest.len()));
                let (b2, b3) = rest.split_at(n.min(rest.len()));
                if b3.len() == n {
                    for ((((c, b0), b1), b2), b3) in c.iter_mut().zip(b0).zip(b1).zip(b2).zip(b3) {
                        *c += factors[0] * b0 + factors[1] * b1 + factors[2] * b2 + factors[3] * b3;
                    }
                } else {
                    for (factor, b) in factors.iter().zip([b0, b1, b2]) {
                        c.iter_mut().zip(b).for_each(|(c, b)| *c += factor * b);
                    }
                }
                column += 4;
            }
        }
    }
}

/// The transpose of a matrix that lies row by row with `width` columns.
pub(super) fn transpose(matrix: &[f64], width: usize) -> Vec<f64> {
    let columns = (0..width).flat_map(|column| matrix.iter().skip(column).step_by(width.max(1)));
    columns.copied().collect()
}
