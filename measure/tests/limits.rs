//! Errors and messages that the functions are held to. Errors are those of a part of the arguments
//! that `cargo xtask bench functions` tries; times are nobody's promise, and not looked at.

#![allow(missing_docs, clippy::unwrap_used)]

use sharelet_core::functions::program::unary::Smooth;
use sharelet_measure::errors::{Effort, largest, worst, worst_between};
use sharelet_measure::function::{Function, Kind};
use sharelet_measure::parties::reveal;
use sharelet_measure::run::{Job, Room, usage};
use sharelet_measure::{errors, exact};

const SOME: Effort = Effort { step: 7, random: 60_000 };

fn at_12_bits(function: Function) -> Job {
    Job { function, frac_bits: 12 }
}

#[test]
fn errors_at_32_bits_with_12_fraction_bits() {
    let mut limits: Vec<_> =
        Smooth::ALL.into_iter().map(|smooth| (Function::Smooth(smooth), 2.0)).collect();
    limits.extend([(Function::Reciprocal, 4.0), (Function::Divide, 4.0), (Function::Sqrt, 2.0)]);
    for (function, limit) in limits {
        let worst = worst::<u32>(at_12_bits(function), SOME).unwrap();
        assert!(worst.units <= limit && worst.elements > 1000, "{}: {worst}", function.name());
    }
    let exp =
        worst_between::<u32>(at_12_bits(Function::Smooth(Smooth::Exp)), -8 << 12, 2 << 12).unwrap();
    assert!(exp.units <= 4.0 && exp.elements == (10 << 12) + 1, "{exp}");
}

#[test]
fn functions_of_integers_are_exact() {
    for function in Function::all().filter(|function| function.kind() == Kind::Exact) {
        for &frac_bits in function.frac_bits() {
            let job = Job { function, frac_bits };
            assert!(worst::<u32>(job, SOME).unwrap().elements > 1000, "{}", function.name());
            assert!(worst::<u64>(job, SOME).unwrap().elements > 1000, "{}", function.name());
        }
    }
}

fn messages(function: Function) -> [u64; 2] {
    let frac_bits = *function.frac_bits().get(1).unwrap_or(&0);
    let job = Job { function, frac_bits };
    [usage::<u32>(job, 5).unwrap().messages, usage::<u64>(job, 5).unwrap().messages]
}

#[test]
fn messages_of_every_function() {
    assert_eq!([Function::Relu, Function::ReluShift].map(messages), [[2, 3]; 2]);
    assert_eq!([Function::Choose, Function::Maximum, Function::Minimum].map(messages), [[2, 3]; 3]);
    for smooth in Smooth::ALL {
        assert_eq!(messages(Function::Smooth(smooth)), [2, 3], "{smooth:?}");
    }
    // 2 ceil(log2 n), of 10 and of 4.
    assert_eq!([Function::Max10, Function::Min10, Function::ArgMax10].map(messages), [[8, 8]; 3]);
    assert_eq!(messages(Function::MaxPool), [4, 4]);
    assert!(messages(Function::Divide).into_iter().all(|messages| messages <= 12));
    assert!(messages(Function::Softmax10).into_iter().all(|messages| messages <= 24));
    assert_eq!(messages(Function::Sum10), [0, 0]);
}

/// What two parties get is as near as the roundings allow.
#[test]
fn the_parties_get_what_is_measured() {
    const ELEMENTS: usize = 24;
    for function in Function::all() {
        let frac_bits = *function.frac_bits().get(1).unwrap_or(&0);
        let job = Job { function, frac_bits };
        let mut room = Room::<u32>::new(job, ELEMENTS);
        errors::fill(job, &mut room, ELEMENTS);
        reveal(job, &mut room, ELEMENTS).unwrap();
        let (found, limit) =
            (largest(job, &room, ELEMENTS), worst::<u32>(job, SOME).unwrap().units);
        let near = found.elements > 0 && found.units <= limit.max(1.0) * 1.5;
        assert!(near, "{}: {found}, where {limit} was measured", function.name());
    }
}

/// The measure itself: a result that is one unit off shows.
#[test]
fn a_unit_shows() {
    let job = Job { function: Function::Relu, frac_bits: 0 };
    let element = |out: &'static [i64]| exact::Element { operands: [&[5], &[], &[]], out };
    assert_eq!(exact::error(job, 32, element(&[5])), Some(0.0));
    assert_eq!(exact::error(job, 32, element(&[6])), Some(1.0));
    let outside = exact::Element { operands: [&[0], &[], &[]], out: &[0] };
    assert_eq!(exact::error(at_12_bits(Function::Reciprocal), 32, outside), None);
}

/// What is outside the domain does not count.
#[test]
fn elements_of_the_domain_count() {
    let job = Job { function: Function::Reciprocal, frac_bits: 20 };
    assert_eq!(worst_between::<u32>(job, -1023, 1023).unwrap().elements, 0);
    assert_eq!(worst_between::<u32>(job, -1024, 1024).unwrap().elements, 2);
}
