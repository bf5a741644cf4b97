//! `cargo xtask dist`: what is handed out, a static program with its manual, completions and
//! licences, and a checksum of each archive; or a wheel for Python.

mod licences;
mod python;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::files::{self, create_folder};
use crate::process::{output, succeeds};
use crate::setup::{BUILD_LIMIT, INSTALL_LIMIT, Packages, Setup};
use crate::steps::Steps;
use crate::workspace::{SHARELET_PACKAGE, Workspace};

/// Targets whose programs need nothing of the machine that they run on.
const TARGETS: [(&str, &[&str]); 2] = [
    ("x86_64-unknown-linux-musl", &["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]),
    ("aarch64-unknown-linux-musl", &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
];
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// For which machines.
#[derive(Args, Clone, Debug)]
pub struct DistArgs {
    /// A target; if none is given all that are static, as far as their linkers are here or can be
    /// installed. Of another machine's kind that is one such as `aarch64-linux-gnu-gcc`.
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// The wheel for Python in place of archives, for this machine's kind; its tests are run.
    #[arg(long, conflicts_with = "targets")]
    python: bool,
}

/// Builds the archives, or the wheel, in `target/dist`.
///
/// # Errors
///
/// If something cannot be installed, built or written, or a test of the wheel fails.
pub fn run(args: &DistArgs) -> Result<()> {
    let (workspace, steps) = (Workspace::here(), Steps::new());
    let folder = workspace.target().join("dist");
    let setup = Setup { workspace: &workspace, steps: &steps, logs: folder.join("logs") };
    if args.python {
        let wheel = python::wheel(&setup, &folder)?;
        let bytes = fs::metadata(&wheel)?.len();
        steps.note(&format!("{}: {bytes} bytes", wheel.display()));
        return Ok(());
    }
    let targets = match args.targets.is_empty() {
        true => possible(&setup)?,
        false => args.targets.clone(),
    };
    ensure!(
        !targets.is_empty(),
        "name a --target, such as {}",
        TARGETS.map(|(target, _)| target).join(" or ")
    );
    let mut sums = String::new();
    for target in targets {
        let archive = archive(&setup, &folder, &target)?;
        let sum =
            output(Command::new("sha256sum").arg(files::name(&archive)).current_dir(&folder))?;
        let bytes = fs::metadata(&archive)?.len();
        steps.note(&format!("{}: {bytes} bytes", archive.display()));
        sums += &sum;
    }
    fs::write(folder.join("SHA256SUMS"), sums).context("SHA256SUMS")
}

/// The static targets whose linkers are here, or can be installed.
fn possible(setup: &Setup<'_>) -> Result<Vec<String>> {
    let mut possible = Vec::new();
    for (target, packages) in TARGETS {
        let linker = linker(target);
        let had = |linker: &str| succeeds(Command::new(linker).arg("--version"));
        if !had(&linker) {
            let installed = Packages::new(packages, "a GNU compiler for the target")
                .and_then(|packages| packages.install(setup));
            let why = match installed {
                Err(error) => format!("{error:#}"),
                Ok(()) if had(&linker) => String::new(),
                Ok(()) => format!("{linker} does not run"),
            };
            if !why.is_empty() {
                setup.steps.note(&format!("{target} is left out: {why}"));
                continue;
            }
        }
        possible.push(target.to_owned());
    }
    Ok(possible)
}

/// What compiles C for a target, and links.
fn linker(target: &str) -> String {
    match target.split('-').next() {
        Some(arch) if arch != std::env::consts::ARCH => format!("{arch}-linux-gnu-gcc"),
        _ => "cc".to_owned(),
    }
}

/// Builds for a target, and packs what belongs to it.
fn archive(setup: &Setup<'_>, folder: &Path, target: &str) -> Result<PathBuf> {
    let Setup { workspace, steps, .. } = setup;
    steps.step(&format!("installing with rustup: {target}"), || {
        let mut rustup = Command::new("rustup");
        setup.run("rustup", rustup.args(["target", "add", target]), "rustup.log", INSTALL_LIMIT)
    })?;
    steps.step(&format!("building sharelet for {target}"), || {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--release", "--locked", "--package", SHARELET_PACKAGE]);
        cargo.args(["--target", target, "--config", "profile.release.strip=true"]);
        // Of the C in it, that of TLS for stores, no line asks for more than the compiler has: a
        // linker for musl, which few have, is not needed.
        let variable = target.replace('-', "_");
        let compiler = linker(target);
        if compiler != "cc" {
            cargo.env(format!("CARGO_TARGET_{}_LINKER", variable.to_uppercase()), &compiler);
        }
        cargo.env(format!("CC_{variable}"), compiler);
        cargo.env(format!("CFLAGS_{variable}"), "-U_FORTIFY_SOURCE");
        setup.run("cargo build", &mut cargo, &format!("{target}.log"), BUILD_LIMIT)
    })?;
    let program = workspace.target().join(target).join("release").join("sharelet");
    let whole = format!("sharelet-{}-{target}", env!("CARGO_PKG_VERSION"));
    let packed = folder.join(&whole);
    if packed.exists() {
        fs::remove_dir_all(&packed).with_context(|| packed.display().to_string())?;
    }
    create_folder(&packed)?;
    let copy = |from: &Path, to: &str| {
        fs::copy(from, packed.join(to)).with_context(|| from.display().to_string())
    };
    copy(&program, "sharelet")?;
    for file in ["LICENSE-MIT", "LICENSE-APACHE", "README.md", "CHANGELOG.md"] {
        copy(&workspace.root().join(file), file)?;
    }
    steps.step("manual and completions", || {
        // The same for all kinds of machines; a program of another one does not run here.
        let tell = |arguments: &[&OsStr]| {
            let mut cargo = workspace.cargo();
            cargo.args(["run", "--quiet", "--locked", "--package", SHARELET_PACKAGE, "--"]);
            output(cargo.args(arguments))
        };
        create_folder(&packed.join("completions"))?;
        for shell in SHELLS {
            let text = tell(&["completions".as_ref(), shell.as_ref()])?;
            fs::write(packed.join("completions").join(format!("sharelet.{shell}")), text)?;
        }
        let manual = packed.join("man");
        create_folder(&manual)?;
        tell(&["man".as_ref(), manual.as_ref()]).map(|_| ())
    })?;
    let crates = steps.step("licences of what is linked", || {
        licences::collect(workspace, target, &packed.join("licences"))
    })?;
    ensure!(crates > 50, "only {crates} crates are linked");
    let archive = folder.join(format!("{whole}.tar.gz"));
    let mut tar = Command::new("tar");
    // The same files are the same archive, whoever packs them.
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    tar.arg("-czf").arg(&archive).arg("-C").arg(folder).arg(&whole);
    setup.run("tar", &mut tar, "tar.log", INSTALL_LIMIT)?;
    Ok(archive)
}
