//! A small run of what `cargo xtask bench` measures, with this crate's own program.
#![allow(clippy::expect_used, clippy::panic)]

use std::path::Path;

use sharelet_load::claims::{self, Settings};
use sharelet_testkit::seed;

/// Eight hosts, killed with their store, claim each number once.
#[test]
fn no_number_is_claimed_twice_by_hosts_that_are_killed() {
    let settings = Settings { hosts: 8, numbers: 4000, kills: 8, seed: seed() };
    let program = Path::new(env!("CARGO_BIN_EXE_load"));
    let Some(figures) = claims::run(program, &settings) else { return };
    let value =
        |name: &str| figures.iter().find(|figure| figure.name == name).expect("a figure").value;
    assert!(value("claims/numbers") >= 4000, "{figures:?}");
    assert_eq!(value("claims/reused"), 0, "{figures:?}");
    assert_eq!(value("claims/lost"), 0, "{figures:?}");
    // A claim that nobody heard of is skipped: one for each host at a kill, at most.
    assert!(value("claims/skipped") <= 8 * 9, "{figures:?}");
}
