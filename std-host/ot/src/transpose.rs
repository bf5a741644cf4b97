//! Turns a matrix of 128 x 128 bits: networks of swaps on words, which compilers make vectors of.

use crate::block::Block;

/// Rows and columns.
pub const SIDE: usize = 128;

/// Bit `c` of row `r` becomes bit `r` of row `c`.
#[multiversion::multiversion(targets("x86_64+avx2"))]
pub fn transpose(rows: &mut [Block; SIDE]) {
    let mut words: [[u64; 2]; SIDE] = core::array::from_fn(|row| halves(rows[row]));
    let (top, bottom) = words.split_at_mut(SIDE / 2);
    for (a, b) in top.iter_mut().zip(bottom) {
        core::mem::swap(&mut a[1], &mut b[0]);
    }
    swap::<32>(&mut words, 0x0000_0000_ffff_ffff);
    swap::<16>(&mut words, 0x0000_ffff_0000_ffff);
    swap::<8>(&mut words, 0x00ff_00ff_00ff_00ff);
    swap::<4>(&mut words, 0x0f0f_0f0f_0f0f_0f0f);
    swap::<2>(&mut words, 0x3333_3333_3333_3333);
    swap::<1>(&mut words, 0x5555_5555_5555_5555);
    for (row, [low, high]) in rows.iter_mut().zip(words) {
        *row = Block::from(low) | (Block::from(high) << 64);
    }
}

/// Swaps, in squares of `2 * WIDTH`, the upper bits of upper rows with the lower bits of lower
/// ones.
#[inline(always)]
fn swap<const WIDTH: usize>(words: &mut [[u64; 2]; SIDE], low: u64) {
    for square in words.chunks_exact_mut(2 * WIDTH) {
        let (top, bottom) = square.split_at_mut(WIDTH);
        for (a, b) in top.iter_mut().zip(bottom) {
            for (a, b) in a.iter_mut().zip(b) {
                let differs = ((*a >> WIDTH) ^ *b) & low;
                *b ^= differs;
                *a ^= differs << WIDTH;
            }
        }
    }
}

/// Lower and upper half.
#[allow(clippy::cast_possible_truncation)]
#[inline(always)]
const fn halves(row: Block) -> [u64; 2] {
    [row as u64, (row >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let mut state = 1_u128;
        let before: [Block; SIDE] = core::array::from_fn(|_| {
            state = state.wrapping_mul(0xda94_2042_e4dd_58b5_0000_0000_0000_0001).wrapping_add(7);
            state ^ (state >> 61)
        });
        let mut after = before;
        transpose(&mut after);
        for (r, row) in before.iter().enumerate() {
            for (c, column) in after.iter().enumerate() {
                assert_eq!((row >> c) & 1, (column >> r) & 1, "{r} {c}");
            }
        }
    }
}
