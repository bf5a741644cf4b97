//! `cargo xtask bench boards`: what the boards that no emulator has take, what small cores execute,
//! and what the counts of `bench device` come to on real parts, beside MLPerf Tiny's plaintext.

use anyhow::{Context as _, Result};

use super::figure::Figure;
use super::memory::memory;
use super::page;
use crate::boards::{BOARDS, CORES};
use crate::setup::Setup;

/// Whose counts are taken: those of a Cortex-M4.
const COUNTED: &str = "mps2-an386";

/// Parts that execute what a Cortex-M4 does: their clocks in MHz and, where it is published what
/// they take while they compute, nanojoules of a clock. The second is the board of MLPerf Tiny's
/// reference; the third has a Cortex-M33, the fourth a Cortex-M7.
const PARTS: [(&str, f64, Option<f64>); 4] = [
    ("nrf52840 at 64 MHz", 64.0, Some(8.1 * 3.0 / 64.0)),
    (REFERENCE, 120.0, Some(NANOJOULES)),
    ("rp2350 at 150 MHz", 150.0, None),
    ("stm32h743 at 480 MHz", 480.0, None),
];
const REFERENCE: &str = "stm32l4r5 at 120 MHz";

/// What the reference takes in plaintext, as published: milliseconds and microjoules of an
/// inference, from the medians in `closed/reference/results/Nucleo-L4R5ZI` of MLCommons'
/// `tiny_results_v0.5`.
const PLAINTEXT: [(&str, f64, f64); 3] = [
    ("ad01", 1000.0 / 99.487, 416.312),
    ("kws", 1000.0 / 5.497, 7373.704),
    ("resnet8", 1000.0 / 1.420, 29_207.010),
];

/// Nanojoules of a clock of the reference's board while it infers: 7,373.7 microjoules for keyword
/// spotting, whose inferences take 180.5 ms at 120 MHz where energy is measured.
const NANOJOULES: f64 = 7373.704 / (1e6 / 5.539) / 120.0 * 1000.0;

/// Builds, runs, and computes from the page as it is.
pub fn run(setup: &Setup<'_>, text: &str) -> Result<Vec<Figure>> {
    setup.emulator()?;
    setup.riscv_emulator()?;
    let mut targets: Vec<_> = BOARDS.iter().map(|board| board.target).collect();
    targets.sort_unstable();
    targets.dedup();
    let toolchain = setup.toolchain(&targets)?;
    let mut figures = Vec::new();
    for board in BOARDS.iter().filter(|board| board.emulator.is_none()) {
        let (flash, ram) = memory(&setup.firmware(toolchain, board)?)?;
        let name = |what: &str| format!("image/{}/{what}", board.name);
        figures.push(Figure::count(name("flash_bytes"), flash, "bytes"));
        figures.push(Figure::count(name("static_ram_bytes"), ram, "bytes"));
    }
    for core in &CORES {
        let image = setup.vectors(toolchain, core)?;
        let line = core.run(&image, &setup.logs)?;
        for what in ["prepare_instructions", "online_instructions"] {
            let name = format!("vectors/{}/{what}", core.about);
            figures.push(Figure::count(name, line.number(what)?, "instructions"));
        }
    }
    let counts = |what: &str| page::row(text, "device", COUNTED, what);
    let (online, prepare) = (counts("online instructions"), counts("prepare instructions"));
    let counted = online.zip(prepare).context("the page has no section `device`")?;
    for (part, megahertz, nanojoules) in PARTS {
        for (model, online) in &counted.0 {
            let prepare = counted.1.iter().find(|(name, _)| name == model);
            let Some((_, prepare)) = prepare else { continue };
            let name = |what: &str| format!("{part}/{model}/{what}");
            let figure = |what: &str, value: f64, unit: &str| Figure {
                name: name(what),
                value,
                unit: unit.to_owned(),
            };
            figures.push(figure("online_milliseconds", online / megahertz / 1e3, "milliseconds"));
            figures.push(figure("prepare_milliseconds", prepare / megahertz / 1e3, "milliseconds"));
            if let Some(nanojoules) = nanojoules {
                let micro = |instructions: f64| instructions * nanojoules / 1e3;
                figures.push(figure("online_microjoules", micro(*online), "microjoules"));
                figures.push(figure("prepare_microjoules", micro(*prepare), "microjoules"));
            }
            if part != REFERENCE {
                continue;
            }
            if let Some((_, time, energy)) = PLAINTEXT.iter().find(|(name, ..)| name == model) {
                figures.push(figure("plaintext_milliseconds", *time, "milliseconds"));
                figures.push(figure("plaintext_microjoules", *energy, "microjoules"));
            }
        }
    }
    Ok(figures)
}
