//! The keystream from which `P0` derives its half of every correlation, and the one place where
//! domains are separated.
//!
//! A position is (key, session, layer, kind, block): the key is ChaCha's key; session, layer, kind
//! and block fill the 128 bits that ChaCha has for nonce and counter, one field each, so two
//! positions never share a block. A single 64-byte block is computed where it is needed and nothing
//! is buffered: this is what a device with 64 KB can afford.
//!
//! Reference: D. J. Bernstein, "ChaCha, a variant of Salsa20" (2008), with its original 64-bit
//! nonce and counter; the 20-round variant's block function is that of RFC 8439, section 2.3.

use core::fmt;
use core::marker::PhantomData;

use rand_core::CryptoRng;
use zeroize::Zeroize;

/// Words of a keystream block.
pub const BLOCK_WORDS: usize = 16;
/// Bytes of a keystream block.
pub const BLOCK_BYTES: usize = 64;
/// Bits of a keystream block.
pub const BLOCK_BITS: u32 = 512;

/// How many rounds the keystream makes: a choice of type, so that no run-time switch is left on the
/// device. With it go the inner loops that a board may have in fewer instructions.
pub trait Rounds: fmt::Debug + Send + Sync + 'static {
    /// Column and diagonal rounds count as one each.
    const ROUNDS: u8;

    /// Called for every block that [`Keystream::block`] computes: a test counts them with a type of
    /// its own.
    #[doc(hidden)]
    #[inline(always)]
    fn block_made() {}

    /// The rounds of a block: all but its last step, which adds what [`Start::words`] gives first.
    ///
    /// A board may compute the same words in fewer instructions.
    #[inline(always)]
    #[must_use]
    fn mix(start: &Start, index: u32) -> [u32; BLOCK_WORDS] {
        start.mix(index, Self::ROUNDS)
    }

    /// The inner product of block `index` with `vector`, added to `acc`.
    ///
    /// A board may compute the same word in fewer instructions.
    #[inline(always)]
    #[must_use]
    fn dot(start: &Start, index: u32, acc: u32, vector: &[u32; BLOCK_WORDS]) -> u32 {
        Block(start.add(Self::mix(start, index))).dot(acc, vector)
    }

    /// The inner products of two rows with `vector`, each added to a word of `acc`. All three are
    /// of the same length.
    ///
    /// A board may compute the same words in fewer instructions.
    #[inline(always)]
    #[must_use]
    fn dot_two(acc: [u32; 2], rows: [&[u32]; 2], vector: &[u32]) -> [u32; 2] {
        let ([x, y], [a, b]) = (acc, rows);
        [crate::ring::dot(x, a, vector), crate::ring::dot(y, b, vector)]
    }

    /// Fills `out` with the blocks from `position` on.
    #[doc(hidden)]
    fn blocks(key: &[u32; 8], position: [u32; 4], out: &mut [u8]) {
        let (start, [first, ..]) = (Start::new(key, position), position);
        for (index, out) in (first..).zip(out.chunks_exact_mut(BLOCK_BYTES)) {
            crate::ring::write_le_slice(&start.add(Self::mix(&start, index)), out);
        }
    }
}

/// Blocks that are computed in one run, where few are needed.
const FEW_BLOCKS: usize = 16;
/// Where many are: what a run begins with no longer counts.
pub(crate) const MANY_BLOCKS: usize = 64;

macro_rules! rounds {
    ($name:ident, $rounds:literal, $library:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug)]
        pub struct $name;

        impl Rounds for $name {
            const ROUNDS: u8 = $rounds;

            #[cfg(feature = "simd")]
            fn blocks(key: &[u32; 8], [p0, p1, p2, p3]: [u32; 4], out: &mut [u8]) {
                use rand_chacha::rand_core::{Rng, SeedableRng};
                let mut seed = [0; 32];
                crate::ring::write_le_slice(key, &mut seed);
                let mut rng = rand_chacha::$library::from_seed(seed);
                seed.zeroize();
                // The library's 64-bit counter is words 12 and 13, its 64-bit stream words 14 and
                // 15.
                rng.set_stream(u64::from(p3) << 32 | u64::from(p2));
                rng.set_word_pos((u128::from(p1) << 32 | u128::from(p0)) * BLOCK_WORDS as u128);
                rng.fill_bytes(out);
            }
        }
    };
}

rounds!(ChaCha8, 8, ChaCha8Rng, "8 rounds: fastest; the best published attack reaches 7.");
rounds!(ChaCha12, 12, ChaCha12Rng, "12 rounds: the default.");
rounds!(ChaCha20, 20, ChaCha20Rng, "20 rounds: the conservative choice of RFC 8439.");

/// What a run of keystream is used for. Each correlation's part has its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The weight mask `E` of a linear layer, under the model's seed.
    WeightMask = 1,
    /// The input mask `r` of a linear layer.
    InputMask = 2,
    /// `P0`'s share `a_0` of `A r`.
    LinearShare = 3,
    /// `P0`'s share of a gate's mask `r`.
    GateMask = 4,
    /// `P0`'s share of the mask's topmost bit.
    GateSign = 5,
    /// `P0`'s share of the bits that mask the leaf bits.
    GateOpening = 6,
    /// `P0`'s share of a gate's leaf tables.
    GateLeaves = 7,
    /// `P0`'s share of a gate's arithmetic table.
    GateTable = 8,
    /// Seed-compressed sharing.
    Share = 9,
    /// A key's public name.
    KeyId = 10,
    /// `P0`'s half of records.
    Record = 11,
    /// Shares of masks of whole tensors, and `P0`'s of their products.
    Tensor = 12,
    /// A data party's seed for one input, and the number of its query.
    Query = 13,
    /// What a program's keystream is derived from: see [`crate::binding`].
    Program = 14,
    /// What a session's keystream is derived from.
    Session = 15,
    /// What an order for sessions is derived from.
    Order = 16,
    /// The key of the digest of a layer's `E`, under the model's seed.
    KeptDigest = 17,
}

/// A 32-byte secret key. Redacted when printed, wiped when dropped, never compared.
pub struct Key([u8; 32]);

impl Key {
    /// A key from bytes that are already secret and uniform.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The key itself, to be stored or sent by its owner.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Drop for Key {
    // Wiped byte by byte, which would else be written out wherever a key ends.
    #[inline(never)]
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(<redacted>)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Key {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Key(<redacted>)");
    }
}

/// A public name of a key: tells apart what was dealt under different keys of one device.
pub type KeyId = [u8; 8];

/// A run of blocks: one kind of one layer of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The session; 0 for what belongs to a model and not to a session.
    pub session: u64,
    /// The layer, counted from 0.
    pub layer: u16,
    /// What the run is used for.
    pub kind: Kind,
}

/// A keyed, seekable source of blocks.
pub struct Keystream<C: Rounds = ChaCha12> {
    key: [u32; 8],
    rounds: PhantomData<C>,
}

impl<C: Rounds> Keystream<C> {
    /// The keystream under `key`.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        let mut words = [0; 8];
        crate::ring::read_le_slice(&key.0, &mut words);
        Self { key: words, rounds: PhantomData }
    }

    /// Block `index` of a domain.
    #[must_use]
    pub fn block(&self, domain: Domain, index: u32) -> Block {
        self.run(domain).block(index)
    }

    /// The key's public name: keystream that is used for nothing else.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let block = self.block(Domain { session: 0, layer: 0, kind: Kind::KeyId }, 0);
        block.ring::<u64>(0).to_le_bytes()
    }

    /// The keystream under the first half of the block at `position`, ChaCha's words 12 to 15: what
    /// [`crate::binding`] is made of.
    // Rare: not worth another copy of the block function in a device's flash.
    #[inline(never)]
    pub(crate) fn next(&self, position: [u32; 4]) -> Self {
        let [index, ..] = position;
        C::block_made();
        let start = Start::new(&self.key, position);
        let [k0, k1, k2, k3, k4, k5, k6, k7, ..] = start.add(C::mix(&start, index));
        Self { key: [k0, k1, k2, k3, k4, k5, k6, k7], rounds: PhantomData }
    }

    /// The same, at block `index` of a domain.
    pub(crate) fn next_in(&self, domain: Domain, index: u32) -> Self {
        self.next(domain_words(domain, index))
    }

    /// The first half of the key, to be shown: no keystream is made under it.
    pub(crate) fn into_tag(self) -> [u8; 16] {
        let mut tag = [0; 16];
        crate::ring::write_le_slice(&self.key, &mut tag);
        tag
    }

    /// The blocks of a domain, for many of them: what does not depend on a block's number is
    /// computed once.
    #[must_use]
    pub fn run(&self, domain: Domain) -> Run<C> {
        Run { start: Start::new(&self.key, domain_words(domain, 0)), rounds: PhantomData }
    }

    /// Calls `each` with the blocks `first..first + count` of a domain, in order: for the dealer,
    /// who goes through whole tables, and with the feature `simd` computes several blocks at once.
    pub(crate) fn for_each_block(
        &self,
        domain: Domain,
        first: u32,
        count: u32,
        mut each: impl FnMut(Block),
    ) {
        let mut run = [0; FEW_BLOCKS * BLOCK_BYTES];
        self.for_each_run(domain, first, count, &mut run, |run| {
            for bytes in run.chunks_exact(BLOCK_BYTES) {
                let mut block = Block([0; BLOCK_WORDS]);
                crate::ring::read_le_slice(bytes, &mut block.0);
                each(block);
            }
        });
    }

    /// Calls `each` with the bytes of the blocks `first..first + count` of a domain, in order, in
    /// runs as long as `run`, which is wiped afterwards.
    pub(crate) fn for_each_run(
        &self,
        domain: Domain,
        first: u32,
        count: u32,
        run: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) {
        let blocks_each = u32::try_from(run.len() / BLOCK_BYTES).unwrap_or(u32::MAX).max(1);
        let (mut index, end) = (first, first.wrapping_add(count));
        while index < end {
            let blocks = blocks_each.min(end - index);
            let run = run.get_mut(..blocks as usize * BLOCK_BYTES).unwrap_or_default();
            C::blocks(&self.key, domain_words(domain, index), run);
            each(run);
            index += blocks;
        }
        let used = run.len().min(count as usize * BLOCK_BYTES);
        // Element by element: the whole slice asserts its length first, which is code that panics.
        run.get_mut(..used).unwrap_or_default().iter_mut().zeroize();
    }

    /// Fills `out`, whole blocks, with those of a domain from its beginning.
    #[cfg(feature = "functions")]
    pub(crate) fn fill_blocks(&self, domain: Domain, out: &mut [u8]) {
        C::blocks(&self.key, domain_words(domain, 0), out);
    }

    /// Fills `out` with the words that start at block `first` of a domain.
    ///
    /// Words of rings wider than 32 bits take two keystream words, low half first.
    pub fn fill<R: crate::ring::Ring>(&self, domain: Domain, first: u32, out: &mut [R]) {
        let run = self.run(domain);
        for (index, chunk) in (first..).zip(out.chunks_mut(words_per_block::<R>())) {
            run.block(index).copy_to(0, chunk);
        }
    }

    /// As [`Keystream::fill`], for long runs: with the feature `simd` several blocks at once.
    pub fn fill_long<R: crate::ring::Ring>(&self, domain: Domain, first: u32, out: &mut [R]) {
        const BYTES: usize = MANY_BLOCKS * BLOCK_BYTES;
        let word_bytes = BLOCK_BYTES / words_per_block::<R>();
        let count = u32::try_from(out.len().div_ceil(words_per_block::<R>())).unwrap_or(u32::MAX);
        let mut chunks = out.chunks_mut(BYTES / word_bytes);
        self.for_each_run(domain, first, count, &mut [0; BYTES], |run| {
            for (word, bytes) in
                chunks.next().unwrap_or_default().iter_mut().zip(run.chunks_exact(word_bytes))
            {
                *word = R::from_u64(<u64 as crate::ring::Ring>::read_le(bytes));
            }
        });
    }
}

/// The blocks of one domain: one kind of one layer of one session.
pub struct Run<C: Rounds> {
    start: Start,
    rounds: PhantomData<C>,
}

impl<C: Rounds> Run<C> {
    /// Block `index` of the domain.
    #[inline]
    #[must_use]
    pub fn block(&self, index: u32) -> Block {
        C::block_made();
        Block(self.start.add(C::mix(&self.start, index)))
    }

    /// [`Block::dot`] of block `index`.
    #[inline]
    #[must_use]
    pub fn dot<R: crate::ring::Ring>(&self, index: u32, acc: R, vector: &[R]) -> R {
        match R::words(vector).and_then(|words| words.first_chunk()) {
            Some(words) => {
                C::block_made();
                #[allow(clippy::cast_possible_truncation)]
                let acc = acc.to_u64() as u32;
                R::from_u64(C::dot(&self.start, index, acc, words).into())
            }
            None => self.block(index).dot(acc, vector),
        }
    }

    /// Block `index` up to its last step, for whoever needs few of its words: see [`Run::word`].
    #[inline(never)]
    pub(crate) fn mix(&self, index: u32) -> Mixed {
        C::block_made();
        Mixed(C::mix(&self.start, index))
    }

    /// A word of a block that was mixed; places beyond the block wrap.
    #[inline]
    pub(crate) fn word(&self, mixed: &Mixed, place: usize) -> u32 {
        let word = |words: &[u32; BLOCK_WORDS]| words.get(place % BLOCK_WORDS).copied();
        word(&mixed.0).unwrap_or(0).wrapping_add(word(&self.start.start).unwrap_or(0))
    }
}

/// A block before its last step. Not wiped, as [`Block`].
pub(crate) struct Mixed([u32; BLOCK_WORDS]);

impl<C: Rounds> fmt::Debug for Run<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run(<redacted>)")
    }
}

/// Ring words that one block yields: 16 of up to 32 bits, 8 of 64.
#[must_use]
pub const fn words_per_block<R: crate::ring::Ring>() -> usize {
    BLOCK_WORDS / R::BITS.div_ceil(32) as usize
}

/// A ring word from its 32-bit pieces, lowest first.
pub(crate) fn join<R: crate::ring::Ring>(pieces: impl DoubleEndedIterator<Item = u32>) -> R {
    R::from_u64(pieces.rev().fold(0, |word, piece| word << 32 | u64::from(piece)))
}

impl<C: Rounds> Drop for Keystream<C> {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl<C: Rounds> fmt::Debug for Keystream<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keystream(<redacted>)")
    }
}

/// One keystream block. Redacted when printed; not wiped, since that would cost as much as two
/// rounds per block on the device (see `docs/threat-model.md` for what stays on a stack).
pub struct Block([u32; BLOCK_WORDS]);

impl Block {
    /// The block's words.
    #[must_use]
    pub fn words(&self) -> &[u32; BLOCK_WORDS] {
        &self.0
    }

    /// Inner product of the block's words with `vector`, added to `acc`; at most a block's worth of
    /// words is read.
    #[inline]
    #[must_use]
    pub fn dot<R: crate::ring::Ring>(&self, acc: R, vector: &[R]) -> R {
        // A length that the compiler knows lets it multiply a word as soon as it is made.
        match vector.first_chunk::<BLOCK_WORDS>() {
            Some(vector) if words_per_block::<R>() == BLOCK_WORDS => self.dot_words(acc, vector),
            _ => self.dot_words(acc, vector),
        }
    }

    #[inline(always)]
    fn dot_words<R: crate::ring::Ring>(&self, acc: R, vector: &[R]) -> R {
        self.ring_words::<R>().zip(vector).fold(acc, |acc, (word, &x)| acc.add(word.mul(x)))
    }

    /// Writes ring words from number `place` on to `out`, as many as there are.
    pub(crate) fn copy_to<R: crate::ring::Ring>(&self, place: usize, out: &mut [R]) {
        if let Some(out) = R::words_mut(out) {
            match out.first_chunk_mut() {
                Some(out) if place == 0 => *out = self.0,
                _ => {
                    let words = self.0.iter().skip(place);
                    out.iter_mut().zip(words).for_each(|(out, word)| *out = *word);
                }
            }
        } else {
            let words = self.ring_words().skip(place);
            out.iter_mut().zip(words).for_each(|(out, word)| *out = word);
        }
    }

    /// The block's ring words, in order.
    pub(crate) fn ring_words<R: crate::ring::Ring>(&self) -> impl Iterator<Item = R> {
        self.0
            .chunks_exact(R::BITS.div_ceil(32) as usize)
            .map(|pieces| join(pieces.iter().copied()))
    }

    /// The ring word number `index` of the block; indices beyond the block wrap.
    #[must_use]
    pub fn ring<R: crate::ring::Ring>(&self, index: usize) -> R {
        let words_each = R::BITS.div_ceil(32) as usize;
        let first = (index * words_each) % BLOCK_WORDS;
        join(self.0.get(first..first + words_each).unwrap_or(&[]).iter().copied())
    }

    /// Bits `first..first + count` (`count <= 8`, within one 32-bit word) of the block read as 512
    /// bits, lowest first.
    #[must_use]
    pub fn bits(&self, first: u32, count: u32) -> u32 {
        let word = self.0.get((first / 32) as usize % BLOCK_WORDS).copied().unwrap_or(0);
        (word >> (first % 32)) & ((1 << count) - 1)
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Block(<redacted>)")
    }
}

/// A domain and a block number as ChaCha's words 12 to 15.
///
/// Word 12 counts blocks, word 13 holds kind and layer, words 14 and 15 the session: one field
/// each, no overlap.
fn domain_words(domain: Domain, index: u32) -> [u32; 4] {
    #[allow(clippy::cast_possible_truncation)]
    let (session_low, session_high) = (domain.session as u32, (domain.session >> 32) as u32);
    [index, (domain.kind as u32) << 16 | u32::from(domain.layer), session_low, session_high]
}

/// The ChaCha state that a run of blocks starts with, in which word 12 counts. Wiped when dropped.
#[repr(C)]
pub struct Start {
    /// Before the first round.
    start: [u32; BLOCK_WORDS],
    /// After those quarter rounds of the first round that word 12 takes no part in.
    mixed: [u32; BLOCK_WORDS],
}

impl Start {
    /// `position` fills words 12 to 15.
    fn new(key: &[u32; 8], position: [u32; 4]) -> Self {
        const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
        let [c0, c1, c2, c3] = CONSTANTS;
        let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
        let [p0, p1, p2, p3] = position;
        let start = [c0, c1, c2, c3, k0, k1, k2, k3, k4, k5, k6, k7, p0, p1, p2, p3];
        let mut mixed = start;
        rotate(&mut mixed, B_ROTATION, D_ROTATION);
        quarter_round(&mut mixed, 1, 5, 9, 13);
        quarter_round(&mut mixed, 2, 6, 10, 14);
        quarter_round(&mut mixed, 3, 7, 11, 15);
        Self { start, mixed }
    }

    /// Block 0's words before the first round; and behind them, as they are after those quarter
    /// rounds of the first round that word 12 takes no part in. In the latter, words 4 to 7 lack a
    /// rotation to the right by 25, and words 13 to 15 one by 24.
    #[must_use]
    pub fn words(&self) -> [&[u32; BLOCK_WORDS]; 2] {
        [&self.start, &self.mixed]
    }

    /// The last step of a block.
    #[inline]
    fn add(&self, mut x: [u32; BLOCK_WORDS]) -> [u32; BLOCK_WORDS] {
        for (x, start) in x.iter_mut().zip(&self.start) {
            *x = x.wrapping_add(*start);
        }
        x
    }

    /// A block without its last step. Both orders of quarter rounds are those in which the compiler
    /// puts the fewest words aside.
    #[inline(always)]
    #[allow(clippy::indexing_slicing)]
    fn mix(&self, index: u32, rounds: u8) -> [u32; BLOCK_WORDS] {
        let mut x = self.mixed;
        x[12] = index.rotate_left(D_ROTATION);
        quarter_round(&mut x, 0, 4, 8, 12);
        diagonal_round(&mut x);
        for _ in (1..rounds / 2).rev() {
            quarter_round(&mut x, 0, 4, 8, 12);
            quarter_round(&mut x, 3, 7, 11, 15);
            quarter_round(&mut x, 1, 5, 9, 13);
            quarter_round(&mut x, 2, 6, 10, 14);
            diagonal_round(&mut x);
        }
        rotate(&mut x, 32 - B_ROTATION, 32 - D_ROTATION);
        // Word 12 of the start is block 0's.
        x[12] = x[12].wrapping_sub(self.start[12]).wrapping_add(index);
        x
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Start(<redacted>)")
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        self.start.zeroize();
        self.mixed.zeroize();
    }
}

// A Cortex-M rotates an operand for nothing, but not what it stores. So rounds hand on their words
// `b` and `d` without the last rotation, which the next round makes where it reads them.

/// The rotation to the right that words 4 to 7 lack between rounds.
const B_ROTATION: u32 = 25;
/// The rotation to the right that words 12 to 15 lack between rounds.
const D_ROTATION: u32 = 24;

/// Rotates words 4 to 7 and 12 to 15, each four to the left.
#[inline(always)]
#[allow(clippy::indexing_slicing)]
fn rotate(x: &mut [u32; BLOCK_WORDS], b_bits: u32, d_bits: u32) {
    x[4..8].iter_mut().for_each(|b| *b = b.rotate_left(b_bits));
    x[12..].iter_mut().for_each(|d| *d = d.rotate_left(d_bits));
}

/// The four quarter rounds of a diagonal round.
#[inline(always)]
fn diagonal_round(x: &mut [u32; BLOCK_WORDS]) {
    quarter_round(x, 2, 7, 8, 13);
    quarter_round(x, 3, 4, 9, 14);
    quarter_round(x, 1, 6, 11, 12);
    quarter_round(x, 0, 5, 10, 15);
}

/// Adds, xors and rotates four words of the state, between rounds.
#[inline(always)]
#[allow(clippy::indexing_slicing)]
fn quarter_round(x: &mut [u32; BLOCK_WORDS], a: usize, b: usize, c: usize, d: usize) {
    x[a] = x[a].wrapping_add(x[b].rotate_right(B_ROTATION));
    x[d] = x[d].rotate_right(D_ROTATION) ^ x[a];
    x[c] = x[c].wrapping_add(x[d].rotate_right(16));
    x[b] = x[b].rotate_right(B_ROTATION) ^ x[c];
    x[a] = x[a].wrapping_add(x[b].rotate_right(20));
    x[d] = x[d].rotate_right(16) ^ x[a];
    x[c] = x[c].wrapping_add(x[d].rotate_right(D_ROTATION));
    x[b] = x[b].rotate_right(20) ^ x[c];
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    fn library_words<T: Rng + SeedableRng<Seed = [u8; 32]>>(
        key: [u8; 32],
        mut at: impl FnMut(&mut T),
    ) -> [u32; 16] {
        let mut rng = T::from_seed(key);
        at(&mut rng);
        core::array::from_fn(|_| rng.next_u32())
    }

    #[test]
    fn rfc_8439_block() {
        // RFC 8439, section 2.3.2: key 00..1f, counter 1, nonce
        // 00:00:00:09:00:00:00:4a:00:00:00:00.
        let key: [u8; 32] = core::array::from_fn(|i| u8::try_from(i).expect("below 32"));
        let stream = Keystream::<ChaCha20>::new(&Key::from_bytes(key));
        let start = Start::new(&stream.key, [0, 0x0900_0000, 0x4a00_0000, 0]);
        let out = start.add(start.mix(1, 20));
        let expected = [
            0xe4e7_f110,
            0x1559_3bd1,
            0x1fdd_0f50,
            0xc471_20a3,
            0xc7f4_d1c7,
            0x0368_c033,
            0x9aaa_2204,
            0x4e6c_d4c3,
            0x4664_82d2,
            0x09aa_9f07,
            0x05d7_c214,
            0xa202_8bd9,
            0xd19c_12b5,
            0xb94e_16de,
            0xe883_d0cb,
            0x4e3c_50a2,
        ];
        assert_eq!(out, expected);
    }

    #[test]
    fn every_round_count_agrees_with_a_library() {
        let key = [0x5a; 32];
        let domain =
            Domain { session: 0x0102_0304_0506_0708, layer: 0x0b0c, kind: Kind::GateLeaves };
        let index = 77_u32;
        // The library's 64-bit block counter is our words 12 and 13, its 64-bit stream our words 14
        // and 15.
        let counter = u128::from(domain_words(domain, 0)[1]) << 32 | u128::from(index);
        macro_rules! check {
            ($ours:ty, $library:ty) => {
                let block = Keystream::<$ours>::new(&Key::from_bytes(key)).block(domain, index);
                let library = library_words::<$library>(key, |rng| {
                    rng.set_stream(domain.session);
                    rng.set_word_pos(counter * 16);
                });
                assert_eq!(*block.words(), library);
            };
        }
        check!(ChaCha8, rand_chacha::ChaCha8Rng);
        check!(ChaCha12, rand_chacha::ChaCha12Rng);
        check!(ChaCha20, rand_chacha::ChaCha20Rng);
    }

    #[test]
    fn words_of_mixed_blocks_are_those_of_blocks() {
        let stream = Keystream::<ChaCha12>::new(&Key::from_bytes([3; 32]));
        let run = stream.run(Domain { session: 7, layer: 2, kind: Kind::GateLeaves });
        for index in [0, 1, 77, u32::MAX] {
            let mixed = run.mix(index);
            let words: [u32; BLOCK_WORDS] = core::array::from_fn(|i| run.word(&mixed, i));
            assert_eq!(words, *run.block(index).words());
        }
    }

    #[test]
    fn blocks_side_by_side_are_the_blocks_one_by_one() {
        let stream = Keystream::<ChaCha12>::new(&Key::from_bytes([2; 32]));
        let domain = Domain { session: 3, layer: 1, kind: Kind::GateTable };
        for count in 0..10 {
            let mut index = 41;
            stream.for_each_block(domain, 41, count, |block| {
                assert_eq!(block.words(), stream.block(domain, index).words());
                index += 1;
            });
            assert_eq!(index, 41 + count);
        }
    }

    #[test]
    fn positions_do_not_collide() {
        let base = Domain { session: 1, layer: 2, kind: Kind::InputMask };
        let all = [
            domain_words(base, 3),
            domain_words(base, 4),
            domain_words(Domain { session: 2, ..base }, 3),
            domain_words(Domain { session: 1 << 32, ..base }, 3),
            domain_words(Domain { layer: 3, ..base }, 3),
            domain_words(Domain { kind: Kind::LinearShare, ..base }, 3),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|b| a != b));
        }
    }

    #[test]
    fn blocks_are_read_by_word_and_by_bit() {
        let stream = Keystream::<ChaCha12>::new(&Key::from_bytes([1; 32]));
        let domain = Domain { session: 9, layer: 0, kind: Kind::Share };
        let block = stream.block(domain, 5);
        let mut words = [0_u64; 8];
        stream.fill(domain, 5, &mut words);
        assert_eq!(words[3], block.ring::<u64>(3));
        assert_eq!(block.ring::<u32>(6), block.words()[6]);
        assert_eq!(block.bits(32 * 6 + 30, 2), block.words()[6] >> 30);
    }

    #[test]
    fn secrets_print_redacted() {
        extern crate std;
        let key = Key::from_bytes([7; 32]);
        assert_eq!(
            std::format!("{key:?} {:?}", Keystream::<ChaCha8>::new(&key)),
            "Key(<redacted>) Keystream(<redacted>)"
        );
    }
}
