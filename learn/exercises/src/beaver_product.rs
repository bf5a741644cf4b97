//! # 2: Beaver's product
//!
//! The parties have shares of `x` and `y`, and of a random product `c = a b` that a dealer has
//! made. They open `d = x - a` and `e = y - b`, which are uniform, and then
//!
//! ```text
//! x y = c + d b + e a + d e
//! ```
//!
//! where `d` and `e` are known and `a`, `b`, `c` are shared. Write both steps of a party. A public
//! constant such as `d e` is added by *one* party: `party.constant(value)` is the value at `P1`
//! and zero at `P0`.
//!
//! The test compares messages and results with those of the core's own
//! `functions::protocol::product`, word for word, and then goes through every product of a ring of
//! four values under every triple.
//!
//! To read: chapter 2.

use sharelet_core::ring::Ring;
use sharelet_core::share::Party;

use crate::given::Triple;

/// A party's message: its shares of `d` and of `e`.
#[must_use]
pub fn message<R: Ring>(x: R, y: R, triple: &Triple<R>) -> [R; 2] {
    todo!("x - a and y - b, on shares")
}

/// A party's share of `x y`, when `[d, e]` are open.
#[must_use]
pub fn finish<R: Ring>(party: Party, triple: &Triple<R>, opened: [R; 2]) -> R {
    todo!("c + d b + e a + d e, on shares")
}
