//! Records: the general shape of a correlation that is dealt element by element.
//!
//! A record is a few bits, then words of 32 bits, then words of 64 bits. Bits are shared by
//! exclusive or, words by addition. Both parties' halves have the same layout, so that one reader
//! serves both:
//!
//! * **deal**: [`deal`] writes the truth of every element, then takes `P0`'s keystream off it:
//!   `P1`'s half;
//! * **derive**: [`Derived`] is `P0`'s half, a block of keystream computed where it is read;
//! * **read**: [`Stored`] is a half that lies in memory: `P1`'s as the dealer wrote it, or `P0`'s
//!   [`expand`]ed beforehand.

use core::ops::Range;

use rand_core::CryptoRng;

use crate::correlation::{LengthError, Position};
use crate::keystream::{BLOCK_BYTES, Block, Keystream, Kind, MANY_BLOCKS, Rounds, Run};
use crate::ring::Ring;
use crate::share::Party;

/// Where the parts of a record lie, in bytes. Built by adding parts: bits first, then words of 32,
/// then of 64 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    bits_end: u32,
    words_end: u32,
    end: u32,
}

/// Bytes that a ring word takes in a record: 4 for rings of up to 32 bits, 8 beyond.
#[must_use]
pub const fn word_bytes<R: Ring>() -> u32 {
    4 * R::BITS.div_ceil(32)
}

impl Layout {
    /// Adds `count` bits; their place, in bits from the record's start, is a multiple of 32.
    pub fn bits(&mut self, count: u32) -> u32 {
        let place = self.bits_end * 8;
        self.bits_end += count.div_ceil(32) * 4;
        self.words_end = self.bits_end;
        self.end = self.bits_end;
        place
    }

    /// Adds `count` ring words; their place, in bytes from the record's start. No bits may be added
    /// afterwards, and no word of 32 bits after one of 64.
    pub fn words<R: Ring>(&mut self, count: u32) -> u32 {
        if word_bytes::<R>() == 4 {
            let place = self.words_end;
            self.words_end += 4 * count;
            self.end = self.words_end;
            place
        } else {
            let place = self.end.next_multiple_of(8);
            self.end = place + 8 * count;
            place
        }
    }

    /// Adds a word of the ring `R` and what `rest` adds, words of the ring `W`, in the order that
    /// their sizes ask for.
    pub fn word_and<R: Ring, W: Ring, T>(&mut self, rest: impl FnOnce(&mut Self) -> T) -> (u32, T) {
        if word_bytes::<R>() <= word_bytes::<W>() {
            let place = self.words::<R>(1);
            (place, rest(self))
        } else {
            let rest = rest(self);
            (self.words::<R>(1), rest)
        }
    }

    /// Bytes of a record as the dealer sends it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.end as usize
    }

    /// Records that share keystream blocks: a part of an operation's records begins with the first
    /// of them.
    #[must_use]
    pub const fn together(&self) -> usize {
        self.blocks().1 as usize
    }

    /// Keystream blocks of a record, and records per block where several share one.
    #[allow(clippy::cast_possible_truncation)]
    const fn blocks(&self) -> (u32, u32) {
        const BYTES: u32 = BLOCK_BYTES as u32;
        if self.end == 0 || self.end > BYTES {
            (self.end.div_ceil(BYTES), 1)
        } else {
            (1, BYTES / self.end.next_multiple_of(8))
        }
    }

    /// Block of the keystream, and byte in it, of byte `offset` of record `element`.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    const fn place(&self, element: usize, offset: u32) -> (u32, u32) {
        let (blocks, per_block) = self.blocks();
        let element = element as u32;
        if per_block == 1 {
            return (
                element.wrapping_mul(blocks).wrapping_add(offset / BLOCK_BYTES as u32),
                offset % BLOCK_BYTES as u32,
            );
        }
        (element / per_block, element % per_block * self.end.next_multiple_of(8) + offset)
    }

    /// Bytes that `elements` records take when `P0`'s half is expanded: whole keystream blocks.
    #[must_use]
    pub const fn expanded_bytes(&self, elements: usize) -> usize {
        let (blocks, per_block) = self.blocks();
        elements.div_ceil(per_block as usize) * blocks as usize * BLOCK_BYTES
    }

    /// Keystream blocks of `elements` records.
    #[must_use]
    pub const fn keystream_blocks(&self, elements: usize) -> u64 {
        (self.expanded_bytes(elements) / BLOCK_BYTES) as u64
    }
}

/// The most elements that are read together.
pub const MAX_TOGETHER: usize = 32;

/// Bytes that memory brings at once.
const LINE_BYTES: usize = 64;

/// One party's half of the records of an operation.
pub trait Half {
    /// Elements whose parts are best read together, part by part: memory answers many questions at
    /// once, a keystream none twice.
    const TOGETHER: usize;
    /// Whose half it is.
    fn party(&self) -> Party;
    /// The share of the word at byte `offset` of record `element`.
    fn word<R: Ring>(&mut self, element: usize, offset: u32) -> R;
    /// The share of `count <= 32` bits from bit `first` on of record `element`; they must lie in
    /// one 32-bit word.
    fn bits(&mut self, element: usize, first: u32, count: u32) -> u32;
    /// Has memory bring some bytes of some records that are read soon, at places that no processor
    /// foresees. Only a hint.
    #[inline]
    fn bring(&mut self, _elements: Range<usize>, _bytes: Range<u32>) {}
}

/// `P0`'s half: a run of keystream. One block is kept, since what is read together lies together.
pub struct Derived<C: Rounds> {
    run: Run<C>,
    layout: Layout,
    last: Option<(u32, Block)>,
}

impl<C: Rounds> Derived<C> {
    pub(crate) fn new(keystream: &Keystream<C>, position: Position, layout: Layout) -> Self {
        Self { run: keystream.run(position.domain(Kind::Record)), layout, last: None }
    }

    #[inline]
    fn block(&mut self, index: u32) -> &Block {
        if self.last.as_ref().is_none_or(|(last, _)| *last != index) {
            self.last = None;
        }
        let run = &self.run;
        &self.last.get_or_insert_with(|| (index, run.block(index))).1
    }
}

impl<C: Rounds> Half for Derived<C> {
    const TOGETHER: usize = 1;

    fn party(&self) -> Party {
        Party::P0
    }

    #[inline]
    fn word<R: Ring>(&mut self, element: usize, offset: u32) -> R {
        let (index, byte) = self.layout.place(element, offset);
        // A word lies at a multiple of its own size.
        self.block(index).ring((byte / word_bytes::<R>()) as usize)
    }

    #[inline]
    fn bits(&mut self, element: usize, first: u32, count: u32) -> u32 {
        let (index, byte) = self.layout.place(element, first / 32 * 4);
        let word: u32 = self.block(index).ring((byte / 4) as usize);
        low_bits(word >> (first % 32), count)
    }
}

/// A half that lies in memory.
pub struct Stored<'a> {
    party: Party,
    bytes: &'a [u8],
    /// Records that lie together, in a group of so many bytes, each of so many.
    group: usize,
    group_bytes: usize,
    record_bytes: usize,
}

impl<'a> Stored<'a> {
    /// `P1`'s half of `elements` records, as the dealer wrote it.
    ///
    /// # Errors
    /// [`LengthError`] if there are not the bytes of so many records.
    pub fn received(layout: Layout, elements: usize, bytes: &'a [u8]) -> Result<Self, LengthError> {
        Self::made(Party::P1, layout, elements, bytes)
    }

    /// The half of `elements` records that `party` has made with its peer, without a dealer; it
    /// lies as what a dealer writes.
    ///
    /// # Errors
    /// [`LengthError`] if there are not the bytes of so many records.
    pub fn made(
        party: Party,
        layout: Layout,
        elements: usize,
        bytes: &'a [u8],
    ) -> Result<Self, LengthError> {
        expect_len(bytes.len(), layout.bytes() * elements)?;
        let record_bytes = layout.bytes();
        Ok(Self { party, bytes, group: 1, group_bytes: record_bytes, record_bytes })
    }

    /// `P0`'s half of `elements` records, as [`expand`] wrote it.
    ///
    /// # Errors
    /// [`LengthError`] if there are not the bytes of so many records.
    pub fn expanded(layout: Layout, elements: usize, bytes: &'a [u8]) -> Result<Self, LengthError> {
        expect_len(bytes.len(), layout.expanded_bytes(elements))?;
        let (blocks, group) = layout.blocks();
        let record_bytes = layout.bytes().next_multiple_of(8);
        Ok(Self {
            party: Party::P0,
            bytes,
            group: group as usize,
            group_bytes: blocks as usize * BLOCK_BYTES,
            record_bytes,
        })
    }

    #[inline(always)]
    fn at(&self, element: usize, offset: u32) -> &[u8] {
        let start = match self.group {
            1 => element * self.group_bytes,
            group => element / group * self.group_bytes + element % group * self.record_bytes,
        };
        self.bytes.get(start + offset as usize..).unwrap_or(&[])
    }
}

impl Half for Stored<'_> {
    const TOGETHER: usize = MAX_TOGETHER;

    fn party(&self) -> Party {
        self.party
    }

    #[inline]
    fn word<R: Ring>(&mut self, element: usize, offset: u32) -> R {
        let bytes = self.at(element, offset);
        if word_bytes::<R>() == 4 {
            R::from_u64(u64::from(u32::read_le(bytes)))
        } else {
            R::from_u64(u64::read_le(bytes))
        }
    }

    #[inline]
    fn bits(&mut self, element: usize, first: u32, count: u32) -> u32 {
        low_bits(u32::read_le(self.at(element, first / 32 * 4)) >> (first % 32), count)
    }

    /// Reads a byte of every line, at equal distances, which processors do foresee.
    #[inline]
    fn bring(&mut self, elements: Range<usize>, bytes: Range<u32>) {
        let mut any = 0;
        for place in bytes.step_by(LINE_BYTES) {
            for element in elements.clone() {
                any ^= self.at(element, place).first().copied().unwrap_or(0);
            }
        }
        core::hint::black_box(any);
    }
}

crate::correlation::redacted!(Stored<'_>);
crate::correlation::redacted!([C: Rounds] Derived<C>);

/// The lowest `count <= 32` bits of a word.
#[inline(always)]
pub(crate) const fn low_bits(word: u32, count: u32) -> u32 {
    if count >= 32 { word } else { word & ((1 << count) - 1) }
}

/// A record in the clear, while it is dealt.
pub struct Truth<'a> {
    record: &'a mut [u8],
    /// `P0`'s bits, by first bit and count: for what one party alone may know.
    own: &'a mut dyn FnMut(u32, u32) -> u32,
}

crate::correlation::redacted!(Truth<'_>);

impl Truth<'_> {
    /// Sets a word.
    #[inline]
    pub fn set_word<R: Ring>(&mut self, offset: u32, word: R) {
        let Some(bytes) = self.record.get_mut(offset as usize..) else { return };
        #[allow(clippy::cast_possible_truncation)]
        if word_bytes::<R>() == 4 {
            (word.to_u64() as u32).write_le(bytes);
        } else {
            word.to_u64().write_le(bytes);
        }
    }

    /// A word that was set.
    #[inline]
    #[must_use]
    pub fn word<R: Ring>(&self, offset: u32) -> R {
        let bytes = self.record.get(offset as usize..).unwrap_or(&[]);
        if word_bytes::<R>() == 4 {
            R::from_u64(u64::from(u32::read_le(bytes)))
        } else {
            R::from_u64(u64::read_le(bytes))
        }
    }

    /// The words that hold `count` bits from bit `first` on, a multiple of 32.
    #[inline]
    pub(crate) fn words_of_bits(&mut self, first: u32, count: u32) -> &mut [[u8; 4]] {
        let (first, words) = (first as usize / 32, count.div_ceil(32) as usize);
        self.record.as_chunks_mut().0.get_mut(first..first + words).unwrap_or_default()
    }

    /// `count` words of 64 bits from byte `offset` on.
    #[inline]
    pub(crate) fn wide_words(&mut self, offset: u32, count: u32) -> &mut [[u8; 8]] {
        let bytes = self.record.get_mut(offset as usize..).unwrap_or_default();
        bytes.as_chunks_mut().0.get_mut(..count as usize).unwrap_or_default()
    }

    /// Adds bits (by exclusive or) at bit `first`; they must lie in one 32-bit word.
    #[inline]
    pub fn xor_bits(&mut self, first: u32, bits: u32) {
        let Some(bytes) = self.record.get_mut((first / 32 * 4) as usize..) else { return };
        (u32::read_le(bytes) ^ bits << (first % 32)).write_le(bytes);
    }

    /// `P0`'s share of `count <= 32` bits from bit `first` on, which lie in one 32-bit word. What
    /// it holds there alone decides the truth.
    #[inline]
    pub fn bits_of_p0(&mut self, first: u32, count: u32) -> u32 {
        (self.own)(first, count)
    }

    /// `P0`'s share of the word of 64 bits at byte `offset`.
    pub fn word_of_p0(&mut self, offset: u32) -> u64 {
        let [low, high] = [0, 32].map(|bits| self.bits_of_p0(8 * offset + bits, 32));
        u64::from(low) | u64::from(high) << 32
    }
}

/// **Deal**: writes `P1`'s half of `elements` records to `out`.
///
/// `P0`'s half lies under `keystream` at `position`. `truth` is called once for every element, in
/// order, with a record full of zeros to write the truth to; what it draws at random comes from
/// `rng`.
///
/// # Errors
/// [`LengthError`] if `out` has not the length of so many records.
pub fn deal<C: Rounds, G: CryptoRng>(
    keystream: &Keystream<C>,
    position: Position,
    layout: Layout,
    elements: usize,
    rng: &mut G,
    out: &mut [u8],
    truth: impl FnMut(&mut Truth<'_>, &mut G),
) -> Result<(), LengthError> {
    expect_len(out.len(), layout.bytes() * elements)?;
    deal_from(keystream, position, layout, 0, rng, out, truth);
    Ok(())
}

/// **Deal**, a part of the records of an operation: as many as `out` has room for, from number
/// `group` times [`Layout::together`] on. Parts may be dealt at the same time, each with randomness
/// of its own.
pub fn deal_from<C: Rounds, G: CryptoRng>(
    keystream: &Keystream<C>,
    position: Position,
    layout: Layout,
    group: u32,
    rng: &mut G,
    out: &mut [u8],
    mut truth: impl FnMut(&mut Truth<'_>, &mut G),
) {
    if layout.end == 0 {
        return;
    }
    let (blocks, per_block) = layout.blocks();
    let (record_bytes, blocks_bytes) = (layout.bytes(), blocks as usize * BLOCK_BYTES);
    let (domain, first) = (position.domain(Kind::Record), group.wrapping_mul(blocks));
    let mut share = [0; MANY_BLOCKS * BLOCK_BYTES];
    let mut half = Derived::new(keystream, position, layout);
    let mut element = group as usize * per_block as usize;
    let mut write = |record: &mut [u8]| {
        record.fill(0);
        let own = &mut |first, count| half.bits(element, first, count);
        truth(&mut Truth { record, own }, rng);
        element += 1;
    };
    let groups_each = share.len() / blocks_bytes;
    if groups_each == 0 {
        for (first, record) in
            (first..).step_by(blocks as usize).zip(out.chunks_exact_mut(record_bytes))
        {
            write(record);
            let (mut at, mut pieces) = (0, record.chunks_mut(share.len()));
            keystream.for_each_run(domain, first, blocks, &mut share, |share| {
                let piece = pieces.next().unwrap_or_default();
                take_off(&layout, at, piece, share);
                at += piece.len();
            });
        }
        return;
    }
    let group_bytes = record_bytes * per_block as usize;
    let share_bytes = if per_block == 1 { blocks_bytes } else { record_bytes.next_multiple_of(8) };
    let count =
        u32::try_from(layout.keystream_blocks(out.len() / record_bytes)).unwrap_or(u32::MAX);
    let mut runs = out.chunks_mut(group_bytes * groups_each);
    let share = share.get_mut(..groups_each * blocks_bytes).unwrap_or_default();
    keystream.for_each_run(domain, first, count, share, |share| {
        let groups = runs.next().unwrap_or_default().chunks_mut(group_bytes);
        for (group, share) in groups.zip(share.chunks_exact(blocks_bytes)) {
            for (record, share) in
                group.chunks_exact_mut(record_bytes).zip(share.chunks(share_bytes))
            {
                write(record);
                take_off(&layout, 0, record, share);
            }
        }
    });
}

/// Takes `P0`'s share off a piece of a record that starts at byte `at`, a multiple of 8.
fn take_off(layout: &Layout, at: usize, piece: &mut [u8], share: &[u8]) {
    // What lies between the last word of 32 bits and the first of 64 goes with the former.
    let ends = [layout.bits_end, layout.words_end.next_multiple_of(8)]
        .map(|end| (end as usize).saturating_sub(at));
    let [bits_end, words_end] = ends.map(|end| end.min(piece.len()).min(share.len()));
    let (bits, rest) = piece.split_at_mut(bits_end);
    let (words, wide) = rest.split_at_mut(words_end - bits_end);
    let (bits_share, rest) = share.split_at(bits_end);
    let (words_share, wide_share) = rest.split_at(words_end - bits_end);
    for (byte, share) in bits.iter_mut().zip(bits_share) {
        *byte ^= share;
    }
    for (word, share) in words.as_chunks_mut().0.iter_mut().zip(words_share.as_chunks().0) {
        *word = u32::from_le_bytes(*word).wrapping_sub(u32::from_le_bytes(*share)).to_le_bytes();
    }
    for (word, share) in wide.as_chunks_mut().0.iter_mut().zip(wide_share.as_chunks().0) {
        *word = u64::from_le_bytes(*word).wrapping_sub(u64::from_le_bytes(*share)).to_le_bytes();
    }
}

/// **Derive**, all at once: writes `P0`'s half of `elements` records to `out`, for a party with
/// memory to spare.
///
/// # Errors
/// [`LengthError`] if `out` has not the length of so many expanded records.
pub fn expand<C: Rounds>(
    keystream: &Keystream<C>,
    position: Position,
    layout: Layout,
    elements: usize,
    out: &mut [u8],
) -> Result<(), LengthError> {
    expect_len(out.len(), layout.expanded_bytes(elements))?;
    keystream.fill_blocks(position.domain(Kind::Record), out);
    Ok(())
}

fn expect_len(found_bytes: usize, expected_bytes: usize) -> Result<(), LengthError> {
    if found_bytes == expected_bytes {
        Ok(())
    } else {
        Err(LengthError { expected_bytes, found_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystream::{ChaCha8, Key};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;
    extern crate std;
    use std::vec;

    /// Both halves of every part open to the truth, however small or large the record, whichever
    /// way P0 gets its half.
    #[test]
    fn halves_open_to_the_truth() {
        for (bits, narrow, wide) in [
            (0, 3, 0),
            (7, 1, 0),
            (0, 0, 2),
            (70, 3, 1),
            (40, 5, 30),
            (2000, 1, 64),
            (0, 16, 0),
            (0, 1, 0),
            (90, 1300, 700),
        ] {
            let mut layout = Layout::default();
            let bit_place = layout.bits(bits);
            let narrow_place = layout.words::<u32>(narrow);
            let wide_place = layout.words::<u64>(wide);
            let (keystream, position) = (
                Keystream::<ChaCha8>::new(&Key::from_bytes([7; 32])),
                Position { session: 3, layer: 9 },
            );
            let elements = 37;
            let mut out = vec![0; layout.bytes() * elements];
            let mut rng = ChaCha20Rng::from_seed([5; 32]);
            let value = |element: usize, i: u32| {
                (element as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i)
            };
            let narrowed = |element: usize, i: u32| u32::from_u64(value(element, i));
            let mut element = 0;
            deal(&keystream, position, layout, elements, &mut rng, &mut out, |truth, _| {
                for i in 0..bits {
                    truth.xor_bits(bit_place + i, narrowed(element, i) & 1);
                }
                for i in 0..narrow {
                    truth.set_word(narrow_place + 4 * i, narrowed(element, i));
                }
                for i in 0..wide {
                    truth.set_word(wide_place + 8 * i, value(element, i));
                }
                element += 1;
            })
            .expect("sized");
            let mut memory = vec![0; layout.expanded_bytes(elements)];
            expand(&keystream, position, layout, elements, &mut memory).expect("sized");
            let mut derived = Derived::new(&keystream, position, layout);
            let mut expanded = Stored::expanded(layout, elements, &memory).expect("sized");
            let mut received = Stored::received(layout, elements, &out).expect("sized");
            let mut seen_mask = bits + narrow + wide == 0;
            for element in 0..elements {
                for i in 0..bits {
                    let (a, b) = (
                        derived.bits(element, bit_place + i, 1),
                        received.bits(element, bit_place + i, 1),
                    );
                    assert_eq!(a, expanded.bits(element, bit_place + i, 1));
                    assert_eq!(a ^ b, narrowed(element, i) & 1, "bit {i} of {element}");
                }
                for i in 0..narrow {
                    let (a, b): (u32, u32) = (
                        derived.word(element, narrow_place + 4 * i),
                        received.word(element, narrow_place + 4 * i),
                    );
                    assert_eq!(a, expanded.word::<u32>(element, narrow_place + 4 * i));
                    assert_eq!(Ring::add(a, b), narrowed(element, i), "word {i} of {element}");
                    seen_mask |= b != narrowed(element, i);
                }
                for i in 0..wide {
                    let (a, b): (u64, u64) = (
                        derived.word(element, wide_place + 8 * i),
                        received.word(element, wide_place + 8 * i),
                    );
                    assert_eq!(a, expanded.word::<u64>(element, wide_place + 8 * i));
                    assert_eq!(Ring::add(a, b), value(element, i), "wide word {i} of {element}");
                    seen_mask |= b != value(element, i);
                }
            }
            assert!(seen_mask);
        }
    }

    /// Parts that are dealt by themselves are those of the whole.
    #[test]
    fn parts_are_dealt_alone() {
        let (keystream, position) = (
            Keystream::<ChaCha8>::new(&Key::from_bytes([9; 32])),
            Position { session: 4, layer: 2 },
        );
        for (narrow, wide) in [(1, 0), (3, 1), (2, 7), (5, 40), (1, 600)] {
            let mut layout = Layout::default();
            layout.bits(40);
            layout.words::<u32>(narrow);
            let place = layout.words::<u64>(wide);
            let truth = |truth: &mut Truth<'_>, _: &mut ChaCha20Rng| {
                truth.xor_bits(0, 0x55);
                if wide > 0 {
                    truth.set_word(place, 77_u64);
                }
            };
            let (elements, mut rng) = (43, ChaCha20Rng::from_seed([6; 32]));
            let mut whole = vec![0; layout.bytes() * elements];
            deal(&keystream, position, layout, elements, &mut rng, &mut whole, truth)
                .expect("sized");
            for groups in [1, 2, 5] {
                let mut parts = vec![0; whole.len()];
                let part_bytes = groups * layout.together() * layout.bytes();
                for (group, part) in (0..).step_by(groups).zip(parts.chunks_mut(part_bytes)) {
                    deal_from(&keystream, position, layout, group, &mut rng, part, truth);
                }
                assert!(parts == whole, "{narrow} and {wide} words, {groups} groups together");
            }
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut layout = Layout::default();
        layout.words::<u32>(3);
        assert_eq!(layout.bytes(), 12);
        assert!(Stored::received(layout, 2, &[0; 23]).is_err());
        assert!(Stored::expanded(layout, 2, &[0; 24]).is_err());
    }
}
