//! A thousand runs; `cargo xtask bench trust` does a hundred thousand.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use core::future::pending;

use sharelet_faults::parties::Way;
use sharelet_faults::runs::{Runs, Verdict, to_end};

fn first_seed() -> u64 {
    let given = std::env::var("SHARELET_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| getrandom::u64().expect("randomness") >> 1);
    println!("SHARELET_SEED={seed}");
    seed
}

#[test]
fn runs_end_in_the_right_answer_or_an_error() {
    let tally = Runs::new().all(first_seed(), 1000);
    println!("{tally:?}");
    assert_eq!((tally.runs, tally.wrong, tally.hung, tally.panics), (1000, 0, 0, 0), "{tally:?}");
    assert!(tally.right > 100 && tally.errors.len() > 5, "{tally:?}");
}

/// Without a channel a flipped bit changes answers: wrong ones are seen.
#[test]
fn a_wrong_answer_would_be_seen() {
    let tally = Runs::new().all(1, 1000);
    assert!(tally.changed > 0, "{tally:?}");
    let runs = Runs::new();
    let mut wrong = (1..1000).map(|seed| runs.run(seed)).filter(|run| run.1 == Verdict::Wrong);
    assert!(wrong.all(|(way, _)| way == Way::Plain));
}

#[test]
fn a_side_that_does_not_end_would_be_seen() {
    assert_eq!(to_end(pending::<()>(), 100), None);
}
