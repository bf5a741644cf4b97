//! # 7: break a counter reuse
//!
//! A device masks its readings with a keystream; the session's number says which part. A power cut
//! came before the counter was written, and the number was used twice. You are on the wire, and
//! have both messages, `first = x - s` and `second = x' - s`.
//!
//! Write [`difference`]: what you learn at once. Then [`second_reading`]: the device's owner has
//! published the first reading, and you want the other.
//!
//! Then think: which message must the device have sent *after* the number was safe in its memory?
//! (`sharelet_core::session::SessionCounter` says it, and chapter 8.)

/// `x' - x`, element by element, from what was sent for `x` and for `x'` in the same session.
#[must_use]
pub fn difference(first: &[u32], second: &[u32]) -> Vec<u32> {
    todo!("the keystream cancels")
}

/// The second reading, from both messages and the first reading.
#[must_use]
pub fn second_reading(first: &[u32], second: &[u32], first_reading: &[u32]) -> Vec<u32> {
    todo!("add what you have found")
}
