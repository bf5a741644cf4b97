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

impl Placed {
    /// `None` if the window does not fit.
    #[must_use]
    pub fn new(
        image: &Image,
        size: (usize, usize),
        stride: (usize, usize),
        padding: Padding,
    ) -> Option<Self> {
        let along =
            |length: usize, size: usize, stride: usize, explicit: Option<(usize, usize)>| {
                let (before, after) = match (explicit, padding) {
                    (Some(explicit), _) => explicit,
                    (None, padding) => {
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
                let outputs = padded.checked_sub(size)?.checked_div(stride)? + 1;
                Some((before, after, outputs))
            };
        let explicit = match padding {
            Padding::Explicit { before, after } => Some((before, after)),
            Padding::SameUpper | Padding::SameLower => None,
        };
        let (top, bottom, rows) = along(
            image.height,
            size.0,
            stride.0,
            explicit.map(|(before, after)| (before.0, after.0)),
        )?;
        let (left, right, columns) = along(
            image.width,
            size.1,
            stride.1,
            explicit.map(|(before, after)| (before.1, after.1)),
        )?;
        Some(Self {
            size,
            stride,
            before: (top, left),
            after: (bottom, right),
            outputs: (rows, columns),
        })
    }

    /// The window of a pool.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of_pool(image: &Image, pool: &Pool) -> Result<Self, &'static str> {
        let size = pool.size.unwrap_or((image.height, image.width));
        let placed =
            Self::new(image, size, pool.stride, pool.padding).ok_or("does not fit its image")?;
        let rest = |length: usize, before: usize, after: usize, size: usize, stride: usize| {
            !(length + before + after).saturating_sub(size).is_multiple_of(stride)
        };
        let beyond =
            rest(image.height, placed.before.0, placed.after.0, placed.size.0, placed.stride.0)
                || rest(
                    image.width,
                    placed.before.1,
                    placed.after.1,
                    placed.size.1,
                    placed.stride.1,
                );
        if pool.ceil && beyond {
            return Err("has windows that reach beyond the image (ceil_mode); pad the image or \
                        leave ceil_mode off");
        }
        if !pool.count_padding && !placed.is_bare() {
            return Err("has windows of another size at the edge (padding with count_include_pad \
                        = 0); count the padding or leave it off");
        }
        Ok(placed)
    }

    /// Whether no zeros lie around the image.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.before == (0, 0) && self.after == (0, 0)
    }
}
