//! `docs/dependencies.md` gives a reason for each direct dependency of all workspaces, and for
//! nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[test]
fn each_has_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut used = direct(root.join("Cargo.toml"));
    used.extend(direct(root.join("firmware/Cargo.toml")));
    used.extend(direct(root.join("fuzz/Cargo.toml")));
    used.extend(direct(root.join("python/Cargo.toml")));
    assert!(used.len() > 30, "cargo metadata says something else: {used:?}");
    let page = fs::read_to_string(root.join("docs/dependencies.md")).unwrap();
    assert_eq!(
        reasons(&page),
        used,
        "docs/dependencies.md on the left, the manifests on the right"
    );
}

#[test]
fn a_row_without_a_reason_is_none() {
    let rows = "| crate | reason |\n|---|---|\n| `one` | why |\n| `two` |  |\n| `one` | again |";
    assert_eq!(reasons(rows), BTreeSet::from(["one".to_owned()]));
}

/// The crates that have a row with a reason.
fn reasons(page: &str) -> BTreeSet<String> {
    let row = |line: &str| {
        let (name, reason) = line.strip_prefix("| `")?.strip_suffix('|')?.split_once("` |")?;
        (!reason.trim().is_empty()).then(|| name.to_owned())
    };
    page.lines().filter_map(row).collect()
}

/// What the members of a workspace ask registries for.
fn direct(manifest: PathBuf) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(&manifest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
    list(&metadata, "packages")
        .iter()
        .flat_map(|package| list(package, "dependencies"))
        .filter(|dependency| dependency.get("path").is_none_or(Value::is_null))
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}
