//! Records made of random transfers.
//!
//! Each entry of a record takes its transfers in order; see [`Transfer`] for what it must be. With
//! `m_0`, `m_1` the strings of a transfer that a party sends, and `c`, `m_c` what the other
//! receives:
//!
//! ```text
//! leaf      T[u] = xor over bits j of the strings m_(u_j) of transfer j, pair u of each
//! table     row u = sum over bits j of row u of the stream of m_(u_j)
//! AND       a = c of the transfer that comes,  (b, c) = m_0 xor m_1 of that which goes;
//!           a_0 b_1 is shared by m_0 and m_c, for then m_c = m_0 xor c (m_0 xor m_1)
//! product   the receiver gets m_c + c u of what is sent,  u = m_0 - m_1 + f:  m_0 + c f
//!           for a factor f of the sender and a bit c of the receiver's
//! dual bit  a product of either party's bit; and a word v = (1 - 2 g)(m_1 - m_0) of either,
//!           whose product with the other's bit is shared by m_0 and m_c without a message
//! ```

use rand_core::CryptoRng;
use sharelet_core::functions::transfer::{TERMS, Transfer};
use sharelet_core::share::Party;
use sharelet_ot::{OtError, Stream};

use crate::cursor::{Receiving, Sending};
use crate::words::{Words, bit, set_bits};

/// Bytes of a row of a table.
const ROW_BYTES: usize = 8 * TERMS as usize;
/// Pairs of bits `u` of a leaf, of those with bit `j` of `u` set.
const WITH_BIT: [u32; 4] = [0xcccc_cccc, 0xf0f0_f0f0, 0xff00_ff00, 0xffff_0000];

/// A party's transfers, and what it sends when all records are made.
pub(crate) struct Maker<'g, G> {
    pub(crate) party: Party,
    pub(crate) sending: &'g mut Sending,
    pub(crate) receiving: &'g mut Receiving,
    pub(crate) rng: &'g mut G,
    pub(crate) corrections: Vec<u8>,
}

impl<G: CryptoRng> Maker<'_, G> {
    /// Makes one's half of an entry, as far as that goes without the peer's corrections.
    pub(crate) fn make(&mut self, transfer: Transfer, record: &mut [u8]) -> Result<(), OtError> {
        match transfer {
            Transfer::Leaf { sender, width_bits, place } => {
                let bits = if sender == self.party {
                    self.pairs(width_bits)?
                } else {
                    self.chosen(width_bits)?
                };
                set_bits(record, place, bits);
            }
            Transfer::Table { sender, index_bits, place, words } => {
                if sender == self.party {
                    self.table(index_bits, words, record)?;
                } else {
                    let choice = self.row(index_bits, words, record)?;
                    set_bits(record, place, choice);
                }
            }
            Transfer::And { place } => set_bits(record, place, self.and()?),
            Transfer::Dual { sender, place, words, values, ring_bits } => {
                self.dual(sender, (place, words, values), Words::new(ring_bits), record)?;
            }
            Transfer::Product { square, place, ring_bits } => {
                self.product(square, place, ring_bits, record)?;
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation)]
    fn pairs(&mut self, width_bits: u32) -> Result<u32, OtError> {
        let mut pairs = 0;
        for with in WITH_BIT.iter().take(width_bits as usize) {
            let [zero, one] = self.sending.next()?.map(|block| block as u32);
            pairs ^= zero & !with | one & with;
        }
        Ok(if width_bits < 4 { pairs & ((1 << (2 << width_bits)) - 1) } else { pairs })
    }

    #[allow(clippy::cast_possible_truncation)]
    fn chosen(&mut self, width_bits: u32) -> Result<u32, OtError> {
        let (mut choice, mut strings) = (0, 0);
        for bit in 0..width_bits {
            let (chosen, block) = self.receiving.next()?;
            choice |= chosen << bit;
            strings ^= block as u32;
        }
        Ok(choice | (strings >> (2 * choice) & 3) << width_bits)
    }

    /// All rows: word `n` of row `u` is the sum of words `n` of row `u` of as many streams as the
    /// index has bits, each of the string that bit names.
    fn table(&mut self, index_bits: u32, words: u32, record: &mut [u8]) -> Result<(), OtError> {
        let rows = record.get_mut(words as usize..).unwrap_or_default();
        let rows = rows.get_mut(..ROW_BYTES << index_bits).unwrap_or_default();
        for bit in 0..index_bits {
            let streams = self.sending.next()?.map(Stream::new);
            for (number, row) in rows.chunks_exact_mut(ROW_BYTES).enumerate() {
                let [zero, one] = &streams;
                let stream = if number >> bit & 1 == 1 { one } else { zero };
                add_row(row, stream, number);
            }
        }
        Ok(())
    }

    /// The row of one's choice, at the table's beginning; the choice.
    fn row(&mut self, index_bits: u32, words: u32, record: &mut [u8]) -> Result<u32, OtError> {
        let mut choice = 0;
        let mut streams = Vec::with_capacity(index_bits as usize);
        for bit in 0..index_bits {
            let (chosen, block) = self.receiving.next()?;
            choice |= chosen << bit;
            streams.push(Stream::new(block));
        }
        let row = record.get_mut(words as usize..).unwrap_or_default();
        let row = row.get_mut(..ROW_BYTES).unwrap_or_default();
        streams.iter().for_each(|stream| add_row(row, stream, choice as usize));
        Ok(choice)
    }

    #[allow(clippy::cast_possible_truncation)]
    fn and(&mut self) -> Result<u32, OtError> {
        let [zero, one] = self.sending.next()?.map(|block| block as u32);
        let (a, block) = self.receiving.next()?;
        let others = (zero ^ one) & 3;
        let products = (others & a.wrapping_neg()) ^ (zero ^ block as u32) & 3;
        Ok(a | others << 1 | products << 3)
    }

    /// A word that the receiver of this transfer gets times its choice, added to `m_0`.
    fn correct(&mut self, ring: Words, [zero, one]: [u64; 2], factor: u64) {
        let word = zero.wrapping_sub(one).wrapping_add(factor);
        ring.push(&mut self.corrections, word);
    }

    fn dual(
        &mut self,
        sender: Party,
        (place, words, values): (u32, u32, u32),
        ring: Words,
        record: &mut [u8],
    ) -> Result<(), OtError> {
        let sends = sender == self.party;
        let sent = if sends || values > 0 { self.sending.next()? } else { [0; 2] };
        let received = if !sends || values > 0 { Some(self.receiving.next()?) } else { None };
        let (own, block) = match received {
            Some((choice, block)) => (choice, block),
            None => (self.rng.next_u32() & 1, 0),
        };
        let (bit, count) = (u64::from(own), 1 + values as usize);
        let first = sent.map(|block| ring.of(block, 0, count));
        set_bits(record, place, own);
        // b_0 + b_1 - 2 b_0 b_1
        let number = if sends {
            self.correct(ring, first, bit);
            bit.wrapping_add(first[0].wrapping_mul(2))
        } else {
            bit.wrapping_sub(ring.of(block, 0, count).wrapping_mul(2))
        };
        ring.set(record, ring.place(words, 0), number);
        for index in 1..=values as usize {
            let [zero, one] = sent.map(|block| ring.of(block, index, count));
            let sign = 1_u64.wrapping_sub(bit.wrapping_mul(2));
            let value = sign.wrapping_mul(one.wrapping_sub(zero));
            let product = bit.wrapping_mul(value).wrapping_sub(zero);
            let product = product.wrapping_add(ring.of(block, index, count));
            ring.set(record, ring.place(words, 2 * index - 1), value);
            ring.set(record, ring.place(words, 2 * index), product);
        }
        Ok(())
    }

    fn product(
        &mut self,
        square: bool,
        place: u32,
        ring_bits: u32,
        record: &mut [u8],
    ) -> Result<(), OtError> {
        let ring = Words::new(ring_bits);
        let (sends, receives) = match self.party {
            Party::P0 => (true, !square),
            Party::P1 => (!square, true),
        };
        let (mut choices, mut product) = (0_u64, 0_u64);
        // Of a square the receiver's word is its choices, and the other's is random.
        let a = self.rng.next_u64();
        for bit in 0..ring_bits {
            if sends {
                let sent = self.sending.next()?.map(|block| ring.of(block, 0, 1));
                self.correct(ring, sent, if square { a.wrapping_mul(2) } else { a });
                product = product.wrapping_sub(sent[0] << bit);
            }
            if receives {
                let (choice, block) = self.receiving.next()?;
                choices |= u64::from(choice) << bit;
                product = product.wrapping_add(ring.of(block, 0, 1) << bit);
            }
        }
        let a = if square && receives { choices } else { a };
        let b = if square { a } else { choices };
        product = product.wrapping_add(a.wrapping_mul(b));
        ring.set(record, ring.place(place, 0), a);
        let last = if square { 1 } else { 2 };
        ring.set(record, ring.place(place, last - 1), b);
        ring.set(record, ring.place(place, last), product);
        Ok(())
    }
}

/// Adds the words of a row of a stream: two blocks for every row.
fn add_row(row: &mut [u8], stream: &Stream, number: usize) {
    let mut words = [[0; 2]; 2];
    stream.words(2 * number as u64, &mut words);
    for (word, more) in row.as_chunks_mut::<8>().0.iter_mut().zip(words.as_flattened()) {
        *word = u64::from_le_bytes(*word).wrapping_add(*more).to_le_bytes();
    }
}

/// Takes the peer's corrections of an entry.
pub(crate) fn correct(
    party: Party,
    transfer: Transfer,
    record: &mut [u8],
    corrections: &mut &[u8],
) {
    match transfer {
        Transfer::Dual { sender, place, words, ring_bits, .. } if sender != party => {
            let ring = Words::new(ring_bits);
            let word = ring.pop(corrections).wrapping_mul(bit(record, place));
            let (at, twice) = (ring.place(words, 0), word.wrapping_mul(2));
            ring.set(record, at, ring.get(record, at).wrapping_sub(twice));
        }
        Transfer::Product { square, place, ring_bits } if !square || party == Party::P1 => {
            let ring = Words::new(ring_bits);
            let last = if square { 1 } else { 2 };
            // One's choices are the last factor.
            let choices = ring.get(record, ring.place(place, last - 1));
            let at = ring.place(place, last);
            let product = (0..ring_bits).fold(ring.get(record, at), |product, bit| {
                let word = ring.pop(corrections).wrapping_mul(choices >> bit & 1);
                product.wrapping_add(word << bit)
            });
            ring.set(record, at, product);
        }
        _ => {}
    }
}
