//! Which OTs are read.

use crate::error::OtError;

/// An error for OTs that are not there.
pub fn range(first: usize, len: usize, count: usize) -> Result<core::ops::Range<usize>, OtError> {
    let end = first.checked_add(len).filter(|end| *end <= count);
    end.map(|end| first..end).ok_or(OtError::Range { first, len, count })
}
