//! Oblivious transfer in miniature, and a product made of it.
//!
//! The transfer is that of Masny and Rindal ("Endemic oblivious transfer", CCS 2019), as in
//! `std-host/ot`, but in a **toy group**: the squares modulo 2039, of which there are 1019. Whoever
//! has a pencil computes its logarithms; the real one is Ristretto.
//!
//! ```text
//! receiver   draws t and a group element R_(1-c);   R_c = g^t / H(R_(1-c))
//!            sends R_0, R_1
//! sender     draws s;  sends g^s;  keys  K_i = (R_i H(R_(1-i)))^s
//! receiver   key   (g^s)^t = K_c
//! ```
//!
//! With the keys as pads the sender offers `w` and `w + a`, and the receiver takes the one that its
//! bit `c` says: `w + c a`. So both hold shares of `c a`: the way of Gilboa ("Two party RSA key
//! generation", CRYPTO '99), with which two parties make products without a dealer.

use rand_core::Rng as _;
use serde::Serialize;
use sharelet_core::keystream::{ChaCha12, Domain, Key, Keystream, Kind};
use sharelet_core::ring::{Ring, Small};

use crate::fields::Fields;
use crate::gate::open;
use crate::refusal::Refusal;
use crate::seed::{Drawer, Seed};
use crate::word::{Word, word};

type Toy = Small<8>;

/// The modulus, a prime; the group's order, a prime, too; and what generates it.
const MODULUS: u32 = 2039;
const ORDER: u32 = 1019;
const GENERATOR: u32 = 4;

/// The question.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The sender's number.
    pub a: i64,
    /// The receiver's bit.
    pub choice: u32,
    /// Randomness.
    pub seed: Seed,
}

impl Ask {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            a: fields.number("a")?,
            choice: fields.number("choice")?,
            seed: Seed::read(fields)?,
        })
    }
}

/// What happens. Two of a kind are those of 0 and of 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    modulus: u32,
    order: u32,
    generator: u32,
    t: u32,
    s: u32,
    /// What the receiver sends.
    points: [u32; 2],
    /// What the sender answers.
    answer: u32,
    /// The sender's keys, and the receiver's.
    keys: [u32; 2],
    key: u32,
    /// What is offered, the pads, and what is sent.
    offers: [Word; 2],
    pads: [Word; 2],
    sealed: [Word; 2],
    /// What the receiver gets.
    taken: Word,
    /// Shares of the product: the sender's, the receiver's; and their sum.
    share_of: [Word; 2],
    product: Word,
    twin: Word,
}

/// `base^exponent` in the group.
fn power(base: u32, exponent: u32) -> u32 {
    let (mut power, mut square, mut rest) = (1, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            power = power * square % MODULUS;
        }
        square = square * square % MODULUS;
        rest >>= 1;
    }
    power
}

/// A keystream block under a group element: the random oracle of this page.
fn oracle(element: u32, index: u32) -> u64 {
    let mut bytes = [0; 32];
    element.write_le(&mut bytes);
    let keystream = Keystream::<ChaCha12>::new(&Key::from_bytes(bytes));
    keystream.block(Domain { session: 0, layer: 0, kind: Kind::KeyId }, index).ring::<u64>(0)
}

/// A group element that nobody knows a logarithm of, if the group were a real one: a square.
fn hash(element: u32) -> u32 {
    let root = u32::from_u64(oracle(element, 0) % u64::from(MODULUS - 1)) + 1;
    root * root % MODULUS
}

/// Answers the question.
///
/// # Errors
/// A number that the ring does not hold, or a bit that is none.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    let a: Toy = word("The sender's number", ask.a)?;
    if ask.choice > 1 {
        return Err(Refusal::new(format!("The choice is {}, and a bit is 0 or 1.", ask.choice)));
    }
    let [mut receiver, mut sender] = [Drawer::P0, Drawer::P1].map(|drawer| ask.seed.of(drawer, 0));
    let exponent = |word: u32| 1 + word % (ORDER - 1);
    let (t, s) = (exponent(receiver.next_u32()), exponent(sender.next_u32()));

    let other = hash(receiver.next_u32());
    // Division: the inverse is the power of the order less one.
    let chosen = power(GENERATOR, t) * power(hash(other), ORDER - 1) % MODULUS;
    let points = if ask.choice == 0 { [chosen, other] } else { [other, chosen] };
    let [point_0, point_1] = points;

    let reply = power(GENERATOR, s);
    let keys =
        [power(point_0 * hash(point_1) % MODULUS, s), power(point_1 * hash(point_0) % MODULUS, s)];
    let key = power(reply, t);

    let pad = |key: u32| Toy::from_u64(oracle(key, 1));
    let w = Toy::from_u64(sender.next_u64());
    let (offers, pads) = ([w, w.add(a)], keys.map(pad));
    let ([offer_0, offer_1], [pad_0, pad_1]) = (offers, pads);
    let sealed = [offer_0.add(pad_0), offer_1.add(pad_1)];
    let [sealed_0, sealed_1] = sealed;
    let taken = if ask.choice == 0 { sealed_0 } else { sealed_1 }.sub(pad(key));
    let share_of = [w.neg(), taken];
    Ok(Answer {
        modulus: MODULUS,
        order: ORDER,
        generator: GENERATOR,
        t,
        s,
        points,
        answer: reply,
        keys,
        key,
        offers: offers.map(Word::from),
        pads: pads.map(Word::from),
        sealed: sealed.map(Word::from),
        taken: taken.into(),
        share_of: share_of.map(Word::from),
        product: open(share_of).into(),
        twin: a.mul(Toy::from_u64(ask.choice.into())).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_one() {
        assert_eq!(power(GENERATOR, ORDER), 1);
        assert_ne!(GENERATOR, 1);
        let is_prime = |n: u32| (2..n).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
        assert!(is_prime(MODULUS) && is_prime(ORDER) && MODULUS == 2 * ORDER + 1);
    }

    #[test]
    fn the_receiver_has_the_chosen_key_and_not_the_other() {
        let mut alike = 0;
        for seed in (0..200).map(Seed::test) {
            for (a, choice) in [(-128, 0), (127, 1), (-3, 1), (5, 0)] {
                let answer = answer(&Ask { a, choice, seed }).expect("runs");
                let at = usize::try_from(choice).expect("a bit");
                assert_eq!(answer.keys[at], answer.key);
                assert_eq!(answer.product, answer.twin);
                alike += usize::from(answer.keys[0] == answer.keys[1]);
            }
        }
        assert!(alike < 10, "the other key is the same by chance alone: {alike} of 800");
    }
}
