//! Two parties make the correlations of a program alone, without a dealer.
//!
//! A program of the core is planned offline ([`plan`]), as a dealer would read it: what records it
//! spends, and what they consist of. Both parties then hold random oblivious transfers, as many as
//! the plan says, in either direction, and each makes its half of the records of them (`fill`).
//! What runs afterwards cannot tell where its correlations come from.
//!
//! ```text
//! once per pair:   kept        base transfers, both ways                       1 message
//! per program:     ask         the extension's corrections                     4 messages
//!                  accept      challenges, after these are there
//!                  answer      proofs that nobody cheated
//!                  verify      words that turn bits and factors into products
//! ```
//!
//! With silent transfers ([`Pair::silently`]) calls of 1.5 million are made as they are needed, and
//! a program takes two messages: for many programs over a link on which bytes are dear.
//!
//! All of it in batches: so many messages, whatever the program. Programs must compare by
//! `Comparison::Ot`; what needs a dealer is refused by name before anything is sent.
//!
//! Security: semi-honest parties, as everywhere in this project. The transfers themselves catch a
//! party that cheats in them (`sharelet_ot`); that both work from one plan is the caller's to
//! agree on, and messages of another length than the plan's are refused.

mod cursor;
pub mod error;
mod exchange;
mod fill;
pub mod kept;
pub mod link;
pub mod pair;
pub mod plan;
mod silent;
pub mod strings;
mod words;

pub use error::{Failed, PrepareError};
pub use kept::Kept;
pub use pair::{Made, Pair};
pub use plan::{Plan, Strings};
pub use sharelet_ot::OtError;
pub use sharelet_ot::extension::FieldBits;
pub use strings::HeldStrings;
