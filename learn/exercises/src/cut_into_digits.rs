//! # 5: cut a gate into digits
//!
//! Nobody can deal a table of `2^32` entries. So the words are cut into digits, lowest first, and
//! of every digit `j` of the mask there is a table `v -> (l, e) = ([v < r_j], [v = r_j])`, an entry
//! for each value `v` of the digit. Digit `j` of the public word picks one entry, and from the
//! lowest digit to the topmost
//!
//! ```text
//! less := l_j or (e_j and less)                 at first: less = l_0
//! ```
//!
//! Write [`tables`] and [`less`]. Then say what a cut costs. For a ReLU on words of 32 bits the
//! dealer sends, for one element: 4 bytes of the mask, 4 bytes of its topmost bit as a word, one
//! byte that masks what is opened; the tables of the digits, 1 bit an entry of the lowest digit and
//! 2 bits of every other, in whole blocks of 64 bytes; and the last table, of 4 words for each of
//! `2^(2 n - 2)` entries, where `n` is the number of digits. That is [`dealt_bytes`].
//!
//! The test compares every pair of words of 6 bits under every cut; and the cost with the core's
//! `session::gate::correction_bytes`, for all gates there are.
//!
//! To read: chapter 3.

/// The table of one digit of the mask: `(l, e)` for each value of the digit.
pub type Table = Vec<(bool, bool)>;

/// The tables of all digits of a mask, lowest first; `widths` are the digits' widths in bits.
#[must_use]
pub fn tables(mask: u64, widths: &[u32]) -> Vec<Table> {
    todo!("cut the mask; a table for each digit")
}

/// `[word < mask]`, from one entry of each of the mask's tables.
#[must_use]
pub fn less(word: u64, tables: &[Table]) -> bool {
    todo!("cut the word; look up; fold")
}

/// Bytes that the dealer sends for one ReLU of 32-bit words.
#[must_use]
pub fn dealt_bytes(widths: &[u32]) -> usize {
    todo!("mask, sign, opening; leaf tables in blocks; the last table")
}
