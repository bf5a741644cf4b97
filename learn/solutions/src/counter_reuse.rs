//! `(x' - s) - (x - s) = x' - x`: a keystream that is used twice is no keystream. The device must
//! have its number recorded as used *before* the first byte leaves.

/// `x' - x`, element by element.
#[must_use]
pub fn difference(first: &[u32], second: &[u32]) -> Vec<u32> {
    first.iter().zip(second).map(|(first, second)| second.wrapping_sub(*first)).collect()
}

/// The second reading.
#[must_use]
pub fn second_reading(first: &[u32], second: &[u32], first_reading: &[u32]) -> Vec<u32> {
    let differences = difference(first, second);
    first_reading.iter().zip(differences).map(|(x, found)| x.wrapping_add(found)).collect()
}
