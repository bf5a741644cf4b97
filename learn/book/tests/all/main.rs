//! The book holds together: links, figures, and the tests that it names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod code;
mod figures;
mod links;
mod named_tests;
mod pages;
