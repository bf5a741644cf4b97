//! Bars to the right, in panels: quantities of different units beside the same names.

use std::path::Path;

use console::{Alignment, measure_text_width, pad_str};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::chart::{drawable, plain};
use super::file::{PlotError, save};
use super::scale::grouped;
use super::svg::{self, colour};

/// Panels of bars.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// What the chart is about.
    pub title: String,
    /// One below the other; each has a scale of its own.
    pub panels: Vec<Panel>,
}

/// Bars of one scale, which begins at 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// What is counted, with its unit.
    pub name: String,
    /// Names and values. A value that cannot be drawn, or is below 0, has no bar.
    pub bars: Vec<(String, f64)>,
}

/// Columns of the longest bar, within which the width of the terminal decides.
const NARROWEST: usize = 10;
const WIDEST: usize = 60;
/// The last cell of a bar, in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/// Columns, and characters in the file, of a bar's name at most.
const NAME_WIDTH: usize = 36;

/// Pixels of the file.
const PIXELS_WIDE: u32 = 860;
const NAME_PIXELS: i32 = 280;
const BAR_PIXELS: f64 = 440.0;
const ROW_PIXELS: i32 = 20;
const HEAD_PIXELS: i32 = 34;
const FONT_SIZE: f64 = 14.0;

impl Panel {
    /// The largest bar's value, and at least 1, since nothing is as long as nothing.
    fn largest(&self) -> f64 {
        self.bars.iter().map(|&(_, value)| length(value)).fold(1.0, f64::max)
    }
}

fn length(value: f64) -> f64 {
    if drawable(value) { value.max(0.0) } else { 0.0 }
}

impl Bars {
    fn named(&self) -> impl Iterator<Item = &(String, f64)> {
        self.panels.iter().flat_map(|panel| &panel.bars)
    }

    /// The bars as lines of text, at most `width` characters wide, but never narrower than is
    /// readable.
    #[must_use]
    pub fn terminal(&self, width: usize) -> String {
        let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
        let name_width =
            widest(&mut self.named().map(|(name, _)| measure_text_width(&plain(name))))
                .min(NAME_WIDTH);
        let value_width = widest(&mut self.named().map(|&(_, value)| grouped(value).len()));
        let columns = width.saturating_sub(name_width + value_width + 5).clamp(NARROWEST, WIDEST);
        let mut text = format!("{}\n", plain(&self.title));
        for panel in &self.panels {
            text.push_str(&format!("\n{}\n", plain(&panel.name)));
            for (name, value) in &panel.bars {
                let name =
                    pad_str(&plain(name), name_width, Alignment::Left, Some("…")).into_owned();
                let value_text =
                    pad_str(&grouped(*value), value_width, Alignment::Right, None).into_owned();
                let row = format!(
                    "  {name} {value_text} {}",
                    bar(length(*value) / panel.largest(), columns)
                );
                text.push_str(row.trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// The bars as an SVG document.
    ///
    /// # Errors
    /// [`PlotError::Draw`].
    pub fn svg(&self) -> Result<String, PlotError> {
        let rows = |bars: usize| {
            i32::try_from(bars)
                .unwrap_or(i32::MAX)
                .saturating_mul(ROW_PIXELS)
                .saturating_add(HEAD_PIXELS)
        };
        let height = self
            .panels
            .iter()
            .fold(2 * HEAD_PIXELS, |sum, panel| sum.saturating_add(rows(panel.bars.len())));
        svg::document((PIXELS_WIDE, height.unsigned_abs()), |root| {
            let label = |text: String, place: (i32, i32), size: f64, side| {
                root.draw(&Text::new(text, place, svg::text(FONT_SIZE * size, side)))
            };
            label(plain(&self.title), (16, HEAD_PIXELS / 2), 1.4, HPos::Left)?;
            let mut y = HEAD_PIXELS;
            for (index, panel) in self.panels.iter().enumerate() {
                label(plain(&panel.name), (16, y + HEAD_PIXELS / 2), 1.1, HPos::Left)?;
                y += HEAD_PIXELS;
                for (name, value) in &panel.bars {
                    // The largest bar is as long as pixels are counted, and what is more than
                    // nothing is seen.
                    #[allow(clippy::cast_possible_truncation)]
                    let end =
                        NAME_PIXELS + (length(*value) / panel.largest() * BAR_PIXELS).ceil() as i32;
                    let (top, bottom, middle) = (y + 3, y + ROW_PIXELS - 3, y + ROW_PIXELS / 2);
                    let name: String = plain(name).chars().take(NAME_WIDTH).collect();
                    label(name, (NAME_PIXELS - 8, middle), 1.0, HPos::Right)?;
                    let corners = [(NAME_PIXELS, top), (end, bottom)];
                    root.draw(&Rectangle::new(corners, colour(index).filled()))?;
                    label(grouped(*value), (end + 8, middle), 1.0, HPos::Left)?;
                    y += ROW_PIXELS;
                }
            }
            Ok(())
        })
    }

    /// Writes the bars as an SVG file: all of it, or nothing.
    ///
    /// # Errors
    /// [`PlotError`].
    pub fn save_svg(&self, path: &Path) -> Result<(), PlotError> {
        save(path, &self.svg()?)
    }
}

/// A bar of `part` of so many columns.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn bar(part: f64, columns: usize) -> String {
    let mut eighths = (part * columns as f64 * 8.0).round() as usize;
    // What is more than nothing is seen.
    if part > 0.0 {
        eighths = eighths.max(1);
    }
    let end = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    format!("{}{end}", "█".repeat(eighths / 8))
}
