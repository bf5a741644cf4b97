//! What two parties make of random oblivious transfers: the correlations of a comparison on their
//! own shares.
//!
//! In a random oblivious transfer one party, the *sender*, has two random strings, and the other,
//! the *receiver*, a random bit and the string that it chooses. From such transfers follow, these
//! kinds of entries of a record:
//!
//! * a [leaf](Transfer::Leaf): 1 out of `2^w` pairs of bits, of `w` transfers (Naor, Pinkas, STOC
//!   '99, section 3); the sender has them all, the receiver a choice and what it chose;
//! * an [AND](Transfer::And): random bits `a`, `b`, `c`, with `a b` and `a c`, all of them shared,
//!   of a transfer each way (Asharov, Lindell, Schneider, Zohner, CCS '13, section 5.1);
//! * a [product](Transfer::Product): random words `a` and `b`, with `a b`, shared by addition, of a
//!   transfer each way for every bit (Gilboa, CRYPTO '99, section 4.1); or `a` with `a a`, of
//!   transfers one way;
//! * a [table](Transfer::Table): as a leaf, of rows of three words, shared by addition;
//! * a [dual bit](Transfer::Dual): a random bit that is shared both ways, by exclusive or and by
//!   addition, with random words and their products with it, of a transfer each way and a word that
//!   is sent (Demmler, Schneider, Zohner, NDSS '15, section 3.1).
//!
//! A dealer can deal them, too. Who makes them reads [`Transfer`] from a protocol.

use rand_core::CryptoRng;

use super::record::{Half, Layout, Truth, low_bits, word_bytes};
use crate::ring::Ring;
use crate::share::Party;

/// The widest leaf: its pairs of bits fill a word of 32 bits.
pub const MAX_LEAF_BITS: u32 = 4;
/// Words of a row of a table.
pub const TERMS: u32 = 3;
/// Bits of an AND: `a`, `b`, `c`, `a b`, `a c`.
const AND_BITS: u32 = 5;
/// ANDs that lie in one word of 32 bits.
const ANDS_EACH: u32 = 6;

/// An entry of a record, with its places. All entries of all records of an operation are
/// independent of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The sender has the pairs `T[0], T[1], ..` one after the other from bit `place` on. The
    /// receiver has a random choice `c` of `width_bits` bits there, and `T[c]` after it.
    Leaf {
        /// Who has all pairs.
        sender: Party,
        /// Bits of the choice, 1 to [`MAX_LEAF_BITS`].
        width_bits: u32,
        /// The first bit.
        place: u32,
    },
    /// Shares of random bits `a`, `b` and `c`, and of `a b` and `a c`, one after the other.
    And {
        /// The first bit.
        place: u32,
    },
    /// The sender has rows `T[0], T[1], ..` of [`TERMS`] words of 64 bits each from byte `words`
    /// on.
    /// The receiver has a random choice `c` of `index_bits` bits at `place`, and the row `T[c]` at
    /// `words`.
    Table {
        /// Who has all rows.
        sender: Party,
        /// Bits of the choice.
        index_bits: u32,
        /// The first bit of the choice.
        place: u32,
        /// The first word.
        words: u32,
    },
    /// Shares of random words `a`, `b` and of `a b`, one after the other; or of `a` and `a a`.
    Product {
        /// Whether `b` is `a`.
        square: bool,
        /// The first word.
        place: u32,
        /// Width of the words' ring.
        ring_bits: u32,
    },
    /// Shares of a random bit `g` by exclusive or; of `g` by addition; and of random words, each
    /// with its product with `g`.
    Dual {
        /// Who sends the word that makes `g` a number.
        sender: Party,
        /// The bit.
        place: u32,
        /// The words: `g`, then pairs of a random word and its product.
        words: u32,
        /// How many such pairs.
        values: u32,
        /// Width of the words' ring.
        ring_bits: u32,
    },
}

/// A leaf: `T[c]` for a private choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaf {
    pub(crate) sender: Party,
    pub(crate) width_bits: u32,
    pub(crate) place: u32,
}

impl Leaf {
    /// Pairs of bits, all of them.
    pub(crate) const fn pairs_bits(self) -> u32 {
        2 << self.width_bits
    }

    pub(crate) const fn transfer(self) -> Transfer {
        let Self { sender, width_bits, place } = self;
        Transfer::Leaf { sender, width_bits, place }
    }

    /// The sender's pairs.
    #[inline]
    pub(crate) fn pairs(self, half: &mut impl Half, element: usize) -> u32 {
        half.bits(element, self.place, self.pairs_bits())
    }

    /// The receiver's choice, and what it chose.
    #[inline]
    pub(crate) fn chosen(self, half: &mut impl Half, element: usize) -> (u32, u32) {
        let bits = half.bits(element, self.place, self.width_bits + 2);
        (low_bits(bits, self.width_bits), bits >> self.width_bits)
    }

    fn deal<G: CryptoRng>(self, truth: &mut Truth<'_>, rng: &mut G) {
        let (width, count) = (self.width_bits, self.pairs_bits());
        let own = truth.bits_of_p0(self.place, count);
        let random = rng.next_u32();
        let other = match self.sender {
            Party::P0 => {
                let choice = low_bits(random, width);
                choice | (own >> (2 * choice) & 3) << width
            }
            Party::P1 => {
                let (choice, chosen) = (low_bits(own, width), own >> width & 3);
                low_bits(random, count) & !(3 << (2 * choice)) | chosen << (2 * choice)
            }
        };
        truth.xor_bits(self.place, own ^ other);
    }
}

/// A table: a row for a private choice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) sender: Party,
    pub(crate) index_bits: u32,
    pub(crate) place: u32,
    pub(crate) words: u32,
}

impl Table {
    pub(crate) const fn transfer(self) -> Transfer {
        let Self { sender, index_bits, place, words } = self;
        Transfer::Table { sender, index_bits, place, words }
    }

    /// The receiver's choice.
    #[inline]
    pub(crate) fn choice(self, half: &mut impl Half, element: usize) -> u32 {
        half.bits(element, self.place, self.index_bits)
    }

    /// Word `number` of the pads: of all rows at the sender, of its row at the receiver.
    #[inline]
    pub(crate) fn pad(self, half: &mut impl Half, element: usize, number: u32) -> u64 {
        half.word(element, self.words + 8 * number)
    }

    fn deal<G: CryptoRng>(self, truth: &mut Truth<'_>, rng: &mut G) {
        let own_choice = truth.bits_of_p0(self.place, self.index_bits);
        let choice = match self.sender {
            Party::P0 => low_bits(rng.next_u32(), self.index_bits),
            Party::P1 => own_choice,
        };
        let place = |number: u32| self.words + 8 * number;
        let words = TERMS << self.index_bits;
        for number in 0..words {
            let own = truth.word_of_p0(place(number));
            // What the receiver has no use for is zero at `P1`, and random at the sender.
            let other = match self.sender {
                Party::P0 if number < TERMS => truth.word_of_p0(place(TERMS * choice + number)),
                Party::P0 => 0,
                Party::P1 => match number.checked_sub(TERMS * choice) {
                    Some(term) if term < TERMS => truth.word_of_p0(place(term)),
                    _ => rng.next_u64(),
                },
            };
            truth.set_word(place(number), own.wrapping_add(other));
        }
        if self.sender == Party::P0 {
            truth.xor_bits(self.place, own_choice ^ choice);
        }
        if self.sender == Party::P1 {
            truth.xor_bits(self.place, own_choice);
        }
    }
}

/// One AND, or two with a common factor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct And {
    place: u32,
}

impl And {
    /// `count` ANDs from bit `first` on, a multiple of 32; number `index` of them.
    pub(crate) const fn nth(first: u32, index: u32) -> Self {
        Self { place: first + index / ANDS_EACH * 32 + index % ANDS_EACH * AND_BITS }
    }

    /// Bits that so many take.
    pub(crate) const fn bits(count: u32) -> u32 {
        count.div_ceil(ANDS_EACH) * 32
    }

    pub(crate) const fn transfer(self) -> Transfer {
        Transfer::And { place: self.place }
    }

    /// The shares of `a`, `b`, `c`, `a b`, `a c`, from the lowest bit on.
    #[inline]
    pub(crate) fn read(self, half: &mut impl Half, element: usize) -> u32 {
        half.bits(element, self.place, AND_BITS)
    }

    fn deal<G: CryptoRng>(self, truth: &mut Truth<'_>, rng: &mut G) {
        let [a, b, c] = [0, 1, 2].map(|bit| rng.next_u32() >> bit & 1);
        truth.xor_bits(self.place, a | b << 1 | c << 2 | (a & b) << 3 | (a & c) << 4);
    }
}

/// A bit that is shared both ways, and what else is multiplied by it.
#[derive(Clone, Copy, Debug)]
pub struct Dual {
    sender: Party,
    place: u32,
    words: u32,
    values: u32,
}

impl Dual {
    /// Words that it takes, of the ring of its values.
    pub(crate) const fn words(values: u32) -> u32 {
        1 + 2 * values
    }

    /// The bit at `place`, the words from byte `words` on.
    pub(crate) const fn new(sender: Party, place: u32, words: u32, values: u32) -> Self {
        Self { sender, place, words, values }
    }

    pub(crate) const fn transfer<W: Ring>(self) -> Transfer {
        let Self { sender, place, words, values } = self;
        Transfer::Dual { sender, place, words, values, ring_bits: W::BITS }
    }

    /// The share of the bit by exclusive or.
    #[inline]
    pub(crate) fn bit(self, half: &mut impl Half, element: usize) -> u32 {
        half.bits(element, self.place, 1)
    }

    /// The share of the bit by addition.
    #[inline]
    pub(crate) fn number<W: Ring>(self, half: &mut impl Half, element: usize) -> W {
        half.word(element, self.words)
    }

    /// The share of random word `index`.
    #[inline]
    pub(crate) fn mask<W: Ring>(self, half: &mut impl Half, element: usize, index: u32) -> W {
        half.word(element, self.words + (1 + 2 * index) * word_bytes::<W>())
    }

    /// The share of that word's product with the bit.
    #[inline]
    pub(crate) fn product<W: Ring>(self, half: &mut impl Half, element: usize, index: u32) -> W {
        half.word(element, self.words + (2 + 2 * index) * word_bytes::<W>())
    }

    fn deal<W: Ring, G: CryptoRng>(self, truth: &mut Truth<'_>, rng: &mut G) {
        let bit = rng.next_u32() & 1;
        let number = W::from_u64(u64::from(bit));
        truth.xor_bits(self.place, bit);
        truth.set_word(self.words, number);
        for index in 0..self.values {
            let (word, place) = (W::from_u64(rng.next_u64()), 1 + 2 * index);
            truth.set_word(self.words + place * word_bytes::<W>(), word);
            truth.set_word(self.words + (place + 1) * word_bytes::<W>(), number.mul(word));
        }
    }
}

/// Deals an entry of comparisons; dual bits have words of the ring `W`.
pub(crate) fn deal<W: Ring, G: CryptoRng>(transfer: Transfer, truth: &mut Truth<'_>, rng: &mut G) {
    match transfer {
        Transfer::Leaf { sender, width_bits, place } => {
            Leaf { sender, width_bits, place }.deal(truth, rng);
        }
        Transfer::And { place } => And { place }.deal(truth, rng),
        Transfer::Table { sender, index_bits, place, words } => {
            Table { sender, index_bits, place, words }.deal(truth, rng);
        }
        Transfer::Dual { sender, place, words, values, .. } => {
            Dual { sender, place, words, values }.deal::<W, _>(truth, rng);
        }
        Transfer::Product { square, place, .. } => {
            let a = W::from_u64(rng.next_u64());
            let b = if square { a } else { W::from_u64(rng.next_u64()) };
            let factors = if square { 1 } else { 2 };
            truth.set_word(place, a);
            truth.set_word(place + (factors - 1) * word_bytes::<W>(), b);
            truth.set_word(place + factors * word_bytes::<W>(), a.mul(b));
        }
    }
}

/// The bits of dual bits: so many, side by side; their place.
pub(crate) fn dual_bits(layout: &mut Layout, count: u32) -> u32 {
    layout.bits(count)
}
