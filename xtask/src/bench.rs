//! `cargo xtask bench`: figures as tables, as `docs/benchmarks.md` and `docs/functions.md`, and as
//! `target/bench/GROUP.json`.

mod attacks;
mod channel;
mod cuts;
mod figure;
mod functions;
mod fuzz;
mod memory;
mod others;
mod page;
mod parts;
mod prepare;
mod running;
mod servers;
mod trust;

use core::time::Duration;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, ValueEnum};

use figure::Figure;

use self::memory::memory;
use crate::board_runs::{infer_on_board, query_on_board};
use crate::boards::{self, Arguments, Board};
use crate::case::{Case, Where};
use crate::files;
use crate::inference;
use crate::process;
use crate::services::Room;
use crate::setup::{Setup, Toolchain};
use crate::steps::Steps;
use crate::workspace::Workspace;

/// Readings per model and board. Counts differ by a few hundred instructions from one to the next;
/// the last is taken.
const READINGS: usize = 3;
/// How much RAM masked weights are kept in, in bytes: half a megabyte, and all that the board has.
const KEPT: [(&str, &str); 2] = [("kept_512_kb", "524288"), ("kept_1280_kb", "1310720")];
/// A data party takes less flash than this beyond the network stack.
const MOST_DATA_PARTY_BYTES: u64 = 38 * 1024;
/// Kills, and power cuts, that are counted.
const KILLS: u64 = 200;
const CUTS: u64 = 1000;
/// Numbers that hosts claim, and kills meanwhile.
const NUMBERS: u64 = 1_000_000;
const CLAIM_KILLS: u64 = 100;
const BENCH_LIMIT: Duration = Duration::from_secs(1800);

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// The group of figures.
    #[arg(value_enum, default_value_t)]
    group: Which,
    /// Take the figures of two servers from an earlier run, where target/bench has them.
    #[arg(long)]
    reuse: bool,
    /// Measure this model alone, perhaps another one too; the page in docs stays as it is.
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Measure this board alone; the page in docs stays as it is.
    #[arg(long, value_name = "NAME")]
    board: Vec<String>,
    /// How long each target of the fuzzer runs, or each half of `shared`.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Devices of the load.
    #[arg(long, default_value_t = 1000)]
    devices: u64,
    /// Inferences after which the load ends.
    #[arg(long, default_value_t = 100_000)]
    inferences: u64,
    /// Minutes after which it ends, too.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Kills, or power cuts: 200 and 1,000 if not given.
    #[arg(long)]
    points: Option<u64>,
    /// What the moments are drawn with.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Instructions, traffic and memory on the emulated boards.
    Device,
    /// Memory of the boards that no emulator has, vectors on small cores, and estimates of time and
    /// energy from the figures of `device`.
    Boards,
    /// Evaluations of the host per second and core.
    Host,
    /// Deals of the dealer per second and core.
    Dealer,
    /// Two servers: inference and training steps, online and dealt, and whole runs.
    Servers,
    /// Two parties without a dealer: random oblivious transfers, and programs from nothing.
    Prepare,
    /// Errors, messages, bytes and speed of every function: docs/functions.md.
    Functions,
    /// A hundred thousand sessions over lines with faults: target/bench/trust.json.
    Trust,
    /// A thousand devices, and hostile ones, at a host of three models and its dealer for ten
    /// minutes: target/bench/trust.json.
    Load,
    /// A thousand devices at one host with five models, which are replaced twenty times:
    /// target/bench/trust.json.
    Fleet,
    /// Dealer, hosts, servers, devices, owners of data, and who makes keys, killed two hundred
    /// times and started again: target/bench/trust.json.
    Kills,
    /// Eight hosts that claim a million numbers of one store, killed with it a hundred times:
    /// target/bench/trust.json.
    Claims,
    /// Two hosts and two dealers that share a store, against one of each that have none:
    /// target/bench/trust.json.
    Shared,
    /// Everything that reads foreign bytes, each for a minute under a fuzzer that sees coverage:
    /// target/bench/trust.json.
    Fuzz,
    /// Attacks on honest parties that succeeded once: target/bench/trust.json.
    Attacks,
    /// Instructions, bytes and memory of handshakes and records on the emulated boards, and whether
    /// instructions depend on secrets: target/bench/channel.json and trust.json.
    Channel,
    /// A thousand power cuts of devices on emulated boards: target/bench/trust.json.
    Cuts,
    /// Everything but the fuzzer, the load and the kills.
    #[default]
    All,
}

/// Measures, prints, writes.
pub fn run(args: &BenchArgs) -> Result<()> {
    let workspace = Workspace::here();
    let steps = Steps::new();
    let folder = workspace.target().join("bench");
    let setup = Setup { workspace: &workspace, steps: &steps, logs: folder.join("logs") };
    if args.group == Which::Functions {
        return functions::run(&setup, &folder);
    }
    if args.group == Which::Trust {
        return trust::faults(&setup, &folder);
    }
    if args.group == Which::Attacks {
        return attacks::run(&setup, &folder);
    }
    if args.group == Which::Load {
        let BenchArgs { devices, inferences, minutes, .. } = *args;
        return running::load(&setup, &folder, running::Load { devices, inferences, minutes });
    }
    if args.group == Which::Fleet {
        let BenchArgs { devices, inferences, minutes, .. } = *args;
        return running::fleet(&setup, &folder, running::Load { devices, inferences, minutes });
    }
    if args.group == Which::Kills {
        return running::kills(&setup, &folder, args.points.unwrap_or(KILLS));
    }
    if args.group == Which::Claims {
        return running::claims(&setup, &folder, NUMBERS, args.points.unwrap_or(CLAIM_KILLS));
    }
    if args.group == Which::Shared {
        return running::shared(&setup, &folder, args.seconds);
    }
    if args.group == Which::Fuzz {
        return fuzz::run(&setup, &folder, args.seconds);
    }
    if args.group == Which::Cuts {
        return cuts::run(&setup, &folder, args.points.unwrap_or(CUTS), args.seed);
    }
    let mut groups: BTreeMap<&str, Vec<Figure>> = BTreeMap::new();
    if matches!(args.group, Which::Servers | Which::All) {
        groups.insert("servers", servers::run(&setup, &folder, args.reuse)?);
    }
    if matches!(args.group, Which::Prepare | Which::All) {
        groups.insert("prepare", prepare::run(&setup, &folder)?);
    }
    if matches!(args.group, Which::Channel | Which::All) {
        groups.insert("channel", channel::run(&setup, &folder)?);
    }
    let page = workspace.root().join("docs/benchmarks.md");
    let boards = || parts::run(&setup, &fs::read_to_string(&page).unwrap_or_default());
    if args.group == Which::Boards {
        groups.insert("boards", boards()?);
    }
    let alone =
        matches!(args.group, Which::Boards | Which::Servers | Which::Prepare | Which::Channel);
    let mut cases = if alone { Vec::new() } else { cases(&setup, &folder)? };
    let chosen = |names: &[String], name: &str| names.is_empty() || names.iter().any(|n| n == name);
    cases.retain(|case| chosen(&args.model, case.name));
    if matches!(args.group, Which::Device | Which::All) {
        let boards = boards::emulated().filter(|board| chosen(&args.board, board.name));
        groups.insert("device", device(&setup, &folder, &cases, &boards.collect::<Vec<_>>())?);
    }
    if matches!(args.group, Which::Host | Which::Dealer | Which::All) {
        let figures = services(&setup, &folder, &cases)?;
        for (group, which) in [("host", Which::Host), ("dealer", Which::Dealer)] {
            if args.group == which || args.group == Which::All {
                let belongs = |figure: &&Figure| figure.name.starts_with(&format!("{group}/"));
                groups.insert(group, figures.iter().filter(belongs).cloned().collect());
            }
        }
    }
    for (group, figures) in ["device", "boards", "channel", "host", "dealer", "servers", "prepare"]
        .iter()
        .filter_map(|group| groups.get_key_value(group))
    {
        let path = folder.join(format!("{group}.json"));
        files::write(&path, page::json(figures))?;
        println!("\n{}\nwritten: {}", page::table(figures), path.display());
    }
    if !args.model.is_empty() || !args.board.is_empty() {
        return Ok(());
    }
    page::update(&page, &groups)?;
    if args.group == Which::All {
        // From the figures that are on the page now.
        page::update(&page, &BTreeMap::from([("boards", boards()?)]))?;
        trust::faults(&setup, &folder)?;
        attacks::run(&setup, &folder)?;
        cuts::run(&setup, &folder, args.points.unwrap_or(CUTS), args.seed)?;
        functions::run(&setup, &folder)?;
    }
    Ok(())
}

/// The models to measure, the built-in one first.
fn cases(setup: &Setup<'_>, folder: &Path) -> Result<Vec<Case>> {
    let mut cases = vec![Case::built_in(setup.workspace)];
    match setup.workspace.data() {
        Some(data) => {
            setup.sharelet(true)?;
            let room = Room::new(setup.workspace, &folder.join("models"))?;
            cases.extend(
                setup.steps.step("importing ad01 and networks A and B", || {
                    Case::reference(&data, &room)
                })?,
            );
            let folder = env::var_os("SHARELET_MLPERF_TINY");
            let folder = folder.map_or_else(|| data.join("mlperf-tiny"), PathBuf::from);
            if folder.is_dir() {
                // Visual wake words take minutes to import, and longer where it is not for speed.
                setup.released_sharelet()?;
                let room = room.released(setup.workspace);
                let what = "importing the windowed networks of MLPerf Tiny";
                cases.extend(setup.steps.step(what, || Case::mlperf(&folder, &room))?);
            } else {
                setup.steps.note("MLPerf Tiny's networks are not here (SHARELET_MLPERF_TINY)");
            }
        }
        None => {
            setup.sharelet(false)?;
            setup.steps.note(
                "the reference networks are not here (SHARELET_DATA): the built-in model only",
            );
        }
    }
    Ok(cases)
}

fn device(
    setup: &Setup<'_>,
    folder: &Path,
    cases: &[Case],
    boards: &[&Board],
) -> Result<Vec<Figure>> {
    setup.emulator()?;
    let targets: Vec<_> = boards.iter().map(|board| board.target).collect();
    let toolchain = setup.toolchain(&targets)?;
    // Servers that are not built for speed take longer for a network of windows than they wait.
    if cases.iter().any(|case| case.query != Where::Nowhere && !case.dense) {
        setup.released_sharelet()?;
    }
    let mut figures = Vec::new();
    for &board in boards {
        let image = setup.firmware(toolchain, board)?;
        let (flash, ram) = memory(&image)?;
        let plaintext = setup.plaintext_firmware(toolchain, board)?;
        let mut stack = 0;
        for case in cases.iter().filter(|case| case.session.is(board)) {
            let folder = folder.join(board.name).join(case.name);
            let room = || Room::new(setup.workspace, &folder);
            let what = format!("measuring {} on {}", case.name, board.name);
            stack = stack.max(
                setup.steps.step(&what, || session(&room()?, board, &image, case, &mut figures))?,
            );
            let what = format!("measuring {} on {} without channels", case.name, board.name);
            setup.steps.step(&what, || {
                apart(&|| room().map(Room::plaintext), board, &plaintext, case, &mut figures)
            })?;
        }
        for (what, bytes) in [("flash", flash), ("static_ram", ram), ("stack", stack)] {
            let name = format!("{}/{what}_bytes", board.name);
            figures.push(Figure::count(name, bytes, "bytes"));
        }
        data_party(setup, toolchain, folder, board, cases, &mut figures)?;
    }
    Ok(figures)
}

/// The data party of two servers: what a query takes, and its flash beyond a program with the same
/// network stack, sockets and board that does nothing with them.
fn data_party(
    setup: &Setup<'_>,
    toolchain: Toolchain,
    folder: &Path,
    board: &Board,
    cases: &[Case],
    figures: &mut Vec<Figure>,
) -> Result<()> {
    let idle = setup.small_firmware(toolchain, board, "idle")?;
    let image = setup.small_firmware(toolchain, board, "data-party")?;
    let ((flash, ram), (without, _)) = (memory(&image)?, memory(&idle)?);
    let mut stack = 0;
    for case in cases.iter().filter(|case| case.query.is(board)) {
        let room = Room::new(
            setup.workspace,
            &folder.join(board.name).join(format!("{}-servers", case.name)),
        )?;
        let room = if case.dense { room } else { room.released(setup.workspace) };
        let what = format!("measuring queries of {} on {}", case.name, board.name);
        let asked = setup
            .steps
            .step(&what, || query_on_board(&room, board, &image, case, Some(readings(case))))?;
        let (answers, run) = asked;
        ensure!(
            answers.iter().all(|answer| answer.agrees),
            "an answer of two servers differs from the plaintext one"
        );
        let answer = answers.last().context("no answer")?;
        stack = stack
            .max(run.line("stack").context("the device did not report its stack")?.number("used")?);
        for (name, key, unit) in [
            ("instructions", "online_instructions", "instructions"),
            ("bytes_up", "bytes_up", "bytes"),
            ("bytes_down", "bytes_down", "bytes"),
        ] {
            let name = format!("{}/{}/query_{name}", board.name, case.name);
            figures.push(Figure::count(name, answer.private.number(key)?, unit));
        }
    }
    let beyond = flash.saturating_sub(without);
    for (what, bytes) in
        [("flash", flash), ("flash_beyond_network", beyond), ("static_ram", ram), ("stack", stack)]
    {
        let name = format!("{}/data_party_{what}_bytes", board.name);
        figures.push(Figure::count(name, bytes, "bytes"));
    }
    ensure!(beyond < MOST_DATA_PARTY_BYTES, "the data party takes {beyond} bytes of flash");
    Ok(())
}

/// One case on one board: private, then in the clear. Gives the stack's high-water mark of the
/// private run.
fn session(
    room: &Room,
    board: &Board,
    image: &Path,
    case: &Case,
    figures: &mut Vec<Figure>,
) -> Result<u64> {
    let (answers, run) = infer_on_board(room, board, image, case, Some(readings(case)), &[])?;
    ensure!(
        answers.iter().all(|answer| answer.agrees),
        "a private answer differs from the plaintext one"
    );
    let answer = answers.last().context("no answer")?;
    let stack = run.line("stack").context("the device did not report its stack")?.number("used")?;

    let dense = case.dense.then(|| twin_instructions(room, board, image, case, &answers));
    let twin_instructions = dense.transpose()?;
    let mut add = |name: &str, value: u64, unit: &str| {
        figures.push(Figure::count(format!("{}/{}/{name}", board.name, case.name), value, unit));
    };
    add("online_instructions", answer.private.number("online_instructions")?, "instructions");
    add("prepare_instructions", answer.session.number("prepare_instructions")?, "instructions");
    if let Some(instructions) = twin_instructions {
        add("twin_instructions", instructions, "instructions");
    }
    add("bytes_up", answer.bytes_up()?, "bytes");
    add("bytes_down", answer.bytes_down()?, "bytes");
    add("round_trips", answer.private.number("round_trips")?, "round trips");
    add("prepare_bytes_up", answer.session.number("bytes_up")?, "bytes");
    add("prepare_bytes_down", answer.session.number("bytes_down")?, "bytes");
    add("prepare_round_trips", answer.session.number("round_trips")?, "round trips");
    Ok(stack)
}

/// Readings of a case: one, where a session is long.
fn readings(case: &Case) -> usize {
    if case.session == Where::Everywhere { READINGS } else { 1 }
}

/// What a session takes without a channel; and where the board has further RAM, with masked weights
/// that are kept in it.
fn apart(
    room: &dyn Fn() -> Result<Room>,
    board: &Board,
    image: &Path,
    case: &Case,
    figures: &mut Vec<Figure>,
) -> Result<()> {
    let mut measure = |keep: Option<(&str, &str)>| {
        let options: Vec<_> = keep.iter().map(|(_, bytes)| ("keep", *bytes)).collect();
        let count = Some(readings(case));
        let (answers, _) = infer_on_board(&room()?, board, image, case, count, &options)?;
        ensure!(
            answers.iter().all(|answer| answer.agrees),
            "a private answer differs from the plaintext one"
        );
        let answer = answers.last().context("no answer")?;
        let place = format!("{}/{}/plaintext", board.name, case.name);
        let mut add = |name: &str, value| {
            let name = format!("{place}_{name}_instructions");
            figures.push(Figure::count(name, value, "instructions"));
        };
        let prepare = answer.session.number("prepare_instructions")?;
        match keep {
            Some((name, _)) => add(&format!("{name}_prepare"), prepare),
            None => {
                add("online", answer.private.number("online_instructions")?);
                add("prepare", prepare);
            }
        }
        Ok(())
    };
    measure(None)?;
    if board.is_large() {
        KEPT.into_iter().try_for_each(|keep| measure(Some(keep)))?;
    }
    Ok(())
}

/// Instructions of the plaintext twin on the board.
fn twin_instructions(
    room: &Room,
    board: &Board,
    image: &Path,
    case: &Case,
    answers: &[inference::Answer],
) -> Result<u64> {
    room.export_twin(&case.model)?;
    let mut device = board.boot(image, room.folder(), &Arguments::twin(READINGS))?;
    let clear = inference::follow(&mut device, &room.path("report"), |_| Ok(()))?;
    let twins: Vec<_> = clear.lines.iter().filter(|line| line.tag == "twin").collect();
    if !clear.status.success() || twins.len() != READINGS {
        bail!("the plaintext twin failed on {}{}", board.name, device.quote());
    }
    for (twin, answer) in twins.iter().zip(answers) {
        ensure!(
            twin.values()? == answer.plain.values()?,
            "the board's plaintext twin differs from the PC's"
        );
    }
    twins.last().context("no twin")?.number("instructions")
}

/// The benchmark of host and dealer, a program of `std-host`.
fn services(setup: &Setup<'_>, folder: &Path, cases: &[Case]) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for case in cases {
        let output: PathBuf = folder.join(format!("throughput-{}.json", case.name));
        let mut cargo = setup.workspace.cargo();
        cargo
            .args(["bench", "--package", "sharelet-host", "--bench", "throughput", "--"])
            .arg(&case.model);
        cargo.arg("--json").arg(&output);
        let log = setup.logs.join(format!("throughput-{}.log", case.name));
        let what = format!("measuring host and dealer with {}", case.name);
        setup.steps.step(&what, || process::run("cargo bench", &mut cargo, &log, BENCH_LIMIT))?;
        let text = fs::read_to_string(&output)
            .with_context(|| format!("{} was not written", output.display()))?;
        figures.extend(
            page::parse(&text)
                .with_context(|| format!("{} is not a list of figures", output.display()))?,
        );
    }
    Ok(figures)
}
