//! Products of integers modulo `2^32` and `2^64`: what training, and inference between two servers,
//! spend their time on. The float baseline multiplies with the same code.
//!
//! A [`Bilinear`] is a map of two operands, linear in each: a product of matrices, or one of the
//! three of a convolution, or one of the two of batch normalisation. Parties, dealer and twin call
//! the same [`Bilinear::add`], on shares, masks or plain words.
//!
//! ```text
//! bilinear -> channels (words by their channel)
//!     |----> convolution (images as matrices without copying each window)
//!     |            |
//!     v            v
//!  parallel -> block (packing, orientation) -> tile (registers) -> split (64 bits with AVX2)
//!                  |-> vector (one row or one column: memory decides)
//! ```
//!
//! All words take the same time: no branch and no address depends on their values.
//!
//! Large maps use the rayon pool that the call runs in, hence all cores by default; a caller that
//! wants one core installs a pool of one thread (`ThreadPool::install`) around the call. Small maps
//! never leave the calling thread.

mod bilinear;
mod block;
mod channels;
mod convolution;
mod left;
mod matrix;
mod parallel;
mod sizes;
#[cfg(target_arch = "x86_64")]
mod split;
mod tile;
mod vector;
mod word;

pub use bilinear::{Bilinear, Form, Product};
pub use channels::Channels;
pub use convolution::Convolution;
pub use sizes::SizeError;
pub use word::Word;
