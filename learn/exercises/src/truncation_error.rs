//! # 11: the error of a cheap truncation
//!
//! To drop `s` bits of a shared `x` without a message, either party may drop them of its own share:
//!
//! ```text
//! P0:   x_0 >> s                     P1:   -((-x_1) >> s)           logical shifts, in the ring
//! ```
//!
//! It is right most of the time, and at times one unit off. But now and then the shares wrap
//! around, and the result is off by `2^(k-s)`. Write [`local`], and then [`tally`], which counts on
//! a ring of 256 values, over *all* 256 ways to share `x`: how many give `x >> s` rounded down, how
//! many are one unit next to it (above or below, in the ring), and how many are anything else.
//!
//! The test knows the last number: `|x|`. In a ring of 32 bits that is a chance of `|x| / 2^32`,
//! for every single product of a network. That is why this project compares instead.
//!
//! To read: chapter 5. `R::shr` is the logical shift, `R::sar` rounds down, and `R::neg` is `-x`.

use sharelet_core::ring::{Ring, Small};
use sharelet_core::share::Party;

/// A party's share of about `x >> shift`, from its share of `x`.
#[must_use]
pub fn local<R: Ring>(party: Party, share: R, shift: u32) -> R {
    todo!("each party its own way")
}

/// Over all ways to share `x`: how many sharings are exact, one unit off, and far off.
#[must_use]
pub fn tally(x: Small<8>, shift: u32) -> [usize; 3] {
    todo!("every share of P0")
}
