//! The committed tables: made by this program, within their bounds, and with the symmetries of
//! their functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use sharelet_core::functions::spline::{Above, Spline};
use sharelet_core::functions::tables;
use sharelet_fit::plan::{FRAC_BITS, unit, word};
use sharelet_fit::reference::{self, Real};
use sharelet_fit::sources;

type Lookup = fn(u8) -> Option<&'static Spline>;

const LEVELLING: [(&str, Lookup, Real); 6] = [
    ("sigmoid", tables::sigmoid, reference::sigmoid),
    ("tanh", tables::tanh, reference::tanh),
    ("erf", tables::erf, reference::erf),
    ("gelu", tables::gelu, reference::gelu),
    ("silu", tables::silu, reference::silu),
    ("softplus", tables::softplus, reference::softplus),
];
const EXPONENTIALS: [(&str, Lookup, Real); 4] = [
    ("exp", tables::exp, reference::exp),
    ("exp_full32", tables::exp_full32, reference::exp),
    ("exp_middle", tables::exp_middle, reference::exp_middle),
    ("exp_high", tables::exp_high, reference::exp_high),
];
const NORMALISED: [(&str, &Spline, Real); 4] = [
    ("reciprocal", tables::reciprocal(), reference::reciprocal),
    ("sqrt", tables::sqrt(), reference::sqrt),
    ("inv_sqrt", tables::inv_sqrt(), reference::inv_sqrt),
    ("ln", tables::ln(), reference::ln),
];

/// The function in units of the result's last place.
fn exact(spline: &Spline, function: Real, x: i64) -> f64 {
    function(word(x) / unit(spline.in_frac_bits)) * unit(spline.out_frac_bits)
}

/// What a result that is rounded down, or up by a protocol, may be off at `exact`.
fn tolerance(spline: &Spline, exact: f64) -> f64 {
    1.0 + f64::from(spline.bound) + f64::from(spline.relative_bound) * exact.abs()
}

/// Every word of a domain and of a piece on either side of it; of the finest ones some, with both
/// ends of every piece.
fn words(spline: &Spline) -> impl Iterator<Item = i64> + use<> {
    let piece = 1 << spline.piece_bits;
    let step = if spline.in_frac_bits > 16 { 7 } else { 1 };
    let (low, end) = (spline.low - piece, spline.end() + piece);
    let all = (low..end).step_by(step);
    all.chain((low..=end).step_by(1 << spline.piece_bits).flat_map(|x| [x - 1, x]))
}

fn all() -> impl Iterator<Item = (String, &'static Spline, Real)> {
    let real = LEVELLING.into_iter().chain(EXPONENTIALS);
    real.flat_map(|(name, lookup, function)| {
        FRAC_BITS.map(|f| (format!("{name} {f}"), lookup(f).unwrap(), function))
    })
}

#[test]
fn the_committed_tables_are_what_the_program_makes() {
    let sources = sources().unwrap();
    for source in &sources {
        let committed = fs::read_to_string(source.path()).unwrap();
        assert!(
            committed == source.text,
            "{} is not what `cargo xtask fit` makes",
            source.path().display()
        );
    }
    let bytes: usize = sources.iter().map(|source| source.text.len()).sum();
    assert!(bytes < 500_000, "{bytes} bytes of tables");
}

#[test]
fn lookups_give_the_table_that_was_asked_for() {
    for (name, lookup, _) in LEVELLING.into_iter().chain(EXPONENTIALS) {
        for f in 0..=u8::MAX {
            let found = lookup(f).map(|spline| (spline.in_frac_bits, spline.out_frac_bits));
            assert_eq!(found, FRAC_BITS.contains(&f).then_some((f, f)), "{name}");
        }
    }
}

#[test]
fn results_are_within_the_bound() {
    for (name, spline, function) in all() {
        // The exponentials saturate above, the full ones at once and that of 62 bits later.
        let resolved = |x: i64, value: f64| match spline.above {
            Above::Constant(above) => x < spline.end() || value <= word(above),
            Above::Identity => true,
        };
        // And below these two, another table has the result.
        let continues = name.starts_with("exp_middle") || name.starts_with("exp_high");
        let resolved = |x: i64, value: f64| resolved(x, value) && !(continues && x < spline.low);
        let mut seen = 0;
        for x in words(spline) {
            let value = exact(spline, function, x);
            let error = (word(spline.eval(x)) - value).abs();
            assert!(
                !resolved(x, value) || error <= tolerance(spline, value),
                "{name}: {error} units at {x}"
            );
            seen += 1;
        }
        assert!(seen > 1000, "{name}: {seen} words");
    }
}

#[test]
fn far_outside_the_domain() {
    for (name, spline, _) in all() {
        assert_eq!(spline.eval(i64::MIN), spline.below, "{name}");
        let above = match spline.above {
            Above::Constant(above) => above,
            Above::Identity => i64::MAX,
        };
        assert_eq!(spline.eval(i64::MAX), above, "{name}");
    }
}

/// The proof covers both coordinates of every word; here are some words, among them both ends of
/// every piece.
#[test]
fn normalised_results_are_within_the_bound_with_a_coordinate_that_is_one_too_large() {
    for (name, spline, function) in NORMALISED {
        let (low, end) = (1_i64 << 30, 1_i64 << 31);
        assert_eq!((spline.low, spline.in_frac_bits, spline.out_frac_bits), (low, 30, 28));
        let pieces = (low..=end).step_by(1 << spline.piece_bits);
        let mut largest = 0.0_f64;
        for x in (low..=end)
            .step_by(997)
            .chain(pieces.flat_map(|x| [x - 1, x, x + 1]))
            .filter(|x| *x >= low)
        {
            let (row, t) = spline.locate(x).expect("a word of the domain");
            let value = exact(spline, function, x);
            let results = [t, t + 1]
                .map(|t| word(spline.row_value(row, t).unwrap()) / unit(spline.shift_bits()));
            for result in results {
                largest = largest.max((result - value).abs());
            }
            assert!(
                (results[0] - results[1]).abs() <= f64::from(spline.coordinate_bound),
                "{name} at {x}"
            );
        }
        assert!(largest <= f64::from(spline.bound), "{name}: {largest}");
        // With the unit that rounding costs.
        assert!(spline.bound + 1.0 < 16.0, "{name}: more than 2^-24");
    }
}

/// Pieces are fitted one by one: where two meet, a result may fall by the last place, and does so
/// in a few places.
#[test]
fn monotone_functions_are_monotone_but_for_the_last_place() {
    let falls = |results: &mut dyn Iterator<Item = i64>| {
        let mut before = i64::MIN;
        let mut falls = Vec::new();
        for result in results {
            if result < before {
                falls.push(before - result);
            }
            before = result;
        }
        falls
    };
    let few = |name: &str, falls: &[i64]| {
        assert!(falls.len() < 16 && falls.iter().all(|fall| *fall == 1), "{name}: {falls:?}")
    };
    for (name, spline, _) in
        all().filter(|(name, ..)| !name.starts_with("gelu") && !name.starts_with("silu"))
    {
        few(&name, &falls(&mut (spline.low - 1..=spline.end()).map(|x| spline.eval(x))));
    }
    for (name, spline, _) in NORMALISED {
        let sign = if ["sqrt", "ln"].contains(&name) { 1 } else { -1 };
        few(
            name,
            &falls(
                &mut (spline.low..=1 << 31)
                    .step_by(1 << spline.drop_bits)
                    .map(|x| sign * spline.eval(x)),
            ),
        );
    }
}

/// `f(-x)` from `f(x)`: `c - f(x)` or `f(x) - x`, each result within its bound.
#[test]
fn symmetries() {
    for (name, lookup, _) in LEVELLING {
        for spline in FRAC_BITS.map(|f| lookup(f).unwrap()) {
            for x in words(spline).filter(|x| *x >= 0) {
                let mirrored = match name {
                    "sigmoid" => (1 << spline.out_frac_bits) - spline.eval(x),
                    "tanh" | "erf" => -spline.eval(x),
                    _ => spline.eval(x) - x,
                };
                let apart = word((spline.eval(-x) - mirrored).abs());
                assert!(
                    apart <= 2.0 * tolerance(spline, 0.0),
                    "{name} {}: {apart} units at {x}",
                    spline.in_frac_bits
                );
            }
        }
    }
}

#[test]
fn each_exponential_begins_where_the_one_before_ends() {
    for f in FRAC_BITS {
        let [full, middle, high] = [tables::exp_full32, tables::exp_middle, tables::exp_high]
            .map(|lookup| lookup(f).unwrap());
        assert!(middle.low == full.end() && high.low == middle.end() && middle.end() < high.end());
        assert_eq!(full.above, Above::Constant((1 << 31) - 1));
        for spline in [middle, high] {
            let Above::Constant(most) = spline.above else { panic!("{:?}", spline.above) };
            assert!((1 << 30..(1 << 30) + (1 << 27)).contains(&most), "{most}");
        }
        // One more than the twin's result still has 31 bits.
        assert!(full.eval(full.end() - 1) + 1 < 1 << 31);
        for spline in [full, middle, high] {
            assert!(spline.relative_bound < 0.5_f32.powi(19));
        }
    }
}

#[test]
fn tables_are_small() {
    // Most rows for 8, 12, 16 and 20 fraction bits; a protocol pays for the next power of two.
    let most = [
        ("exp", [128, 256, 512, 1024]),
        ("exp_full32", [512; 4]),
        ("exp_middle", [256; 4]),
        ("exp_high", [256; 4]),
    ];
    for (name, lookup, _) in LEVELLING.into_iter().chain(EXPONENTIALS) {
        let most = most
            .iter()
            .find(|(exponential, _)| *exponential == name)
            .map_or([32, 128, 256, 1024], |(_, most)| *most);
        for (f, most) in FRAC_BITS.into_iter().zip(most) {
            let spline = lookup(f).unwrap();
            assert!(spline.rows.len() <= most, "{name} {f}: {} rows", spline.rows.len());
            assert!(spline.bound < 0.5, "{name} {f}: {} units", spline.bound);
        }
    }
    for (name, spline, _) in NORMALISED {
        assert_eq!(spline.rows.len(), 129, "{name}");
    }
}
