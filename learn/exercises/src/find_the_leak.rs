//! # 3: find the leak
//!
//! A protocol hides a secret if what others see has the *same distribution* whatever the secret
//! is. On a toy ring that can be counted: run it under all randomness, and count how often each
//! view occurs.
//!
//! Write [`leak`], which does that. A [`View`] is called with a secret and a random word of 8 bits,
//! and gives what is opened. If the views of two secrets are distributed differently, give these
//! two secrets; if those of all secrets are alike, give `None`.
//!
//! The test hands you the six protocols of [`crate::given`], of which three leak. Before you run
//! it, guess which.
//!
//! To read: chapters 1 and 8.

use crate::given::{Toy, View};

/// Two secrets that the views tell apart, if there are any.
#[must_use]
pub fn leak(view: View) -> Option<[Toy; 2]> {
    todo!("count the views of each secret under all randomness, and compare the counts")
}
