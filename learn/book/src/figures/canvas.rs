//! Shapes and words as SVG, on a raster that is fine enough to be the same on every machine.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::pair::Failed;

/// Colours: of `P0`, of `P1`, of the dealer, of what is public, and of what stands in the back.
pub const P0: RGBColor = RGBColor(0x21, 0x66, 0xac);
pub const P1: RGBColor = RGBColor(0xb2, 0x18, 0x2b);
pub const DEALER: RGBColor = RGBColor(0x7b, 0x5d, 0x00);
pub const PUBLIC: RGBColor = RGBColor(0x4d, 0x4d, 0x4d);
pub const BACK: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);

/// Points of the raster to a unit.
const FINE: u32 = 2;
const FONT_SIZE: u32 = 13 * FINE;

type Place = (i32, i32);

enum Shape {
    Rect([Place; 2], RGBColor),
    Path(Vec<Place>, RGBColor),
    Dot(Place, RGBColor),
    Words(Place, HPos, String, RGBColor),
}

/// A drawing, in units of which a page is 720 wide.
pub struct Canvas {
    size: (u32, u32),
    shapes: Vec<Shape>,
}

/// The nearest point of the raster.
#[allow(clippy::cast_possible_truncation, reason = "figures have hundreds of units")]
fn place(x: f64, y: f64) -> Place {
    ((x * f64::from(FINE)).round() as i32, (y * f64::from(FINE)).round() as i32)
}

impl Canvas {
    /// An empty one.
    pub fn new(width: u32, height: u32) -> Self {
        Self { size: (width * FINE, height * FINE), shapes: Vec::new() }
    }

    /// A filled rectangle.
    pub fn rect(&mut self, [x, y, width, height]: [f64; 4], fill: RGBColor) {
        self.shapes.push(Shape::Rect([place(x, y), place(x + width, y + height)], fill));
    }

    /// A straight line.
    pub fn line(&mut self, [x_1, y_1, x_2, y_2]: [f64; 4], stroke: RGBColor) {
        self.path([(x_1, y_1), (x_2, y_2)].into_iter(), stroke);
    }

    /// A line through points.
    pub fn path(&mut self, points: impl Iterator<Item = (f64, f64)>, stroke: RGBColor) {
        self.shapes.push(Shape::Path(points.map(|(x, y)| place(x, y)).collect(), stroke));
    }

    /// A small disc.
    pub fn dot(&mut self, x: f64, y: f64, fill: RGBColor) {
        self.shapes.push(Shape::Dot(place(x, y), fill));
    }

    /// An arrow to the right or to the left.
    pub fn arrow(&mut self, from: f64, to: f64, y: f64, stroke: RGBColor) {
        self.line([from, y, to, y], stroke);
        let back = if to > from { -8.0 } else { 8.0 };
        let head = [(to + back, y - 4.0), (to, y), (to + back, y + 4.0)];
        self.path(head.into_iter(), stroke);
    }

    /// Words that begin at a point.
    pub fn words(&mut self, x: f64, y: f64, fill: RGBColor, words: &str) {
        self.shapes.push(Shape::Words(place(x, y), HPos::Left, words.to_owned(), fill));
    }

    /// Words in the middle of which the point lies.
    pub fn centred(&mut self, x: f64, y: f64, fill: RGBColor, words: &str) {
        self.shapes.push(Shape::Words(place(x, y), HPos::Center, words.to_owned(), fill));
    }

    /// Words that end at a point.
    pub fn ending(&mut self, x: f64, y: f64, fill: RGBColor, words: &str) {
        self.shapes.push(Shape::Words(place(x, y), HPos::Right, words.to_owned(), fill));
    }

    /// The SVG file.
    ///
    /// # Errors
    /// None is known: all is drawn in memory.
    pub fn finish(self) -> Result<String, Failed> {
        let mut svg = String::new();
        let sheet = SVGBackend::with_string(&mut svg, self.size).into_drawing_area();
        sheet.fill(&WHITE)?;
        for shape in self.shapes {
            match shape {
                Shape::Rect(corners, fill) => {
                    sheet.draw(&Rectangle::new(corners, fill.filled()))?
                }
                Shape::Path(points, stroke) => {
                    sheet.draw(&PathElement::new(points, stroke.stroke_width(FINE)))?;
                }
                Shape::Dot(at, fill) => sheet.draw(&Circle::new(at, 4 * FINE, fill.filled()))?,
                Shape::Words(at, along, words, fill) => {
                    let font = ("sans-serif", FONT_SIZE).into_font().color(&fill);
                    let style = font.pos(Pos::new(along, VPos::Bottom));
                    sheet.draw(&Text::new(words, at, style))?;
                }
            }
        }
        sheet.present()?;
        drop(sheet);
        Ok(svg)
    }
}
