//! Windows that slide over an image: the largest number of each, or the mean.

use super::{Need, Scratch, expect, extreme, statistics};
use crate::functions::engine::Engine;
use crate::ring::Ring;
use crate::step::StepError;

/// A window that slides over an image of several channels, without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Channels, each an image of its own.
    pub channels: usize,
    /// Rows of the image.
    pub height: usize,
    /// Columns of the image.
    pub width: usize,
    /// Rows and columns of the window.
    pub size: (usize, usize),
    /// Steps of the window down and to the right.
    pub stride: (usize, usize),
}

impl Window {
    /// Rows and columns of the result.
    ///
    /// # Errors
    /// [`StepError::SizeOutOfRange`] if a size or a step is zero, or the window is larger than the
    /// image.
    pub fn outputs(&self) -> Result<(usize, usize), StepError> {
        let along = |length: usize, size: usize, step: usize| {
            if size == 0 || step == 0 || size > length {
                return Err(StepError::SizeOutOfRange { found_elems: size, limit_elems: length });
            }
            Ok((length - size) / step + 1)
        };
        Ok((
            along(self.height, self.size.0, self.stride.0)?,
            along(self.width, self.size.1, self.stride.1)?,
        ))
    }

    /// Room for [`max_pool`] and [`mean_pool`].
    #[must_use]
    pub fn need(&self) -> Need {
        let Ok((rows, columns)) = self.outputs() else {
            return Need::default();
        };
        let windows = self.channels.saturating_mul(rows).saturating_mul(columns);
        let gathered = Need { own_elems: windows.saturating_mul(self.area()), ..Need::default() };
        gathered.and(extreme::need(windows, self.area()).or(statistics::mean_need(windows)))
    }

    /// Numbers in a window.
    const fn area(&self) -> usize {
        self.size.0.saturating_mul(self.size.1)
    }

    /// Checks lengths of an image and of what becomes of it; rows and columns of the latter.
    fn check<R>(&self, x: &[R], out: &[R]) -> Result<(usize, usize), StepError> {
        let outputs = self.outputs()?;
        extreme::check(self.area(), extreme::MAX_COLUMNS)?;
        let image = |(rows, columns): (usize, usize)| {
            self.channels.saturating_mul(rows).saturating_mul(columns)
        };
        expect(x.len(), image((self.height, self.width)))?;
        expect(out.len(), image(outputs))?;
        Ok(outputs)
    }

    /// Copies every window's numbers into a row of `rows`.
    fn gather<R: Ring>(&self, image: &[R], outputs: (usize, usize), rows: &mut [R]) {
        let places = (0..self.channels).flat_map(move |channel| {
            (0..outputs.0).flat_map(move |y| {
                (0..outputs.1).map(move |x| (channel, y * self.stride.0, x * self.stride.1))
            })
        });
        for ((channel, top, left), row) in places.zip(rows.chunks_exact_mut(self.area())) {
            for (y, line) in (top..).zip(row.chunks_exact_mut(self.size.1)) {
                let start = (channel * self.height + y) * self.width + left;
                line.copy_from_slice(image.get(start..start + self.size.1).unwrap_or(&[]));
            }
        }
    }
}

/// Max-pool: the largest number of every window. `x` is channels, rows, columns; `out` likewise,
/// with [`Window::outputs`].
///
/// # Errors
/// As [`extreme::max`]; a window that does not fit. Scratch: [`Window::need`].
pub async fn max_pool<R: Ring, E: Engine>(
    engine: &mut E,
    window: Window,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let (outputs, size) = (window.check(x, out)?, window.area());
    let (room, mut rest) =
        scratch.take(Need { own_elems: out.len().saturating_mul(size), ..Need::default() })?;
    window.gather(x, outputs, room.own);
    extreme::max(engine, size, room.own, out, &mut rest).await
}

/// Average pool: the mean of every window, rounded as [`statistics::mean`] rounds.
///
/// # Errors
/// As [`statistics::mean`]; a window that does not fit. Scratch: [`Window::need`].
pub async fn mean_pool<R: Ring, E: Engine>(
    engine: &mut E,
    window: Window,
    x: &[R],
    out: &mut [R],
    scratch: &mut Scratch<'_, R>,
) -> Result<(), E::Error> {
    let (outputs, size) = (window.check(x, out)?, window.area());
    let (room, mut rest) =
        scratch.take(Need { own_elems: out.len().saturating_mul(size), ..Need::default() })?;
    window.gather(x, outputs, room.own);
    statistics::mean(engine, size, room.own, out, &mut rest).await
}
