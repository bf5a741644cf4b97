//! Adding a fixed secret to a uniform word, or taking it away, goes through all words: so either
//! share is uniform, whatever the secret is.

use rand_core::CryptoRng;
use sharelet_core::ring::Ring;

/// Shares of `secret`.
pub fn share<R: Ring>(secret: R, rng: &mut impl CryptoRng) -> [R; 2] {
    let own = R::from_u64(rng.next_u64());
    [own, secret.sub(own)]
}

/// The secret that two shares open to.
#[must_use]
pub fn open<R: Ring>([own, peer]: [R; 2]) -> R {
    own.add(peer)
}
