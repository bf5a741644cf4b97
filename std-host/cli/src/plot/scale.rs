//! Axes: from where to where, with which numbers on them.

use core::ops::Range;

use plotters::coord::ranged1d::{BoldPoints, Ranged as _};
use plotters::coord::types::RangedCoordf64;

use super::chart::Chart;

/// Part of the span that is left free above and below.
const MARGIN: f64 = 0.05;

/// An axis.
pub struct Scale {
    pub range: Range<f64>,
    /// Whether there is nothing between whole numbers, as with epochs.
    whole: bool,
}

impl Scale {
    /// The axes of a chart, with room above and below the curves.
    pub fn both(chart: &Chart) -> (Self, Self) {
        let points = || chart.points();
        let whole = points().all(|(x, _)| x.fract() == 0.0);
        let x = Self { whole, ..Self::of(points().map(|(x, _)| x), false) };
        (x, Self::of(points().map(|(_, y)| y), true))
    }

    /// An axis that holds all values, with some room around them if `margin` says so. Without
    /// values it is 0 to 1.
    pub fn of(values: impl Iterator<Item = f64>, margin: bool) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low > high {
            return Self { range: 0.0..1.0, whole: false };
        }
        // A span that numbers on the axis can tell apart.
        let least = (low.abs().max(high.abs()) * 1e-6).max(1e-9);
        let room = match high - low {
            span if span < least => (low.abs() * 0.1).max(0.5),
            span if margin => span * MARGIN,
            _ => 0.0,
        };
        Self { range: low - room..high + room, whole: false }
    }

    /// At most `count` round numbers of the axis, in ascending order.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        let mut ticks = RangedCoordf64::from(self.range.clone()).key_points(BoldPoints(count));
        ticks.retain(|tick| self.has(*tick));
        ticks
    }

    /// Whether a number may stand at a value.
    fn has(&self, value: f64) -> bool {
        // Values of an axis are sums of steps, and off by as much.
        !self.whole || (value - value.round()).abs() < 1e-6 * (self.range.end - self.range.start)
    }

    /// At most how many numbers the axis has, if there is room for `count`.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn most(&self, count: usize) -> usize {
        let values = (self.range.end.floor() - self.range.start.ceil()).max(0.0) as usize;
        if self.whole { values.saturating_add(1).min(count) } else { count }
    }

    /// Where a value lies: 0 is the axis' begin, `cells - 1` its end.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    pub fn cell(&self, value: f64, cells: usize) -> usize {
        let part =
            ((value - self.range.start) / (self.range.end - self.range.start)).clamp(0.0, 1.0);
        (part * cells.saturating_sub(1) as f64).round() as usize
    }

    /// A value of the axis as text: as many digits as the axis needs, powers of ten where there
    /// would be many zeros. Nothing between whole numbers where there are these alone.
    pub fn number(&self, value: f64) -> String {
        if !self.has(value) {
            return String::new();
        }
        let span = self.range.end - self.range.start;
        let largest = self.range.start.abs().max(self.range.end.abs());
        if value != 0.0 && !(1e-3..1e7).contains(&largest) {
            return format!("{value:.2e}");
        }
        let decimals =
            [1e1, 1.0, 1e-1, 1e-2, 1e-3, 1e-4].iter().take_while(|&&scale| span < scale).count();
        let text = format!("{value:.decimals$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}

/// A count with a comma after each three digits, or what is left of a number that is none.
pub fn grouped(value: f64) -> String {
    let text = format!("{value}");
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, fraction) =
        digits.split_once('.').map_or((digits, ""), |(whole, fraction)| (whole, fraction));
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.extend(['.']);
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::chart::Series;
    use super::*;

    fn scale(values: &[f64]) -> Scale {
        Scale::of(values.iter().copied(), false)
    }

    #[test]
    fn axes_hold_their_values_and_have_round_numbers() {
        let epochs = scale(&[1.0, 5.0, 3.0]);
        assert_eq!(epochs.ticks(5), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((epochs.cell(1.0, 41), epochs.cell(5.0, 41), epochs.cell(3.0, 41)), (0, 40, 20));
        assert_eq!(scale(&[]).range, 0.0..1.0);
        assert_eq!(scale(&[3.0]).range, 2.5..3.5);
        assert_eq!(epochs.number(2.0), "2");
        assert_eq!(scale(&[0.0, 0.4]).number(0.1 + 0.2), "0.3");
        assert_eq!(scale(&[0.981, 0.989]).number(0.985), "0.985");
        assert_eq!(scale(&[0.0, 2e9]).number(1.5e9), "1.50e9");
    }

    #[test]
    fn nothing_is_between_epochs() {
        for epochs in [&[1.0, 2.0][..], &[1.0, 2.0, 3.0], &[3.0], &[1.0, 100.0]] {
            let points = epochs.iter().map(|&epoch| (epoch, 0.25)).collect();
            let series = vec![Series { points, ..Series::default() }];
            let (x, y) = Scale::both(&Chart { series, ..Chart::default() });
            let ticks = x.ticks(10);
            assert!(!ticks.is_empty(), "{epochs:?}");
            assert!(ticks.iter().all(|tick| (tick - tick.round()).abs() < 1e-4), "{ticks:?}");
            assert_eq!((x.number(1.5), x.number(2.0)), (String::new(), "2".to_owned()));
            assert!(x.most(10) <= 10 && x.most(10) >= epochs.len().min(3));
            assert!(!y.number(0.25).is_empty() && y.most(8) == 8);
        }
    }

    #[test]
    fn extremes_are_axes_too() {
        for values in [
            [1e15, -1e15],
            [1e15, 1e15],
            [0.0, 1e-300],
            [1e15, 1e15 - 1.0],
            [-1e-12, 1e-12],
            [1.0, 1.0 + 1e-12],
            [0.0, 0.0],
        ] {
            let scale = scale(&values);
            let ticks = scale.ticks(8);
            assert!(
                scale.range.start < scale.range.end && (1..=8).contains(&ticks.len()),
                "{values:?}: {ticks:?}"
            );
            for value in values {
                assert!(scale.cell(value, 10) < 10 && !scale.number(value).is_empty());
            }
        }
    }

    #[test]
    fn counts_are_grouped() {
        let texts = [0.0, 7.0, 999.0, 1000.0, 1_234_567.0, -1234.5].map(grouped);
        assert_eq!(texts, ["0", "7", "999", "1,000", "1,234,567", "-1,234.5"]);
    }
}
