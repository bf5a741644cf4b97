//! Protocols in rounds, a file each: what every one of them consists of, so that one driver runs
//! them all.
//!
//! A protocol is described by a small public value (shifts, constants, tables; never a secret).
//! From it follow the records that the dealer makes, the messages of both parties, and the
//! plaintext twin. Both parties send a message in every round, at the same time, and what they
//! write depends only on earlier rounds. No step does IO.

pub mod activate;
pub mod bitwise;
#[cfg(test)]
pub(crate) mod check;
pub mod choose;
pub mod compare;
pub mod comparing;
pub mod lookup;
pub mod matrix;
pub mod millionaire;
pub mod piecewise;
pub mod product;
pub mod rescale;
pub mod segments;
pub mod select;
pub mod shift;

use rand_core::CryptoRng;

use super::record::{Half, Layout, Truth, low_bits};
use super::transfer::Transfer;
use crate::ring::Ring;
use crate::step::StepError;

/// The messages of the round that has just ended, and the room for the next.
pub struct Messages<'m> {
    /// One's own message: of the last round when a step begins, of the next when it ends.
    pub own: &'m mut [u8],
    /// The peer's message of the last round.
    pub peer: &'m mut [u8],
    /// Free for what a step has to remember; as long as the longest message.
    pub opened: &'m mut [u8],
}

crate::correlation::redacted!(Messages<'_>);

impl Messages<'_> {
    /// The same, for a while.
    pub(crate) fn again(&mut self) -> Messages<'_> {
        Messages { own: self.own, peer: self.peer, opened: self.opened }
    }

    /// Keeps the exclusive or of the last `bytes` bytes that were exchanged.
    pub(crate) fn remember(&mut self, bytes: usize) {
        for ((opened, own), peer) in
            self.opened.iter_mut().zip(self.own.iter()).zip(self.peer.iter()).take(bytes)
        {
            *opened = own ^ peer;
        }
    }

    /// The sum of the shares at byte `at`, one's own and the peer's.
    #[inline(always)]
    pub(crate) fn opened<R: Ring>(&self, at: usize) -> R {
        read::<R>(self.own, at).add(read(self.peer, at))
    }

    /// Fills `out` with sums of shares from byte `first` on.
    pub(crate) fn open<R: Ring>(&self, first: usize, out: &mut [R]) {
        for (at, out) in (first..).step_by(R::BYTES).zip(out) {
            *out = self.opened(at);
        }
    }
}

/// Reads a word of a message.
#[inline(always)]
pub(crate) fn read<R: Ring>(message: &[u8], at: usize) -> R {
    R::read_le(message.get(at..).unwrap_or(&[]))
}

/// Writes a word of a message.
#[inline(always)]
pub(crate) fn write<R: Ring>(message: &mut [u8], at: usize, word: R) {
    word.write_le(message.get_mut(at..).unwrap_or(&mut []));
}

/// A two-party protocol on shared vectors, in rounds.
pub trait Protocol: Sync {
    /// The slices it works on: shares for a party, plaintext for the twin.
    type Data<'d>;

    /// Elements in the slices, which is the number of records that are spent.
    ///
    /// # Errors
    /// [`StepError::LengthMismatch`] if the slices do not belong together.
    fn elements(&self, data: &Self::Data<'_>) -> Result<usize, StepError>;

    /// The record of an element.
    fn layout(&self) -> Layout;

    /// Number of rounds, in each of which either party sends one message; most protocols have one.
    fn rounds(&self) -> usize {
        1
    }

    /// Bytes of a party's message of round `round` for so many elements.
    fn message_bytes(&self, round: usize, elements: usize) -> usize;

    /// The dealer: writes the truth of one record, all zeros so far.
    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G);

    /// What a record consists of, where two parties can make it by oblivious transfer.
    ///
    /// # Errors
    /// [`StepError::NeedsDealer`] where they cannot.
    fn transfers(&self, _each: &mut impl FnMut(Transfer)) -> Result<(), StepError> {
        Err(StepError::NeedsDealer)
    }

    /// A party's step before round `round`; with `round` equal to [`Protocol::rounds`], the last
    /// one, which leaves the result in `data`.
    ///
    /// `messages.own` and `messages.peer` are as long as the messages of the round before; before
    /// the step ends, `own`'s beginning must hold the message of the round to come (its room is as
    /// long as the longest message).
    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut Self::Data<'_>,
        messages: &mut Messages<'_>,
    );

    /// The plaintext twin, on plaintext words in place of shares; it rounds down.
    fn twin(&self, data: &mut Self::Data<'_>) {
        self.twin_rounded(data, &mut || false);
    }

    /// The twin with what the protocol leaves to chance decided by `up`: whether a result that lies
    /// between two words is rounded up. An exact protocol does not ask.
    fn twin_rounded(&self, data: &mut Self::Data<'_>, up: &mut impl FnMut() -> bool);

    /// Bytes of the longest message.
    fn max_message_bytes(&self, elements: usize) -> usize {
        (0..self.rounds()).map(|round| self.message_bytes(round, elements)).max().unwrap_or(0)
    }
}

/// Writes bits one after the other, the lowest of a byte first.
pub struct BitWriter<'m> {
    rest: &'m mut [u8],
    held: u64,
    count: u32,
}

crate::correlation::redacted!(BitWriter<'_>, BitReader<'_>);

impl<'m> BitWriter<'m> {
    /// Writes from the beginning of `bytes`.
    pub fn new(bytes: &'m mut [u8]) -> Self {
        Self { rest: bytes, held: 0, count: 0 }
    }

    /// Writes the lowest `count <= 32` bits of `bits`.
    #[inline(always)]
    pub fn push(&mut self, count: u32, bits: u32) {
        self.held |= u64::from(low_bits(bits, count)) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.flush(4);
            self.held >>= 32;
            self.count -= 32;
        }
    }

    /// Writes what is left, filled up with zeros to a whole byte.
    pub fn finish(mut self) {
        self.flush(self.count.div_ceil(8) as usize);
    }

    #[inline(always)]
    fn flush(&mut self, bytes: usize) {
        let rest = core::mem::take(&mut self.rest);
        let (out, rest) = rest.split_at_mut_checked(bytes).unwrap_or_default();
        for (out, byte) in out.iter_mut().zip(self.held.to_le_bytes()) {
            *out = byte;
        }
        self.rest = rest;
    }
}

/// Reads bits one after the other, the lowest of a byte first; behind the end there are zeros.
pub struct BitReader<'m> {
    rest: &'m [u8],
    held: u64,
    count: u32,
}

impl<'m> BitReader<'m> {
    /// Reads from the beginning of `bytes`.
    pub fn new(bytes: &'m [u8]) -> Self {
        Self { rest: bytes, held: 0, count: 0 }
    }

    /// The next `count <= 32` bits.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    pub fn pop(&mut self, count: u32) -> u32 {
        if self.count < count {
            let (bytes, rest) =
                self.rest.split_at_checked(4).unwrap_or((self.rest, Default::default()));
            self.held |= u64::from(u32::read_le(bytes)) << self.count;
            self.count += 32;
            self.rest = rest;
        }
        let bits = low_bits(self.held as u32, count);
        self.held >>= count;
        self.count -= count;
        bits
    }
}

/// Reads `count <= 25` bits from bit `first` on.
#[inline]
pub(crate) fn get_bits(bytes: &[u8], first: usize, count: u32) -> u32 {
    let tail = bytes.get(first / 8..).unwrap_or(&[]);
    let word = tail.first_chunk::<4>().map_or_else(
        || tail.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte)),
        |chunk| u32::from_le_bytes(*chunk),
    );
    low_bits(word >> (first % 8), count)
}

/// A size between 1 and `limit_elems`.
fn checked_size(found_elems: usize, limit_elems: usize) -> Result<u32, StepError> {
    let wrong = StepError::SizeOutOfRange { found_elems, limit_elems };
    let size = u32::try_from(found_elems).map_err(|_| wrong)?;
    if (1..=limit_elems).contains(&found_elems) { Ok(size) } else { Err(wrong) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back() {
        for count in [1, 3, 7, 8, 15, 25] {
            let mut bytes = [0xff; 64];
            let places = 512 / count as usize;
            let value = |i: usize| u32::try_from(i).expect("small").wrapping_mul(0x9e37_79b9) >> 3;
            let mut writer = BitWriter::new(&mut bytes);
            for i in 0..places {
                writer.push(count, value(i));
            }
            writer.finish();
            let mut reader = BitReader::new(&bytes);
            for i in 0..places {
                assert_eq!(reader.pop(count), value(i) & ((1 << count) - 1), "{i} of {count}");
                assert_eq!(
                    get_bits(&bytes, i * count as usize, count),
                    value(i) & ((1 << count) - 1),
                    "{i} of {count}"
                );
            }
        }
    }
}
