//! `cargo xtask bench cuts`: what became of devices whose power was cut.

use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use super::figure::Figure;
use super::trust;
use crate::boards::{self, Board};
use crate::case::Case;
use crate::cuts::{self, Campaign, PHASES, Tally};
use crate::services::ChannelKeys;
use crate::setup::Setup;

const CHANNELS: [ChannelKeys; 2] = [ChannelKeys::Static, ChannelKeys::Psk];

/// Cuts the power of every board with both kinds of channels, as often as asked altogether.
pub fn run(setup: &Setup<'_>, folder: &Path, points: u64, seed: u64) -> Result<()> {
    setup.emulator()?;
    let targets: Vec<_> = boards::emulated().map(|board| board.target).collect();
    let toolchain = setup.toolchain(&targets)?;
    setup.sharelet(false)?;
    let image = |board| Ok((board, setup.program(toolchain, board, "cuts")?));
    let images: Vec<(&Board, PathBuf)> = boards::emulated().map(image).collect::<Result<_>>()?;
    let campaigns: Vec<_> = images.iter().flat_map(|image| CHANNELS.map(|c| (image, c))).collect();
    let each = points.div_ceil(campaigns.len() as u64);
    let what = format!("cutting the power {points} times, drawn with seed {seed}");
    let tallies = setup.steps.step(&what, || {
        // Each has its own room, dealer, host and flash.
        thread::scope(|scope| {
            let mut running = Vec::new();
            for (number, ((board, image), channel)) in campaigns.iter().enumerate() {
                let folder = folder.join("cuts").join(format!("{}-{}", board.name, channel.word()));
                let seed = seed.wrapping_mul(1000).wrapping_add(number as u64);
                running.push(scope.spawn(move || {
                    let case = &Case::built_in(setup.workspace);
                    let (workspace, folder) = (setup.workspace, folder.as_path());
                    let (channel, points) = (*channel, each);
                    cuts::run(&Campaign {
                        workspace,
                        board,
                        image,
                        case,
                        folder,
                        channel,
                        points,
                        seed,
                    })
                }));
            }
            let join = |run: thread::ScopedJoinHandle<'_, Result<Tally>>| {
                run.join().ok().context("a run panicked")?
            };
            running.into_iter().map(join).collect::<Result<Vec<_>>>()
        })
    })?;
    let mut all = Tally::default();
    for (tally, ((board, _), channel)) in tallies.iter().zip(&campaigns) {
        setup.steps.note(&format!(
            "{}, {}: {} cuts, {} of them within writes; {} boots without; {} numbers used, {} \
             answers right",
            board.name,
            channel.word(),
            tally.points,
            tally.torn,
            tally.whole,
            tally.used,
            tally.right
        ));
        all.add(tally);
    }
    let count = |name: &str, value, unit| Figure::count(format!("cuts/{name}"), value, unit);
    let mut figures = vec![
        count("points", all.points, "cuts"),
        count("reused", all.reused, "session numbers"),
        count("lost", all.lost, "boots"),
        count("wrong", all.wrong, "answers"),
        count("right", all.right, "answers"),
        count("used", all.used, "session numbers"),
        count("whole", all.whole, "boots"),
        count("torn_writes", all.torn, "cuts"),
    ];
    for ((_, phase), cuts) in PHASES.iter().zip(all.phases) {
        figures.push(count(&format!("in_{phase}"), cuts, "cuts"));
    }
    trust::keep(folder, "cuts/", &figures)?;
    ensure!(all.phases.iter().all(|&cuts| cuts > 0), "a phase was never cut");
    all.expect_none()
}
