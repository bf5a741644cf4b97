//! One row times a matrix: every word of the matrix is used once, so it is read as it lies and
//! nothing is copied.

use super::matrix::{Matrix, Runs};
use super::word::Word;

/// Rows that are read side by side.
const ROWS: usize = 4;

/// `sum += x y` for an `x` of one row.
pub fn add_row<R: Word>(x: Matrix<'_, R>, y: Matrix<'_, R>, sum: &mut [R]) {
    let gathered: Vec<R>;
    let row = if x.runs == Runs::Rows {
        x.words.get(x.starts.at(0)..).and_then(|words| words.get(..x.columns)).unwrap_or_default()
    } else {
        gathered =
            (0..x.columns).map_while(|term| x.words.get(x.starts.at(term)).copied()).collect();
        &gathered
    };
    let Some(sum) = sum.get_mut(..y.columns) else { return };
    match y.runs {
        Runs::Rows => add_combination(row, y, sum),
        Runs::Columns => add_dots(row, y, sum),
    }
}

/// Adds rows of `y`, each times its word of `row`.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512dq+avx512bw+avx512vl",
    "x86_64+avx2",
    "x86_64+sse4.1"
))]
fn add_combination<R: Word>(row: &[R], y: Matrix<'_, R>, sum: &mut [R]) {
    let run = |term: usize| {
        y.words.get(y.starts.at(term)..).and_then(|run| run.get(..sum.len())).unwrap_or_default()
    };
    let whole = row.len() / ROWS * ROWS;
    let mut sums = vec![R::ZERO; sum.len()];
    for term in (0..whole).step_by(ROWS) {
        let &[a, b, c, d] = row[term..].first_chunk::<ROWS>().unwrap_or(&[R::ZERO; ROWS]);
        let runs = run(term).iter().zip(run(term + 1)).zip(run(term + 2)).zip(run(term + 3));
        for (sum, (((&p, &q), &r), &s)) in sums.iter_mut().zip(runs) {
            *sum = sum.add(a.mul(p)).add(b.mul(q).add(c.mul(r)).add(d.mul(s)));
        }
    }
    for (term, &word) in row.iter().enumerate().skip(whole) {
        for (sum, &value) in sums.iter_mut().zip(run(term)) {
            *sum = sum.add(word.mul(value));
        }
    }
    for (sum, more) in sum.iter_mut().zip(sums) {
        *sum = sum.add(more);
    }
}

/// Adds to each sum the inner product of `row` and a column of `y`.
#[multiversion::multiversion(targets(
    "x86_64+avx512f+avx512dq+avx512bw+avx512vl",
    "x86_64+avx2",
    "x86_64+sse4.1"
))]
fn add_dots<R: Word>(row: &[R], y: Matrix<'_, R>, sum: &mut [R]) {
    let run = |column: usize| {
        y.words.get(y.starts.at(column)..).and_then(|run| run.get(..row.len())).unwrap_or_default()
    };
    let mut groups = sum.chunks_exact_mut(ROWS);
    let mut column = 0;
    for group in &mut groups {
        let runs =
            run(column).iter().zip(run(column + 1)).zip(run(column + 2)).zip(run(column + 3));
        let mut sums = [R::ZERO; ROWS];
        for (&word, (((&a, &b), &c), &d)) in row.iter().zip(runs) {
            sums[0] = sums[0].add(word.mul(a));
            sums[1] = sums[1].add(word.mul(b));
            sums[2] = sums[2].add(word.mul(c));
            sums[3] = sums[3].add(word.mul(d));
        }
        for (sum, more) in group.iter_mut().zip(sums) {
            *sum = sum.add(more);
        }
        column += ROWS;
    }
    for (sum, column) in groups.into_remainder().iter_mut().zip(column..) {
        *sum =
            row.iter().zip(run(column)).fold(*sum, |sum, (&word, &value)| sum.add(word.mul(value)));
    }
}
