//! Correlations of linear layers between two parties, without a dealer.
#![allow(missing_docs)]

pub mod batch;
mod bits;
pub mod error;
mod fresh;
mod keys;
mod layout;
pub mod matrix;
mod modulus;
mod noise;
mod ntt;
mod poly;
mod product;
mod reply;
mod ring;
mod sample;
mod scaled;
pub mod vector;

pub use error::Error;
pub use keys::{Public, Secret};
pub use ring::{Parameters, Words32, Words64};
