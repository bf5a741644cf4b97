//! What a session's correlations are bound to: the program that is dealt, then the session; and
//! `P0`'s orders for them.
//!
//! * Computes: the keystream of one session of one program, under the key that `P0` shares with
//!   the dealer; and the proof that `P0` wants sessions of it to be dealt to somebody.
//! * Model: whoever asks the dealer may ask for anything. Under another program, or for another
//!   masked model, the keystream is another one: what is dealt then fits nothing that `P0` sends.
//!   And nothing is dealt that `P0` has not ordered: an order is a message authentication code that
//!   only `P0` and the dealer can make.
//! * Costs: a keystream block, and one for each 16 bytes of the program's description, once per
//!   connection; a block per session, and [`ORDER_BLOCKS`] per order.
//!
//! With `F(k, x)` the first 32 bytes of ChaCha's block under key `k` at the 128-bit position `x`,
//! and `x_1 .. x_n` a part of a description in pieces of 16 bytes, the last padded with zeros:
//!
//! ```text
//! k        = F(key, (Program, number of parts)), then for each part
//! k        = F( .. F(F(k, (Program, bytes of the part)), x_1) .. , x_n)
//! session  = F(k, (Session, number))
//! order    = the first 16 bytes of F(F(k, (Order, first number, count)), who may fetch)
//! ```
//!
//! This is a pseudorandom function of descriptions of any length, since lengths go first: the
//! cascade of M. Bellare, R. Canetti and H. Krawczyk, "Pseudorandom functions revisited: the
//! cascade construction and its concrete security" (FOCS 1996). It needs no collision-free hash.
//! Sessions and orders differ in the block that follows a description, and all orders are equally
//! long.

use core::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::correlation::redacted;
use crate::keystream::{ChaCha12, Domain, Keystream, Kind, Rounds};
use crate::ring::{Ring as _, read_le_slice};

/// Bytes of a position of the keystream.
const POSITION_BYTES: usize = 16;
/// Bytes of an order: what a forger hits with probability `2^-128` per attempt.
pub const ORDER_BYTES: usize = 16;
/// Keystream blocks that an order takes.
pub const ORDER_BLOCKS: u64 = 2;

/// `P0`'s word for the dealer that sessions of a program may be dealt, and to whom: see
/// [`Binding::order`]. Compared in constant time.
#[derive(Clone, Copy, Eq, Serialize, Deserialize)]
pub struct Order([u8; ORDER_BYTES]);

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Order(<redacted>)")
    }
}

impl Order {
    /// An order from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ORDER_BYTES]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The keystream of one program.
pub struct Binding<C: Rounds = ChaCha12>(Keystream<C>);

redacted!([C: Rounds] Binding<C>);

impl<C: Rounds> Binding<C> {
    /// The keystream, under `key`, of the program that `parts`, one after the other, describe to
    /// the last bit: `P0` and the dealer take them from what they execute, not from what they are
    /// told of it.
    #[must_use]
    pub fn new(key: &Keystream<C>, parts: &[&[u8]]) -> Self {
        let mut bound = Self(key.next_in(domain(Kind::Program, parts.len()), 0));
        for part in parts {
            bound.absorb(part);
        }
        bound
    }

    /// The same for a network and the masked model that the dealer has of it: `description` is what
    /// `postcard` makes of the network.
    #[must_use]
    pub fn of_network(key: &Keystream<C>, description: &[u8], masked_id: &[u8; 32]) -> Self {
        Self::new(key, &[b"network", description, masked_id])
    }

    fn absorb(&mut self, part: &[u8]) {
        self.0 = self.0.next_in(domain(Kind::Program, part.len()), 0);
        for piece in part.chunks(POSITION_BYTES) {
            let mut bytes = [0; POSITION_BYTES];
            bytes.iter_mut().zip(piece).for_each(|(byte, piece)| *byte = *piece);
            self.0 = self.0.next(position(&bytes));
        }
    }

    /// The keystream of a session of the program.
    #[must_use]
    pub fn session(&self, number: u64) -> Keystream<C> {
        self.0.next_in(Domain { session: number, layer: 0, kind: Kind::Session }, 0)
    }

    /// `P0`'s order of the sessions `first..first + count` of the program, for whoever has proved
    /// to the dealer to be `fetcher`: a name, or zeros where nobody proves anything. It costs
    /// [`ORDER_BLOCKS`].
    #[must_use]
    pub fn order(&self, fetcher: &[u8; 16], first: u64, count: u32) -> Order {
        let window = Domain { session: first, layer: 0, kind: Kind::Order };
        Order(self.0.next_in(window, count).next(position(fetcher)).into_tag())
    }
}

/// Bytes as a position of the keystream.
fn position(bytes: &[u8; POSITION_BYTES]) -> [u32; POSITION_BYTES / u32::BYTES] {
    let mut position = [0; POSITION_BYTES / u32::BYTES];
    read_le_slice(bytes, &mut position);
    position
}

fn domain(kind: Kind, length: usize) -> Domain {
    Domain { session: length as u64, layer: 0, kind }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::keystream::Key;
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    fn word(keystream: &Keystream<ChaCha12>) -> u64 {
        keystream.block(Domain { session: 0, layer: 0, kind: Kind::InputMask }, 0).ring(0)
    }

    #[test]
    fn every_bit_every_length_and_every_border_counts() {
        let key = Keystream::new(&Key::from_bytes([5; 32]));
        let described = [7; 40];
        let mut found = std::vec::Vec::new();
        let mut see = |parts: &[&[u8]]| found.push(word(&Binding::new(&key, parts).session(3)));
        for bit in 0..8 * described.len() {
            let mut other = described;
            other[bit / 8] ^= 1 << (bit % 8);
            see(&[&other]);
        }
        // Zeros are not padding, and parts are told apart.
        for bytes in 0..=described.len() {
            see(&[&described[..bytes]]);
            see(&[&[0; 40][..bytes]]);
            see(&[&described[..bytes], &described[bytes..]]);
        }
        see(&[]);
        // Cut to nothing, both are the same part.
        let different = found.len() - 1;
        found.sort_unstable();
        found.dedup();
        assert_eq!(found.len(), different);
    }

    #[test]
    fn sessions_and_keys_have_keystreams_of_their_own() {
        let [one, other] = [[1; 32], [2; 32]].map(|key| Keystream::new(&Key::from_bytes(key)));
        let bound = |key| Binding::new(key, &[b"program"]);
        let word_of = |key, session| word(&bound(key).session(session));
        assert_eq!(word_of(&one, 9), word_of(&one, 9));
        assert_ne!(word_of(&one, 9), word_of(&one, 10));
        assert_ne!(word_of(&one, 9), word_of(&one, 9 | 1 << 32));
        assert_ne!(word_of(&one, 9), word_of(&other, 9));
        // Neither the key's own keystream nor the program's is a session's.
        assert_ne!(word(&one), word_of(&one, 0));
    }

    #[test]
    fn an_order_is_for_one_fetcher_one_window_one_program_and_one_key() {
        let bound = |key: u8, part: &[u8]| {
            Binding::<ChaCha12>::new(&Keystream::new(&Key::from_bytes([key; 32])), &[part])
        };
        let named = *b"hall-2\0\0\0\0\0\0\0\0\0\0";
        let order = bound(0, b"program").order(&named, 7, 1024);
        assert_eq!(order, bound(0, b"program").order(&named, 7, 1024));
        let mut others = std::vec![
            bound(1, b"program").order(&named, 7, 1024),
            bound(0, b"another").order(&named, 7, 1024),
            bound(0, b"program").order(&[0; 16], 7, 1024),
            bound(0, b"program").order(&named, 8, 1024),
            bound(0, b"program").order(&named, 7 | 1 << 32, 1024),
            bound(0, b"program").order(&named, 7, 1023),
            bound(0, b"program").order(&named, 1024, 7),
        ];
        for bit in 0..8 * ORDER_BYTES {
            let (mut name, mut tag) = (named, order.0);
            name[bit / 8] ^= 1 << (bit % 8);
            tag[bit / 8] ^= 1 << (bit % 8);
            others.push(bound(0, b"program").order(&name, 7, 1024));
            others.push(Order::from_bytes(tag));
        }
        assert!(others.iter().all(|other| *other != order));
        // Neither what a session is derived from, nor keystream of anything.
        let of_session = bound(0, b"program").session(7).into_tag();
        assert_ne!(Order(of_session), order);
        assert_eq!(std::format!("{order:?}"), "Order(<redacted>)");
    }

    /// `F`, by the library's block function.
    fn step(key: [u8; 32], [p0, p1, p2, p3]: [u32; 4]) -> [u8; 32] {
        let mut rng = ChaCha12Rng::from_seed(key);
        rng.set_stream(u64::from(p3) << 32 | u64::from(p2));
        rng.set_word_pos((u128::from(p1) << 32 | u128::from(p0)) * 16);
        let mut out = [0; 32];
        rng.fill_bytes(&mut out);
        out
    }

    #[test]
    fn the_steps_are_those_of_the_definition() {
        let domain = |kind: Kind, number| [0, (kind as u32) << 16, number, 0];
        let mut expected = step([8; 32], domain(Kind::Program, 2));
        expected = step(expected, domain(Kind::Program, 17));
        expected = step(expected, [0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c]);
        expected = step(expected, [0x10, 0, 0, 0]);
        expected = step(expected, domain(Kind::Program, 0));
        expected = step(expected, domain(Kind::Session, 77));
        let described: [u8; 17] = core::array::from_fn(|at| u8::try_from(at).expect("small"));
        let key = Keystream::new(&Key::from_bytes([8; 32]));
        let session = Binding::new(&key, &[&described, &[]]).session(77);
        assert_eq!(word(&session), word(&Keystream::new(&Key::from_bytes(expected))));

        let program = step([8; 32], domain(Kind::Program, 0));
        let expected = step(program, [1024, (Kind::Order as u32) << 16, 77, 1]);
        let expected = step(expected, [0x0302_0100, 0x0706_0504, 0x0b0a_0908, 0x0f0e_0d0c]);
        let fetcher = core::array::from_fn(|at| u8::try_from(at).expect("small"));
        let order = Binding::new(&key, &[]).order(&fetcher, 77 | 1 << 32, 1024);
        assert_eq!(order.0[..], expected[..ORDER_BYTES]);
    }
}
