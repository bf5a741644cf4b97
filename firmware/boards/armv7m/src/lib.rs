//! ChaCha's rounds in assembly, for the cores of ARMv7-M: Cortex-M3, M4 and M7.
//!
//! A compiler leaves out the frame pointer, and puts some forty words aside in every double round.
//! Fourteen registers hold all words of the state but two: those go to the stack and come back
//! four times. Every instruction takes the same time for all operands.
#![no_std]

use core::arch::naked_asm;
use core::mem::MaybeUninit;

use sharelet_core::keystream::{BLOCK_WORDS, Rounds, Start};
use sharelet_core::ring;

type Words = [u32; BLOCK_WORDS];

/// A quarter round. Words `b` and `d` lack their last rotation before it and after it, as
/// [`Start::words`] says.
macro_rules! quarter {
    ($a:literal, $b:literal, $c:literal, $d:literal) => {
        concat!(
            "add.w ",
            $a,
            ", ",
            $a,
            ", ",
            $b,
            ", ror #25\n",
            "eor.w ",
            $d,
            ", ",
            $a,
            ", ",
            $d,
            ", ror #24\n",
            "add.w ",
            $c,
            ", ",
            $c,
            ", ",
            $d,
            ", ror #16\n",
            "eor.w ",
            $b,
            ", ",
            $c,
            ", ",
            $b,
            ", ror #25\n",
            "add.w ",
            $a,
            ", ",
            $a,
            ", ",
            $b,
            ", ror #20\n",
            "eor.w ",
            $d,
            ", ",
            $a,
            ", ",
            $d,
            ", ror #16\n",
            "add.w ",
            $c,
            ", ",
            $c,
            ", ",
            $d,
            ", ror #24\n",
            "eor.w ",
            $b,
            ", ",
            $c,
            ", ",
            $b,
            ", ror #20\n",
        )
    };
}

/// Takes the words of the state from `r0`, where [`Start`] is, and the block's number from `r1`.
///
/// Words 0 to 10 go to `r0` to `r10`, words 12 to 14 to `lr`, `r11`, `r12`, words 11 and 15 to the
/// stack at 8.
macro_rules! load {
    () => {
        concat!(
            "add.w r0, r0, #64\n",
            "ldr r3, [r0, #44]\n",
            "ldr r4, [r0, #60]\n",
            "strd r3, r4, [sp, #8]\n",
            "ror.w lr, r1, #8\n",
            "ldrd r11, r12, [r0, #52]\n",
            "ldm.w r0, {{r0-r10}}\n",
        )
    };
}

/// Column round but its last quarter; words 8 and 13 then go to the stack at 0, words 11 and 15
/// take their registers.
macro_rules! columns {
    () => {
        concat!(
            quarter!("r0", "r4", "r8", "lr"),
            quarter!("r1", "r5", "r9", "r11"),
            quarter!("r2", "r6", "r10", "r12"),
            "strd r8, r11, [sp]\n",
            "ldrd r8, r11, [sp, #8]\n",
            quarter!("r3", "r7", "r8", "r11"),
        )
    };
}

/// Diagonal round, in whose course the words come back.
macro_rules! diagonals {
    () => {
        concat!(
            quarter!("r0", "r5", "r10", "r11"),
            quarter!("r1", "r6", "r8", "lr"),
            quarter!("r3", "r4", "r9", "r12"),
            "strd r8, r11, [sp, #8]\n",
            "ldrd r8, r11, [sp]\n",
            quarter!("r2", "r7", "r8", "r11"),
        )
    };
}

/// The first double round, of which [`Start`] has three quarters.
macro_rules! first {
    () => {
        concat!(
            quarter!("r0", "r4", "r8", "lr"),
            "strd r8, r11, [sp]\n",
            "ldrd r8, r11, [sp, #8]\n",
            diagonals!(),
        )
    };
}

/// Adds the inner products of two rows with a vector, of `quads` times four words, to `acc`: four
/// words of the vector are loaded once for both rows.
///
/// # Safety
/// All are as long as `quads` says.
#[unsafe(naked)]
unsafe extern "C" fn dot_two(
    acc: *mut [u32; 2],
    a: *const u32,
    b: *const u32,
    vector: *const u32,
    quads: usize,
) {
    naked_asm!(
        "push.w {{r0, r4-r11, lr}}",
        "ldr.w r12, [sp, #40]",
        "ldr.w lr, [r0, #4]",
        "ldr r0, [r0]",
        "cmp.w r12, #0",
        "beq 2f",
        "1:",
        "ldm r3!, {{r4-r7}}",
        "ldm.w r1!, {{r8-r11}}",
        "mla r0, r4, r8, r0",
        "mla r0, r5, r9, r0",
        "mla r0, r6, r10, r0",
        "mla r0, r7, r11, r0",
        "ldm.w r2!, {{r8-r11}}",
        "mla lr, r4, r8, lr",
        "mla lr, r5, r9, lr",
        "mla lr, r6, r10, lr",
        "mla lr, r7, r11, lr",
        "subs.w r12, r12, #1",
        "bne 1b",
        "2:",
        "pop {{r1}}",
        "strd r0, lr, [r1]",
        "pop.w {{r4-r11, pc}}",
    )
}

/// The words up to the last four, and what is left.
fn quads(words: &[u32]) -> (&[[u32; 4]], &[u32]) {
    words.as_chunks()
}

macro_rules! rounds {
    ($name:ident, $rounds:literal, [$($double:tt)*], $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug)]
        pub struct $name;

        impl $name {
            /// # Safety
            /// `start` is a [`Start`], and `out` has room for a block.
            #[unsafe(naked)]
            unsafe extern "C" fn mix(start: *const Start, index: u32, out: *mut Words) {
                naked_asm!(
                    "push.w {{r0, r1, r2, r4-r11, lr}}",
                    "sub sp, #24",
                    load!(),
                    first!(),
                    $(columns!(), $double!(),)*
                    // Words 0 and 1 make room.
                    "strd r0, r1, [sp, #16]",
                    "ldr r0, [sp, #32]",
                    "add.w r1, r0, #8",
                    "ror.w r4, r4, #25",
                    "ror.w r5, r5, #25",
                    "ror.w r6, r6, #25",
                    "ror.w r7, r7, #25",
                    "stm r1!, {{r2-r10}}",
                    "ldrd r2, r3, [sp, #8]",
                    // Word 12 of the start is block 0's.
                    "ldrd r4, r5, [sp, #24]",
                    "ldr r4, [r4, #48]",
                    "sub.w r5, r5, r4",
                    "add.w r5, r5, lr, ror #24",
                    "ror.w r6, r11, #24",
                    "ror.w r7, r12, #24",
                    "ror.w r8, r3, #24",
                    "stm.w r1, {{r2, r5-r8}}",
                    "ldrd r2, r3, [sp, #16]",
                    "strd r2, r3, [r0]",
                    "add sp, #36",
                    "pop.w {{r4-r11, pc}}",
                )
            }

            /// # Safety
            /// `start` is a [`Start`], and `vector` as long as a block.
            #[unsafe(naked)]
            unsafe extern "C" fn dot(
                start: *const Start,
                index: u32,
                acc: u32,
                vector: *const Words,
            ) -> u32 {
                naked_asm!(
                    "push.w {{r0-r11, lr}}",
                    "sub sp, #24",
                    load!(),
                    first!(),
                    $(columns!(), $double!(),)*
                    "strd r0, r1, [sp]",
                    "strd r2, r3, [sp, #16]",
                    "ldrd r0, r1, [sp, #24]",
                    "ldrd r2, r3, [sp, #32]",
                    // Words 12 to 14.
                    "add.w lr, r1, lr, ror #24",
                    "ldr r1, [r3, #48]",
                    "mla r2, lr, r1, r2",
                    "ldrd r1, lr, [r0, #52]",
                    "add.w r11, r1, r11, ror #24",
                    "add.w r12, lr, r12, ror #24",
                    "ldrd r1, lr, [r3, #52]",
                    "mla r2, r11, r1, r2",
                    "mla r2, r12, lr, r2",
                    // Words 4 to 7.
                    "ldrd r1, lr, [r0, #16]",
                    "add.w r4, r1, r4, ror #25",
                    "add.w r5, lr, r5, ror #25",
                    "ldrd r1, lr, [r0, #24]",
                    "add.w r6, r1, r6, ror #25",
                    "add.w r7, lr, r7, ror #25",
                    "ldrd r1, lr, [r3, #16]",
                    "mla r2, r4, r1, r2",
                    "mla r2, r5, lr, r2",
                    "ldrd r1, lr, [r3, #24]",
                    "mla r2, r6, r1, r2",
                    "mla r2, r7, lr, r2",
                    // Words 8 to 11.
                    "ldrd r1, lr, [r0, #32]",
                    "add r8, r1",
                    "add r9, lr",
                    "ldrd r1, lr, [r0, #40]",
                    "ldr r11, [sp, #8]",
                    "add r10, r1",
                    "add r11, lr",
                    "ldrd r1, lr, [r3, #32]",
                    "mla r2, r8, r1, r2",
                    "mla r2, r9, lr, r2",
                    "ldrd r1, lr, [r3, #40]",
                    "mla r2, r10, r1, r2",
                    "mla r2, r11, lr, r2",
                    // Word 15.
                    "ldr r1, [r0, #60]",
                    "ldr.w lr, [sp, #12]",
                    "add.w r1, r1, lr, ror #24",
                    "ldr.w lr, [r3, #60]",
                    "mla r2, r1, lr, r2",
                    // Words 0 to 3.
                    "ldm r0, {{r4-r7}}",
                    "ldm.w r3, {{r8-r11}}",
                    "ldrd r1, lr, [sp]",
                    "add r4, r1",
                    "add r5, lr",
                    "ldrd r1, lr, [sp, #16]",
                    "add r6, r1",
                    "add r7, lr",
                    "mla r2, r4, r8, r2",
                    "mla r2, r5, r9, r2",
                    "mla r2, r6, r10, r2",
                    "mla r0, r7, r11, r2",
                    "add sp, #40",
                    "pop.w {{r4-r11, pc}}",
                )
            }
        }

        impl Rounds for $name {
            const ROUNDS: u8 = $rounds;

            #[inline(always)]
            fn mix(start: &Start, index: u32) -> Words {
                let mut out = MaybeUninit::uninit();
                // SAFETY: both are what they must be, and all of `out` is written.
                unsafe {
                    Self::mix(start, index, out.as_mut_ptr());
                    out.assume_init()
                }
            }

            #[inline(always)]
            fn dot_two(mut acc: [u32; 2], [a, b]: [&[u32]; 2], vector: &[u32]) -> [u32; 2] {
                let ((a, a_rest), (b, b_rest), (vector, rest)) =
                    (quads(a), quads(b), quads(vector));
                let count = vector.len().min(a.len()).min(b.len());
                let (rows, vector) = ([a, b].map(|row| row.as_ptr().cast()), vector.as_ptr());
                // SAFETY: all are `count` times four words and longer.
                unsafe { dot_two(&mut acc, rows[0], rows[1], vector.cast(), count) };
                let [x, y] = acc;
                [ring::dot(x, a_rest, rest), ring::dot(y, b_rest, rest)]
            }

            #[inline(always)]
            fn dot(start: &Start, index: u32, acc: u32, vector: &Words) -> u32 {
                // SAFETY: both are what they must be.
                unsafe { Self::dot(start, index, acc, vector) }
            }
        }
    };
}

rounds!(
    ChaCha12,
    12,
    [diagonals diagonals diagonals diagonals diagonals],
    "12 rounds: the default."
);
rounds!(ChaCha8, 8, [diagonals diagonals diagonals], "8 rounds, to be measured beside them.");
