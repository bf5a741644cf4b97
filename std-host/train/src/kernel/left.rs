//! The left operand of a tile, and how large a tile is.

/// Rows of a tile.
pub const ROWS: usize = 6;
/// Columns of a full tile.
pub const COLUMNS: usize = 16;
/// Columns of a half tile: for what is left at the right.
pub const HALF: usize = 8;

/// Some rows of the left operand.
#[derive(Clone, Copy)]
pub enum Left<'a, R> {
    /// Rows, run by run.
    Rows([&'a [R]; ROWS]),
    /// Columns: where in the words each begins.
    Columns(&'a [R], &'a [usize]),
}

impl<R> core::fmt::Debug for Left<'_, R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Left(<redacted>)")
    }
}
