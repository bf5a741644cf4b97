//! Compilers for the boards: rustup's targets, or Debian's compiler with its sources.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt::Packages;
use super::work::{INSTALL_LIMIT, Setup};
use crate::process::{answer, succeeds};

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

impl Setup<'_> {
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

    /// The compiler in use, for a target that only rustup has.
    pub fn rustup_target(&self, target: &str) -> Result<()> {
        if has_target(target) {
            return Ok(());
        }
        self.add_targets(&[target]).with_context(|| {
            format!(
                "the compiler in use cannot build for {target}: install rustup from \
                 https://rustup.rs"
            )
        })
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
        let elsewhere = "any system: install rustup from https://rustup.rs, then `rustup target \
                         add thumbv7em-none-eabihf thumbv7m-none-eabi`";
        Packages::new(&DEBIAN_COMPILER, elsewhere)?.install(self)
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
pub(super) fn debian_cargo() -> Command {
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
