//! A product on one core: blocks that fit the caches, made of tiles that fit the registers.
//!
//! The right operand is cut into panels of [`COLUMNS`] columns. Where many rows pass over them they
//! are copied first, so that a panel is one run of memory; elsewhere they are read in place. The
//! left operand is always read in place.
//!
//! The columns of a tile are what vector instructions are wide in, so a product may be done the
//! other way round, `(Y^T X^T)^T`: an estimate of both costs decides.

use super::left::{COLUMNS, HALF, Left, ROWS};
use super::matrix::{Matrix, Runs, Starts};
use super::tile::tile;
use super::vector;
use super::word::Word;

/// Terms that a tile sums up before it is added to the result: its rows of the left operand stay in
/// the first cache.
const DEPTH: usize = 256;
/// Bytes of copied panels: they stay in the second cache while all rows pass over them.
const PANELS_BYTES: usize = 256 << 10;
/// From so many rows on, the right operand is copied before use.
const COPY_ROWS: usize = 48;

/// Columns that are copied side by side where they are runs.
const GROUP: usize = 4;

/// Where the rows of a copied panel begin.
static PANEL_STARTS: [usize; DEPTH] = multiples(COLUMNS);
/// Where the columns of copied rows begin.
static LAST_ROWS_STARTS: [usize; DEPTH] = multiples(ROWS);

const fn multiples(of: usize) -> [usize; DEPTH] {
    let mut multiples = [0; DEPTH];
    let mut index = 0;
    while index < DEPTH {
        multiples[index] = index * of;
        index += 1;
    }
    multiples
}

/// Memory that is used again from product to product.
#[derive(Default)]
pub struct Scratch<R> {
    panels: Vec<R>,
    last_rows: Vec<R>,
}

/// Where a product is added: rows are runs.
pub struct Sum<'a, R> {
    /// The words.
    pub words: &'a mut [R],
    /// Where rows begin.
    pub starts: Starts<'a>,
}

/// `sum += x y` on this core.
pub fn add_product<R: Word>(
    x: Matrix<'_, R>,
    y: Matrix<'_, R>,
    sum: Sum<'_, R>,
    scratch: &mut Scratch<R>,
) {
    if x.rows == 0 || x.columns == 0 || y.columns == 0 {
        return;
    }
    let Starts::Even(stride) = sum.starts else {
        return blocks::<R, false>(x, y, sum.words, sum.starts, scratch);
    };
    if x.rows == 1 {
        return vector::add_row(x, y, sum.words);
    }
    if y.columns == 1 && stride == 1 {
        return vector::add_row(y.transposed(), x.transposed(), sum.words);
    }
    let (xt, yt) = (x.transposed(), y.transposed());
    if cost(&x, &y)
        <= cost(&yt, &xt).saturating_add(
            x.rows.saturating_mul(y.columns).saturating_mul(x.columns.div_ceil(DEPTH)),
        )
    {
        blocks::<R, false>(x, y, sum.words, sum.starts, scratch);
    } else {
        blocks::<R, true>(yt, xt, sum.words, sum.starts, scratch);
    }
}

/// About how many cycles a product takes: one for a product of vectors of [`HALF`] words, one for
/// each word that changes its place among others, and a quarter for each that is copied with its
/// neighbours.
fn cost<R>(x: &Matrix<'_, R>, y: &Matrix<'_, R>) -> usize {
    let tiles = x
        .rows
        .next_multiple_of(ROWS)
        .saturating_mul(y.columns.div_ceil(HALF))
        .saturating_mul(y.rows);
    let words = y.rows.saturating_mul(y.columns);
    let copies = match y.runs {
        Runs::Columns => words,
        Runs::Rows if x.rows >= COPY_ROWS => words / 4,
        Runs::Rows => 0,
    };
    tiles.saturating_add(copies)
}

/// `sum += x y`, or `sum += (x y)^T` if `TURNED`.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512dq+avx512bw+avx512vl",
    "x86_64+avx2",
    "x86_64+sse4.1"
))]
fn blocks<R: Word, const TURNED: bool>(
    x: Matrix<'_, R>,
    y: Matrix<'_, R>,
    sum: &mut [R],
    sum_starts: Starts<'_>,
    Scratch { panels, last_rows }: &mut Scratch<R>,
) {
    let widest = PANELS_BYTES / DEPTH / size_of::<R>();
    for first_term in (0..x.columns).step_by(DEPTH) {
        let depth = DEPTH.min(x.columns - first_term);
        let x = x.some_columns(first_term, depth);
        let left_columns = LeftColumns::new(x, last_rows);
        for first_column in (0..y.columns).step_by(widest) {
            let width = widest.min(y.columns - first_column);
            let y = y.some_rows(first_term, depth).some_columns(first_column, width);
            let panels = Panels::new(y, x.rows, panels);
            let end = (x.rows, first_column + width);
            for row in (0..x.rows).step_by(ROWS) {
                let left = left_columns.left(x, row);
                for first in (0..width).step_by(COLUMNS) {
                    let corner = (row, first_column + first);
                    let (words, starts) = panels.get(first);
                    if width - first > HALF {
                        let mut sums = [[R::ZERO; COLUMNS]; ROWS];
                        tile(left, words, starts, &mut sums);
                        add_tile::<R, COLUMNS, TURNED>(&sums, corner, end, sum, sum_starts);
                    } else {
                        let mut sums = [[R::ZERO; HALF]; ROWS];
                        tile(left, words, starts, &mut sums);
                        add_tile::<R, HALF, TURNED>(&sums, corner, end, sum, sum_starts);
                    }
                }
            }
        }
    }
}

/// The right operand of a block.
struct Panels<'a, R> {
    in_place: &'a [R],
    in_place_starts: [usize; DEPTH],
    /// Columns that are read in place.
    in_place_columns: usize,
    copied: &'a [R],
    depth: usize,
}

impl<'a, R: Word> Panels<'a, R> {
    /// Panels of `y`, over which `rows` rows will pass.
    #[inline(always)]
    fn new(y: Matrix<'a, R>, rows: usize, copied: &'a mut Vec<R>) -> Self {
        let in_place_columns = match y.runs {
            Runs::Rows if rows < COPY_ROWS || matches!(y.starts, Starts::Listed(_)) => {
                y.columns / COLUMNS * COLUMNS
            }
            _ => 0,
        };
        let panel = y.rows * COLUMNS;
        let copied_elems = (y.columns - in_place_columns).div_ceil(COLUMNS) * panel;
        if copied.len() < copied_elems {
            copied.resize(copied_elems, R::ZERO);
        }
        for (index, to) in copied.chunks_exact_mut(panel).take(copied_elems / panel).enumerate() {
            let first = in_place_columns + index * COLUMNS;
            let y = y.some_columns(first, COLUMNS.min(y.columns - first));
            match y.runs {
                Runs::Rows => copy_rows(y, to),
                Runs::Columns => copy_columns(y, to),
            }
        }
        Self {
            in_place: y.words,
            in_place_starts: core::array::from_fn(|term| {
                if term < y.rows { y.starts.at(term) } else { 0 }
            }),
            in_place_columns,
            copied,
            depth: y.rows,
        }
    }

    /// The panel that begins at a column, and where its rows begin.
    #[inline(always)]
    fn get(&self, column: usize) -> (&[R], &[usize]) {
        if column < self.in_place_columns {
            (&self.in_place[column..], &self.in_place_starts[..self.depth])
        } else {
            (
                &self.copied[(column - self.in_place_columns) * self.depth..],
                &PANEL_STARTS[..self.depth],
            )
        }
    }
}

/// Copies a panel whose rows are runs; the columns that it lacks are zeros.
#[inline(always)]
fn copy_rows<R: Word>(y: Matrix<'_, R>, to: &mut [R]) {
    for (row, to) in to.chunks_exact_mut(COLUMNS).enumerate() {
        let Some(from) = y.words.get(y.starts.at(row)..) else { continue };
        if let (COLUMNS, Some(from)) = (y.columns, from.first_chunk::<COLUMNS>()) {
            to.copy_from_slice(from);
        } else {
            for (column, to) in to.iter_mut().enumerate() {
                *to = if column < y.columns {
                    from.get(column).copied().unwrap_or_default()
                } else {
                    R::ZERO
                };
            }
        }
    }
}

/// Copies a panel whose columns are runs; the columns that it lacks are zeros.
#[inline(always)]
fn copy_columns<R: Word>(y: Matrix<'_, R>, to: &mut [R]) {
    let run = |column: usize| {
        let run = if column < y.columns { y.words.get(y.starts.at(column)..) } else { None };
        run.unwrap_or_default().get(..y.rows)
    };
    for column in (0..COLUMNS).step_by(GROUP) {
        let runs = [run(column), run(column + 1), run(column + 2), run(column + 3)];
        if let [Some(a), Some(b), Some(c), Some(d)] = runs {
            let terms = a.iter().zip(b).zip(c).zip(d);
            for (to, (((&a, &b), &c), &d)) in to.chunks_exact_mut(COLUMNS).zip(terms) {
                to[column..column + GROUP].copy_from_slice(&[a, b, c, d]);
            }
        } else {
            for (term, to) in to.chunks_exact_mut(COLUMNS).enumerate() {
                for (to, run) in to[column..column + GROUP].iter_mut().zip(runs) {
                    *to = run.map_or(R::ZERO, |run| run[term]);
                }
            }
        }
    }
}

/// Where the left operand's columns begin, if they are runs, and the last rows of such an operand,
/// copied.
struct LeftColumns<'a, R> {
    starts: [usize; DEPTH],
    copied: &'a [R],
}

impl<'s, R: Word> LeftColumns<'s, R> {
    #[inline(always)]
    fn new(x: Matrix<'_, R>, copied: &'s mut Vec<R>) -> Self {
        let mut starts = [0; DEPTH];
        if x.runs == Runs::Columns {
            let last = x.rows / ROWS * ROWS;
            copied.resize(ROWS * DEPTH, R::ZERO);
            for (term, (start, copied)) in
                starts.iter_mut().zip(copied.chunks_exact_mut(ROWS)).enumerate().take(x.columns)
            {
                *start = x.starts.at(term);
                for (row, copied) in (last..x.rows).zip(copied) {
                    *copied = x.words.get(*start + row).copied().unwrap_or_default();
                }
            }
        }
        Self { starts, copied }
    }

    /// Rows from row `first` on. Of rows that run, those that `x` lacks are the last one again.
    #[inline(always)]
    fn left<'a>(&'a self, x: Matrix<'a, R>, first: usize) -> Left<'a, R> {
        match x.runs {
            Runs::Rows => Left::Rows(core::array::from_fn(|row| {
                x.words.get(x.starts.at((first + row).min(x.rows - 1))..).unwrap_or_default()
            })),
            Runs::Columns if first + ROWS <= x.rows => {
                Left::Columns(x.words.get(first..).unwrap_or_default(), &self.starts)
            }
            Runs::Columns => Left::Columns(self.copied, &LAST_ROWS_STARTS),
        }
    }
}

/// Adds a tile to the result; what is beyond `end` belongs to no row or column.
#[inline(always)]
fn add_tile<R: Word, const C: usize, const TURNED: bool>(
    sums: &[[R; C]; ROWS],
    corner: (usize, usize),
    end: (usize, usize),
    to: &mut [R],
    starts: Starts<'_>,
) {
    let (rows, columns) = (ROWS.min(end.0 - corner.0), C.min(end.1 - corner.1));
    if TURNED {
        for column in 0..columns {
            let Some(to) = to.get_mut(starts.at(corner.1 + column) + corner.0..) else { continue };
            if let (ROWS, Some(to)) = (rows, to.first_chunk_mut::<ROWS>()) {
                for (to, sums) in to.iter_mut().zip(sums) {
                    *to = to.add(sums[column]);
                }
            } else {
                for (to, sums) in to.iter_mut().zip(&sums[..rows]) {
                    *to = to.add(sums[column]);
                }
            }
        }
        return;
    }
    for (row, sums) in sums.iter().enumerate().take(rows) {
        let Some(to) = to.get_mut(starts.at(corner.0 + row) + corner.1..) else { continue };
        if let (true, Some(to)) = (columns == C, to.first_chunk_mut::<C>()) {
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = to.add(*sum);
            }
        } else {
            for (to, sum) in to.iter_mut().zip(&sums[..columns]) {
                *to = to.add(*sum);
            }
        }
    }
}
