//! Products on the cores of the rayon pool that the call runs in.

use rayon::prelude::*;

use super::block::{Scratch, Sum, add_product};
use super::matrix::{Matrix, Starts};
use super::word::Word;

/// From so many multiplications and additions on, waking other threads pays.
const SPLIT: u64 = 1 << 20;
/// Rows or columns that a thread takes at least.
const LEAST: usize = 16;

/// Into how many parts to cut `work` multiplications.
fn parts(work: u64) -> usize {
    if work < SPLIT { 1 } else { rayon::current_num_threads() }
}

/// `sum += x y`, where `sum` is row-major and `work` is the number of multiplications.
pub fn add_product_on_all<R: Word>(x: Matrix<'_, R>, y: Matrix<'_, R>, sum: &mut [R], work: u64) {
    let parts = parts(work);
    let (rows, columns) = (x.rows, y.columns);
    let on_one = |x, y, words: &mut [R], stride| {
        add_product(x, y, Sum { words, starts: Starts::Even(stride) }, &mut Scratch::default());
    };
    if parts == 1 || rows.max(columns) < 2 * LEAST {
        on_one(x, y, sum, columns);
    } else if rows >= parts * LEAST || rows >= columns {
        let some = rows.div_ceil(parts).next_multiple_of(LEAST);
        sum.par_chunks_mut(some * columns).enumerate().for_each(|(index, sum)| {
            on_one(x.some_rows(index * some, sum.len() / columns), y, sum, columns);
        });
    } else {
        // Columns of the result are no runs of it: each thread has a result of its own.
        let some = columns.div_ceil(parts).next_multiple_of(LEAST);
        let firsts: Vec<usize> = (0..columns).step_by(some).collect();
        let pieces: Vec<Vec<R>> = firsts
            .par_iter()
            .map(|&first| {
                let width = some.min(columns - first);
                let mut piece = vec![R::ZERO; rows * width];
                on_one(x, y.some_columns(first, width), &mut piece, width);
                piece
            })
            .collect();
        for (first, piece) in firsts.into_iter().zip(pieces) {
            let width = some.min(columns - first);
            for (sum, piece) in sum.chunks_exact_mut(columns).zip(piece.chunks_exact(width)) {
                add(&mut sum[first..first + width], piece);
            }
        }
    }
}

/// Calls `each` with ranges of samples, given by their first, and the part of `out` that is theirs:
/// `sample_elems` words each.
pub fn over_samples<R: Word>(
    out: &mut [R],
    sample_elems: usize,
    work: u64,
    each: impl Fn(usize, &mut [R]) + Send + Sync,
) {
    let some = (out.len() / sample_elems).div_ceil(parts(work)).max(1);
    if out.len() == some * sample_elems {
        each(0, out);
    } else {
        out.par_chunks_mut(some * sample_elems)
            .enumerate()
            .for_each(|(index, out)| each(index * some, out));
    }
}

/// The sum of what `each` gives for ranges of `samples`.
pub fn sum_over_samples<R: Word>(
    samples: usize,
    work: u64,
    each: impl Fn(core::ops::Range<usize>) -> Vec<R> + Send + Sync,
) -> Vec<R> {
    let some = samples.div_ceil(parts(work)).max(1);
    if some == samples {
        return each(0..samples);
    }
    let ranges: Vec<_> =
        (0..samples).step_by(some).map(|first| first..samples.min(first + some)).collect();
    let mut pieces: Vec<Vec<R>> = ranges.into_par_iter().map(each).collect();
    let mut sum = pieces.pop().unwrap_or_default();
    for piece in pieces {
        add(&mut sum, &piece);
    }
    sum
}

/// `sum += more`, word by word.
pub fn add<R: Word>(sum: &mut [R], more: &[R]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.add(*more);
    }
}
