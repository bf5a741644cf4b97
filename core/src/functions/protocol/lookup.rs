//! A public table at a shared index, by oblivious transfer.
//!
//! * Computes: shares in `Z_2^64` of the three words of row `i mod 2^b` of a public table of at
//!   most `2^b` rows, for a shared `i` in `Z_2^k`; of no row, zeros.
//! * Model: semi-honest parties; every message is one-time padded by a transfer's words.
//! * Reference: 1-of-`N` oblivious transfer of a rotated table, as in SIRNN (Rathee et al., IEEE
//!   S&P 2021, section 3.3.1).
//! * Consumes: one record per *two* elements, of which either party sends the table for one: so
//!   both messages are of one length.
//! * Costs: 2 messages; `b` bits, and `24 (2^b - 1)` bytes, for two elements and party.
//! * Error bound: exact.
//!
//! ```text
//! i = i_s + i_r mod 2^b;  the receiver has a random c and the pad T[c], the sender all T
//! message 1:   d = c - i_r                                  from the receiver
//! message 2:   M[u] = T[u] + row(i_s + u - d), less M[0]    from the sender, who keeps M[0]
//! the receiver takes M[c] - M[0] - T[c] = row(i) - M[0]
//! ```

use core::marker::PhantomData;

use rand_core::CryptoRng;

use super::piecewise::rotate;
use super::{BitReader, BitWriter, Messages, Protocol, read};
use crate::functions::record::{Half, Layout, Truth};
use crate::functions::transfer::{TERMS, Table, Transfer, deal};
use crate::ring::Ring;
use crate::share::Party;
use crate::step::{StepError, expect_len};

/// The most bits of an index.
const MAX_INDEX_BITS: u32 = 12;
/// Bytes of a row.
const ROW_BYTES: usize = 8 * TERMS as usize;

/// A public table at a shared index in the ring `R`.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'t, R> {
    rows: &'t [[i64; 3]],
    index_bits: u32,
    layout: Layout,
    tables: [Table; 2],
    ring: PhantomData<R>,
}

/// Where to look, and what is found.
pub struct LookedUp<'d, R> {
    /// Shares of the indices.
    pub index: &'d [R],
    /// Three words per index, one after the other.
    pub out: &'d mut [u64],
}

crate::correlation::redacted!([R] LookedUp<'_, R>);

impl<'t, R: Ring> Lookup<'t, R> {
    /// The protocol for these rows.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] for no rows, or more than 4,096 or the ring numbers.
    pub fn new(rows: &'t [[i64; 3]]) -> Result<Self, StepError> {
        let most = MAX_INDEX_BITS.min(R::BITS);
        super::checked_size(rows.len(), 1 << most)?;
        let index_bits = rows.len().next_power_of_two().trailing_zeros();
        let mut layout = Layout::default();
        let choices = [layout.bits(index_bits.max(1)), layout.bits(index_bits.max(1))];
        let mut table = |sender, place| Table {
            sender,
            index_bits,
            place,
            words: layout.words::<u64>(TERMS << index_bits),
        };
        let [first, second] = choices;
        let tables = [table(Party::P0, first), table(Party::P1, second)];
        Ok(Self { rows, index_bits, layout, tables, ring: PhantomData })
    }

    fn mask(&self) -> u32 {
        (1 << self.index_bits) - 1
    }

    /// An index as far as there are rows; of an element that there is not, any.
    #[allow(clippy::cast_possible_truncation)]
    fn index(&self, data: &LookedUp<'_, R>, element: usize) -> u32 {
        data.index.get(element).map_or(0, |index| index.to_u64() as u32 & self.mask())
    }

    /// Bytes of a table without its first row.
    fn table_bytes(&self) -> usize {
        ROW_BYTES * self.mask() as usize
    }

    /// The element of a record for which a party sends the table.
    fn sent(&self, record: usize, party: Party) -> (usize, Table) {
        let [first, second] = self.tables;
        if first.sender == party { (2 * record, first) } else { (2 * record + 1, second) }
    }

    /// The element for which it receives one.
    fn received(&self, record: usize, party: Party) -> (usize, Table) {
        let [first, second] = self.tables;
        if first.sender == party { (2 * record + 1, second) } else { (2 * record, first) }
    }

    /// The receiver's share: the row of its choice, without the pad.
    fn take<H: Half>(half: &mut H, record: usize, table: Table, offered: &[u8]) -> [u64; 3] {
        let choice = table.choice(half, record);
        let mut chosen = [0_u64; 3];
        for (number, row) in (1_u32..).zip(offered.chunks_exact(ROW_BYTES)) {
            // All ones at the choice.
            let off = u64::from(number ^ choice);
            let at = core::hint::black_box((off.wrapping_sub(1) >> 32 & 1).wrapping_neg());
            for (chosen, word) in chosen.iter_mut().zip((0..).step_by(8)) {
                *chosen |= read::<u64>(row, word) & at;
            }
        }
        for (number, chosen) in (0..).zip(&mut chosen) {
            *chosen = chosen.wrapping_sub(table.pad(half, record, number));
        }
        chosen
    }

    /// The party that sends writes its pads and the table, turned to where the peer will look.
    fn offer<H: Half>(
        &self,
        half: &mut H,
        record: usize,
        table: Table,
        turn: u32,
        room: &mut [u8],
    ) -> [u64; 3] {
        let room = room.get_mut(..ROW_BYTES << self.index_bits).unwrap_or_default();
        let rows = self.rows.iter().flatten().map(|word| word.to_le_bytes());
        let (words, _) = room.as_chunks_mut::<8>();
        words.fill([0; 8]);
        words.iter_mut().zip(rows).for_each(|(word, row)| *word = row);
        for bit in 0..self.index_bits {
            let turned = core::hint::black_box(u64::from(turn >> bit & 1).wrapping_neg());
            rotate(words, (TERMS << bit) as usize, turned);
        }
        for (number, word) in (0..).zip(words.iter_mut()) {
            let padded = u64::from_le_bytes(*word).wrapping_add(table.pad(half, record, number));
            *word = padded.to_le_bytes();
        }
        let mut first = [0; 3];
        for (first, word) in first.iter_mut().zip(words.iter()) {
            *first = u64::from_le_bytes(*word);
        }
        for row in words.chunks_exact_mut(TERMS as usize) {
            for (word, first) in row.iter_mut().zip(first) {
                *word = u64::from_le_bytes(*word).wrapping_sub(first).to_le_bytes();
            }
        }
        first
    }
}

impl<R: Ring> Protocol for Lookup<'_, R> {
    type Data<'d> = LookedUp<'d, R>;

    fn elements(&self, data: &LookedUp<'_, R>) -> Result<usize, StepError> {
        expect_len(data.out.len(), data.index.len().saturating_mul(TERMS as usize))?;
        Ok(data.index.len().div_ceil(2))
    }

    fn layout(&self) -> Layout {
        self.layout
    }

    fn rounds(&self) -> usize {
        2
    }

    fn message_bytes(&self, round: usize, records: usize) -> usize {
        match round {
            0 => (records * self.index_bits as usize).div_ceil(8),
            _ => records * self.table_bytes(),
        }
    }

    /// Also the room in which a table is turned.
    fn max_message_bytes(&self, records: usize) -> usize {
        let longest = self.message_bytes(0, records).max(self.message_bytes(1, records));
        longest.max(ROW_BYTES << self.index_bits)
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        for table in self.tables {
            deal::<u64, _>(table.transfer(), truth, rng);
        }
    }

    fn transfers(&self, each: &mut impl FnMut(Transfer)) -> Result<(), StepError> {
        self.tables.iter().for_each(|table| each(table.transfer()));
        Ok(())
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut LookedUp<'_, R>,
        messages: &mut Messages<'_>,
    ) {
        let records = data.index.len().div_ceil(2);
        match round {
            0 => {
                let mut writer = BitWriter::new(messages.own);
                for record in 0..records {
                    let (element, table) = self.received(record, half.party());
                    let choice = table.choice(half, record);
                    let correction = choice.wrapping_sub(self.index(data, element));
                    writer.push(self.index_bits, correction & self.mask());
                }
                writer.finish();
            }
            1 => {
                let mut corrections = BitReader::new(messages.peer);
                let mut tables = messages.own.chunks_exact_mut(self.table_bytes().max(1));
                for record in 0..records {
                    let (element, table) = self.sent(record, half.party());
                    let correction = corrections.pop(self.index_bits);
                    let turn = correction.wrapping_sub(self.index(data, element));
                    let first =
                        self.offer(half, record, table, turn & self.mask(), messages.opened);
                    put(data, element, first);
                    if let Some(to) = tables.next() {
                        let rest = messages.opened.get(ROW_BYTES..).unwrap_or_default();
                        to.iter_mut().zip(rest).for_each(|(to, byte)| *to = *byte);
                    }
                }
            }
            _ => {
                let mut tables = messages.peer.chunks_exact(self.table_bytes().max(1));
                for record in 0..records {
                    let (element, table) = self.received(record, half.party());
                    let offered = tables.next().unwrap_or_default();
                    put(data, element, Self::take(half, record, table, offered));
                }
            }
        }
    }

    fn twin_rounded(&self, data: &mut LookedUp<'_, R>, _up: &mut impl FnMut() -> bool) {
        for element in 0..data.index.len() {
            let index = self.index(data, element) as usize;
            let row = self.rows.get(index).copied().unwrap_or_default();
            put(data, element, row.map(i64::cast_unsigned));
        }
    }
}

/// Leaves the words of an element, if there is one.
fn put<R>(data: &mut LookedUp<'_, R>, element: usize, words: [u64; 3]) {
    let place = TERMS as usize * element..;
    let out = data.out.get_mut(place).unwrap_or_default();
    out.iter_mut().zip(words).for_each(|(out, word)| *out = word);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::protocol::check;
    use crate::ring::Small;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng as _, SeedableRng};
    extern crate std;
    use std::vec;
    use std::vec::Vec;

    fn found<R: Ring>(rows: &[[i64; 3]], index: &[R], seed: u8) {
        let mut rng = ChaCha20Rng::from_seed([seed; 32]);
        let lookup = Lookup::<R>::new(rows).expect("in range");
        let (index_0, index_1) = check::share(index, &mut rng);
        let [mut out_0, mut out_1, mut twin] =
            core::array::from_fn(|_| vec![7_u64; 3 * index.len()]);
        let data_0 = LookedUp { index: &index_0, out: &mut out_0 };
        check::run(&lookup, &mut rng, data_0, LookedUp { index: &index_1, out: &mut out_1 });
        lookup.twin(&mut LookedUp { index, out: &mut twin });
        assert_eq!(check::open(&out_0, &out_1), twin, "{} rows, seed {seed}", rows.len());
    }

    #[test]
    fn every_index_of_tables_of_all_sizes() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for count in [1, 2, 3, 8, 31, 64] {
            let rows: Vec<[i64; 3]> =
                (0..count).map(|_| [(); 3].map(|()| rng.next_u64().cast_signed())).collect();
            let all: Vec<Small<7>> = check::all();
            for seed in 0..4 {
                found(&rows, &all, seed);
                // Of an odd number of elements one half of a record is idle.
                found(&rows, &all[..5], seed);
                found::<u64>(&rows, &check::words(50, &mut rng), seed);
                found::<u32>(&rows, &check::words(50, &mut rng), seed);
            }
        }
    }

    #[test]
    fn no_rows_and_too_many_are_refused() {
        assert!(Lookup::<u32>::new(&[]).is_err());
        assert!(Lookup::<u32>::new(&[[0; 3]; 4096]).is_ok());
        assert!(Lookup::<u32>::new(&[[0; 3]; 4097]).is_err());
        let lookup = Lookup::<u32>::new(&[[0; 3]; 4]).expect("in range");
        assert!(lookup.elements(&LookedUp { index: &[0; 3], out: &mut [0; 8] }).is_err());
    }
}
