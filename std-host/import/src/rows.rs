//! A matrix that is written entry by entry.

/// Row after row, of so many columns.
pub(super) struct Rows {
    pub(super) columns: usize,
    pub(super) values: Vec<f64>,
}

impl Rows {
    /// Zeros.
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self { columns, values: vec![0.0; rows * columns] }
    }

    /// Writes an entry, if it is one.
    pub(super) fn set(&mut self, row: usize, column: usize, value: f64) {
        if let Some(own) = self.values.get_mut(row * self.columns + column) {
            *own = value;
        }
    }

    /// The product with a vector.
    pub(super) fn times(&self, x: &[f64]) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.columns.max(1));
        rows.map(|row| row.iter().zip(x).map(|(weight, x)| weight * x).sum()).collect()
    }
}
