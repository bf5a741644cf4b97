//! The figures of the book. What they show is computed by the core; this only places it.

mod canvas;
mod comparisons;
mod networks;
mod pictures;
mod sharing;
mod training;

use crate::pair::Failed;

/// All figures: file names, and SVG.
///
/// # Errors
/// What the core refuses: a figure has then asked for something that there is not.
pub fn all() -> Result<Vec<(&'static str, String)>, Failed> {
    Ok(vec![
        ("shares.svg", sharing::shares()?),
        ("product.svg", sharing::product()?),
        ("signs.svg", comparisons::signs()?),
        ("cuts.svg", comparisons::cuts()?),
        ("network.svg", networks::bytes()?),
        ("sigmoid.svg", networks::sigmoid()?),
        ("line.svg", training::line()?),
        ("trust.svg", networks::trust()?),
        ("reuse.svg", pictures::reuse()?),
        ("widths.svg", comparisons::widths()?),
    ])
}
