//! What is drawn.

/// Values beyond this, either way, are not drawn.
pub const LARGEST: f64 = 1e15;

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
    pub(super) fn drawable(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.points.iter().copied().filter(|&(x, y)| drawable(x) && drawable(y))
    }
}

pub(super) fn drawable(value: f64) -> bool {
    value.is_finite() && value.abs() <= LARGEST
}

impl Chart {
    pub(super) fn points(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.series.iter().flat_map(Series::drawable)
    }
}

/// A text of one line, without control characters and those that XML does not have.
pub(super) fn plain(text: &str) -> String {
    let moves = |c| matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let allowed = |c: char| !c.is_control() && !moves(c) && !matches!(c, '\u{FFFE}' | '\u{FFFF}');
    text.chars().map(|c| if allowed(c) { c } else { '\u{FFFD}' }).collect()
}
