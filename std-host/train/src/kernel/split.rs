//! The product modulo `2^64` in registers, for processors with AVX2, which multiply no words of 64
//! bits: in halves.
//!
//! ```text
//! x y = x_low y_low + 2^32 (x_low y_high + x_high y_low)                  modulo 2^64
//! ```
//!
//! The first product has 64 bits. Of the sum of the others 32 bits count, so they are multiplied
//! eight at a time, and moved to their place once, at the end. That takes four products of vectors
//! where the compiler's own way takes six, and half of the additions and moves.

use core::arch::x86_64::__m256i;

use pulp::core_arch::x86::{Avx, Avx2};
use pulp::{bytemuck, cast};

use super::left::{HALF, Left, ROWS};

/// Rows that are summed up at once: what the sums of more take is more than there are registers.
const SOME: usize = 3;
/// Which word of a run a half belongs to, after the halves were picked lane by lane.
const PICKED: [usize; HALF] = [0, 1, 4, 5, 2, 3, 6, 7];

/// Witnesses that the processor has the instructions.
#[derive(Clone, Copy)]
struct Instructions {
    avx: Avx,
    avx2: Avx2,
}

/// The tile, unless this processor has a better way or lacks what this one takes.
#[inline(always)]
pub fn tile<const C: usize>(
    left: Left<'_, u64>,
    words: &[u64],
    starts: &[usize],
    to: &mut [[u64; C]; ROWS],
) -> bool {
    // With this one words of 64 bits are multiplied by one instruction.
    if std::arch::is_x86_feature_detected!("avx512dq") {
        return false;
    }
    let (Some(avx), Some(avx2)) = (Avx::try_new(), Avx2::try_new()) else { return false };
    let instructions = Instructions { avx, avx2 };
    for column in (0..C).step_by(HALF) {
        let Some(words) = words.get(column..) else { break };
        for row in (0..ROWS).step_by(SOME) {
            let sums = match left {
                Left::Rows(rows) => {
                    let some = rows.get(row..).and_then(|rows| rows.first_chunk::<SOME>());
                    instructions.rows(*some.unwrap_or(&[&[]; SOME]), words, starts)
                }
                Left::Columns(of_left, left_starts) => {
                    let of_left = of_left.get(row..).unwrap_or_default();
                    instructions.columns(of_left, left_starts, words, starts)
                }
            };
            for (to, sums) in to[row..].iter_mut().zip(sums) {
                to[column..].iter_mut().zip(sums).for_each(|(to, sum)| *to = sum);
            }
        }
    }
    true
}

/// Sums of some rows and eight columns.
struct Sums {
    low: [[__m256i; 2]; SOME],
    cross: [__m256i; SOME],
}

impl Instructions {
    #[inline(always)]
    fn rows(self, rows: [&[u64]; SOME], words: &[u64], starts: &[usize]) -> [[u64; HALF]; SOME] {
        let mut sums = self.zero();
        let [a, b, c]: [&[[u32; 2]]; SOME] = rows.map(bytemuck::cast_slice);
        for (((&start, a), b), c) in starts.iter().zip(a).zip(b).zip(c) {
            let Some(right) = words.get(start..).and_then(|words| words.first_chunk()) else {
                break;
            };
            self.add(&mut sums, [a, b, c], right);
        }
        sums.total()
    }

    #[inline(always)]
    fn columns(
        self,
        of_left: &[u64],
        left_starts: &[usize],
        words: &[u64],
        starts: &[usize],
    ) -> [[u64; HALF]; SOME] {
        let mut sums = self.zero();
        for (&start, &left_start) in starts.iter().zip(left_starts) {
            let right = words.get(start..).and_then(|words| words.first_chunk());
            let left = of_left.get(left_start..).and_then(|words| words.first_chunk::<SOME>());
            let (Some(right), Some(left)) = (right, left) else { break };
            let left: &[[u32; 2]; SOME] = bytemuck::cast_ref(left);
            self.add(&mut sums, left.each_ref(), right);
        }
        sums.total()
    }

    #[inline(always)]
    fn zero(self) -> Sums {
        let zero = self.avx._mm256_setzero_si256();
        Sums { low: [[zero; 2]; SOME], cross: [zero; SOME] }
    }

    /// Adds the products of a word per row, in halves, lowest first, with eight words.
    #[inline(always)]
    fn add(self, sums: &mut Sums, left: [&[u32; 2]; SOME], right: &[u64; HALF]) {
        let Self { avx, avx2 } = self;
        let [a, b]: [__m256i; 2] = cast(*right);
        let floats = (avx._mm256_castsi256_ps(a), avx._mm256_castsi256_ps(b));
        let low = avx._mm256_castps_si256(avx._mm256_shuffle_ps::<0x88>(floats.0, floats.1));
        let high = avx._mm256_castps_si256(avx._mm256_shuffle_ps::<0xdd>(floats.0, floats.1));
        for (row, left) in left.into_iter().enumerate() {
            let left_low = avx._mm256_set1_epi32(left[0].cast_signed());
            let left_high = avx._mm256_set1_epi32(left[1].cast_signed());
            let [sum_a, sum_b] = &mut sums.low[row];
            *sum_a = avx2._mm256_add_epi64(*sum_a, avx2._mm256_mul_epu32(left_low, a));
            *sum_b = avx2._mm256_add_epi64(*sum_b, avx2._mm256_mul_epu32(left_low, b));
            let cross = &mut sums.cross[row];
            *cross = avx2._mm256_add_epi32(*cross, avx2._mm256_mullo_epi32(left_low, high));
            *cross = avx2._mm256_add_epi32(*cross, avx2._mm256_mullo_epi32(left_high, low));
        }
    }
}

impl Sums {
    #[inline(always)]
    fn total(self) -> [[u64; HALF]; SOME] {
        core::array::from_fn(|row| {
            let (low, cross): ([u64; HALF], [u32; HALF]) =
                (cast(self.low[row]), cast(self.cross[row]));
            core::array::from_fn(|column| {
                low[column].wrapping_add(u64::from(cross[PICKED[column]]) << 32)
            })
        })
    }
}
