//! `P1`'s view of the gate's correlation: the bytes that the dealer wrote.

use super::{Half, MAX_ENTRY_WORDS, correction_bytes, record};
use crate::correlation::digits::{Digits, GateKind};
use crate::correlation::{LengthError, redacted};
use crate::ring::Ring;

/// **Read**: `P1`'s half of the gates of a layer, as the dealer wrote it.
pub struct Received<'a> {
    bytes: &'a [u8],
    digits: Digits,
}

impl<'a> Received<'a> {
    /// The half of `elements` gates.
    ///
    /// # Errors
    /// [`LengthError`] if the length is not [`correction_bytes`] per element.
    pub fn new<R: Ring>(
        digits: Digits,
        elements: u16,
        bytes: &'a [u8],
    ) -> Result<Self, LengthError> {
        let expected_bytes = usize::from(elements) * correction_bytes::<R>(&digits);
        if bytes.len() != expected_bytes {
            return Err(LengthError { expected_bytes, found_bytes: bytes.len() });
        }
        Ok(Self { bytes, digits })
    }

    /// The cut of the gates.
    #[must_use]
    pub fn digits(&self) -> &Digits {
        &self.digits
    }

    /// The gates one by one.
    pub(crate) fn gates<R: Ring>(&self) -> impl Iterator<Item = P1Gate<'a>> {
        let digits = self.digits;
        self.bytes
            .chunks_exact(correction_bytes::<R>(&digits))
            .map(move |bytes| P1Gate { bytes, digits })
    }
}

/// `P1`'s half of one gate.
pub(crate) struct P1Gate<'a> {
    bytes: &'a [u8],
    digits: Digits,
}

impl P1Gate<'_> {
    /// The share of the mask `r`.
    pub(crate) fn mask<R: Ring>(&self) -> R {
        R::read_le(self.bytes)
    }

    fn from(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or(&[])
    }
}

impl<R: Ring> Half<R> for P1Gate<'_> {
    #[inline]
    fn masked_leaves(&self, z: R) -> u32 {
        let record = record::<R>(&self.digits);
        let leaves = self.from(record.leaves);
        let mut bits = self.from(record.opening).first().copied().map_or(0, u32::from);
        for j in 0..self.digits.count() {
            let place = self.digits.table_start(j)
                + self.digits.digit(j, z.to_u64()) * self.digits.entry_bits(j);
            let byte = leaves.get((place / 8) as usize).copied().map_or(0, u32::from);
            bits ^= (byte >> (place % 8) & ((1 << self.digits.entry_bits(j)) - 1))
                << Digits::opened_position(j);
        }
        bits
    }

    #[inline]
    fn entry(&self, index: u32) -> [R; MAX_ENTRY_WORDS] {
        let words = self.digits.kind().entry_words();
        let at = record::<R>(&self.digits).table + index as usize * words * R::BYTES;
        let mut entry = [R::ZERO; MAX_ENTRY_WORDS];
        for (word, bytes) in entry.iter_mut().take(words).zip(self.from(at).chunks_exact(R::BYTES))
        {
            *word = R::read_le(bytes);
        }
        entry
    }

    #[inline]
    fn sign(&self) -> R {
        match self.digits.kind() {
            GateKind::Relu => R::read_le(self.from(record::<R>(&self.digits).sign)),
            GateKind::Truncate => R::ZERO,
        }
    }
}

redacted!(Received<'_>);
