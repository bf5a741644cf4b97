//! What programs work on.

use rand_core::Rng;
use sharelet_core::functions::program::Need;
use sharelet_core::ring::Ring;

/// A ring of the product, and the other one.
pub trait Word: Ring {
    /// The other ring.
    type Other: Ring;
}

impl Word for u32 {
    type Other = u64;
}

impl Word for u64 {
    type Other = u32;
}

/// Arguments, results, and the size of the scratch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data<R: Word> {
    /// First argument.
    pub x: Vec<R>,
    /// Second argument.
    pub y: Vec<R>,
    /// Results.
    pub out: Vec<R>,
    /// Results in the other ring.
    pub other: Vec<R::Other>,
    /// Scratch to be lent.
    pub room: Need,
}

impl<R: Word> Data<R> {
    /// Zeros in place of all words.
    pub fn blank(&self) -> Self {
        Self {
            x: vec![R::ZERO; self.x.len()],
            y: vec![R::ZERO; self.y.len()],
            out: vec![R::ZERO; self.out.len()],
            other: vec![R::Other::ZERO; self.other.len()],
            room: self.room,
        }
    }

    /// Random shares.
    pub fn share(&self, rng: &mut impl Rng) -> [Self; 2] {
        let ((x_0, x_1), (y_0, y_1)) = (split(&self.x, rng), split(&self.y, rng));
        let ((out_0, out_1), (other_0, other_1)) = (split(&self.out, rng), split(&self.other, rng));
        let room = self.room;
        [
            Self { x: x_0, y: y_0, out: out_0, other: other_0, room },
            Self { x: x_1, y: y_1, out: out_1, other: other_1, room },
        ]
    }

    /// What the results of two parties open to.
    pub fn open([a, b]: &[Self; 2]) -> (Vec<R>, Vec<R::Other>) {
        (join(&a.out, &b.out), join(&a.other, &b.other))
    }
}

fn split<R: Ring>(words: &[R], rng: &mut impl Rng) -> (Vec<R>, Vec<R>) {
    words
        .iter()
        .map(|&word| (R::from_u64(rng.next_u64()), word))
        .map(|(share, word)| (share, word.sub(share)))
        .unzip()
}

fn join<R: Ring>(a: &[R], b: &[R]) -> Vec<R> {
    a.iter().zip(b).map(|(&a, &b)| a.add(b)).collect()
}

/// A signed word.
pub fn word<R: Ring>(value: i64) -> R {
    R::from_u64(value.cast_unsigned())
}

/// Words of a ring below `2^bits` in magnitude: zero, both sides of all powers of two, and `random`
/// more of all magnitudes.
pub fn words<R: Ring>(bits: u32, random: usize, rng: &mut impl Rng) -> Vec<R> {
    let mut words = vec![R::ZERO];
    for bit in 0..bits {
        let power = 1_i64 << bit;
        words.extend(
            [power - 1, power, power + i64::from(bit + 1 < bits && bit > 0), 1 - power, -power]
                .map(word::<R>),
        );
    }
    for (_, drop) in (0..random).zip((0..bits).cycle()) {
        words.push(R::from_u64(rng.next_u64()).sar(R::BITS - 1 - bits + drop));
    }
    words
}

/// All words of a ring, in the sense of [`words`], with the least one.
pub fn all_words<R: Ring>(random: usize, rng: &mut impl Rng) -> Vec<R> {
    let mut all = words(R::BITS - 1, random, rng);
    all.push(R::pow2(R::BITS - 1));
    all
}

/// A vector's words in another order, so that pairs of two vectors differ from run to run.
pub fn shuffled<R: Ring>(words: &[R], rng: &mut impl Rng) -> Vec<R> {
    let mut words = words.to_vec();
    for at in (1..words.len()).rev() {
        let other = usize::try_from(rng.next_u64() % (at as u64 + 1)).expect("below");
        words.swap(at, other);
    }
    words
}
