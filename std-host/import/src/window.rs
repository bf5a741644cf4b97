//! Windows that slide over images: where they lie, and how many there are.

use super::form::Image;
use super::graph::{Padding, Pool};

/// A window with its padding, and the outputs it gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Rows and columns.
    pub size: (usize, usize),
    /// Steps.
    pub stride: (usize, usize),
    /// Zeros above and left.
    pub before: (usize, usize),
    /// Zeros below and right.
    pub after: (usize, usize),
    /// Rows and columns of the result.
    pub outputs: (usize, usize),
}

/// The two numbers of a pair.
const DOWN: fn((usize, usize)) -> usize = |pair| pair.0;
const ACROSS: fn((usize, usize)) -> usize = |pair| pair.1;

impl Placed {
    /// `None` if the window does not fit.
    #[must_use]
    pub fn new(
        image: &Image,
        size: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Option<Self> {
        let along = |length: usize, pick: fn((usize, usize)) -> usize| {
            let (size, stride) = (pick(size), pick(stride));
            let (before, after) = match padding {
                Padding::Explicit { before, after } => (pick(before), pick(after)),
                Padding::SameUpper | Padding::SameLower => {
                    let steps =
                        length.div_ceil(stride.max(1)).saturating_sub(1).checked_mul(stride)?;
                    let whole = steps.checked_add(size)?.saturating_sub(length);
                    if padding == Padding::SameLower {
                        (whole.div_ceil(2), whole / 2)
                    } else {
                        (whole / 2, whole.div_ceil(2))
                    }
                }
            };
            let padded = length.checked_add(before)?.checked_add(after)?;
            Some((before, after, padded.checked_sub(size)?.checked_div(stride)? + 1))
        };
        let (top, bottom, rows) = along(image.height, DOWN)?;
        let (left, right, columns) = along(image.width, ACROSS)?;
        Some(Self {
            size,
            stride,
            before: (top, left),
            after: (bottom, right),
            outputs: (rows, columns),
        })
    }

    /// The window of a pool; `None` if it does not fit.
    #[must_use]
    pub fn of_pool(image: &Image, pool: &Pool) -> Option<Self> {
        let size = pool.size.unwrap_or((image.height, image.width));
        Self::new(image, size, pool.stride, pool.padding)
    }

    /// Why a pool whose windows lie so is not computed, if it is not.
    #[must_use]
    pub fn fault_of_pool(&self, image: &Image, pool: &Pool) -> Option<&'static str> {
        let beyond = |length: usize, pick: fn((usize, usize)) -> usize| {
            let padded = length + pick(self.before) + pick(self.after);
            !padded.saturating_sub(pick(self.size)).is_multiple_of(pick(self.stride).max(1))
        };
        if pool.ceil && (beyond(image.height, DOWN) || beyond(image.width, ACROSS)) {
            return Some(
                "has windows that reach beyond the image (ceil_mode); pad the image or leave \
                 ceil_mode off",
            );
        }
        None
    }

    /// Whether no zeros lie around the image.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.before == (0, 0) && self.after == (0, 0)
    }
}
