//! Oblivious transfer between two programs, without IO: every function takes and gives bytes.
//!
//! ```text
//! base:       128 base OTs of Diffie and Hellman, once per pair of parties, kept
//!               |
//! tree:       of each k of them all leaves but one of a tree, once per session
//!               |
//! extension:  streams of the leaves -> columns -> check -> rows
//!               |                                              \
//! silent:       |      some rows -> trees of noise -> check -> code -> many rows
//!               |                                              /
//! ots:        rows -> hash -> random OTs
//! ```
//!
//! The roles change from the base OTs to the extension: who sent there, receives here.
//!
//! | base OTs | kept | extension | at the end |
//! |---|---|---|---|
//! | [`base::Receiver`] | [`base::Chosen`] | [`extension::Sender`] | [`ots::Sent`]: pairs |
//! | [`base::Sender`] | [`base::Pairs`] | [`extension::Receiver`] | [`ots::Received`]: choices |
//!
//! ```
//! use sharelet_ot::{base, extension};
//! # use rand_core::SeedableRng;
//!
//! # fn main() -> Result<(), sharelet_ot::OtError> {
//! # let rng = &mut rand_chacha::ChaCha20Rng::seed_from_u64(1);
//! // Once per pair of parties. The two messages may cross.
//! let (base_sender, from_sender) = base::Sender::new(rng);
//! let (base_receiver, from_receiver) = base::Receiver::new(rng);
//! let pairs = base_sender.finish(&from_receiver)?;
//! let chosen = base_receiver.finish(&from_sender)?;
//!
//! // Once per session, whose name never repeats.
//! let (session, field) = ([7; 32], extension::FieldBits::Two);
//! let mut receiver = extension::Receiver::new(&pairs, session, field);
//! let mut sender = extension::Sender::new(&chosen, session, field);
//!
//! // As often as is needed: three messages.
//! let (message, pending_received) = receiver.extend(1000)?;
//! let (challenge, pending_sent) = sender.accept(1000, &message)?;
//! let (proof, received) = pending_received.answer(&challenge)?;
//! let sent = pending_sent.verify(&proof)?;
//!
//! let (mut pairs, mut blocks) = ([[0; 2]; 10], [0; 10]);
//! sent.pairs(500, &mut pairs)?;
//! received.blocks(500, &mut blocks)?;
//! assert!(pairs[3].contains(&blocks[3]));
//! # Ok(())
//! # }
//! ```
//!
//! # What is claimed, and what is not
//!
//! * Base OTs: security against a malicious party, of the protocol in [`base`], in the model of a
//!   random oracle.
//! * Extension: security against a malicious party, of SoftSpokenOT, with SHA-256 as a random
//!   oracle and AES as an ideal cipher. A receiver that cheats is caught, or has guessed bits of
//!   the sender's secret: each bit that it learns in this way costs it half of its chances.
//! * Silent OTs: security against a malicious party, of Ferret, under LPN with regular noise. It is
//!   an assumption that the extension does without.
//! * The OTs are *endemic*: a malicious party may choose what it gets itself; the other's part is
//!   random all the same.
//! * Nobody but the two parties: their channel seals and authenticates. The sum at the end of a
//!   message finds damage, not an attacker.
//! * No branch and no address depends on a secret. Seeds and rows are wiped when they are dropped;
//!   copies on the stack are not.

/// `Debug` of what holds secrets: the name, and nothing else.
macro_rules! redacted {
    ($($name:ident),*) => {$(
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(<redacted>)"))
            }
        }
    )*};
}

/// Pearson's chi-square on bytes, for tests of what a peer sees.
#[cfg(test)]
pub(crate) mod chi_square {
    /// A uniform source exceeds it with probability `1e-9`, at 255 degrees of freedom.
    pub(crate) const BOUND: f64 = 411.0;

    /// The statistic against the uniform distribution.
    pub(crate) fn of(bytes: impl IntoIterator<Item = u8>) -> f64 {
        let mut counts = [0_u32; 256];
        bytes.into_iter().for_each(|byte| counts[usize::from(byte)] += 1);
        let total: u32 = counts.iter().sum();
        assert!(total > 1500, "{total} bytes");
        let expected = f64::from(total) / 256.0;
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }
}

pub mod base;
mod block;
mod digest;
pub mod error;
pub mod extension;
pub mod hash;
pub mod ots;
pub mod silent;
mod stream;
mod transpose;
mod tree;
mod universal;

pub use block::Block;
pub use error::OtError;
pub use stream::Stream;
