//! # 1: share and open
//!
//! A secret `x` of the ring is the sum of two shares, `x = x_0 + x_1 mod 2^k`. Whoever has one of
//! them has a uniform word, which says nothing about `x`.
//!
//! Write [`share`] and [`open`]. `P0`'s share, the first, is one word that you draw from `rng`
//! with `next_u64`, reduced to the ring by `R::from_u64`; `P1`'s is what is missing.
//!
//! The test goes through *every* draw on a ring of 16 values: whatever the secret, each share must
//! take each value equally often.
//!
//! To read: chapter 1; [`Ring`] has `add`, `sub`, `from_u64`.

use rand_core::CryptoRng;
use sharelet_core::ring::Ring;

/// Shares of `secret`: `P0`'s and `P1`'s.
pub fn share<R: Ring>(secret: R, rng: &mut impl CryptoRng) -> [R; 2] {
    todo!("draw P0's share; P1's is what is missing")
}

/// The secret that two shares open to.
#[must_use]
pub fn open<R: Ring>(shares: [R; 2]) -> R {
    todo!("put the shares together")
}
