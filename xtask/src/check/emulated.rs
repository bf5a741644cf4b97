//! Runs on the emulated boards, every answer against the plaintext one.

use super::firmware::{Image, Images};
use super::refusals;
use super::results::Checks;
use crate::board_runs::{infer_by_script, infer_on_board, infer_over_serial, query_on_board};
use crate::boards;
use crate::case::Case;
use crate::counted;
use crate::cuts::{self, Campaign};
use crate::inference::Answer;
use crate::services::{ChannelKeys, Room};

use anyhow::{Result, bail};

/// Sets of secrets: every kind of reading twice and more.
const SECRETS: u32 = 40;
/// The board of the compose file.
const COMPOSED: &str = "mps2-an386";
/// Power cuts for each kind of channel.
const CUTS: u64 = 5;

/// All runs. `sharelet` must have been built, with the readers of foreign files.
pub fn run(checks: &Checks<'_>, images: &Images) {
    let workspace = checks.setup.workspace;
    let built_in = Case::built_in(workspace);
    let reference = reference(checks);
    for board in boards::emulated() {
        let folder = checks.setup.logs.join(board.name);
        let Some((_, image)) = find(&images.devices, board.name) else {
            checks.skip(&format!("runs on {}", board.name), "its firmware was not built");
            continue;
        };
        let run = |name: &str, case: &Case, count: Option<usize>, option: (&str, &str)| {
            let folder = folder.join(format!("{}-{}", case.name, option.1));
            checks.check(&format!("{}: {name}", board.name), || {
                let room = Room::new(workspace, &folder)?;
                let address = ("ip", "10.0.2.15");
                let (answers, _) =
                    infer_on_board(&room, board, image, case, count, &[address, option])?;
                all_agree(&answers)
            });
        };
        let address = ("ip", "10.0.2.15");
        run("built-in readings", &built_in, None, address);
        run("address from DHCP", &built_in, Some(2), ("ip", "dhcp"));
        if board.is_large() {
            run("built-in readings, E kept", &built_in, None, ("keep", "8192"));
        }
        if board.name == COMPOSED {
            checks.check(&format!("{COMPOSED}: booted as in deploy/compose.yaml"), || {
                let room = Room::new(workspace, &folder.join("composed"))?;
                let script = workspace.root().join("deploy/board.sh");
                all_agree(&infer_by_script(&room, &script, image, &built_in, 3)?)
            });
        }
        for (case, count) in reference.iter().zip([3, 2, 10, 2]) {
            let name = format!("{count} readings of {}", case.name);
            run(&name, case, Some(count), address);
        }
        let name = format!("{}: two servers, built-in readings", board.name);
        let Some((_, image)) = find(&images.data_parties, board.name) else {
            checks.skip(&name, "its firmware was not built");
            continue;
        };
        checks.check(&name, || {
            let room = Room::new(workspace, &folder.join("servers"))?;
            let (answers, _) = query_on_board(&room, board, image, &built_in, None)?;
            all_agree(&answers)
        });
    }
    for (board, image) in &images.uarts {
        let folder = checks.setup.logs.join(board.name).join("uart");
        checks.check(&format!("{}: on a UART, two readings", board.name), || {
            let room = Room::new(workspace, &folder)?;
            let (answers, _) = infer_over_serial(&room, board, image, &built_in, 2)?;
            all_agree(&answers)
        });
    }
    if !images.vectors.is_empty() {
        let emulator = checks.setup.riscv_emulator();
        checks.record("emulator of riscv32", emulator);
    }
    for (core, image) in &images.vectors {
        checks.check(&format!("{}: a session's vectors", core.about), || {
            core.run(image, &checks.setup.logs).map(|_| ())
        });
    }
    for (board, image) in &images.constant {
        let folder = checks.setup.logs.join(board.name).join("constant");
        checks.check(&format!("{}: instructions do not depend on secrets", board.name), || {
            counted::run(board, image, &folder, (SECRETS, 1))?.expect_equal()
        });
    }
    for (board, image) in &images.cuts {
        for (channel, seed) in [(ChannelKeys::Static, 1), (ChannelKeys::Psk, 2)] {
            let word = channel.word();
            let folder = &checks.setup.logs.join(board.name).join(format!("cuts-{word}"));
            let name = format!("{}: {CUTS} power cuts, {word}, seed {seed}", board.name);
            let (case, points) = (&built_in, CUTS);
            checks.check(&name, || {
                let (board, image) = (*board, image.as_path());
                cuts::run(&Campaign {
                    workspace,
                    board,
                    image,
                    case,
                    folder,
                    channel,
                    points,
                    seed,
                })?
                .expect_none()
            });
        }
    }
    let Some((board, image)) = images.devices.iter().find(|(board, _)| board.emulator.is_some())
    else {
        return;
    };
    let folder = checks.setup.logs.join("refusals");
    let context = refusals::Context { workspace, board, image, case: &built_in, folder: &folder };
    for (name, refusal) in refusals::ALL {
        checks.check(&format!("{}: {name}", board.name), || refusal(&context));
    }
}

fn find<'a>(images: &'a [Image], board: &str) -> Option<&'a Image> {
    images.iter().find(|(built, _)| built.name == board)
}

/// The reference networks; none if they are not on this machine.
fn reference(checks: &Checks<'_>) -> Vec<Case> {
    let name = "import of ad01 and networks A and B";
    let Some(data) = checks.setup.workspace.data() else {
        checks.skip(name, "the reference networks are not here; set SHARELET_DATA");
        return Vec::new();
    };
    let folder = checks.setup.logs.join("models");
    let import = || Case::reference(&data, &Room::new(checks.setup.workspace, &folder)?);
    checks.check(name, import).unwrap_or_default()
}

fn all_agree(answers: &[Answer]) -> Result<()> {
    match answers.iter().filter(|answer| !answer.agrees).count() {
        0 => Ok(()),
        wrong => {
            bail!("{wrong} of {} private answers differ from the plaintext ones", answers.len())
        }
    }
}
