//! 128 base OTs, once per pair of parties.
//!
//! The endemic OT of D. Masny and P. Rindal, "Endemic Oblivious Transfer", CCS 2019 (eprint
//! 2019/706), from Diffie-Hellman on the Ristretto group. With generator `G`, hashes `H_0` and
//! `H_1` to the group, and for each of the OTs:
//!
//! ```text
//! sender:    s random                          ->  S = s G
//! receiver:  choice c, a, R_{1-c} random       ->  R_0, R_1    with R_c = a G - H_c(R_{1-c})
//! sender:    seed_i = KDF(s (R_i + H_i(R_{1-i})))
//! receiver:  seed_c = KDF(a S)
//! ```
//!
//! Why this one: it is one flight, both messages may cross; its proof holds against a malicious
//! party on either side, in the model of a random oracle, without a check that could be left out;
//! and the hash to the group runs in constant time. The security that it gives, *endemic*, is what
//! SoftSpokenOT asks of its base OTs. Each OT has a secret `s` of its own, and its number in every
//! hash, so that the proof for one holds for 128 of them: what is shared between OTs is what
//! attacks on batches begin with (I. McQuoid, M. Rosulek, L. Roy, "Batching base oblivious
//! transfers", eprint 2021/682). That costs 4 KB and some milliseconds, once.
//!
//! Costs: 4096 bytes from the sender, 8192 from the receiver.

mod kept;
mod point;
mod receiver;
mod sender;

pub use kept::{Chosen, Pairs};
pub use point::{RECEIVER_BYTES, SENDER_BYTES};
pub use receiver::Receiver;
pub use sender::Sender;

pub(crate) use kept::{COUNT, Seed};
