//! One boot of an emulated board through readings, from keys to the end of its servers.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::boards::{self, Arguments, Board};
use crate::case::Case;
use crate::inference::{self, Answer, Run};
use crate::process::Running;
use crate::services::{Room, Server};

/// One boot of a board, through `count` readings of a case, with options of its program. Dealer and
/// host must also end as they should.
pub fn infer_on_board(
    room: &Room,
    board: &Board,
    image: &Path,
    case: &Case,
    count: Option<usize>,
    options: &[(&str, &str)],
) -> Result<(Vec<Answer>, Run)> {
    let expected = room.twin(&case.model, &case.inputs, count)?;
    room.provision(true)?;
    let mut services = room.services(&case.model, "device")?;
    let arguments = options
        .iter()
        .fold(Arguments::session(services.host.port, expected.len()), |arguments, (key, value)| {
            arguments.with(key, value)
        })
        .with("timeout", SECONDS);
    let mut device = board.boot(image, room.folder(), &arguments)?;
    let result = inference::infer(
        &mut device,
        &room.path("report"),
        &expected,
        &services.host.process,
        |_| Ok(()),
    );
    let result = result.with_context(|| {
        format!(
            "the run stopped{}{}",
            services.host.process.quote(),
            services.dealer.process.quote()
        )
    })?;
    end([("host", &mut services.host), ("dealer", &mut services.dealer)])?;
    Ok(result)
}

/// The same, booted by the script of `deploy/`, as the compose file does it.
pub fn infer_by_script(
    room: &Room,
    script: &Path,
    image: &Path,
    case: &Case,
    count: usize,
) -> Result<Vec<Answer>> {
    let expected = room.twin(&case.model, &case.inputs, Some(count))?;
    room.provision(true)?;
    let mut services = room.services(&case.model, "device")?;
    let mut sh = Command::new("sh");
    sh.arg(script).args(["device", &boards::on_this_pc(services.host.port), &count.to_string()]);
    sh.env("BOARD", image).current_dir(room.folder());
    let mut device = Running::start("board.sh", &mut sh, &room.path("board.log"))?;
    let report = room.path("device.report");
    let infer =
        inference::infer(&mut device, &report, &expected, &services.host.process, |_| Ok(()));
    let (answers, _) = infer?;
    end([("host", &mut services.host), ("dealer", &mut services.dealer)])?;
    Ok(answers)
}

/// One boot of a board whose network is a UART, through `count` readings of a case. The host is
/// there later than the board, which asks until it answers.
pub fn infer_over_serial(
    room: &Room,
    board: &Board,
    image: &Path,
    case: &Case,
    count: usize,
) -> Result<(Vec<Answer>, Run)> {
    let expected = room.twin(&case.model, &case.inputs, Some(count))?;
    room.provision(true)?;
    let arguments = Arguments::serial_session(count).with("timeout", SECONDS);
    let (mut device, line) = board.boot_serial(image, room.folder(), &arguments)?;
    let mut dealer = room.dealer()?;
    let mut host = room.serial_host(&case.model, dealer.port, &line)?;
    let result =
        inference::infer(&mut device, &room.path("report"), &expected, &host.process, |_| Ok(()));
    let quotes = [host.process.quote(), dealer.process.quote()].concat();
    let result = result.with_context(|| format!("the run stopped{quotes}"))?;
    end([("host", &mut host), ("dealer", &mut dealer)])?;
    Ok(result)
}

/// Time for a phase: emulated boards are slow, and servers are not built for speed.
const SECONDS: &str = "600";

/// One boot of a data party, through `count` readings of a case. Its traffic must be what is
/// promised, and dealer and servers must end as they should.
pub fn query_on_board(
    room: &Room,
    board: &Board,
    image: &Path,
    case: &Case,
    count: Option<usize>,
) -> Result<(Vec<Answer>, Run)> {
    let expected = room.twin(&case.model, &case.inputs, count)?;
    room.provision_queries(&case.model)?;
    let mut servers = room.servers(&case.model)?;
    let arguments =
        Arguments::queries(servers.server_0.port, servers.server_1.port, expected.len())
            .with("timeout", SECONDS);
    let mut device = board.boot(image, room.folder(), &arguments)?;
    let result = inference::infer(
        &mut device,
        &room.path("report"),
        &expected,
        &servers.server_0.process,
        |_| Ok(()),
    );
    let (quote_0, quote_1) = (servers.server_0.process.quote(), servers.server_1.process.quote());
    let result = result.with_context(|| format!("the run stopped{quote_0}{quote_1}"))?;
    let input_bytes = room.path("inputs.f32").metadata().context("the readings are gone")?.len()
        / expected.len() as u64;
    for answer in &result.0 {
        let (up, down) = (answer.private.number("bytes_up")?, answer.private.number("bytes_down")?);
        let promised = (input_bytes + 64, 8 * answer.values.len() as u64);
        if (up, down) != promised {
            bail!(
                "a query took {up} bytes up and {down} down, where {} and {} are promised",
                promised.0,
                promised.1
            );
        }
    }
    end([
        ("server 0", &mut servers.server_0),
        ("server 1", &mut servers.server_1),
        ("dealer", &mut servers.dealer),
    ])?;
    Ok(result)
}

/// Asks servers to end, one after the other; each must say that all was well.
fn end<const N: usize>(servers: [(&str, &mut Server); N]) -> Result<()> {
    for (name, Server { process, .. }) in servers {
        match process.stop() {
            Some(status) if status.success() => {}
            Some(status) => {
                bail!("the {name} ended with {status} when asked to stop{}", process.quote())
            }
            None => bail!("the {name} cannot be waited for"),
        }
    }
    Ok(())
}
