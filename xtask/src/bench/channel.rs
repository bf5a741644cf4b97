//! `cargo xtask bench channel`: what channels take on the boards, and whether instructions of the
//! device's side depend on secrets.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::figure::Figure;
use super::trust;
use crate::boards;
use crate::counted;
use crate::setup::Setup;

/// Sets of secrets: readings, keys, models, and what they make of one another.
const SECRETS: u32 = 1000;
/// Handshakes of each pattern.
const HANDSHAKES: u32 = 1000;

/// Counts on every board. The figures of the channel go to the page, too.
pub fn run(setup: &Setup<'_>, folder: &Path) -> Result<Vec<Figure>> {
    setup.emulator()?;
    let targets: Vec<_> = boards::emulated().map(|board| board.target).collect();
    let toolchain = setup.toolchain(&targets)?;
    let (mut figures, mut constant) = (Vec::new(), Vec::new());
    let mut unequal = Ok(());
    for board in boards::emulated() {
        let image = setup.program(toolchain, board, "constant")?;
        let what = format!("counting {SECRETS} sessions on {}", board.name);
        let folder = folder.join("constant").join(board.name);
        let counted = setup
            .steps
            .step(&what, || counted::run(board, &image, &folder, (SECRETS, HANDSHAKES)))?;
        let instructions = |name: String, value| Figure::count(name, value, "instructions");
        let name = |rest: &str| format!("constant/{}/{rest}", board.name);
        constant.push(Figure::count(name("secrets"), SECRETS.into(), "sets of secrets"));
        constant.push(Figure::count(name("handshakes"), HANDSHAKES.into(), "of each pattern"));
        let handshakes = counted.handshake_ranges()?;
        for range in counted.parts.iter().chain(&handshakes).chain([&counted.leak]) {
            constant.push(instructions(name(&format!("{}_least", range.name)), range.least));
            constant.push(instructions(name(&format!("{}_most", range.name)), range.most));
        }
        for (line, range) in counted.handshakes.iter().zip(&handshakes) {
            let name = |what: &str| format!("handshake/{}/{}/{what}", board.name, range.name);
            figures.push(instructions(name("instructions"), range.most));
            for (key, what) in [
                ("bytes_up", "bytes_up"),
                ("bytes_down", "bytes_down"),
                ("stack_bytes", "stack_bytes"),
                ("state_bytes", "state_bytes"),
            ] {
                figures.push(Figure::count(name(what), line.number(key)?, "bytes"));
            }
        }
        for line in &counted.keystreams {
            let of = line.text("name").context("a keystream without a name")?;
            for what in ["block", "product", "kept"] {
                let name = format!("keystream/{}/{of}/{what}_instructions", board.name);
                figures.push(instructions(name, line.number(what)?));
            }
        }
        let record_bytes = counted.record.number("bytes")?;
        let find = |part: &str| {
            let range = counted.parts.iter().find(|range| range.name == part);
            range.map(|range| range.most).with_context(|| format!("no part is called {part}"))
        };
        let (seal, open) = (find("seal")?, find("open")?);
        let name = |what: &str| format!("record/{}/{what}", board.name);
        for (what, sum, bytes) in [
            ("instructions_per_byte", seal + open, 2 * record_bytes),
            ("seal_instructions_per_byte", seal, record_bytes),
            ("open_instructions_per_byte", open, record_bytes),
        ] {
            #[allow(clippy::cast_precision_loss)]
            let value = sum as f64 / bytes as f64;
            figures.push(Figure { name: name(what), value, unit: "instructions".to_owned() });
        }
        let channel_bytes = counted.record.number("channel_bytes")?;
        figures.push(Figure::count(name("channel_bytes"), channel_bytes, "bytes"));
        if let Err(error) = counted.expect_equal().context(board.name) {
            setup.steps.note(&format!("{error:#}"));
            unequal = Err(error);
        }
    }
    for prefix in ["handshake/", "record/"] {
        let group: Vec<_> =
            figures.iter().filter(|figure| figure.name.starts_with(prefix)).cloned().collect();
        trust::keep(folder, prefix, &group)?;
    }
    trust::keep(folder, "constant/", &constant)?;
    unequal.map(|()| figures)
}
