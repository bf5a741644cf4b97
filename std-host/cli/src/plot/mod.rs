//! Charts for people: curves and bars, as an SVG file and as text for a terminal.
//!
//! A series is told apart by its marker and its dashes, not by its colour alone. Values that cannot
//! be drawn, such as a loss that is not a number, are left out. A name is shown without the
//! characters that would steer a terminal or break the file.

mod bars;
mod chart;
mod file;
mod scale;
mod svg;
mod terminal;

use std::path::Path;

pub use self::bars::{Bars, Panel};
pub use self::chart::{Chart, LARGEST, Series};
pub use self::file::PlotError;

impl Chart {
    /// The chart as an SVG document.
    ///
    /// # Errors
    /// [`PlotError::Draw`].
    pub fn svg(&self) -> Result<String, PlotError> {
        svg::curves(self)
    }

    /// Writes the chart as an SVG file: all of it, or nothing.
    ///
    /// # Errors
    /// [`PlotError`].
    pub fn save_svg(&self, path: &Path) -> Result<(), PlotError> {
        file::save(path, &self.svg()?)
    }

    /// The chart as lines of text, at most `width` characters wide, but never narrower than is
    /// readable.
    #[must_use]
    pub fn terminal(&self, width: usize) -> String {
        terminal::curves(self, width)
    }
}
