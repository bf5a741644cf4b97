//! Licences, sources and duplicates of all dependencies, where cargo-deny is installed.

use super::results::Checks;
use crate::process;

/// Holds the workspaces against `deny.toml`.
pub fn run(checks: &Checks<'_>) {
    let workspace = checks.setup.workspace;
    if !process::succeeds(workspace.cargo().args(["deny", "--version"])) {
        let how = "there is no cargo-deny: cargo install --locked cargo-deny";
        return checks.skip("dependencies", how);
    }
    let folders = [
        ("dependencies", workspace.root().to_owned()),
        ("dependencies of the firmware", workspace.firmware()),
        ("dependencies of Python's half", workspace.root().join("python")),
    ];
    for (name, folder) in folders {
        let mut cargo = workspace.cargo();
        cargo.current_dir(folder).args(["deny", "--workspace"]);
        cargo.arg("--config").arg(workspace.root().join("deny.toml"));
        cargo.args(["check", "bans", "licenses", "sources"]);
        checks.command(name, &mut cargo);
    }
}
