//! A function as straight pieces: what a sum of shifted ReLUs can compute.
//!
//! `f(x) ~ base + sum_k steps_k max(x - knots_k, 0)`: constant up to the first knot, and from the
//! last one on the line that the function itself comes near to. So the error is bounded for every
//! `x`, however far out; that of a square up to a limit.
//!
//! A square is such a sum of `|x|`: each of its pieces is mirrored at zero, and has a second ReLU.
//!
//! Knots lie the denser the more the function bends: a piece of width `h` is off by
//! `max |f''| h^2 / 16` where its ends lie half a chord's error beside the function (de Boor, *A
//! practical guide to splines*, on the distribution of knots). The bound that is stated is
//! measured.

use super::function::{Function, Line};

/// Straight pieces that are a function but for a bounded error.
#[derive(Clone, Debug, PartialEq)]
pub struct Spline {
    /// The value on the left.
    pub base: f64,
    /// Where the slope changes, in rising order; at least one.
    pub knots: Vec<f64>,
    /// By how much it changes there.
    pub steps: Vec<f64>,
    /// Whether all of them are of `|x|` in the place of `x`.
    pub mirrored: bool,
    /// What it is off by at most: for every `x`, of a square for those that are usual.
    pub bound: f64,
}

/// The most knots.
const MAX_KNOTS: u32 = 256;

/// Samples of a piece that the bound is taken of. Between two of them a parabola that leaves its
/// chord by `e` leaves theirs by `e / SAMPLES^2`.
const SAMPLES: u32 = 64;

/// Samples outside of the knots, each time that one is twice as far away.
const OUTSIDE: i32 = 16;

/// Slopes are multiples of this over the power of two that the widest piece stays below, so that
/// they add up to what they should once they are rounded.
const SLOPE: f64 = 1.0 / 16384.0;

impl Spline {
    /// The value at `x`.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        let x = if self.mirrored { x.abs() } else { x };
        let pieces = self.knots.iter().zip(&self.steps);
        pieces.fold(self.base, |sum, (knot, step)| sum + step * (x - knot).max(0.0))
    }

    /// Straight pieces that are off by at most `error`, which is positive; none if more than 256
    /// of them would be needed.
    #[must_use]
    pub fn fit(function: Function, error: f64) -> Option<Self> {
        if function.is_straight() {
            return Some(straight(function));
        }
        if let Function::Square { limit, usual } = function {
            return squared(limit, usual, error);
        }
        // From where the function leaves its ends, or at the latest from its breaks on.
        let both = [false, true].into_iter().filter_map(|breaks| near(function, error, breaks));
        both.min_by_key(|spline| spline.knots.len())
    }

    /// What it is off by at most.
    fn measured(&self, function: Function) -> f64 {
        let off = |x: f64| {
            let off = (function.at(x) - self.at(x)).abs();
            if off.is_nan() { f64::INFINITY } else { off }
        };
        let mut bound: f64 = 0.0;
        for pair in self.knots.windows(2) {
            let &[from, to] = pair else { continue };
            let at = |sample: u32| from + (to - from) * f64::from(sample) / f64::from(SAMPLES);
            bound = (0..=SAMPLES).map(|sample| off(at(sample))).fold(bound, f64::max);
        }
        // Outside the function comes nearer and nearer to its ends.
        let (Some(&first), Some(&last)) = (self.knots.first(), self.knots.last()) else {
            return f64::INFINITY;
        };
        for step in -8 * OUTSIDE..16 * OUTSIDE {
            let away = function.width() * libm::exp2(f64::from(step) / f64::from(OUTSIDE));
            bound = bound.max(off(first - away)).max(off(last + away));
        }
        bound * (1.0 + 4.0 / f64::from(SAMPLES * SAMPLES)) + 1e-9
    }
}

/// A square up to `limit` or somewhat further, and the lines that touch it there: chords between
/// knots at equal distances `h`, which are off by at most `h^2 / 8` to either side once they are
/// lowered by as much. Beyond what is usual distances grow in proportion, and so does the error in
/// proportion to the square. None if it has no limit.
fn squared(limit: f64, usual: f64, error: f64) -> Option<Spline> {
    if !limit.is_finite() || !usual.is_finite() {
        return None;
    }
    let widest = libm::sqrt(8.0 * error);
    // A few digits, so that what the slope changes by is not rounded.
    let digit = libm::exp2(libm::floor(libm::log2(widest)) - 4.0);
    let width = digit * libm::floor(widest / digit);
    let (mut knots, mut knot) = (vec![0.0], 0.0);
    while knot < limit {
        knot += width * libm::round(knot / usual).max(1.0);
        knots.push(knot);
        if knots.len() > usize::try_from(MAX_KNOTS).ok()? {
            return None;
        }
    }
    // The slope of a chord is the sum of its ends, and at the end twice that.
    let slopes = knots.windows(2).map(|ends| ends.iter().sum()).chain([2.0 * knot]);
    let steps =
        slopes.scan(0.0, |before, slope: f64| Some(slope - core::mem::replace(before, slope)));
    let steps = steps.collect();
    let bound = width * width / 8.0 + 1e-9;
    Some(Spline { base: -width * width / 8.0, knots, steps, mirrored: true, bound })
}

/// The first pieces that are off by at most `error`, of such that are meant to be, and of finer
/// ones.
fn near(function: Function, error: f64, breaks: bool) -> Option<Spline> {
    let mut aim = 0.99 * error;
    for _ in 0..24 {
        let spline = through(function, knots(function, aim, breaks)?);
        if spline.bound <= error {
            return Some(spline);
        }
        aim *= 0.96;
    }
    None
}

/// A function that is straight between its breaks.
fn straight(function: Function) -> Spline {
    let (left, right) = function.ends();
    let knots = function.breaks();
    let (mut steps, mut slope) = (Vec::new(), left.slope);
    for (index, &knot) in knots.iter().enumerate() {
        let next = match knots.get(index + 1) {
            Some(next) => (function.at(*next) - function.at(knot)) / (next - knot),
            None => right.slope,
        };
        steps.push(next - slope);
        slope = next;
    }
    // What floating point loses, of values up to a few thousand.
    Spline { base: left.offset, knots, steps, mirrored: false, bound: 1e-9 }
}

/// Knots of pieces that are off by about `aim`; the outer ones where the ends are near enough, and
/// if so asked for not between `breaks`.
fn knots(function: Function, aim: f64, breaks: bool) -> Option<Vec<f64>> {
    let (left, right) = function.ends();
    let (mut start, mut end) = (outer(function, left, -1.0, aim), outer(function, right, 1.0, aim));
    if breaks && let [first, .., last] = *function.breaks() {
        (start, end) = (start.min(first), end.max(last));
    }
    if start > end {
        (start, end) = (end, start);
    }
    if end - start < 1e-6 * function.width() {
        end = start + 1e-3 * function.width();
    }
    let mut places = vec![start];
    places.extend(function.breaks().into_iter().filter(|&place| start < place && place < end));
    places.push(end);
    let mut knots = vec![start];
    for pair in places.windows(2) {
        let &[from, to] = pair else { continue };
        let room = MAX_KNOTS.checked_sub(u32::try_from(knots.len()).ok()?)?;
        knots.extend(spread(function, from, to, 4.0 * libm::sqrt(aim), room)?);
    }
    Some(knots)
}

/// Where a function, on the way in from far out on one side, leaves one of its ends by `error`.
fn outer(function: Function, line: Line, sign: f64, error: f64) -> f64 {
    let near = |x: f64| (function.at(sign * x) - line.at(sign * x)).abs() <= error;
    let breaks = function.breaks();
    let furthest = breaks.iter().map(|place| sign * place).fold(0.0, f64::max);
    // All of them bend within a few widths of zero, or between their breaks.
    let mut far = furthest + 4.0 * function.width();
    while !near(far) && far < 1e9 {
        far *= 2.0;
    }
    let place = |step: u32| far * (1.0 - f64::from(step) / f64::from(GRID / 2));
    let inner = (0..GRID).find(|&step| !near(place(step))).unwrap_or(GRID);
    let (mut inside, mut outside) = (place(inner), place(inner.saturating_sub(1)));
    for _ in 0..60 {
        let middle = f64::midpoint(inside, outside);
        if near(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    sign * outside
}

/// Places at which the density of knots is sampled.
const GRID: u32 = 1024;

/// The ends of pieces from `from` to `to`, without `from`: as many as bring `h sqrt |f''|` to
/// `share` for each of them, at most `room`.
fn spread(function: Function, from: f64, to: f64, share: f64, room: u32) -> Option<Vec<f64>> {
    // Far out it bends little: cells are the wider the further they are from zero.
    let scale = function.width();
    let [low, high] = [from, to].map(|x| libm::asinh(x / scale));
    let edge =
        |cell: u32| scale * libm::sinh(low + (high - low) * f64::from(cell) / f64::from(GRID));
    let cells: Vec<[f64; 2]> = (0..GRID).map(|cell| [edge(cell), edge(cell + 1)]).collect();
    let density = |&[start, end]: &[f64; 2]| {
        let (middle, half) = (f64::midpoint(start, end), (end - start) / 2.0);
        let bend = function.at(end) - 2.0 * function.at(middle) + function.at(start);
        libm::sqrt(bend.abs()) / half
    };
    let density: Vec<f64> = cells.iter().map(density).collect();
    // Where it does not bend at all the next derivative counts.
    let least = 0.02 * density.iter().copied().fold(0.0, f64::max) * scale / (scale + to - from);
    let mut sum = 0.0;
    let shares = cells.iter().zip(density).map(|([start, end], density)| {
        sum += (density + least) * (end - start);
        sum
    });
    let shares: Vec<f64> = shares.collect();
    let pieces = libm::ceil(sum / share).max(1.0);
    let count = (1..=room).find(|&count| f64::from(count) >= pieces)?;
    let (mut ends, mut piece, mut before) = (Vec::new(), 1, 0.0);
    for ([start, end], after) in cells.into_iter().zip(shares) {
        let wanted = |piece: u32| sum * f64::from(piece) / f64::from(count);
        while piece < count && wanted(piece) <= after {
            ends.push(start + (end - start) * (wanted(piece) - before) / (after - before));
            piece += 1;
        }
        before = after;
    }
    ends.push(to);
    Some(ends)
}

/// Straight pieces with these knots, whose ends lie on the function's own.
fn through(function: Function, knots: Vec<f64>) -> Spline {
    let (left, right) = function.ends();
    let values: Vec<f64> = knots.iter().map(|&knot| function.at(knot)).collect();
    // How far the function is from the chord in the middle of each piece.
    let bends: Vec<f64> = knots
        .windows(2)
        .zip(values.windows(2))
        .map(|(ends, values)| {
            let middle = ends.iter().sum::<f64>() / 2.0;
            function.at(middle) - values.iter().sum::<f64>() / 2.0
        })
        .collect();
    let last = knots.len().saturating_sub(1);
    let wanted = |index: usize| match index {
        0 => left.offset,
        _ if index == last => right.at(knots.get(last).copied().unwrap_or(0.0)),
        _ => {
            let bend = |piece: usize| bends.get(piece).copied().unwrap_or(0.0);
            values.get(index).copied().unwrap_or(0.0) + (bend(index - 1) + bend(index)) / 4.0
        }
    };
    let widths =
        knots.windows(2).map(|pair| pair.iter().rev().copied().reduce(|to, from| to - from));
    let widest = widths.flatten().fold(1.0, f64::max);
    let unit =
        SLOPE / (0..64).map(|power| 2.0_f64.powi(power)).find(|&p| p >= widest).unwrap_or(1.0);
    let (mut steps, mut slope, mut value) = (Vec::new(), left.slope, left.offset);
    for (index, pair) in knots.windows(2).enumerate() {
        let &[from, to] = pair else { continue };
        // What a rounded slope misses the next one makes up for.
        let next = unit * libm::round((wanted(index + 1) - value) / (to - from) / unit);
        value += next * (to - from);
        steps.push(next - slope);
        slope = next;
    }
    steps.push(right.slope - slope);
    let bound = f64::INFINITY;
    let mut spline = Spline { base: left.offset, knots, steps, mirrored: false, bound };
    spline.bound = spline.measured(function);
    spline
}
