//! Format, lints, documentation and packages of the PC's side.

use std::process::Command;

use super::results::Checks;
use crate::process;
use crate::workspace::SHARELET_PACKAGE;

/// What fails within seconds.
pub fn format(checks: &Checks<'_>) {
    for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        if !process::succeeds(checks.setup.workspace.cargo().args([command, "--version"])) {
            let mut rustup = Command::new("rustup");
            checks.command(
                &format!("installing with rustup: {component}"),
                rustup.args(["component", "add", component]),
            );
        }
    }
    checks.cargo("format", "fmt --all --check");
    checks.cargo_of_firmware("format of the firmware", "fmt --all --check");
}

/// Lints with all features and without the import, and documentation.
pub fn lints(checks: &Checks<'_>) {
    checks.cargo(
        "lints",
        "clippy --workspace --all-targets --all-features --keep-going -- -D warnings",
    );
    checks.cargo(
        "lints without the import",
        &format!("clippy --package {SHARELET_PACKAGE} --no-default-features -- -D warnings"),
    );
    checks.cargo("documentation", "doc --workspace --all-features --no-deps");
    // What is published, as it would be: without the network, hence without a build of the package.
    let packages = [
        "core", "channel", "flash", "link", "model", "ot", "rlwe", "prepare", "alone", "train",
        "import", "host", "nats", "cli",
    ];
    let packages = packages.map(|name| format!(" --package sharelet-{name}")).concat();
    checks.cargo("packages", &format!("package --no-verify --offline --allow-dirty{packages}"));
    checks.cargo_of_firmware(
        "package of the firmware's library",
        "package --no-verify --offline --allow-dirty --exclude-lockfile --package \
         sharelet-firmware",
    );
}
