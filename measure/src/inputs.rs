//! Arguments: every one where there are few, random ones and the ends of all intervals elsewhere.

use core::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_core::Rng as _;

use crate::exact::{in_domain, quotient_bits, reciprocal_least, saturation};
use crate::function::{CLAMP, CONSTANTS, Function};
use crate::run::Job;

/// The most words that are all tried.
pub const ALL_WORDS: i64 = 1 << 24;
/// Words beyond a table's domain that are tried with it, on either side.
const MARGIN: i64 = 1 << 10;

/// Least and largest word of a ring.
#[must_use]
pub const fn ring(ring_bits: u32) -> (i64, i64) {
    (-1 << (ring_bits - 1), ((1_u64 << (ring_bits - 1)) - 1).cast_signed())
}

/// The words between which a function of one variable is worth looking at; outside it is level, the
/// identity, or not defined. Of a row: those between which it may be all one number.
#[must_use]
pub fn span(job: Job, ring_bits: u32) -> (i64, i64) {
    let (low, high) = ring(ring_bits);
    if let Some(table) = job.function.table(ring_bits, job.frac_bits) {
        return ((table.low - MARGIN).max(low), (table.end() + MARGIN).min(high));
    }
    let k = ring_bits;
    let columns = job.function.shape().columns;
    let ends_of = |most: i64| (-most, most);
    match job.function {
        // From below half a unit to beyond 62 bits, whatever the fraction bits.
        Function::ExpFull => (-15 << job.frac_bits, 38 << job.frac_bits),
        Function::Rescale => (-1 << (k - 2), (1 << (k - 2)) - 1),
        Function::Square => (-1 << ((k - 2) / 2), 1 << ((k - 2) / 2)),
        Function::LeakyRelu => (-1 << (k - 10), (1 << (k - 10)) - 1),
        Function::Sqrt if k == 64 => (0, (1 << (61 - job.frac_bits)) - 1),
        Function::Sqrt | Function::InvSqrt | Function::Ln => {
            (0, if k == 64 { (1 << 61) - 1 } else { high })
        }
        Function::Sum10 | Function::MeanPool => ends_of(high / i64::try_from(columns).unwrap_or(1)),
        Function::Mean10 => ends_of(
            i64::try_from(saturation(job, k)).unwrap_or(high) / i64::try_from(columns).unwrap_or(1),
        ),
        Function::Variance10 | Function::LayerNorm10 => {
            ends_of(i64::try_from(saturation(job, k)).unwrap_or(high))
        }
        _ => (low, high),
    }
}

/// All words of the span, if they are few enough.
#[must_use]
pub fn all(job: Job, ring_bits: u32) -> Option<Range<i64>> {
    let shape = job.function.shape();
    let (low, high) = span(job, ring_bits);
    let few = high.checked_sub(low).is_some_and(|width| width < ALL_WORDS);
    (shape.operands * shape.columns == 1 && few).then(|| low..high + 1)
}

/// The ends of all intervals on which a function of this operand is made differently, and their
/// neighbours. Where there are several operands, the last is what is normalised.
#[must_use]
pub fn ends(job: Job, ring_bits: u32, operand: usize) -> Vec<i64> {
    let (low, high) = ring(ring_bits);
    let (first, last) = span(job, ring_bits);
    let mut ends = vec![low, high, first, last, CLAMP.0, CLAMP.1, 0, 6 << job.frac_bits];
    ends.extend(CONSTANTS);
    ends.extend((0..ring_bits - 1).flat_map(|bit| [1_i64 << bit, -1 << bit]));
    let mut table = |table: &sharelet_core::functions::spline::Spline| {
        let starts = (0..=table.rows.len())
            .map(|row| table.low + (i64::try_from(row).unwrap_or(0) << table.piece_bits));
        ends.extend(starts);
    };
    if let Some(spline) = job.function.table(ring_bits, job.frac_bits) {
        table(spline);
    }
    let last = operand + 1 == job.function.shape().operands;
    if let Some(spline) = job.function.normalised().filter(|_| last) {
        for row in 0..spline.rows.len() {
            let start =
                i128::from(spline.low) + (i128::try_from(row).unwrap_or(0) << spline.piece_bits);
            for power in 0..ring_bits - 1 {
                let word = (start << power) >> 30;
                if let Ok(word) = i64::try_from(word) {
                    ends.extend([word, -word]);
                }
            }
        }
    }
    let near = |word: i64| [word.saturating_sub(1), word, word.saturating_add(1)];
    let mut ends: Vec<i64> =
        ends.into_iter().flat_map(near).filter(|word| (low..=high).contains(word)).collect();
    ends.sort_unstable();
    ends.dedup();
    ends
}

/// All pairs of ends of the first two operands, and with every end of the second the ends of the
/// domain that it leaves to the first; those in the domain. A third operand does not narrow it.
pub fn pairs(job: Job, ring_bits: u32) -> impl Iterator<Item = [i64; 2]> {
    let first = ends(job, ring_bits, 0);
    let inside = move |x: i64, y: i64| in_domain(job, ring_bits, [&[x], &[y], &[]]);
    let pairs = move |y: i64| {
        let limits = limits(ring_bits, [0, y], |x| inside(x, y));
        first.clone().into_iter().chain(limits).filter(move |&x| inside(x, y)).map(move |x| [x, y])
    };
    ends(job, ring_bits, 1).into_iter().flat_map(pairs)
}

/// The least and the largest word inside an interval that holds one of `known`, and their
/// neighbours.
fn limits(ring_bits: u32, known: [i64; 2], inside: impl Fn(i64) -> bool) -> Vec<i64> {
    let Some(known) = known.into_iter().find(|&word| inside(word)) else { return Vec::new() };
    let (low, high) = ring(ring_bits);
    let limit = |end: i64| {
        let (mut within, mut beyond) = (known, end);
        if inside(end) {
            return end;
        }
        while within.abs_diff(beyond) > 1 {
            let middle = within.midpoint(beyond);
            *if inside(middle) { &mut within } else { &mut beyond } = middle;
        }
        within
    };
    let (low, high) = (limit(low), limit(high));
    vec![low, low.saturating_add(1), high.saturating_sub(1), high]
}

/// Random arguments of a function.
#[derive(Clone, Debug)]
pub struct Random {
    job: Job,
    ring_bits: u32,
    rng: ChaCha8Rng,
    ends: Vec<i64>,
}

impl Random {
    /// Arguments that a seed decides.
    #[must_use]
    pub fn new(job: Job, ring_bits: u32, rng: ChaCha8Rng) -> Self {
        let last = job.function.shape().operands - 1;
        Self { job, ring_bits, rng, ends: ends(job, ring_bits, last) }
    }

    fn below(&mut self, count: u64) -> u64 {
        u64::try_from((u128::from(self.rng.next_u64()) * u128::from(count)) >> 64).unwrap_or(0)
    }

    fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.wrapping_sub(low).cast_unsigned();
        if width == u64::MAX {
            return self.rng.next_u64().cast_signed();
        }
        low.wrapping_add(self.below(width + 1).cast_signed())
    }

    /// A word of `low..=high`, of any magnitude.
    fn spread(&mut self, low: i64, high: i64) -> i64 {
        let bits = self.below(63);
        let size = (1_i64 << bits) | (self.rng.next_u64() & ((1 << bits) - 1)).cast_signed();
        let word = if self.rng.next_u32() & 1 == 0 { size } else { -size };
        if (low..=high).contains(&word) { word } else { self.between(low, high) }
    }

    fn scalar(&mut self, (low, high): (i64, i64)) -> i64 {
        if self.rng.next_u32() & 1 == 0 { self.between(low, high) } else { self.spread(low, high) }
    }

    /// A word among the ends of the intervals.
    pub fn end(&mut self) -> i64 {
        let place = self.below(self.ends.len() as u64);
        self.end_at(place)
    }

    fn end_at(&self, place: u64) -> i64 {
        usize::try_from(place).ok().and_then(|place| self.ends.get(place)).copied().unwrap_or(0)
    }

    /// The operands of one element.
    pub fn next(&mut self, operands: [&mut [i64]; 3]) {
        let [x, y, z] = operands;
        let (k, f) = (self.ring_bits, self.job.frac_bits);
        let whole = ring(k);
        match self.job.function {
            Function::Divide => self.quotient(x, y),
            Function::Multiply => {
                let (first, mut second) = (self.spread(whole.0 + 1, whole.1), 0);
                let room = ((1_i64 << (k - 2)) - 1) / first.abs();
                if room > 0 {
                    second = self.scalar((-room, room));
                }
                fill(x, first);
                fill(y, second);
            }
            Function::AtLeast
            | Function::Maximum
            | Function::Minimum
            | Function::Equal
            | Function::Select
            | Function::Choose => {
                // Of half of the ring where differences must fit; often equal or close.
                let differ = matches!(
                    self.job.function,
                    Function::AtLeast | Function::Maximum | Function::Minimum
                );
                let half = if differ { (whole.0 / 2, whole.1 / 2) } else { whole };
                let [first, second, third] = core::array::from_fn(|_| self.scalar(half));
                let close = self.between(-2, 2);
                fill(x, first);
                fill(
                    y,
                    if self.rng.next_u32() & 1 == 0 {
                        second
                    } else {
                        first.saturating_add(close).clamp(half.0, half.1)
                    },
                );
                fill(z, third);
            }
            Function::Reciprocal => {
                let least = 1_i64 << reciprocal_least(k, f);
                let size = self.spread(least, whole.1).max(least);
                fill(x, if self.rng.next_u32() & 1 == 0 { size } else { -size });
            }
            _ if x.len() > 1 => self.row(x),
            _ => {
                let span = span(self.job, k);
                let word = self.scalar(span);
                fill(x, word);
            }
        }
    }

    /// Numerator and divisor whose quotient is in the domain.
    fn quotient(&mut self, x: &mut [i64], y: &mut [i64]) {
        let (k, f) = (self.ring_bits, self.job.frac_bits);
        let (quotient, divisor) = quotient_bits(k, f);
        let most = (1_i64 << divisor) - 1;
        let divisor = if self.rng.next_u32() & 7 == 0 {
            self.end().clamp(-most, most)
        } else {
            self.spread(-most, most)
        };
        let divisor = if divisor == 0 { 1 } else { divisor };
        // |a| < 2^quotient |b| / 2^f.
        let limit = (i128::from(divisor.unsigned_abs()) << quotient) >> f;
        let limit = i64::try_from(limit.min((1 << (k - 2)) - 1)).unwrap_or(0);
        let numerator = self.scalar((-limit, limit));
        fill(x, numerator);
        fill(y, divisor);
    }

    /// A row: numbers around a common one, of a random spread.
    fn row(&mut self, x: &mut [i64]) {
        let (k, f) = (self.ring_bits, self.job.frac_bits);
        let softmax = matches!(self.job.function, Function::Softmax10 | Function::LogSoftmax10);
        let moments = matches!(
            self.job.function,
            Function::Variance10 | Function::LayerNorm10 | Function::Mean10
        );
        let spread_bits = match self.job.function {
            _ if softmax => f + 6,
            _ if moments => (f + 12).min(26).min(saturation(self.job, k).ilog2()),
            _ => 29,
        };
        let first_bit =
            if self.job.function == Function::LayerNorm10 { f.saturating_sub(2) } else { 0 };
        let bits =
            u64::from(first_bit) + self.below(u64::from(spread_bits.saturating_sub(first_bit)) + 1);
        let center_bits = match self.job.function {
            // Ten of them are a sum that the function takes.
            Function::Mean10 => saturation(self.job, k).ilog2() - 3,
            _ if moments => saturation(self.job, k).ilog2().min(25),
            _ => k.min(40) - 2,
        };
        let center = self.between(-(1 << center_bits) / 2, (1 << center_bits) / 2);
        for x in x.iter_mut() {
            *x = center + self.between(-(1 << bits) / 2, (1 << bits) / 2);
        }
        // Equal numbers, now and then.
        if self.below(8) == 0 {
            let [from, to] =
                [(); 2].map(|()| usize::try_from(self.below(x.len() as u64)).unwrap_or(0));
            x.copy_within(from..=from, to);
        }
    }

    /// A row of ends that are near each other: of as many as leave the row in the domain.
    pub fn row_of_ends(&mut self, x: &mut [i64]) {
        let count = self.ends.len() as u64;
        let mut near = (1 << self.below(u64::from(count.ilog2()) + 1)).min(count);
        let from = self.below(count);
        loop {
            for x in x.iter_mut() {
                let place = (from + self.below(near)).min(count - 1);
                *x = self.end_at(place);
            }
            if near == 1 || in_domain(self.job, self.ring_bits, [x, &[], &[]]) {
                return;
            }
            near /= 2;
        }
    }

    /// An argument where a table is level: any word of the ring.
    pub fn anywhere(&mut self, x: &mut [i64]) {
        let word = self.scalar(ring(self.ring_bits));
        fill(x, word);
    }
}

/// Whether a function says what it gives for every word.
#[must_use]
pub fn is_total(function: Function) -> bool {
    matches!(function, Function::Smooth(_) | Function::ExpFull)
}

fn fill(words: &mut [i64], word: i64) {
    if let Some(first) = words.first_mut() {
        *first = word;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_hold_the_ends_of_both_and_of_the_domain() {
        let pairs = |function| pairs(Job { function, frac_bits: 0 }, 32).collect::<Vec<_>>();
        let (low, high) = ring(32);
        let equal = pairs(Function::Equal);
        for pair in [[low, high], [high, low], [low, low], [0, 1], [1 << 20, -1 << 19]] {
            assert!(equal.contains(&pair), "{pair:?}");
        }
        let at_least = pairs(Function::AtLeast);
        assert!([[low, -1], [0, high], [0, low + 1]].iter().all(|pair| at_least.contains(pair)));
        // Beyond.
        assert!([[low, 0], [0, low], [high, -1]].iter().all(|pair| !at_least.contains(pair)));
        // (2^30 - 1) / 7, which is no end of an operand.
        assert!(pairs(Function::Multiply).contains(&[((1 << 30) - 1) / 7, 7]));
    }
}
