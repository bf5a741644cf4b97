//! Tests of the committed models and tables, as one program.
#![allow(clippy::needless_range_loop, clippy::unwrap_used, missing_docs)]

mod reproducible;
mod tabular;
