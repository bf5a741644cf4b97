//! Sizes of operands, and why a map is not computed.

use crate::network::Window;

/// Why a map was not computed. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// A slice of another length than the map takes.
    #[error("{operand} has {found} words, and this map takes {expected}")]
    Length {
        /// Which slice.
        operand: &'static str,
        /// Words that the map takes.
        expected: usize,
        /// Words of the slice.
        found: usize,
    },
    /// A size is zero, or an operand would not fit any memory.
    #[error("each size must be at least 1, and every operand must fit the memory")]
    Sizes,
    /// No window fits.
    #[error(
        "a window of {}x{} in steps of {}x{} does not fit an image of {height}x{width}",
        .window.kernel.0,
        .window.kernel.1,
        .window.stride.0,
        .window.stride.1,
    )]
    Window {
        /// The window.
        window: Window,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
}

/// The product of sizes, if slices of so many words can exist.
pub(super) fn elems(sizes: &[usize]) -> Option<usize> {
    const MOST: usize = isize::MAX.unsigned_abs() / size_of::<u64>();
    sizes
        .iter()
        .try_fold(1_usize, |elems, &size| elems.checked_mul(size))
        .filter(|elems| (1..=MOST).contains(elems))
}
