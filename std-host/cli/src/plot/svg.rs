//! Curves as an SVG document.

use plotters::element::{DashedPathElement, DynElement, IntoDynElement};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::chart::{Chart, plain};
use super::file::PlotError;
use super::scale::Scale;

/// Pixels.
const SIZE: (u32, u32) = (860, 480);
/// Pixels to the right of the curves.
const LEGEND_WIDTH: u32 = 220;
const FONT: &str = "sans-serif";
const FONT_SIZE: f64 = 15.0;
/// Characters of a name that the legend shows.
const NAME_CHARS: usize = 24;
/// Pixels from a marker's middle to its edge.
const MARKER: i32 = 4;

/// Colours that people tell apart whatever colours they see (Okabe and Ito), and the lengths of
/// dash and gap with each.
const STYLES: [(RGBColor, (u32, u32)); 6] = [
    (RGBColor(0, 114, 178), (0, 0)),
    (RGBColor(213, 94, 0), (8, 5)),
    (RGBColor(0, 158, 115), (3, 4)),
    (RGBColor(204, 121, 167), (14, 5)),
    (RGBColor(230, 159, 0), (6, 2)),
    (RGBColor(0, 0, 0), (2, 8)),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws on a white page.
pub fn document(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn core::error::Error>>,
) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = root.fill(&WHITE).map_err(Into::into).and_then(|()| draw(&root));
        drawn
            .and_then(|()| root.present().map_err(Into::into))
            .map_err(|error| PlotError::Draw(error.to_string()))?;
    }
    Ok(text)
}

/// Black text whose middle is at a height.
pub fn text(size: f64, side: HPos) -> TextStyle<'static> {
    (FONT, size).into_font().color(&BLACK).pos(Pos::new(side, VPos::Center))
}

/// The colour of a series or panel.
pub fn colour(index: usize) -> RGBColor {
    style(index).0
}

fn style(index: usize) -> (RGBColor, (u32, u32)) {
    STYLES.get(index % STYLES.len()).copied().unwrap_or((BLACK, (0, 0)))
}

pub fn curves(chart: &Chart) -> Result<String, PlotError> {
    let (x, y) = Scale::both(chart);
    document(SIZE, |root| {
        let (left, right) = root.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let mut axes = ChartBuilder::on(&left)
            .caption(plain(&chart.title), text(FONT_SIZE * 1.4, HPos::Left))
            .margin(16)
            .x_label_area_size(48)
            .y_label_area_size(72)
            .build_cartesian_2d(x.range.clone(), y.range.clone())?;
        axes.configure_mesh()
            .x_desc(plain(&chart.x_label))
            .y_desc(plain(&chart.y_label))
            .x_labels(x.most(10))
            .y_labels(8)
            .x_label_formatter(&|value| x.number(*value))
            .y_label_formatter(&|value| y.number(*value))
            .light_line_style(TRANSPARENT)
            .label_style((FONT, FONT_SIZE))
            .draw()?;
        for (index, series) in chart.series.iter().enumerate() {
            let points: Vec<(i32, i32)> =
                series.drawable().map(|point| axes.backend_coord(&point)).collect();
            line(root, index, &points)?;
            points.iter().try_for_each(|&point| root.draw(&marker(index, point)))?;
            let row = 60 + 24 * i32::try_from(index)?;
            let start = i32::try_from(SIZE.0 - LEGEND_WIDTH)?;
            line(root, index, &[(start, row), (start + 40, row)])?;
            root.draw(&marker(index, (start + 20, row)))?;
            let name: String = plain(&series.name).chars().take(NAME_CHARS).collect();
            right.draw(&Text::new(name, (52, row), text(FONT_SIZE, HPos::Left)))?;
        }
        Ok(())
    })
}

/// A line through points, in pixels, dashed as its series is.
fn line(
    root: &Area<'_>,
    index: usize,
    points: &[(i32, i32)],
) -> Result<(), Box<dyn core::error::Error>> {
    let (colour, (dash, gap)) = style(index);
    let line = colour.stroke_width(2);
    if dash == 0 {
        root.draw(&PathElement::new(points, line))?;
    } else {
        root.draw(&DashedPathElement::new(points.iter().copied(), dash, gap, line))?;
    }
    Ok(())
}

/// One element of the document per marker: a circle, a square, a triangle, a rhomb, a ring, a
/// frame.
fn marker<'a>(index: usize, (x, y): (i32, i32)) -> DynElement<'static, SVGBackend<'a>, (i32, i32)> {
    let colour = style(index).0;
    let corners = [(x - MARKER, y - MARKER), (x + MARKER, y + MARKER)];
    match index % STYLES.len() {
        0 => Circle::new((x, y), MARKER, colour.filled()).into_dyn(),
        1 => Rectangle::new(corners, colour.filled()).into_dyn(),
        2 => TriangleMarker::new((x, y), MARKER + 2, colour.filled()).into_dyn(),
        3 => {
            let reach = MARKER + 1;
            Polygon::new(
                [(x - reach, y), (x, y - reach), (x + reach, y), (x, y + reach)],
                colour.filled(),
            )
            .into_dyn()
        }
        4 => Circle::new((x, y), MARKER, colour.stroke_width(2)).into_dyn(),
        _ => Rectangle::new(corners, colour.stroke_width(1)).into_dyn(),
    }
}
