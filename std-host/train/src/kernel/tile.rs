//! The product that stays in registers: six rows by 8 or 16 columns.
//!
//! Plain loops of fixed length, written so that the compiler keeps the sums in vector registers:
//! with AVX-512 eight of 64 bits, or four of 32. Iterators that are zipped deeper hide that from
//! it.

#![allow(clippy::needless_range_loop)]

use super::left::{Left, ROWS};
use super::word::Word;

/// `to = left right`, for as many terms as there are rows of `right`: each begins at one of
/// `starts` in `words`.
///
/// The sums are written at the end: what is read at a place known only at run time would live in
/// memory all along.
#[inline(always)]
pub fn tile<R: Word, const C: usize>(
    left: Left<'_, R>,
    words: &[R],
    starts: &[usize],
    to: &mut [[R; C]; ROWS],
) {
    if R::tile(left, words, starts, to) {
        return;
    }
    let mut sums = [[R::ZERO; C]; ROWS];
    match left {
        Left::Rows(mut rows) => {
            for row in &mut rows {
                let Some(run) = row.get(..starts.len()) else { return };
                *row = run;
            }
            for term in 0..starts.len() {
                let Some(right) =
                    words.get(starts[term]..).and_then(|words| words.first_chunk::<C>())
                else {
                    break;
                };
                for row in 0..ROWS {
                    let left = rows[row][term];
                    for column in 0..C {
                        sums[row][column] = sums[row][column].add(left.mul(right[column]));
                    }
                }
            }
        }
        Left::Columns(left_words, left_starts) => {
            for (&start, &left_start) in starts.iter().zip(left_starts) {
                let Some(right) = words.get(start..).and_then(|words| words.first_chunk::<C>())
                else {
                    break;
                };
                let Some(left) =
                    left_words.get(left_start..).and_then(|words| words.first_chunk::<ROWS>())
                else {
                    break;
                };
                for row in 0..ROWS {
                    for column in 0..C {
                        sums[row][column] = sums[row][column].add(left[row].mul(right[column]));
                    }
                }
            }
        }
    }
    for row in 0..ROWS {
        for column in 0..C {
            to[row][column] = sums[row][column];
        }
    }
}
