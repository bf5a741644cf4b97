//! Tests on this PC, and the demo with a process as the device.

use super::{programs, results::Checks};
use crate::demo::{self, DemoArgs};

/// Every test program, and `sharelet` with everything, in one build.
///
/// The demo and the runs on boards take that `sharelet`: nothing of the workspace is compiled
/// twice for the same profile.
pub fn build(checks: &Checks<'_>) -> bool {
    let targets = "--lib --bins --tests --examples";
    checks.cargo(
        "tests and sharelet, compiled",
        &format!("build --workspace --all-features {targets} --keep-going"),
    )
}

/// Runs what was built.
pub fn tests(checks: &Checks<'_>) {
    programs::run(checks);
    let args = DemoArgs { native: true, ..DemoArgs::default() };
    let shown = demo::run_built(&args, &checks.setup);
    checks.record("demo --native", shown);
}
