//! What the kernels multiply.

use sharelet_core::ring::Ring;

/// A word that the kernels multiply: `u32` or `u64`.
pub trait Word: Ring {}

impl Word for u32 {}
impl Word for u64 {}
