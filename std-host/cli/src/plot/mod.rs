//! Charts for people: curves and bars, as an SVG file and as text for a terminal.
//!
//! A series is told apart by its marker and its dashes, not by its colour alone. Values that cannot
//! be drawn, such as a loss that is not a number, are left out. A name is shown without the
//! characters that would steer a terminal or break the file.

mod bars;
mod scale;
mod svg;
mod terminal;

use std::path::Path;

pub use self::bars::{Bars, Panel};
use sharelet_link::files::{FileError, write_file};

/// Values beyond this, either way, are not drawn.
pub const LARGEST: f64 = 1e15;

/// Why there is no chart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The picture cannot be made.
    #[error("the chart cannot be drawn: {0}; leave out the option that asks for it")]
    Draw(String),
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] FileError),
}

/// Curves over a common axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What the chart is about.
    pub title: String,
    /// What is to the right, with its unit.
    pub x_label: String,
    /// What is upward, with its unit.
    pub y_label: String,
    /// The curves; those without a point that can be drawn appear in the legend alone.
    pub series: Vec<Series>,
}

/// A curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, which are connected in this order.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The points that can be drawn.
    fn drawable(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|&(x, y)| drawable(x) && drawable(y))
    }
}

fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

impl Chart {
    fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.series.iter().flat_map(Series::drawable)
    }

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
        save(path, &self.svg()?)
    }

    /// The chart as lines of text, at most `width` characters wide, but never narrower than is
    /// readable.
    #[must_use]
    pub fn terminal(&self, width: usize) -> String {
        terminal::curves(self, width)
    }
}

fn save(path: &Path, document: &str) -> Result<(), PlotError> {
    Ok(write_file(path, &[document.as_bytes()])?)
}

/// A text of one line, without control characters and those that XML does not have.
fn plain(text: &str) -> String {
    let moves = |c| matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let allowed = |c: char| !c.is_control() && !moves(c) && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|c| if allowed(c) { c } else { '\u{FFFD}' }).collect()
}
