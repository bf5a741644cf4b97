//! Words of a ring as the page shows them.

use serde::Serialize;
use sharelet_core::ring::Ring;

use crate::refusal::Refusal;

/// A word of `Z_2^k`: as an unsigned number, as a signed one, and as bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Word {
    /// In `0..2^k`.
    u: u64,
    /// In `-2^(k-1)..2^(k-1)`.
    s: i64,
    /// The highest bit first.
    b: String,
}

impl<R: Ring> From<R> for Word {
    fn from(word: R) -> Self {
        Self { u: word.to_u64(), s: word.to_i64(), b: bits(word.to_u64(), R::BITS) }
    }
}

#[cfg(test)]
impl Word {
    /// The unsigned number.
    pub fn value(&self) -> u64 {
        self.u
    }
}

/// Several of them.
pub fn words<R: Ring>(words: impl IntoIterator<Item = R>) -> Vec<Word> {
    words.into_iter().map(Word::from).collect()
}

/// Bits as text, the highest first.
pub fn bits(word: u64, count: u32) -> String {
    (0..count).rev().map(|place| if word >> place & 1 == 1 { '1' } else { '0' }).collect()
}

/// A signed number as a word, if the ring has it.
pub fn word<R: Ring>(name: &str, value: i64) -> Result<R, Refusal> {
    let word = R::from_u64(value.cast_unsigned());
    if word.to_i64() == value {
        return Ok(word);
    }
    let half = 1_i64 << (R::BITS - 1);
    Err(Refusal::new(format!(
        "{name} is {value}, and a ring of {} bits holds whole numbers from {} to {}. Choose one of \
         these, or a wider ring.",
        R::BITS,
        -half,
        half - 1,
    )))
}
