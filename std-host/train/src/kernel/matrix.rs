//! Matrices as runs of neighbouring words: rows or columns of a slice, at even distances or at
//! listed places.

use super::word::Word;

/// Where runs begin.
#[derive(Clone, Copy, Debug)]
pub enum Starts<'a> {
    /// Run `i` begins at `i` times so many words.
    Even(usize),
    /// Run `i` begins at the `i`-th of these.
    Listed(&'a [usize]),
}

impl Starts<'_> {
    /// Where run `index` begins; beyond every slice if there is no such run.
    #[inline(always)]
    pub fn at(&self, index: usize) -> usize {
        match self {
            Self::Even(stride) => index * stride,
            Self::Listed(starts) => starts.get(index).copied().unwrap_or(usize::MAX >> 1),
        }
    }

    fn skip(&self, runs: usize) -> Self {
        match self {
            Self::Even(stride) => Self::Even(*stride),
            Self::Listed(starts) => Self::Listed(starts.get(runs..).unwrap_or_default()),
        }
    }
}

/// What the runs of a matrix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Rows are runs.
    Rows,
    /// Columns are runs.
    Columns,
}

/// A matrix in a slice that may hold more.
#[derive(Clone, Copy)]
pub struct Matrix<'a, R> {
    /// The words.
    pub words: &'a [R],
    /// Where its runs begin.
    pub starts: Starts<'a>,
    /// What its runs are.
    pub runs: Runs,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

impl<'a, R: Word> Matrix<'a, R> {
    /// `words` as `rows x columns`, row after row.
    pub fn by_rows(words: &'a [R], rows: usize, columns: usize) -> Self {
        Self { words, starts: Starts::Even(columns), runs: Runs::Rows, rows, columns }
    }

    /// Columns for rows. Nothing moves.
    pub fn transposed(self) -> Self {
        let runs = if self.runs == Runs::Rows { Runs::Columns } else { Runs::Rows };
        Self { runs, rows: self.columns, columns: self.rows, ..self }
    }

    /// `count` rows from row `first` on.
    pub fn some_rows(self, first: usize, count: usize) -> Self {
        match self.runs {
            Runs::Rows => {
                let words = match self.starts {
                    Starts::Even(stride) => self.words.get(first * stride..).unwrap_or_default(),
                    Starts::Listed(_) => self.words,
                };
                Self { words, starts: self.starts.skip(first), rows: count, ..self }
            }
            Runs::Columns => {
                Self { words: self.words.get(first..).unwrap_or_default(), rows: count, ..self }
            }
        }
    }

    /// `count` columns from column `first` on.
    pub fn some_columns(self, first: usize, count: usize) -> Self {
        self.transposed().some_rows(first, count).transposed()
    }
}
