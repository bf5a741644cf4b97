//! Prepares what is missing: the emulator, compilers for the boards, the programs.

use core::time::Duration;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::boards::Board;
use crate::process::{self, answer, succeeds};
use crate::steps::Steps;
use crate::workspace::Workspace;

const INSTALL_LIMIT: Duration = Duration::from_secs(600);
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
/// What Debian needs to build for the boards when rustup cannot.
const DEBIAN_COMPILER: [&str; 5] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "binutils-arm-none-eabi"];

/// Where the compiler for the boards comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// The compiler in use, with targets that rustup added.
    Rustup,
    /// Debian's compiler, which builds its own core library.
    Debian,
}

/// Prepares and builds, with a line for each step.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Folders.
    pub workspace: &'a Workspace,
    /// Progress.
    pub steps: &'a Steps,
    /// Where logs go.
    pub logs: PathBuf,
}

impl Setup<'_> {
    /// The emulator.
    pub fn emulator(&self) -> Result<()> {
        if succeeds(Command::new("qemu-system-arm").arg("--version")) {
            return Ok(());
        }
        self.steps.note("qemu-system-arm is missing: it emulates the microcontroller");
        self.apt_install(
            &["qemu-system-arm"],
            "macOS: brew install qemu; Fedora: dnf install qemu-system-arm; Windows: qemu.org",
        )
    }

    /// A compiler for `targets`, installed if it is missing.
    pub fn toolchain(&self, targets: &[&str]) -> Result<Toolchain> {
        match env::var("SHARELET_TOOLCHAIN").as_deref() {
            Ok("debian") => return self.debian_compiler().map(|()| Toolchain::Debian),
            Ok("rustup") | Err(_) => {}
            Ok(other) => {
                bail!("SHARELET_TOOLCHAIN={other} is not known; it is `rustup` or `debian`")
            }
        }
        let missing: Vec<_> =
            targets.iter().copied().filter(|target| !has_target(target)).collect();
        if missing.is_empty() || self.add_targets(&missing).is_ok() {
            return Ok(Toolchain::Rustup);
        }
        if env::var_os("SHARELET_TOOLCHAIN").is_some() {
            bail!(
                "rustup cannot add {}, and SHARELET_TOOLCHAIN=rustup forbids another way",
                missing.join(", ")
            );
        }
        self.steps.note(
            "rustup cannot add the targets: taking Debian's compiler, which builds its own core \
             library",
        );
        self.debian_compiler().map(|()| Toolchain::Debian)
    }

    /// The program `sharelet`; without the readers of foreign model files unless `import`.
    pub fn sharelet(&self, import: bool) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args([
            "build",
            "--release",
            "--package",
            "sharelet-cli",
            "--bin",
            "sharelet",
            "--no-default-features",
        ]);
        cargo.arg("--target-dir").arg(self.workspace.target());
        if import {
            cargo.args(["--features", "import"]);
        }
        let what = if import {
            "building sharelet, with the readers of ONNX and TFLite"
        } else {
            "building sharelet"
        };
        self.steps.step(what, || {
            self.run("cargo build of sharelet", &mut cargo, "build-sharelet.log", BUILD_LIMIT)
        })
    }

    /// The firmware of `board`; gives the image.
    pub fn firmware(&self, toolchain: Toolchain, board: &Board) -> Result<PathBuf> {
        let mut cargo = self.target_cargo(toolchain, &self.workspace.firmware(), "build");
        cargo.args(["--release", "--package", board.name, "--target", board.target]);
        let what = format!("building the firmware for {}", board.name);
        let log = format!("build-{}.log", board.name);
        self.steps.step(&what, || {
            self.run("cargo build of the firmware", &mut cargo, &log, BUILD_LIMIT)
        })?;
        Ok(self.firmware_target(toolchain).join(board.target).join("release").join(board.name))
    }

    /// Another program than the device for `board`, built for size: `data-party`, or `idle`, which
    /// the flash of the first is measured against; gives the image.
    pub fn small_firmware(
        &self,
        toolchain: Toolchain,
        board: &Board,
        program: &str,
    ) -> Result<PathBuf> {
        let mut cargo = self.target_cargo(toolchain, &self.workspace.firmware(), "build");
        cargo.args(["--profile", "small", "--package", board.name, "--target", board.target]);
        cargo.args(["--no-default-features", "--features", program]);
        let what = format!("building {program} for {}", board.name);
        let log = format!("build-{}-{program}.log", board.name);
        self.steps.step(&what, || {
            self.run("cargo build of the firmware", &mut cargo, &log, BUILD_LIMIT)
        })?;
        // All programs of a board have one name where cargo puts them.
        let folder = self.firmware_target(toolchain).join(board.target).join("small");
        let image = folder.join(format!("{}-{program}", board.name));
        let copied = fs::copy(folder.join(board.name), &image);
        copied.with_context(|| format!("{} cannot be written", image.display()))?;
        Ok(image)
    }

    /// Cargo for the boards, started in `folder`: the checkout, or the firmware's workspace.
    pub fn target_cargo(&self, toolchain: Toolchain, folder: &Path, command: &str) -> Command {
        let mut cargo = match toolchain {
            Toolchain::Rustup => self.workspace.cargo(),
            Toolchain::Debian => debian_cargo(),
        };
        cargo.current_dir(folder).arg(command);
        if toolchain == Toolchain::Debian {
            cargo.arg("--config").arg(self.workspace.firmware().join(".cargo/debian.toml"));
        }
        cargo.arg("--target-dir").arg(self.firmware_target(toolchain));
        cargo
    }

    pub fn firmware_target(&self, toolchain: Toolchain) -> PathBuf {
        match toolchain {
            Toolchain::Rustup => self.workspace.firmware_target(),
            Toolchain::Debian => self.workspace.firmware_target().join("debian"),
        }
    }

    fn add_targets(&self, targets: &[&str]) -> Result<()> {
        let what = format!("installing with rustup: {}", targets.join(" "));
        let mut rustup = Command::new("rustup");
        rustup.args(["target", "add"]).args(targets);
        self.steps.step(&what, || {
            self.run("rustup target add", &mut rustup, "rustup.log", INSTALL_LIMIT)
        })?;
        // A toolchain that is in use without rustup's knowledge does not see what rustup adds.
        match targets.iter().find(|target| !has_target(target)) {
            Some(target) => {
                bail!("rustup added {target}, but the compiler in use does not have it")
            }
            None => Ok(()),
        }
    }

    fn debian_compiler(&self) -> Result<()> {
        let linker = succeeds(Command::new("arm-none-eabi-ld").arg("--version"));
        if linker && Path::new("/usr/bin/cargo").exists() && debian_sources() {
            return Ok(());
        }
        self.apt_install(
            &DEBIAN_COMPILER,
            "any system: install rustup from https://rustup.rs, then `rustup target add \
             thumbv7em-none-eabihf thumbv7m-none-eabi`",
        )
    }

    fn apt_install(&self, packages: &[&str], elsewhere: &str) -> Result<()> {
        let list = packages.join(" ");
        if !succeeds(Command::new("apt-get").arg("--version")) {
            bail!("{list} cannot be installed here without apt-get; install by hand ({elsewhere})");
        }
        let root = answer(Command::new("id").arg("-u")).is_some_and(|id| id == "0");
        if !root && !succeeds(Command::new("sudo").args(["-n", "true"])) {
            bail!(
                "{list} must be installed, and sudo asks for a password here; run: sudo apt-get \
                 install {list}"
            );
        }
        let apt = |arguments: &[&str]| {
            let mut apt = if root { Command::new("apt-get") } else { Command::new("sudo") };
            if !root {
                apt.args(["-n", "apt-get"]);
            }
            apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            apt
        };
        // Lists that cannot be refreshed may still do: what counts is whether the packages come.
        let refresh = self.steps.step("refreshing the package lists (apt-get update)", || {
            self.run("apt-get update", &mut apt(&["update"]), "apt-update.log", INSTALL_LIMIT)
        });
        let mut install = apt(&["install", "--yes", "--no-install-recommends"]);
        install.args(packages);
        let installed = self.steps.step(&format!("installing with apt-get: {list}"), || {
            self.run("apt-get install", &mut install, "apt-install.log", INSTALL_LIMIT)
        });
        match (installed, refresh) {
            (Err(error), Err(cause)) => {
                Err(error.context(format!("apt-get update had failed: {cause:#}")))
            }
            (result, _) => result,
        }
    }

    fn run(&self, name: &str, command: &mut Command, log: &str, limit: Duration) -> Result<()> {
        process::run(name, command, &self.logs.join(log), limit).map(|_| ())
    }
}

fn has_target(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let library =
        answer(Command::new(rustc).args(["--print", "target-libdir", "--target", target]));
    library.is_some_and(|path| Path::new(&path).is_dir())
}

fn debian_sources() -> bool {
    let root =
        answer(Command::new("/usr/bin/rustc").args(["--print", "sysroot"])).unwrap_or_default();
    Path::new(&root).join("lib/rustlib/src/rust/library/core").is_dir()
}

/// Debian's compiler, as if no other were there. Building the core library is not a stable feature:
/// it is allowed here.
fn debian_cargo() -> Command {
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTDOC", "/usr/bin/rustdoc")
        .env("RUSTC_BOOTSTRAP", "1");
    for variable in ["RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH", "CARGO"] {
        cargo.env_remove(variable);
    }
    cargo
}
