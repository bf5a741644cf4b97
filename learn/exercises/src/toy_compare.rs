//! # 4: compare on a toy ring, exhaustively
//!
//! `z = y + r` is public, `r` is a secret mask. The gate finds the sign of `y`, and `y` without its
//! lowest `s` bits, from *comparisons of z with r*. With `k` the ring's width:
//!
//! ```text
//! msb(y)         = msb(z) xor msb(r) xor [z mod 2^(k-1) < r mod 2^(k-1)]
//! max(y, 0) >> s = b (z >> s) - b q + 2^(k-s) (1 - msb z) (b msb r)
//!                  with b = 1 - msb(y),  q = (r >> s) + c,  c = [z mod 2^s < r mod 2^s]
//! ```
//!
//! Write both formulas, and then [`exhaustive`], which tries a gate on every `y` under every mask.
//! Here nobody hides anything: you may compare words as integers, with `to_u64`. (`R::pow2(k)` is
//! zero, as it should be.)
//!
//! The test runs your gate on all rings from 2 to 8 bits at every shift, and gives `exhaustive` a
//! gate that forgets the carry `c`.
//!
//! To read: chapter 3; `core/src/gate.rs`.

use sharelet_core::ring::{Ring, Small};

/// The topmost bit of `y`, where `z = y + r`.
#[must_use]
pub fn sign<R: Ring>(z: R, r: R) -> u32 {
    todo!("the first formula")
}

/// `max(y, 0) >> shift`, where `z = y + r`.
#[must_use]
pub fn relu<R: Ring>(z: R, r: R, shift: u32) -> R {
    todo!("the second formula")
}

/// The first `(y, r)`, if there is one, for which `gate(y + r, r)` is not what the plaintext twin
/// `sharelet_core::gate::twin` says: kind `Relu`, `GateBits::whole::<Small<K>>(shift)`. In the
/// order of `y`, then `r`.
#[must_use]
pub fn exhaustive<const K: u32>(
    shift: u32,
    gate: impl Fn(Small<K>, Small<K>) -> Small<K>,
) -> Option<(Small<K>, Small<K>)> {
    todo!("every y, every r")
}
