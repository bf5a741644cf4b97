//! Additive sharing: `x = x_0 + x_1 mod 2^k`, `x_i` held by `P_i`.
//!
//! One of two shares may always be a seed: it is uniform, so a keystream stands in for it.

use crate::keystream::{Domain, Keystream, Kind, Rounds, words_per_block};
use crate::ring::Ring;

/// Which of the two computing parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Party {
    /// Holds a seed in place of its half of every correlation: the device, or server 0.
    P0,
    /// Is sent corrections by the dealer: the host, or server 1.
    P1,
}

impl Party {
    /// A public constant as this party's share of it: `P1` holds the constant, `P0` zero.
    #[must_use]
    pub fn constant<R: Ring>(self, value: R) -> R {
        match self {
            Self::P0 => R::ZERO,
            Self::P1 => value,
        }
    }
}

/// Replaces secrets by `P1`'s shares of them; `P0`'s shares are the keystream of `session`, as
/// [`expand`] gives them.
///
/// The same keystream and session must never split two different vectors: their difference would
/// show.
pub fn split<R: Ring, C: Rounds>(keystream: &Keystream<C>, session: u64, secrets: &mut [R]) {
    for_each_share(keystream, session, secrets, R::sub);
}

/// Fills `shares` with `P0`'s shares of what [`split`] was given.
pub fn expand<R: Ring, C: Rounds>(keystream: &Keystream<C>, session: u64, shares: &mut [R]) {
    shares.fill(R::ZERO);
    for_each_share(keystream, session, shares, R::add);
}

/// Opens in place: adds the peer's shares to one's own. The shorter slice decides how many.
pub fn open<R: Ring>(own: &mut [R], peer: &[R]) {
    for (own, &peer) in own.iter_mut().zip(peer) {
        *own = own.add(peer);
    }
}

/// Shares of the same value modulo `2^32`: reduction is a homomorphism, so either party does it
/// alone.
///
/// A value of at most 32 bits survives as it is. The shorter slice decides how many. The way back
/// takes a message: `functions::protocol::rescale`.
pub fn reduce(shares: &[u64], out: &mut [u32]) {
    for (out, &share) in out.iter_mut().zip(shares) {
        *out = u32::from_u64(share);
    }
}

fn for_each_share<R: Ring, C: Rounds>(
    keystream: &Keystream<C>,
    session: u64,
    words: &mut [R],
    combine: impl Fn(R, R) -> R,
) {
    let domain = Domain { session, layer: 0, kind: Kind::Share };
    for (index, words) in (0..).zip(words.chunks_mut(words_per_block::<R>())) {
        let block = keystream.block(domain, index);
        for (position, word) in words.iter_mut().enumerate() {
            *word = combine(*word, block.ring(position));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystream::{ChaCha12, Key};

    #[test]
    fn shares_open_to_the_secret_and_hide_it() {
        let seed = Keystream::<ChaCha12>::new(&Key::from_bytes([3; 32]));
        let secret: [u64; 37] = core::array::from_fn(|i| u64::MAX - i as u64);
        let mut peer = secret;
        split(&seed, 5, &mut peer);
        let mut own = [0; 37];
        expand(&seed, 5, &mut own);
        assert!(peer.iter().zip(&secret).all(|(share, secret)| share != secret));
        open(&mut own, &peer);
        assert_eq!(own, secret);
    }

    #[test]
    fn only_one_party_adds_a_constant() {
        assert_eq!(Party::P0.constant(7_u32).add(Party::P1.constant(7)), 7);
    }
}
