//! Sessions of a device and a host over a line that misbehaves, by a seed: each ends in the right
//! answer or in an error with a name, within so many polls.
//!
//! There is no clock. A read that finds nothing for [`line::PATIENCE`] polls has timed out.
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::std_instead_of_core,
    reason = "what cannot be set up ends the test"
)]

pub mod line;
pub mod parties;
pub mod runs;
