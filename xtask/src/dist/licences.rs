//! The licences of what is linked into the program: their texts go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::files::create_folder;
use crate::process::output;
use crate::workspace::{SHARELET_PACKAGE, Workspace};

/// What the file of a licence begins with, in capitals.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];

/// Writes a folder with a page and the texts of each crate that `sharelet` for `target` links.
/// Returns how many crates there are.
///
/// # Errors
///
/// If cargo does not tell them, a crate states no licence, or a file cannot be copied.
pub(super) fn collect(workspace: &Workspace, target: &str, folder: &Path) -> Result<usize> {
    let mut cargo = workspace.cargo();
    cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target]);
    let metadata: Value = serde_json::from_str(&output(&mut cargo)?)?;
    let crates = linked(&metadata)?;
    create_folder(folder)?;
    let mut page = "# Licences of what `sharelet` links\n\nThe standard library of Rust is under \
                    MIT or Apache-2.0, musl under MIT.\n\n| crate | version | licence | files \
                    |\n|---|---|---|---|\n"
        .to_owned();
    for ((name, version), package) in &crates {
        let licence = package["license"].as_str().or_else(|| package["license_file"].as_str());
        let licence = licence.with_context(|| format!("{name} {version} states no licence"))?;
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let texts = texts(Path::new(manifest).parent().context("a manifest lies in a folder")?)?;
        let own = folder.join(format!("{name}-{version}"));
        for text in &texts {
            create_folder(&own)?;
            let file = text.file_name().context("a file has a name")?;
            fs::copy(text, own.join(file)).with_context(|| text.display().to_string())?;
        }
        let files = match texts.len() {
            0 => "none of its own".to_owned(),
            _ => format!("{name}-{version}/"),
        };
        page += &format!("| {name} | {version} | {licence} | {files} |\n");
    }
    fs::write(folder.join("README.md"), page).context("licences")?;
    Ok(crates.len())
}

/// Those of others that the program links, by name and version.
fn linked(metadata: &Value) -> Result<BTreeMap<(&str, &str), &Value>> {
    let array = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    let packages = metadata["packages"].as_array().context("no packages")?;
    let id = |package: &Value| package["id"].as_str().unwrap_or_default().to_owned();
    let root = packages.iter().find(|package| package["name"] == SHARELET_PACKAGE);
    let mut needed = vec![id(root.context("the program is no package")?)];
    let nodes: BTreeMap<String, Value> = array(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (node["id"].as_str().unwrap_or_default().to_owned(), node))
        .collect();
    let mut reached = BTreeSet::new();
    while let Some(package) = needed.pop() {
        if !reached.insert(package.clone()) {
            continue;
        }
        let node = nodes.get(&package).with_context(|| package.clone())?;
        // What builds it is not linked.
        let is_linked = |dependency: &&Value| {
            array(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null())
        };
        let dependencies = array(&node["deps"]);
        let linked = dependencies.iter().filter(is_linked);
        needed.extend(linked.filter_map(|one| one["pkg"].as_str().map(str::to_owned)));
    }
    let of_others = packages
        .iter()
        .filter(|package| package["source"].is_string() && reached.contains(&id(package)));
    Ok(of_others
        .filter_map(|package| {
            Some(((package["name"].as_str()?, package["version"].as_str()?), package))
        })
        .collect())
}

/// The files of licences in a crate's folder.
fn texts(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && NAMES.iter().any(|begin| name.starts_with(begin)) {
            texts.push(path);
        }
    }
    texts.sort();
    Ok(texts)
}
