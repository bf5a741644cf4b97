//! What a session's correlations are bound to: the program that is dealt, then the session.
//!
//! * Computes: the keystream of one session of one program, under the key that `P0` shares with
//!   the dealer.
//! * Model: whoever asks the dealer may ask for anything. Under another program, or for another
//!   masked model, the keystream is another one: what is dealt then fits nothing that `P0` sends.
//! * Costs: a keystream block, and one for each 16 bytes of the program's description, once per
//!   connection; a block per session.
//!
//! With `F(k, x)` the first 32 bytes of ChaCha's block under key `k` at the 128-bit position `x`,
//! and `x_1 .. x_n` a part of a description in pieces of 16 bytes, the last padded with zeros:
//!
//! ```text
//! k        = F(key, (Program, number of parts)), then for each part
//! k        = F( .. F(F(k, (Program, bytes of the part)), x_1) .. , x_n)
//! session  = F(k, (Session, number))
//! ```
//!
//! This is a pseudorandom function of descriptions of any length, since lengths go first: the
//! cascade of M. Bellare, R. Canetti and H. Krawczyk, "Pseudorandom functions revisited: the
//! cascade construction and its concrete security" (FOCS 1996). It needs no collision-free hash.

use crate::correlation::redacted;
use crate::keystream::{ChaCha12, Domain, Keystream, Kind, Rounds};
use crate::ring::{Ring as _, read_le_slice};

/// Bytes of a position of the keystream.
const POSITION_BYTES: usize = 16;

/// The keystream of one program.
pub struct Binding<C: Rounds = ChaCha12>(Keystream<C>);

redacted!([C: Rounds] Binding<C>);

impl<C: Rounds> Binding<C> {
    /// The keystream, under `key`, of the program that `parts`, one after the other, describe to
    /// the last bit: `P0` and the dealer take them from what they execute, not from what they are
    /// told of it.
    #[must_use]
    pub fn new(key: &Keystream<C>, parts: &[&[u8]]) -> Self {
        let mut bound = Self(key.next_in(domain(Kind::Program, parts.len())));
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
        self.0 = self.0.next_in(domain(Kind::Program, part.len()));
        for piece in part.chunks(POSITION_BYTES) {
            let mut position = [0; POSITION_BYTES / u32::BYTES];
            let mut bytes = [0; POSITION_BYTES];
            bytes.iter_mut().zip(piece).for_each(|(byte, piece)| *byte = *piece);
            read_le_slice(&bytes, &mut position);
            self.0 = self.0.next(position);
        }
    }

    /// The keystream of a session of the program.
    #[must_use]
    pub fn session(&self, number: u64) -> Keystream<C> {
        self.0.next_in(Domain { session: number, layer: 0, kind: Kind::Session })
    }
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
    }
}
