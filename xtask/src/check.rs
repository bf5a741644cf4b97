//! `cargo xtask test`: every check there is, one line each.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::boards::{self, Arguments, BOARDS, Board};
use crate::demo::{self, DemoArgs};
use crate::inference::{self, Answer, Run};
use crate::panics;
use crate::process;
use crate::refusals;
use crate::services::Room;
use crate::setup::{Setup, Toolchain};
use crate::steps::Steps;
use crate::workspace::Workspace;

const LIMIT: Duration = Duration::from_secs(1800);
/// Where the core must build: no operating system, with and without a 32-bit multiplier's long
/// form.
const CORE_TARGETS: [&str; 5] = [
    "thumbv6m-none-eabi",
    "thumbv7m-none-eabi",
    "thumbv7em-none-eabihf",
    "thumbv8m.main-none-eabihf",
    "riscv32imc-unknown-none-elf",
];

/// A model and readings for it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, as in figures.
    pub name: &'static str,
    /// The model file.
    pub model: PathBuf,
    /// The readings.
    pub inputs: PathBuf,
    /// Whether all layers are dense, so that a board can compute the plaintext twin.
    pub dense: bool,
}

impl Case {
    /// The built-in model.
    pub fn built_in(workspace: &Workspace) -> Self {
        Self {
            name: "vibration",
            model: workspace.built_in_model(),
            inputs: workspace.built_in_inputs(),
            dense: true,
        }
    }

    /// The reference networks in `data`, imported into `room`. Needs a `sharelet` with the readers
    /// of foreign files.
    pub fn reference(data: &Path, room: &Room) -> Result<Vec<Self>> {
        let networks = [
            (
                "ad01",
                "mlperf-tiny/ad01.onnx",
                "mlperf-tiny/ad01_windows.npy",
                "mlperf-tiny/ad01_windows.npy",
            ),
            (
                "network_a",
                "networks/network_a.onnx",
                "mnist/train-images-idx3-ubyte.gz",
                "mnist/test-images-idx3-ubyte.gz",
            ),
            (
                "network_b",
                "networks/network_b.onnx",
                "mnist/train-images-idx3-ubyte.gz",
                "mnist/test-images-idx3-ubyte.gz",
            ),
        ];
        let data =
            data.canonicalize().with_context(|| format!("{} cannot be opened", data.display()))?;
        let import = |(name, network, calibrate, inputs): (&'static str, &str, &str, &str)| {
            let model = room.path(&format!("{name}.slt"));
            room.import(&data.join(network), &data.join(calibrate), &model)?;
            Ok(Self { name, model, inputs: data.join(inputs), dense: name != "network_b" })
        };
        networks.into_iter().map(import).collect()
    }
}

/// Which checks to run.
#[derive(Args, Clone, Copy, Debug)]
pub struct TestArgs {
    /// A part of them.
    #[arg(value_enum, default_value_t)]
    part: Part,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Format, lints and documentation.
    Sources,
    /// Tests on this PC, and the demo with a process as the device.
    Host,
    /// Builds for every target, and runs on the emulated boards.
    Boards,
    /// Everything.
    #[default]
    All,
}

/// Results so far.
struct Checks<'a> {
    setup: Setup<'a>,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

/// Runs the checks; an error if one fails.
pub fn run(args: TestArgs) -> Result<()> {
    let workspace = Workspace::here();
    let steps = Steps::new();
    let setup =
        Setup { workspace: &workspace, steps: &steps, logs: workspace.target().join("check") };
    let mut checks = Checks { setup, passed: 0, failed: Vec::new(), skipped: Vec::new() };
    let wanted = |part: Part| args.part == Part::All || args.part == part;

    if wanted(Part::Sources) {
        checks.sources();
    }
    if wanted(Part::Host) {
        checks.host();
    }
    // Linting the firmware needs the compilers for the boards: it belongs to them.
    if wanted(Part::Boards) {
        checks.boards();
    }

    for name in &checks.skipped {
        println!("skipped: {name}");
    }
    for name in &checks.failed {
        println!("failed: {name}");
    }
    println!("total time {:.0} s", steps.seconds());
    println!(
        "{} passed, {} failed, {} skipped",
        checks.passed,
        checks.failed.len(),
        checks.skipped.len()
    );
    match checks.failed.len() {
        0 => Ok(()),
        failed => bail!("{failed} checks failed"),
    }
}

impl Checks<'_> {
    fn record<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                println!("{name}: {error:#}");
                self.failed.push(name.to_owned());
                None
            }
        }
    }

    fn check<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Option<T> {
        if process::check_interrupted().is_err() {
            // Whatever ran was stopped by the check it belonged to.
            std::process::exit(130);
        }
        let result = self.setup.steps.step(name, work);
        self.record(name, result)
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.setup.steps.note(&format!("{name}: skipped, {reason}"));
        self.skipped.push(format!("{name} ({reason})"));
    }

    fn command(&mut self, name: &str, command: &mut Command) {
        let log: String = name
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
            .collect();
        let log = self.setup.logs.join(format!("{log}.log"));
        self.check(name, || process::run(name, command, &log, LIMIT).map(|_| ()));
    }

    fn cargo(&mut self, name: &str, arguments: &str) {
        let mut cargo = self.setup.workspace.cargo();
        cargo.args(arguments.split(' ')).env("RUSTDOCFLAGS", "-D warnings");
        self.command(name, &mut cargo);
    }

    fn sources(&mut self) {
        for (component, command) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
            if !process::succeeds(self.setup.workspace.cargo().args([command, "--version"])) {
                let mut rustup = Command::new("rustup");
                self.command(
                    &format!("installing with rustup: {component}"),
                    rustup.args(["component", "add", component]),
                );
            }
        }
        self.cargo("format", "fmt --all --check");
        let mut firmware = self.setup.workspace.cargo();
        firmware.current_dir(self.setup.workspace.firmware()).args(["fmt", "--all", "--check"]);
        self.command("format of the firmware", &mut firmware);
        self.cargo(
            "lints",
            "clippy --workspace --all-targets --all-features --keep-going -- -D warnings",
        );
        self.cargo(
            "lints without the import",
            "clippy --package sharelet-cli --no-default-features -- -D warnings",
        );
        self.cargo("documentation", "doc --workspace --all-features --no-deps");
    }

    fn host(&mut self) {
        self.cargo("tests", "test --workspace --all-features --no-fail-fast");
        let demo = demo::run(&DemoArgs { native: true, ..DemoArgs::default() });
        self.record("demo --native", demo);
    }

    fn boards(&mut self) {
        let toolchain = self.targets();
        let images = toolchain.map_or_else(Vec::new, |toolchain| self.firmware(toolchain));
        self.emulated(toolchain, &images);
    }

    fn targets(&mut self) -> Option<Toolchain> {
        let toolchain = self.setup.toolchain(&CORE_TARGETS);
        let toolchain = self.record("compiler for the boards", toolchain)?;
        for target in CORE_TARGETS {
            let mut cargo =
                self.setup.target_cargo(toolchain, self.setup.workspace.root(), "build");
            cargo.args(["--release", "--package", "sharelet-core", "--target", target]);
            self.command(&format!("core for {target}"), &mut cargo);
        }
        for target in panics::TARGETS {
            let image = self.image_without_panics(toolchain, target, &[]);
            let looked = image.and_then(|image| panics::none_in(&image));
            self.record(&format!("no panic in the core for {target}"), looked);
        }
        let [target, ..] = panics::TARGETS;
        let image = self.image_without_panics(toolchain, target, &["--features", "panics"]);
        let looked = image.and_then(|image| panics::some_in(&image));
        self.record("a panic in the core would be seen", looked);
        Some(toolchain)
    }

    /// The image of everything in the core that a device and its host run.
    fn image_without_panics(
        &self,
        toolchain: Toolchain,
        target: &str,
        features: &[&str],
    ) -> Result<PathBuf> {
        let mut cargo = self.setup.target_cargo(toolchain, self.setup.workspace.root(), "rustc");
        cargo.args(panics::BUILD).args(["--target", target]).args(features).args(panics::LINK);
        process::run("cargo rustc", &mut cargo, &self.setup.logs.join("no-panic.log"), LIMIT)?;
        Ok(self.setup.firmware_target(toolchain).join(target).join("release").join("no-panic"))
    }

    fn firmware(&mut self, toolchain: Toolchain) -> Vec<(&'static Board, PathBuf)> {
        let clippy = process::succeeds(self.setup.workspace.cargo().args(["clippy", "--version"]));
        let firmware = self.setup.workspace.firmware();
        let mut images = Vec::new();
        for board in &BOARDS {
            let name = format!("firmware for {}", board.name);
            let image = self.setup.firmware(toolchain, board);
            images.extend(self.record(&name, image).map(|image| (board, image)));
            let lints = format!("lints of the {name}");
            if toolchain == Toolchain::Rustup && clippy {
                let mut cargo = self.setup.target_cargo(toolchain, &firmware, "clippy");
                cargo.args([
                    "--release",
                    "--package",
                    board.name,
                    "--package",
                    "sharelet-firmware",
                    "--target",
                    board.target,
                ]);
                self.command(&lints, cargo.args(["--", "-D", "warnings"]));
            } else {
                self.skip(&lints, "the compiler for the boards has no clippy");
            }
        }
        self.data_party_lints(toolchain, clippy);
        let mut doc = self.setup.target_cargo(toolchain, &firmware, "doc");
        doc.args([
            "--release",
            "--no-deps",
            "--package",
            "sharelet-firmware",
            "--package",
            "qemu-support",
            "--all-features",
        ]);
        doc.args(["--target", "thumbv7em-none-eabihf"]).env("RUSTDOCFLAGS", "-D warnings");
        self.command("documentation of the firmware", &mut doc);
        images
    }

    /// The lints of what other features build.
    fn data_party_lints(&mut self, toolchain: Toolchain, clippy: bool) {
        if toolchain != Toolchain::Rustup || !clippy {
            return;
        }
        for program in ["data-party", "idle"] {
            let mut cargo =
                self.setup.target_cargo(toolchain, &self.setup.workspace.firmware(), "clippy");
            cargo.args([
                "--profile",
                "small",
                "--package",
                "mps2-an386",
                "--target",
                "thumbv7em-none-eabihf",
            ]);
            cargo.args(["--no-default-features", "--features", program, "--", "-D", "warnings"]);
            self.command(&format!("lints of the {program} firmware"), &mut cargo);
        }
    }

    /// Queries of a data party on each emulated board, to two servers.
    fn queries(&mut self, toolchain: Option<Toolchain>, case: &Case) {
        let workspace = self.setup.workspace;
        for board in boards::emulated() {
            let name = format!("{}: two servers, built-in readings", board.name);
            let Some(toolchain) = toolchain else {
                self.skip(&name, "there is no compiler for the board");
                continue;
            };
            let image = self.setup.small_firmware(toolchain, board, "data-party");
            let Some(image) = self.record(&format!("data party for {}", board.name), image) else {
                continue;
            };
            let folder = self.setup.logs.join(board.name).join("servers");
            self.check(&name, || {
                let room = Room::new(workspace, &folder)?;
                let (answers, _) = query_on_board(&room, board, &image, case, None)?;
                all_agree(&answers)
            });
        }
    }

    fn emulated(&mut self, toolchain: Option<Toolchain>, images: &[(&'static Board, PathBuf)]) {
        let emulator = self.setup.emulator();
        if self.record("emulator", emulator).is_none() {
            self.skip("runs on emulated boards", "there is no emulator");
            return;
        }
        let workspace = self.setup.workspace;
        let built_in = Case::built_in(workspace);
        let reference = self.reference();
        for board in boards::emulated() {
            let Some((_, image)) = images.iter().find(|(built, _)| built.name == board.name) else {
                self.skip(&format!("runs on {}", board.name), "its firmware was not built");
                continue;
            };
            let folder = self.setup.logs.join(board.name);
            let mut run = |name: &str, case: &Case, count: Option<usize>, address: &str| {
                let room = folder.join(format!("{}-{address}", case.name));
                self.check(&format!("{}: {name}", board.name), || {
                    exact(workspace, &room, board, image, case, count, address)
                });
            };
            run("built-in readings", &built_in, None, "10.0.2.15");
            run("address from DHCP", &built_in, Some(2), "dhcp");
            for (case, count, name) in
                reference.iter().zip([3, 10, 2]).map(|(case, count)| (case, count, case.name))
            {
                run(&format!("{count} readings of {name}"), case, Some(count), "10.0.2.15");
            }
        }
        self.queries(toolchain, &built_in);
        let Some((board, image)) = images.iter().find(|(board, _)| board.emulator.is_some()) else {
            return;
        };
        let folder = self.setup.logs.join("refusals");
        let context =
            refusals::Context { workspace, board, image, case: &built_in, folder: &folder };
        for (name, refusal) in refusals::ALL {
            self.check(&format!("{}: {name}", board.name), || refusal(&context));
        }
    }

    /// The reference networks; none if they are not on this machine.
    fn reference(&mut self) -> Vec<Case> {
        let Some(data) = self.setup.workspace.data() else {
            // The runs need the program in any case.
            let built = self.setup.sharelet(false);
            self.record("sharelet", built);
            self.skip(
                "ad01 and networks A and B on the boards",
                "the reference networks are not here; set SHARELET_DATA",
            );
            return Vec::new();
        };
        let built = self.setup.sharelet(true);
        let (workspace, folder) = (self.setup.workspace, self.setup.logs.join("models"));
        self.check("import of ad01 and networks A and B", || {
            built?;
            Case::reference(&data, &Room::new(workspace, &folder)?)
        })
        .unwrap_or_default()
    }
}

fn exact(
    workspace: &Workspace,
    folder: &Path,
    board: &Board,
    image: &Path,
    case: &Case,
    count: Option<usize>,
    address: &str,
) -> Result<()> {
    let room = Room::new(workspace, folder)?;
    let (answers, _) = infer_on_board(&room, board, image, case, count, address)?;
    all_agree(&answers)
}

fn all_agree(answers: &[Answer]) -> Result<()> {
    match answers.iter().filter(|answer| !answer.agrees).count() {
        0 => Ok(()),
        wrong => {
            bail!("{wrong} of {} private answers differ from the plaintext ones", answers.len())
        }
    }
}

/// One boot of a board, through `count` readings of a case. Dealer and host must also end as they
/// should.
pub fn infer_on_board(
    room: &Room,
    board: &Board,
    image: &Path,
    case: &Case,
    count: Option<usize>,
    address: &str,
) -> Result<(Vec<Answer>, Run)> {
    let expected = room.twin(&case.model, &case.inputs, count)?;
    room.provision("check")?;
    let mut services = room.services(&case.model, "device")?;
    let arguments = Arguments::session(services.host.port, expected.len()).with("ip", address);
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
    for (name, server) in [("host", &mut services.host), ("dealer", &mut services.dealer)] {
        match server.process.stop() {
            Some(status) if status.success() => {}
            Some(status) => {
                bail!("the {name} ended with {status} when asked to stop{}", server.process.quote())
            }
            None => bail!("the {name} cannot be waited for"),
        }
    }
    Ok(result)
}

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
        Arguments::queries(servers.server_0.port, servers.server_1.port, expected.len());
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
    let parties = [
        ("server 0", &mut servers.server_0),
        ("server 1", &mut servers.server_1),
        ("dealer", &mut servers.dealer),
    ];
    for (name, server) in parties {
        match server.process.stop() {
            Some(status) if status.success() => {}
            Some(status) => {
                bail!("the {name} ended with {status} when asked to stop{}", server.process.quote())
            }
            None => bail!("the {name} cannot be waited for"),
        }
    }
    Ok(result)
}
