//! The programs under a little load, and killed a few times: what `cargo xtask bench load` and
//! `kills` measure, in small.

use core::time::Duration;
use std::path::Path;

use sharelet_load::{kills, load};
use sharelet_testkit::printed_seed;

const SHARELET: &str = env!("CARGO_BIN_EXE_sharelet");

#[test]
fn devices_are_served_among_hostile_ones() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo");
    let settings = load::Settings {
        devices: 20,
        inferences: 200,
        limit: Duration::from_secs(60),
        every: Duration::from_millis(200),
        hostile: 2,
        cases: vec![load::Case {
            model: demo.join("vibration.slt"),
            readings: demo.join("windows.npy"),
        }],
        seed: printed_seed(),
    };
    let outcome = load::run(SHARELET, &settings);
    let load::Outcome { errors, wrong, reused, inferences, hostile, .. } = outcome;
    assert_eq!((errors, wrong, reused), (0, 0, 0), "{:#?}", outcome.said);
    assert!(inferences >= 200, "{inferences} inferences in time");
    // Five manners at three services, twice, and devices that stop midway.
    assert!(hostile >= 32, "{hostile} hostile connections");
}

/// Each program of each of the three plays is killed once.
#[test]
fn what_is_killed_goes_on_where_it_was() {
    let settings = kills::Settings { points: 10, seed: printed_seed() };
    let kills::Outcome { points, reused, lost, wrong, results, said, .. } =
        kills::run(SHARELET, &settings);
    assert_eq!((points, reused, lost, wrong), (10, 0, 0, 0), "{said:#?}");
    assert!(results >= 7 * 6 + 3, "{results} results");
}
