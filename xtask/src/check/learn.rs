//! The page of `learn/`: made, and tried in a browser without a window.

use std::process::Command;

use super::results::Checks;
use crate::{learn, process};

/// Browsers that the tests can drive, in the order in which they are looked for.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Makes the page, and runs the tests that open it.
pub fn run(checks: &Checks<'_>) {
    let Some(page) = checks.record("the page to learn from", learn::build(&checks.setup)) else {
        return;
    };
    let there = |browser: &str| process::succeeds(Command::new(browser).arg("--version"));
    let Some(browser) = BROWSERS.into_iter().find(|browser| there(browser)) else {
        let how = "there is no chromium: apt-get install chromium";
        return checks.skip("the page in a browser", how);
    };
    let mut cargo = checks.setup.workspace.cargo();
    // As all tests are built, so that nothing is compiled again.
    cargo.args(["test", "--workspace", "--all-features", "--test", "browser", "--"]);
    cargo.args(["--ignored", "--test-threads=1"]);
    cargo.env("SHARELET_PAGE", &page).env("SHARELET_BROWSER", browser);
    checks.command("the page in a browser", &mut cargo);
}
