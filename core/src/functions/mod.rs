//! Functions of shared vectors, for two parties that both have memory: servers, and whoever trains.
//!
//! A device needs nothing of it, and compiles none of it without the feature `functions`.
//!
//! | module | what it knows |
//! |---|---|
//! | [`spline`], [`tables`] | functions of one variable as polynomials, with proven bounds |
//! | [`record`] | correlations, a record for each element |
//! | [`cut`], [`tree`], [`carries`] | comparisons: by tables, by bits, by what the parties hold |
//! | [`transfer`] | what two parties make of oblivious transfers |
//! | [`protocol`] | protocols in rounds, with their plaintext twins |
//! | [`engine`] | who runs a protocol: a party, its dealer, the twin, or one who counts |
//! | [`program`] | functions of several protocols, written once for all engines |

pub mod carries;
pub mod cut;
pub mod engine;
pub mod program;
pub mod protocol;
pub mod record;
pub mod spline;
pub mod tables;
pub mod transfer;
pub mod tree;
