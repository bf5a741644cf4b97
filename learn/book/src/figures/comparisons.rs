//! Chapters 3 and 9: where a sign comes from, what a cut into digits costs, what width costs.

use plotters::style::RGBColor;
use sharelet_core::gate::GateBits;
use sharelet_core::gate::{GateKind, twin};
use sharelet_core::ring::{Ring, Small};
use sharelet_core::session::gate::correction_bytes;
use sharelet_core::session::gate::digits::Digits;

use super::canvas::{BACK, Canvas, P0, P1, PUBLIC};
use super::sharing::position;
use crate::pair::Failed;

type Toy = Small<4>;

/// Whether `y = z - r` is negative, for all `z` and `r` of 4 bits: to know it is to compare.
pub fn signs() -> Result<String, Failed> {
    let mut canvas = Canvas::new(720, 330);
    let all = || (0_u32..16).map(|word| (f64::from(word), Toy::from_u64(word.into())));
    for (row, r) in all() {
        for (column, z) in all() {
            let y = z.sub(r);
            // The twin of a ReLU gives zero for what is negative; zero itself is not.
            let relu = twin(GateKind::Relu, GateBits::whole::<Toy>(0), y);
            let negative = relu == Toy::ZERO && y != Toy::ZERO;
            let fill = if negative { P1 } else { BACK };
            canvas.rect([60.0 + 17.0 * column, 30.0 + 17.0 * row, 16.0, 16.0], fill);
        }
        canvas.ending(52.0, 43.0 + 17.0 * row, PUBLIC, &r.to_u64().to_string());
        canvas.centred(68.0 + 17.0 * row, 320.0, PUBLIC, &r.to_u64().to_string());
    }
    canvas.words(8.0, 20.0, PUBLIC, "r, which nobody knows");
    canvas.words(345.0, 320.0, PUBLIC, "z, which both know");
    for (line, words) in [
        "dark: y = z - r is negative.",
        "A column is what both parties know; the row is hidden.",
        "In every column half of the cells are dark:",
        "z alone says nothing about the sign.",
        "With z at hand, the row of r is a table that a",
        "dealer can share before anybody has z.",
    ]
    .into_iter()
    .enumerate()
    {
        canvas.words(370.0, 80.0 + 22.0 * position(line)?, PUBLIC, words);
    }
    canvas.finish()
}

/// Bars with a name and a value each.
fn bars(rows: &[(String, f64, String)], colour: RGBColor) -> Result<String, Failed> {
    let height = 40 + 26 * u32::try_from(rows.len())?;
    let mut canvas = Canvas::new(720, height);
    let largest = rows.iter().map(|(_, value, _)| *value).fold(1.0, f64::max);
    for (index, (name, value, shown)) in rows.iter().enumerate() {
        let y = 20.0 + 26.0 * position(index)?;
        canvas.ending(200.0, y + 14.0, PUBLIC, name);
        let width = 340.0 * value / largest;
        canvas.rect([210.0, y, width, 18.0], colour);
        canvas.words(218.0 + width, y + 14.0, PUBLIC, shown);
    }
    canvas.finish()
}

/// The cuts of a ReLU of 32 bits, and the bytes that a dealer sends for it, by the bits it drops.
pub fn cuts() -> Result<String, Failed> {
    let mut rows = Vec::new();
    for shift in [0, 4, 8, 12, 16, 20, 24, 28] {
        let digits = Digits::plan(32, shift, GateKind::Relu)?;
        let bytes = correction_bytes::<u32>(&digits);
        let widths: Vec<String> = digits.widths().iter().map(u8::to_string).collect();
        let name = format!("drops {shift}: {}", widths.join(" + "));
        rows.push((name, f64::from(u32::try_from(bytes)?), format!("{bytes} bytes")));
    }
    bars(&rows, P0)
}

/// Bytes that a dealer sends for a ReLU, and keystream blocks of the device, by width.
pub fn widths() -> Result<String, Failed> {
    let mut rows = Vec::new();
    for width_bits in [8, 12, 16, 20, 24, 28, 32] {
        let digits = Digits::plan(width_bits, 6, GateKind::Relu)?;
        let bytes = correction_bytes::<u32>(&digits);
        let shown = format!("{bytes} bytes, {} blocks", digits.device_blocks());
        rows.push((format!("{width_bits} bits"), f64::from(u32::try_from(bytes)?), shown));
    }
    bars(&rows, P0)
}
