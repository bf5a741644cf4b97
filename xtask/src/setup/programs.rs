//! The emulator, valgrind, the program `sharelet`, and images for the boards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::apt::Packages;
use super::toolchain::{Toolchain, debian_cargo};
use super::work::{BUILD_LIMIT, Setup};
use crate::boards::{Board, Core};
use crate::process::succeeds;
use crate::workspace::SHARELET_PACKAGE;

impl Setup<'_> {
    /// The emulator, installed if it is missing.
    pub fn emulator(&self) -> Result<()> {
        self.missing_emulator()?.map_or(Ok(()), |packages| packages.install(self))
    }

    /// What [`Setup::emulator`] would install.
    pub fn missing_emulator(&self) -> Result<Option<Packages>> {
        if succeeds(Command::new("qemu-system-arm").arg("--version")) {
            return Ok(None);
        }
        self.steps.note("qemu-system-arm is missing: it emulates the microcontroller");
        let elsewhere =
            "macOS: brew install qemu; Fedora: dnf install qemu-system-arm; Windows: qemu.org";
        Packages::new(&["qemu-system-arm"], elsewhere).map(Some)
    }

    /// The emulator of riscv32, installed if it is missing.
    pub fn riscv_emulator(&self) -> Result<()> {
        if succeeds(Command::new("qemu-system-riscv32").arg("--version")) {
            return Ok(());
        }
        self.steps.note("qemu-system-riscv32 is missing: it emulates a core");
        let elsewhere =
            "macOS: brew install qemu; Fedora: dnf install qemu-system-riscv; Windows: qemu.org";
        Packages::new(&["qemu-system-misc"], elsewhere)?.install(self)
    }

    /// What watches a program's memory, and its headers; installed if it is missing.
    pub fn valgrind(&self) -> Result<()> {
        let headers = Path::new("/usr/include/valgrind/memcheck.h");
        if succeeds(Command::new("valgrind").arg("--version")) && headers.exists() {
            return Ok(());
        }
        self.steps.note("valgrind is missing: it sees what depends on secrets");
        Packages::new(&["valgrind"], "Fedora: dnf install valgrind-devel")?.install(self)
    }

    /// The program `sharelet`; without the readers of foreign model files unless `import`.
    pub fn sharelet(&self, import: bool) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args(["build", "--package", SHARELET_PACKAGE, "--bin", "sharelet"]);
        cargo.arg("--no-default-features");
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

    /// The program `sharelet` as it is released.
    pub fn released_sharelet(&self) -> Result<()> {
        let mut cargo = self.workspace.cargo();
        cargo.args(["build", "--release", "--package", SHARELET_PACKAGE, "--bin", "sharelet"]);
        cargo.arg("--target-dir").arg(self.workspace.target());
        self.steps.step("building sharelet for speed", || {
            self.run("cargo build of sharelet", &mut cargo, "build-released.log", BUILD_LIMIT)
        })
    }

    /// The firmware of `board`; gives the image.
    pub fn firmware(&self, toolchain: Toolchain, board: &Board) -> Result<PathBuf> {
        let what = format!("building the firmware for {}", board.name);
        self.image(toolchain, board, "device", &what, |_| {})
    }

    /// The firmware of `board` without channels; gives the image.
    pub fn plaintext_firmware(&self, toolchain: Toolchain, board: &Board) -> Result<PathBuf> {
        let what = format!("building the firmware without channels for {}", board.name);
        self.image(toolchain, board, "plaintext", &what, |cargo| {
            cargo.args(["--no-default-features", "--features", "device,insecure-plaintext"]);
        })
    }

    /// Another program than the device for `board`, built for size: `data-party`, or `idle`, which
    /// the flash of the first is measured against; gives the image.
    pub fn small_firmware(
        &self,
        toolchain: Toolchain,
        board: &Board,
        program: &str,
    ) -> Result<PathBuf> {
        let what = format!("building {program} for {}", board.name);
        self.image(toolchain, board, program, &what, |cargo| {
            cargo.arg("--config").arg(self.workspace.firmware().join(".cargo/small.toml"));
            cargo.args(["--no-default-features", "--features", program]);
        })
    }

    /// The device of `board` on another `line` than usual, `uart` or `usb`; gives the image.
    pub fn firmware_on(&self, toolchain: Toolchain, board: &Board, line: &str) -> Result<PathBuf> {
        let program = format!("{}-{line}", board.name);
        self.build(toolchain, board.name, board.target, &program, |cargo| {
            cargo.args(["--bin", &program, "--features", line]);
        })
    }

    /// The program that plays vectors to `core`; gives the image.
    pub fn vectors(&self, toolchain: Toolchain, core: &Core) -> Result<PathBuf> {
        self.build(toolchain, "vectors", core.target, "vectors", |_| {})
    }

    /// Builds a package whose program has a name of its own; gives the image.
    fn build(
        &self,
        toolchain: Toolchain,
        package: &str,
        target: &str,
        program: &str,
        options: impl FnOnce(&mut Command),
    ) -> Result<PathBuf> {
        let mut cargo = self.target_cargo(toolchain, &self.workspace.firmware(), "build");
        cargo.args(["--release", "--package", package, "--target", target]);
        options(&mut cargo);
        let log = format!("build-{program}-{target}.log");
        self.steps.step(&format!("building {program} for {target}"), || {
            self.run("cargo build of the firmware", &mut cargo, &log, BUILD_LIMIT)
        })?;
        Ok(self.firmware_target(toolchain).join(target).join("release").join(program))
    }

    /// The firmware's library with these features alone: it links, whoever takes its log.
    pub fn firmware_library(&self, toolchain: Toolchain, features: &str) -> Result<()> {
        let target = "thumbv7m-none-eabi";
        let mut cargo = self.target_cargo(toolchain, &self.workspace.firmware(), "build");
        cargo.args(["--release", "--package", "sharelet-firmware", "--target", target]);
        cargo.args(["--no-default-features", "--features", features]);
        let log = format!("build-firmware-{}.log", features.replace(',', "-"));
        self.steps.step(&format!("building the firmware's library with {features}"), || {
            self.run("cargo build of the library", &mut cargo, &log, BUILD_LIMIT)
        })
    }

    /// Another program than the device for `board`, built as the device is; gives the image.
    pub fn program(&self, toolchain: Toolchain, board: &Board, program: &str) -> Result<PathBuf> {
        let what = format!("building {program} for {}", board.name);
        self.image(toolchain, board, program, &what, |cargo| {
            cargo.args(["--no-default-features", "--features", program]);
        })
    }

    fn image(
        &self,
        toolchain: Toolchain,
        board: &Board,
        program: &str,
        what: &str,
        options: impl FnOnce(&mut Command),
    ) -> Result<PathBuf> {
        let mut cargo = self.target_cargo(toolchain, &self.workspace.firmware(), "build");
        cargo.args(["--release", "--package", board.name, "--target", board.target]);
        options(&mut cargo);
        let log = format!("build-{}-{program}.log", board.name);
        self.steps.step(what, || {
            self.run("cargo build of the firmware", &mut cargo, &log, BUILD_LIMIT)
        })?;
        let folder = self.firmware_target(toolchain).join(board.target).join("release");
        // All programs of a board have one name where cargo puts them.
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
}
