//! Images for every board, lints and documentation of the firmware.

use std::path::PathBuf;

use super::results::Checks;
use crate::boards::{self, BOARDS, Board, CORES, Core};
use crate::process;
use crate::setup::Toolchain;

/// An image, and the board that it is for.
pub type Image = (&'static Board, PathBuf);

/// What the runs on emulated boards need.
#[derive(Debug, Default)]
pub struct Images {
    /// Devices.
    pub devices: Vec<Image>,
    /// Data parties of two servers.
    pub data_parties: Vec<Image>,
    /// Devices whose power is cut: of one board.
    pub cuts: Vec<Image>,
    /// What counts instructions on secrets.
    pub constant: Vec<Image>,
    /// Devices on a UART: of one board.
    pub uarts: Vec<Image>,
    /// What plays vectors to cores.
    pub vectors: Vec<(&'static Core, PathBuf)>,
}

/// The boards of every check: those that are emulated. Each of the others takes minutes of its own.
const USUAL: [&str; 2] = ["mps2-an386", "lm3s6965evb"];
/// Whoever takes lines of the log: nobody, `log`, `defmt`.
const LOGGERS: [&str; 3] = [
    "device,data-party,static-keys",
    "device,data-party,column-scales,log",
    "device,data-party,defmt",
];

/// Builds all that runs on boards.
pub fn build(checks: &Checks<'_>, toolchain: Toolchain, every: bool) -> Images {
    let mut images = Images::default();
    for board in BOARDS.iter().filter(|board| every || USUAL.contains(&board.name)) {
        if toolchain == Toolchain::Debian && !board.target.starts_with("thumb") {
            let name = format!("firmware for {}", board.name);
            checks.skip(&name, "Debian's compiler has no linker for it");
            continue;
        }
        let image = checks.setup.firmware(toolchain, board);
        let image = checks.record(&format!("firmware for {}", board.name), image);
        images.devices.extend(image.map(|image| (board, image)));
    }
    for board in boards::emulated() {
        let image = checks.setup.small_firmware(toolchain, board, "data-party");
        let image = checks.record(&format!("data party for {}", board.name), image);
        images.data_parties.extend(image.map(|image| (board, image)));
        let image = checks.setup.program(toolchain, board, "constant");
        let image = checks.record(&format!("counting for {}", board.name), image);
        images.constant.extend(image.map(|image| (board, image)));
    }
    for board in BOARDS.iter().filter(|board| every && board.name == "nrf52840-dk") {
        let image = checks.setup.firmware_on(toolchain, board, "usb");
        checks.record(&format!("firmware for {} over USB", board.name), image);
    }
    for features in LOGGERS {
        let built = checks.setup.firmware_library(toolchain, features);
        checks.record(&format!("firmware's library with {features}"), built);
    }
    for core in &CORES {
        if toolchain == Toolchain::Debian && !core.target.starts_with("thumb") {
            let name = format!("vectors for {}", core.about);
            checks.skip(&name, "Debian's compiler has no linker for it");
            continue;
        }
        let image = checks.setup.vectors(toolchain, core);
        let image = checks.record(&format!("vectors for {}", core.about), image);
        images.vectors.extend(image.map(|image| (core, image)));
    }
    for board in boards::emulated().take(1) {
        let image = checks.setup.firmware_on(toolchain, board, "uart");
        let image = checks.record(&format!("device on a UART for {}", board.name), image);
        images.uarts.extend(image.map(|image| (board, image)));
        let image = checks.setup.program(toolchain, board, "cuts");
        let image = checks.record(&format!("device to be cut for {}", board.name), image);
        images.cuts.extend(image.map(|image| (board, image)));
    }
    images
}

/// Lints of every program, and the documentation.
pub fn lints(checks: &Checks<'_>, toolchain: Toolchain, every: bool) {
    let cargo = |command: &str, arguments: &str| {
        let firmware = checks.setup.workspace.firmware();
        let mut cargo = checks.setup.target_cargo(toolchain, &firmware, command);
        cargo.args(["--release"]).args(arguments.split(' ')).env("RUSTDOCFLAGS", "-D warnings");
        cargo
    };
    let clippy = process::succeeds(checks.setup.workspace.cargo().args(["clippy", "--version"]));
    if toolchain == Toolchain::Rustup && clippy {
        for Board { name, target, .. } in
            BOARDS.iter().filter(|board| every || USUAL.contains(&board.name))
        {
            let packages = format!("--package {name} --package sharelet-firmware");
            let mut lints =
                cargo("clippy", &format!("{packages} --target {target} -- -D warnings"));
            checks.command(&format!("lints of the firmware for {name}"), &mut lints);
        }
        if every {
            let usb = "--package nrf52840-dk --target thumbv7em-none-eabihf --features usb";
            let mut lints = cargo("clippy", &format!("{usb} -- -D warnings"));
            checks.command("lints of the firmware over USB", &mut lints);
        }
        for Core { target, about, .. } in &CORES {
            let package = format!("--package vectors --target {target}");
            let mut lints = cargo("clippy", &format!("{package} -- -D warnings"));
            checks.command(&format!("lints of the vectors for {about}"), &mut lints);
        }
        // What other features build.
        for program in ["data-party", "idle", "cuts", "constant", "uart"] {
            let package = "--package mps2-an386 --target thumbv7em-none-eabihf";
            let features = format!("--no-default-features --features {program}");
            let mut lints = cargo("clippy", &format!("{package} {features} -- -D warnings"));
            checks.command(&format!("lints of the {program} firmware"), &mut lints);
        }
    } else {
        checks.skip("lints of the firmware", "the compiler for the boards has no clippy");
    }
    let packages = "--no-deps --package sharelet-firmware --package qemu-support --all-features";
    let mut doc = cargo("doc", &format!("{packages} --target thumbv7em-none-eabihf"));
    checks.command("documentation of the firmware", &mut doc);
}
