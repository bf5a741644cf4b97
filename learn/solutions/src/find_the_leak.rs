//! All secrets are compared with the first: if two differ, one of them differs from it.

use std::collections::BTreeMap;

use sharelet_core::ring::Ring;
use sharelet_exercises::given::{Toy, View};

/// Two secrets that the views tell apart, if there are any.
#[must_use]
pub fn leak(view: View) -> Option<[Toy; 2]> {
    let counts = |secret| {
        let mut counts = BTreeMap::new();
        for random in 0..=u8::MAX {
            *counts.entry(view(secret, random)).or_insert(0) += 1;
        }
        counts
    };
    let first = counts(Toy::ZERO);
    let other = (1..16).map(Toy::from_u64).find(|&secret| counts(secret) != first)?;
    Some([Toy::ZERO, other])
}
