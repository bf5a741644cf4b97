//! # 12: a dealer that colludes
//!
//! The dealer sees no message of a session, and the host has no key. Either alone learns nothing of
//! a reading. You are both: you have the device's key, as every dealer has, and what the device has
//! sent, `d = h - r`, as every host has.
//!
//! Write [`read_along`]. The device's masks `r` are keystream under that key; with the same key you
//! can do what the device did. [`crate::given::device_sends`] is what it did.
//!
//! The lesson is in `docs/threat-model.md`: the dealer must collude with nobody. Chapter 7 is about
//! doing without one.

use sharelet_core::keystream::Key;
use sharelet_core::step::StepError;

/// The device's reading.
///
/// # Errors
/// That of [`crate::given::device_sends`].
pub fn read_along(key: &Key, session: u64, sent: &[u32]) -> Result<Vec<u32>, StepError> {
    todo!("which input would have been sent as -r?")
}
