//! Silent OT: random OTs for less than a byte each, from some of an extension and the assumption of
//! learning parity with noise (LPN).
//!
//! Ferret: K. Yang, C. Weng, X. Lan, J. Zhang, X. Wang, "Ferret: Fast extension for correlated OT
//! with small communication", CCS 2020 (eprint 2020/924), with regular noise, its check of a
//! malicious sender, and the parameters of its main iteration, for 128 bits:
//!
//! ```text
//! n = 10,805,248 = 1319 * 8192     k = 589,760     t = 1319     10 entries in a row of the code
//! ```
//!
//! A call takes 256 of the 1319 trees, so that it works in 60 MB, and not in 300. Those are the
//! first rows of the paper's instance: who told them from random ones would tell all of it.
//!
//! With the sender's secret `D`, and rows `y` of the sender and `z` of the receiver for choices
//! `x`, `y = z ^ x D`:
//!
//! ```text
//! sender:    trees of 8192 leaves, a place of noise in each, where the receiver's choices say
//!            sums of each level under OTs, D ^ sum of all leaves       -> message
//! receiver:  all leaves but that of the place, and that leaf ^ D: so v = w ^ e D, with e the noise
//!            a key h; sum of e under h, hidden by 128 choices           -> challenge
//! sender:    hash of the sum of v under h                               -> proof
//! receiver:  the same from w, or the sender cheated
//! both:      code times k rows, ^ v or w: n rows, of which some are kept for the next time
//! ```
//!
//! LPN is an assumption that [`crate::extension`] does without. Attacks that use the regular noise
//! (P. Briaud, M. Oygarden, eprint 2023/176) and later ones cost some bits of the 128 that the
//! paper counts; who doubts takes the extension with [`crate::extension::FieldBits::Four`] and
//! four bytes.
//!
//! The receiver has nothing to cheat with but a wrong challenge, which shows it the hash of a value
//! that depends on all of `D`. A sender that cheats is caught, or has guessed places of noise.
//!
//! Costs of a call, which gives [`OTS`] OTs: messages of [`MESSAGE_BYTES`], [`CHALLENGE_BYTES`] and
//! [`PROOF_BYTES`]; and once [`SEED_OTS`] OTs of the extension.

mod check;
mod code;
mod forest;
mod receiver;
mod sender;
mod shape;

pub use receiver::{PendingReceived, Receiver};
pub use sender::{PendingSent, Sender};
pub use shape::{CHALLENGE_BYTES, MESSAGE_BYTES, OTS, PROOF_BYTES, SEED_OTS};
