//! Turns a matrix of 128 x 128 bits: networks of swaps on words, which compilers make vectors of.

use crate::block::Block;

/// Rows and columns.
pub const SIDE: usize = 128;

/// A matrix: rows of two halves, the lower first.
pub type Square = [[u64; 2]; SIDE];

/// Both halves of a row.
#[allow(clippy::cast_possible_truncation)]
#[inline]
pub const fn halves(row: Block) -> [u64; 2] {
    [row as u64, (row >> 64) as u64]
}

/// A row of both halves.
#[inline]
pub const fn whole([low, high]: [u64; 2]) -> Block {
    low as Block | ((high as Block) << 64)
}

/// Bit `c` of row `r` becomes bit `r` of row `c`.
#[multiversion::multiversion(targets("x86_64+avx2"))]
pub fn transpose(rows: &mut Square) {
    let (top, bottom) = rows.split_at_mut(SIDE / 2);
    for (a, b) in top.iter_mut().zip(bottom) {
        core::mem::swap(&mut a[1], &mut b[0]);
    }
    swap::<32>(rows, 0x0000_0000_ffff_ffff);
    swap::<16>(rows, 0x0000_ffff_0000_ffff);
    swap::<8>(rows, 0x00ff_00ff_00ff_00ff);
    swap::<4>(rows, 0x0f0f_0f0f_0f0f_0f0f);
    swap::<2>(rows, 0x3333_3333_3333_3333);
    swap::<1>(rows, 0x5555_5555_5555_5555);
}

/// Swaps, in squares of `2 * WIDTH`, the upper bits of upper rows with the lower bits of lower
/// ones.
#[inline(always)]
fn swap<const WIDTH: usize>(rows: &mut Square, low: u64) {
    for square in rows.chunks_exact_mut(2 * WIDTH) {
        let (top, bottom) = square.split_at_mut(WIDTH);
        for (a, b) in top.as_flattened_mut().iter_mut().zip(bottom.as_flattened_mut()) {
            let differs = ((*a >> WIDTH) ^ *b) & low;
            *b ^= differs;
            *a ^= differs << WIDTH;
        }
    }
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
        let mut after = before.map(halves);
        transpose(&mut after);
        let after = after.map(whole);
        for (r, row) in before.iter().enumerate() {
            for (c, column) in after.iter().enumerate() {
                assert_eq!((row >> c) & 1, (column >> r) & 1, "{r} {c}");
            }
        }
    }
}
