//! Correlations of linear layers between two parties, without a dealer: `P0` encrypts its operands,
//! `P1` multiplies by its own and adds a mask, `P0` decrypts. Both then hold additive shares.
//!
//! | use | `P0` has | `P1` has | shares |
//! |---|---|---|---|
//! | [`matrix`] | `A0`, `B0` | `A1`, `B1` | `A0 B1 + A1 B0` modulo `2^64` |
//! | [`weights`] | masks `r` | weights `W` | `W r` modulo `2^32` |
//! | [`batch`] | masks `r` of 4,096 sessions | weights `W` | `W r` of each, modulo `2^32` |
//!
//! Each use has `request` (`P0`), `respond` (`P1`) and `finish` (`P0`), on byte buffers, and a
//! `Shape` of public sizes that knows the lengths of messages. Before the first reply `P0` sends
//! a public key, once.
//!
//! ```text
//! modulus -> ntt -> ring -> poly -> pair, sample   words, polynomials, parameters, randomness
//!                             |
//!            fresh (P0's ciphertexts), keys, reply (P1's), noise (bounds)
//!                             |
//!            layout -> product -> respond -> matrix, weights          scaled -> batch
//! ```
//!
//! The scheme is BFV (Fan and Vercauteren, eprint 2012/144) without products of ciphertexts: plain
//! factors, additions, nothing to relinearise or rotate, so no further keys. Parameters and their
//! security are in `ring.rs`, what `P0` sees in `reply.rs`, bounds and failures in `noise.rs`.
//!
//! # Security
//!
//! Both parties are assumed to follow the protocol. A peer's bytes are checked for their length and
//! range, and give an [`Error`] at worst; but a `P0` that encrypts with too much noise can read
//! `P1`'s operands off what it decrypts, and a party that sends wrong ciphertexts makes wrong
//! shares.
//!
//! No branch and no address depends on a secret, with one exception: whether `P1`'s weights are
//! refused by [`Error::Noise`]. Keys and intermediate values are wiped where they end. Not wiped
//! are the stack, the state of generators, and what is returned.
//!
//! ```
//! use rand_core::SeedableRng;
//! use sharelet_rlwe::{Error, Public, Secret, weights};
//!
//! # fn main() -> Result<(), Error> {
//! // In earnest, a generator that the system has seeded.
//! let mut rng = rand_chacha::ChaCha20Rng::from_seed([7; 32]);
//! let secret = Secret::new(&mut rng);
//! let public = Public::read(&secret.public(&mut rng))?;
//!
//! // [1 -2 3] (10 20 30) = 60.
//! let shape = weights::Shape::new(1, 3, 1)?;
//! let request = weights::request(&secret, &shape, &[10, 20, 30], &mut rng)?;
//! let (reply, share1) = weights::respond(&public, &shape, &[1, -2, 3], &request, &mut rng)?;
//! let share0 = weights::finish(&secret, &shape, &reply)?;
//! assert_eq!(share0[0].wrapping_add(share1[0]), 60);
//! # Ok(())
//! # }
//! ```

pub mod batch;
mod bits;
mod error;
mod fresh;
mod keys;
mod layout;
pub mod matrix;
mod modulus;
mod noise;
mod ntt;
mod pair;
mod poly;
mod product;
mod reply;
mod respond;
mod ring;
mod sample;
mod scaled;
pub mod weights;

pub use error::Error;
pub use keys::{Public, Secret};
pub use noise::SECURITY_BITS;
pub use ring::{Parameters, Words32, Words64};
