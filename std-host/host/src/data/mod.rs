//! Training data of an owner: files become a table of numbers with labels, and the table becomes
//! shares for two servers.
//!
//! [`Table::load`] reads CSV with a header, `.npy` and `idx` files; [`description`] is what becomes
//! public of it; [`shares`] encodes and splits. Rows in errors count from 1, headings not counted.

mod arrays;
mod csv;
pub mod description;
pub mod error;
pub mod keys;
pub mod labels;
pub mod name;
pub mod openings;
mod select;
pub mod shares;
mod table;

pub use self::error::{DataError, Place};
pub use self::select::Options;
pub use self::table::Table;
