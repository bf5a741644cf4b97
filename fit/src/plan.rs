//! Which functions are fitted, over which domain, with how wide pieces.

use sharelet_core::functions::spline::Above;

use crate::reference::{self, Real};

/// Fraction bits that every function of a real argument is fitted for.
pub const FRAC_BITS: [u8; 4] = [8, 12, 16, 20];
/// Fraction bits of the normalised functions: of their argument, a word of `[2^30, 2^31]`, and of
/// their result.
const NORMALISED_FRAC_BITS: (u8, u8) = (30, 28);
/// Relative distance from 2^31 at which the full exponential saturates: its error must not lead out
/// of 31 bits.
const HEADROOM: f64 = 1.5e-6;

/// What is to be fitted.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The function, of the argument's value.
    pub function: Real,
    /// Fraction bits of the argument.
    pub in_frac_bits: u8,
    /// Fraction bits of the result.
    pub out_frac_bits: u8,
    /// A piece is `2^piece_bits` words wide.
    pub piece_bits: u8,
    /// Low bits of the local coordinate that are dropped.
    pub drop_bits: u8,
    /// First word of the domain.
    pub low: i64,
    /// Pieces.
    pub rows: usize,
    /// Result below the domain.
    pub below: i64,
    /// Result above the domain.
    pub above: Above,
    /// Whether another table has the results below the domain.
    pub continues: bool,
    /// Whether the result above stands for results that have no place.
    pub saturates: bool,
    /// Whether a part of the bound may grow with the result.
    pub relative: bool,
}

impl Plan {
    /// First word of a row, or of the row after the last one, where the domain ends.
    #[must_use]
    // Numbers of rows are small.
    #[allow(clippy::cast_possible_wrap)]
    pub fn start(&self, row: usize) -> i64 {
        self.low + ((row as i64) << self.piece_bits)
    }
}

/// The tables of one file.
#[derive(Clone, Debug)]
pub struct File {
    /// The file's name without its ending.
    pub name: &'static str,
    /// What the function is, for the head of the file.
    pub title: &'static str,
    /// One table per number of fraction bits, with the name of its item.
    pub plans: Vec<(String, Plan)>,
}

/// The result above the domain of a function that levels off.
#[derive(Clone, Copy, Debug)]
enum Tail {
    /// This value.
    Value(i64),
    /// The argument.
    Identity,
}

/// `log2` of the pieces per unit of the argument, for each of [`FRAC_BITS`].
type Widths = [u8; 4];

/// All files. `finer` is added to the `log2` of the pieces per unit: 0 but for comparisons.
///
/// Of two widths the wider one is chosen if its bound is below half a unit. An exponential's error
/// is a part of its result: there the rows are what is chosen.
#[must_use]
pub fn files(finer: i8) -> Vec<File> {
    use Tail::{Identity, Value};
    let level = |name, title, function: Real, (below, above): (i64, Tail), widths: Widths| {
        File::of(name, title, finer, widths, |f, piece_bits| {
            levelling(function, f, piece_bits, below, above)
        })
    };
    let exponential =
        |name, title, plan: fn(u8, u8) -> Plan, widths| File::of(name, title, finer, widths, plan);
    let normal = |name, title, function: Real| {
        let plan = normalised(function, piece_bits(NORMALISED_FRAC_BITS.0, 7, finer));
        File { name, title, plans: vec![("NORMALISED".to_owned(), plan)] }
    };
    vec![
        level(
            "sigmoid",
            "The logistic function `1 / (1 + e^-x)`.",
            reference::sigmoid,
            (0, Value(1)),
            [0, 1, 3, 4],
        ),
        level("tanh", "The hyperbolic tangent.", reference::tanh, (-1, Value(1)), [1, 3, 4, 5]),
        level("erf", "The error function.", reference::erf, (-1, Value(1)), [1, 3, 4, 5]),
        level(
            "gelu",
            "`x P(N <= x)` for a standard normal `N`.",
            reference::gelu,
            (0, Identity),
            [1, 2, 4, 5],
        ),
        level("silu", "`x / (1 + e^-x)`.", reference::silu, (0, Identity), [0, 2, 3, 4]),
        level("softplus", "`ln(1 + e^x)`.", reference::softplus, (0, Identity), [0, 1, 3, 4]),
        exponential("exp", "`e^x` for `x < 4`, and `e^4` from there.", exp, [3, 4, 5, 5]),
        exponential(
            "exp_full32",
            "`e^x` as far as the result has 31 bits, and `2^31 - 1` from there.",
            exp_full32,
            [4; 4],
        ),
        exponential(
            "exp_middle",
            "`e^x / 2^16` as far as `e^x` has 46 bits, and about `2^30` from there.",
            exp_middle,
            [4; 4],
        ),
        exponential(
            "exp_high",
            "`e^x / 2^32` as far as `e^x` has 62 bits, and about `2^30` from there.",
            exp_high,
            [4; 4],
        ),
        normal("reciprocal", "`1 / y`.", reference::reciprocal),
        normal("sqrt", "The square root.", reference::sqrt),
        normal("inv_sqrt", "`1 / sqrt(y)`.", reference::inv_sqrt),
        normal("ln", "The natural logarithm.", reference::ln),
    ]
}

impl File {
    fn of(
        name: &'static str,
        title: &'static str,
        finer: i8,
        widths: Widths,
        plan: impl Fn(u8, u8) -> Plan,
    ) -> Self {
        let plans = FRAC_BITS
            .into_iter()
            .zip(widths)
            .map(|(f, log)| (format!("F{f}"), plan(f, piece_bits(f, log, finer))));
        Self { name, title, plans: plans.collect() }
    }
}

/// The width of a piece, of which there are `2^(log + finer)` per unit.
fn piece_bits(in_frac_bits: u8, log: u8, finer: i8) -> u8 {
    in_frac_bits.saturating_sub(log).saturating_add_signed(-finer)
}

/// `function` in units of the last place of `frac_bits` fraction bits, at the word `x`, moved by
/// `by` words.
#[must_use]
pub fn scaled(plan: &Plan, x: i64, by: f64) -> f64 {
    (plan.function)((word(x) + by) / unit(plan.in_frac_bits)) * unit(plan.out_frac_bits)
}

/// A word as a real. Exact to `2^53`, far more than any domain has.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn word(x: i64) -> f64 {
    x as f64
}

/// `2^frac_bits`, for at most 62.
#[must_use]
pub fn unit(frac_bits: u8) -> f64 {
    word(1 << frac_bits)
}

/// A function with level ends: the domain is all where an end is more than half a unit off.
fn levelling(function: Real, f: u8, piece_bits: u8, below: i64, above: Tail) -> Plan {
    let far = |tail: Tail| {
        move |x: i64| {
            let level = match tail {
                Tail::Value(value) => word(value),
                Tail::Identity => word(x) / unit(f),
            };
            (level - function(word(x) / unit(f))).abs() * unit(f) > 0.5
        }
    };
    // At 2 and at -2 every function here is still far from its ends, and from there it only comes
    // nearer.
    let first = first(-64 << f, -2 << f, far(Tail::Value(below)));
    let last = first_not(2 << f, 64 << f, far(above));
    let low = first >> piece_bits;
    let end = -(-last >> piece_bits);
    Plan {
        low: low << piece_bits,
        rows: count(end - low),
        below: below << f,
        above: match above {
            Tail::Value(value) => Above::Constant(value << f),
            Tail::Identity => Above::Identity,
        },
        saturates: false,
        relative: false,
        ..plain(function, f, piece_bits)
    }
}

/// The exponential up to 4.
fn exp(f: u8, piece_bits: u8) -> Plan {
    let plan = plain(reference::exp, f, piece_bits);
    let low = underflow(&plan) >> piece_bits;
    let end = 4_i64 << (f - piece_bits);
    Plan {
        low: low << piece_bits,
        rows: count(end - low),
        above: Above::Constant(nearest(scaled(&plan, 4 << f, 0.0))),
        ..plan
    }
}

/// The exponential up to 31 bits. The domain's last point is where the result may have no place,
/// whatever its error.
fn exp_full32(f: u8, piece_bits: u8) -> Plan {
    let plan = plain(reference::exp, f, piece_bits);
    let most = (unit(31) - 2.0) * (1.0 - HEADROOM);
    let end = first(0, 64 << f, |x| scaled(&plan, x, 0.0) > most);
    Plan { above: Above::Constant((1 << 31) - 1), ..ending_at(&plan, end, underflow(&plan)) }
}

/// The exponential from where [`exp_full32`] ends up to 46 bits, without its lowest 16. A table's
/// coefficients serve the smallest and the largest of its results, so these must not be too far
/// apart.
fn exp_middle(f: u8, piece_bits: u8) -> Plan {
    continuing(reference::exp_middle, &exp_full32(f, piece_bits))
}

/// The exponential from where [`exp_middle`] ends up to 62 bits, without its lowest 32.
fn exp_high(f: u8, piece_bits: u8) -> Plan {
    continuing(reference::exp_high, &exp_middle(f, piece_bits))
}

/// Up to 30 bits, from where another table ends, so that the two can be added up; the last piece
/// goes a little further.
fn continuing(function: Real, before: &Plan) -> Plan {
    let (f, piece_bits) = (before.in_frac_bits, before.piece_bits);
    let plan = plain(function, f, piece_bits);
    let low = before.start(before.rows);
    let end = first(0, 64 << f, |x| scaled(&plan, x, 0.0) >= unit(30));
    let plan = Plan { low, continues: true, rows: count(-((low - end) >> piece_bits)), ..plan };
    Plan { above: Above::Constant(nearest(scaled(&plan, plan.start(plan.rows), 0.0))), ..plan }
}

/// A function on `[2^30, 2^31]`: the last of an odd number of pieces is there for the last point.
fn normalised(function: Real, piece_bits: u8) -> Plan {
    let (in_frac_bits, out_frac_bits) = NORMALISED_FRAC_BITS;
    // With 18 bits of coordinate the rounding of `c2` and the dropping of bits weigh the same.
    let drop_bits = piece_bits - 18;
    let plan = Plan {
        in_frac_bits,
        out_frac_bits,
        drop_bits,
        relative: false,
        ..plain(function, in_frac_bits, piece_bits)
    };
    let plan = Plan { low: 1 << 30, rows: (1 << (in_frac_bits - piece_bits)) + 1, ..plan };
    let [first, last] = [plan.low, plan.start(plan.rows)].map(|x| nearest(scaled(&plan, x, 0.0)));
    Plan { below: first, above: Above::Constant(last), ..plan }
}

/// An exponential's plan without a domain; for others, parts of it.
fn plain(function: Real, f: u8, piece_bits: u8) -> Plan {
    Plan {
        function,
        in_frac_bits: f,
        out_frac_bits: f,
        piece_bits,
        drop_bits: 0,
        low: 0,
        rows: 0,
        below: 0,
        above: Above::Constant(0),
        continues: false,
        saturates: true,
        relative: true,
    }
}

/// As many pieces before `end` as reach down to `low`.
fn ending_at(plan: &Plan, end: i64, low: i64) -> Plan {
    let rows = -((low - end) >> plan.piece_bits);
    Plan { low: end - (rows << plan.piece_bits), rows: count(rows), ..*plan }
}

/// The first word whose result is half a unit.
fn underflow(plan: &Plan) -> i64 {
    first(-64 << plan.in_frac_bits, 64 << plan.in_frac_bits, |x| scaled(plan, x, 0.0) >= 0.5)
}

/// The first word of `low..high` that is `so`; from there all are.
fn first(mut low: i64, mut high: i64, so: impl Fn(i64) -> bool) -> i64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if so(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// The first word of `low..high` that is not `so`; from there none is.
fn first_not(low: i64, high: i64, so: impl Fn(i64) -> bool) -> i64 {
    first(low, high, |x| !so(x))
}

#[allow(clippy::cast_possible_truncation)]
fn nearest(value: f64) -> i64 {
    libm::round(value) as i64
}

/// A number of rows; none if a domain is empty, which no fit takes.
fn count(rows: i64) -> usize {
    usize::try_from(rows).unwrap_or_default()
}
