//! `cargo xtask bench attacks`: attacks that were carried out once, done again; how many succeed.

use core::time::Duration;
use std::path::Path;

use anyhow::{Result, ensure};

use super::figure::Figure;
use super::trust;
use crate::files;
use crate::process::Running;
use crate::setup::Setup;

const LIMIT: Duration = Duration::from_secs(1800);
/// The crate whose tests they are.
const PACKAGE: &str = "sharelet-host";

/// Names of figures, and the tests that fail if the attack succeeds.
const ATTACKS: [(&str, &[&str]); 9] = [
    (
        "another_program",
        &[
            "attacks::another_program_shows_no_keystream_of_the_agreed_one",
            "attacks::server_1_gets_no_other_program_than_server_0_has_ordered",
        ],
    ),
    ("device_asks_the_dealer", &["attacks::a_device_alone_gets_no_corrections_of_a_hosts_model"]),
    ("orders_of_others", &["attacks::an_order_is_of_no_use_to_others_or_for_anything_else"]),
    ("impostors", &["services::impostors_do_not_push_a_device_ahead"]),
    (
        "pushed_ahead",
        &[
            "attacks::a_host_that_fetches_all_that_was_ordered_does_not_push_the_device_out",
            "attacks::a_host_that_grants_the_last_number_does_not_push_the_device_out",
        ],
    ),
    (
        "counter_goes_back",
        &[
            "attacks::a_counter_that_goes_back_is_refused",
            "services::a_dealer_that_forgot_sessions_is_not_asked_for_them_again",
        ],
    ),
    ("copied_device", &["attacks::of_two_devices_with_one_key_the_one_behind_is_refused"]),
    ("counter_lost", &["attacks::a_counter_that_is_lost_is_not_begun_anew"]),
    ("another_key", &["attacks::a_dealer_does_not_pass_for_its_device"]),
];

/// Does them again, and writes 0 for each that fails.
pub fn run(setup: &Setup<'_>, folder: &Path) -> Result<()> {
    files::create_folder(folder)?;
    let mut cargo = setup.workspace.cargo();
    cargo.args(["test", "--package", PACKAGE, "--test", "all", "--", "--exact"]);
    cargo.args(ATTACKS.iter().flat_map(|(_, tests)| tests.iter()));
    let log = setup.logs.join("attacks.log");
    let shown = setup.steps.step("attacking honest parties", || {
        // A test that fails ends it with an error, and is one of the figures.
        let mut tests = Running::start("cargo test", &mut cargo, &log)?;
        tests.wait(LIMIT)?;
        Ok(tests.output())
    })?;
    let holds = |test: &&str| shown.contains(&format!("test {test} ... ok"));
    let succeeds = |tests: &[&str]| u64::from(!tests.iter().all(holds));
    let figures: Vec<Figure> = ATTACKS
        .iter()
        .map(|(name, tests)| Figure::count(format!("attacks/{name}"), succeeds(tests), ""))
        .collect();
    trust::keep(folder, "attacks/", &figures)?;
    let succeeded = ATTACKS.iter().filter(|(_, tests)| succeeds(tests) > 0).count();
    ensure!(succeeded == 0, "{succeeded} attacks succeed");
    Ok(())
}
