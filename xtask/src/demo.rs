//! `cargo xtask demo`: private inference end to end, on an emulated board or with a process as the
//! device.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::boards::{self, Arguments, Board};
use crate::files::{create_folder, read};
use crate::inference::{self, Answer};
use crate::process::Running;
use crate::report::Line;
use crate::services::Room;
use crate::setup::Setup;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// What the demo is run with.
#[derive(Args, Clone, Debug, Default)]
pub struct DemoArgs {
    /// Run the device as a process on this PC, without an emulator.
    #[arg(long)]
    pub native: bool,
    /// The emulated board: mps2-an386 (Cortex-M4F) or lm3s6965evb (Cortex-M3).
    #[arg(long, value_name = "NAME", default_value = "mps2-an386", conflicts_with = "native")]
    pub board: String,
    /// A model file (.slt), or a float network (.onnx, .tflite) that is imported with the readings
    /// as calibration.
    #[arg(long, value_name = "FILE", requires = "inputs")]
    pub model: Option<PathBuf>,
    /// Readings: .npy, .csv, .idx.gz or raw .f32.
    #[arg(long, value_name = "FILE")]
    pub inputs: Option<PathBuf>,
    /// How many readings to infer; all if not given.
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    /// Who learns the answer.
    #[arg(long, value_enum, default_value_t)]
    pub answer: Learns,
}

/// Who learns the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Learns {
    /// The device alone.
    #[default]
    Device,
    /// The host alone.
    Host,
    /// Both.
    Both,
}

impl Learns {
    fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Host => "host",
            Self::Both => "both",
        }
    }
}

/// Builds what the demo needs, and runs it.
///
/// # Errors
///
/// If a part cannot be built or ends early, or an answer differs from the plaintext one.
pub fn run(args: &DemoArgs) -> Result<()> {
    let workspace = Workspace::here();
    let steps = Steps::new();
    let logs = workspace.target().join("demo");
    let setup = Setup { workspace: &workspace, steps: &steps, logs };
    let sharelet = || setup.sharelet(args.model.as_deref().is_some_and(is_foreign));
    let device = if args.native {
        sharelet()?;
        None
    } else {
        let board = boards::find(&args.board)?;
        let emulator = setup.missing_emulator()?;
        // The firmware's last step has one thread: the program's parts are compiled beside it.
        let image = thread::scope(|scope| {
            let emulator =
                scope.spawn(|| emulator.map_or(Ok(()), |packages| packages.install(&setup)));
            let image = scope.spawn(|| {
                let toolchain = setup.toolchain(&[board.target])?;
                setup.firmware(toolchain, board)
            });
            let built = sharelet();
            let (emulator, image) = (joined(emulator), joined(image));
            built.and(emulator).and(image)
        })?;
        Some((board, image))
    };
    show(args, &setup, device)
}

/// Runs the demo with a process as the device, when `sharelet` has been built.
///
/// # Errors
///
/// If a part ends early, or an answer differs from the plaintext one.
pub fn run_built(args: &DemoArgs, setup: &Setup<'_>) -> Result<()> {
    show(args, setup, None)
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| bail!("a part of the preparation panicked"))
}

fn is_foreign(model: &Path) -> bool {
    model.extension().is_none_or(|extension| extension != "slt")
}

fn show(args: &DemoArgs, setup: &Setup<'_>, device: Option<(&Board, PathBuf)>) -> Result<()> {
    let Setup { workspace, steps, .. } = setup;
    let folder = workspace.target().join("demo");
    let given = args.model.clone().unwrap_or_else(|| workspace.built_in_model());
    let model = absolute(&given)?;
    let inputs = absolute(&args.inputs.clone().unwrap_or_else(|| workspace.built_in_inputs()))?;

    let _alone = alone(&folder)?;
    let room = Room::new(workspace, &folder.join("run"))?;
    let model = if is_foreign(&model) {
        let output = room.path("model.slt");
        steps.step("importing the model", || room.import(&model, &inputs, &output))?;
        output
    } else {
        model
    };
    let expected =
        steps.step("computing the plaintext answers", || room.twin(&model, &inputs, args.count))?;
    let readings = Readings::load(&room.path("inputs.f32"), expected.len())?;
    steps.step("making keys, and pairing who meets whom", || room.provision(device.is_some()))?;
    let services =
        steps.step("starting dealer and host", || room.services(&model, args.answer.name()))?;

    let (host, count, answer) = (services.host.port, expected.len(), args.answer.name());
    let mut running: Running = match &device {
        Some((board, image)) => {
            steps.note(&format!("booting {} ({}) in QEMU", board.name, board.about));
            let arguments = Arguments::session(host, count).with("answer", answer);
            board.boot(image, room.folder(), &arguments)?
        }
        None => {
            steps.note("starting the device as a process");
            room.device(host, count, answer)?
        }
    };
    let table = Table { native: args.native, readings };
    table.head();
    let (answers, _) = inference::infer(
        &mut running,
        &room.path("report"),
        &expected,
        &services.host.process,
        |answer| table.row(answer),
    )
    .with_context(|| {
        format!(
            "the demo stopped{}{}",
            services.host.process.quote(),
            services.dealer.process.quote()
        )
    })?;
    table.totals(&answers)?;
    who_saw_what(args.answer);
    println!("Logs are in {}.", room.folder().display());
    println!(
        "Round trips are those of the online phase. Preparation is done before the reading is \
         taken."
    );
    if !args.native {
        println!("QEMU counts the board's instructions, not cycles.");
    }
    steps.note("done");
    match answers.iter().filter(|answer| !answer.agrees).count() {
        0 => Ok(()),
        wrong => bail!("{wrong} of {count} private answers differ from the plaintext ones"),
    }
}

fn who_saw_what(answer: Learns) {
    let (to_device, to_host) = match answer {
        Learns::Device => (" and the answers", ""),
        Learns::Host => ("; no answer", "; the answers"),
        Learns::Both => (" and the answers", "; the answers"),
    };
    println!("\nWho has seen what:");
    println!("  device  its readings{to_device}; no weight");
    println!("  host    its weights, and one-time masked words of the readings{to_host}");
    println!("  dealer  one-time masked weights and the device's key; nothing of the online phase");
}

/// One demo at a time: they share a folder. The lock goes with the file.
fn alone(folder: &Path) -> Result<File> {
    let path = folder.join("lock");
    create_folder(folder)?;
    let lock =
        File::create(&path).with_context(|| format!("{} cannot be created", path.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            bail!("another demo is running; wait for it, or stop it with Ctrl-C")
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize()
        .with_context(|| format!("{} cannot be opened; check the path", path.display()))
}

/// The readings, to score a reconstruction with.
struct Readings {
    values: Vec<f32>,
    width: usize,
}

impl Readings {
    fn load(path: &Path, count: usize) -> Result<Self> {
        let bytes = read(path)?;
        let values: Vec<_> =
            bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        let width = values.len() / count.max(1);
        Ok(Self { values, width })
    }

    fn row(&self, index: usize) -> &[f32] {
        self.values.get(index * self.width..(index + 1) * self.width).unwrap_or(&[])
    }
}

/// One line per reading, as it comes.
struct Table {
    native: bool,
    readings: Readings,
}

impl Table {
    fn head(&self) {
        let unit = if self.native { "us" } else { "instr." };
        println!();
        line(
            "reading",
            ["private answer", "plaintext answer", "agree"],
            [
                "bytes up",
                "down",
                "round trips",
                &format!("prepare {unit}"),
                &format!("online {unit}"),
            ],
        );
    }

    fn row(&self, answer: &Answer) -> Result<()> {
        let index = usize::try_from(answer.private.number("index")?)?;
        let frac_bits = answer.plain.number("frac_bits")?;
        let show = |values: &[i64]| self.describe(index, values, frac_bits, &answer.plain);
        let agree = if answer.agrees { "yes" } else { "NO" };
        let costs = self.costs(core::slice::from_ref(answer))?;
        line(
            &index.to_string(),
            [&show(&answer.values), &show(&answer.plain.values()?), agree],
            costs.each_ref().map(String::as_str),
        );
        Ok(())
    }

    /// Of all these answers: bytes up and down, round trips, preparation, online phase.
    fn costs(&self, answers: &[Answer]) -> Result<[String; 5]> {
        let sum = |of: &dyn Fn(&Answer) -> Result<u64>| answers.iter().map(of).sum::<Result<u64>>();
        let (prepare, online) = match self.native {
            true => ("prepare_us", "online_us"),
            false => ("prepare_instructions", "online_instructions"),
        };
        Ok([
            grouped(sum(&Answer::bytes_up)?),
            grouped(sum(&Answer::bytes_down)?),
            sum(&|answer| answer.private.number("round_trips"))?.to_string(),
            grouped(sum(&|answer| answer.session.number(prepare))?),
            grouped(sum(&|answer| answer.private.number(online))?),
        ])
    }

    /// A label or class for a classifier, a score for a reconstruction, else the first values.
    fn describe(&self, index: usize, values: &[i64], frac_bits: u64, plain: &Line) -> String {
        let scale = 0.5_f64.powi(i32::try_from(frac_bits).unwrap_or(0));
        #[allow(clippy::cast_precision_loss)]
        let real: Vec<f64> = values.iter().map(|&value| value as f64 * scale).collect();
        let row = self.readings.row(index);
        let largest =
            values.iter().enumerate().rev().max_by_key(|&(_, value)| value).map(|(class, _)| class);
        if let (Some(class), Some(label)) = (largest, plain.label()) {
            // The label belongs to the plaintext class; another class has a number only.
            let same = plain
                .number("class")
                .is_ok_and(|plain| usize::try_from(plain).is_ok_and(|plain| plain == class));
            return if same { label.to_owned() } else { format!("class {class}") };
        }
        if !row.is_empty() && row.len() == real.len() {
            let squares: f64 = row
                .iter()
                .zip(&real)
                .map(|(&reading, value)| (f64::from(reading) - value).powi(2))
                .sum();
            #[allow(clippy::cast_precision_loss)]
            return format!("score {:.4}", squares / row.len() as f64);
        }
        match largest {
            Some(class) if (2..=100).contains(&values.len()) => format!("class {class}"),
            _ => {
                real.iter().take(3).map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ")
            }
        }
    }

    fn totals(&self, answers: &[Answer]) -> Result<()> {
        let agreed = answers.iter().filter(|answer| answer.agrees).count();
        let costs = self.costs(answers)?;
        let agreed = format!("{agreed}/{}", answers.len());
        line("total", ["", "", &agreed], costs.each_ref().map(String::as_str));
        Ok(())
    }
}

/// A line of the table: which reading, what it gave, what it took.
fn line(
    reading: &str,
    [private, plain, agree]: [&str; 3],
    [up, down, trips, prepare, online]: [&str; 5],
) {
    println!(
        "{reading:>7}  {private:20} {plain:20} {agree:5} {up:>8} {down:>8} {trips:>11} \
         {prepare:>14} {online:>14}"
    );
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn groups_digits() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
