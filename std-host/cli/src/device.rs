//! `sharelet device`: a device as a program on a PC.

use core::time::Duration;
use std::io;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use indicatif::ProgressBar;
use sharelet_core::session::p0::Identity;
use sharelet_core::session::wire::query::Recipient;

use super::answers::{AnswerArgs, Asked, Printer};
use super::common::{
    Answer, LinkArgs, Prepare, counter_of, expect_absent, given, print, until_stopped,
};
use super::prepare::AloneArgs;
use super::terminal::progress;
use sharelet_host::alone::client::Settings as Pairing;
use sharelet_host::device::alone;
use sharelet_host::device::data_party::{self, DataParty};
use sharelet_host::device::report::Report;
use sharelet_host::device::{Device, DeviceError, Events, Inference, Sensor, Settings};
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::task::{self, TaskFile};
use sharelet_link::{Counts, Role, Route};
use sharelet_model::readings::columns::Columns;
use sharelet_model::readings::{Fault, ReadOptions, Readings, ReadingsError};

const EXAMPLES: &str = include_str!("examples/device.txt");

/// Arguments of `sharelet device`.
#[derive(Args, Debug, Clone)]
#[command(about = "Infer readings privately, as the firmware does", after_help = EXAMPLES)]
pub struct DeviceArgs {
    /// The device's key file.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Where correlations come from. `ot`: this device and its host make them, without a dealer
    /// and without a key; the host must have been started with the same.
    #[arg(long, value_name = "SOURCE", value_enum, default_value_t, conflicts_with = "outsource")]
    pub prepare: Prepare,
    #[command(flatten)]
    alone: AloneArgs,
    /// With `--prepare ot`: take the inferences from the store that `sharelet prepare` fills.
    #[arg(long)]
    pub store: bool,
    /// With `--store`: fill the store up to so many inferences whenever half of them are spent,
    /// part by part between readings.
    #[arg(
        long,
        value_name = "N",
        requires = "store",
        value_parser = clap::value_parser!(u64).range(1..),
    )]
    pub fill: Option<u64>,
    /// The counter of the key's sessions; by default the key's file, ending in `.counter`.
    #[arg(long, value_name = "FILE")]
    pub counter: Option<PathBuf>,
    /// Make the counter, if there is none and the key was never used.
    #[arg(long)]
    pub new_counter: bool,
    /// The host.
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = super::units::parse_endpoint,
        required_unless_present = "outsource",
    )]
    pub host: Option<String>,
    /// Two servers in place of a host: server 0, then server 1.
    #[arg(
        long,
        value_name = "SERVER0,SERVER1",
        value_parser = super::units::parse_servers,
        conflicts_with = "host",
        requires = "task",
    )]
    pub outsource: Option<[String; 2]>,
    /// What is asked of the servers: the file that `sharelet task` made from their model.
    #[arg(long, value_name = "FILE", requires = "outsource")]
    pub task: Option<PathBuf>,
    /// Give the answers to the servers' console.
    #[arg(long, requires = "outsource")]
    pub to_console: bool,
    /// Readings: .npy, .csv, .idx, .idx.gz or raw .f32; or - for CSV or .npy on standard input.
    #[arg(long, value_name = "FILE")]
    pub inputs: PathBuf,
    /// Leave out the readings before this one, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from_reading: usize,
    /// Readings to infer; all that follow if not given.
    #[arg(long, value_name = "N")]
    pub count: Option<usize>,
    /// Divide the readings by this; bytes are divided by 255 if not given.
    #[arg(long, value_name = "NUMBER")]
    pub divide: Option<f32>,
    /// Who learns the answers; the host must be started with the same.
    #[arg(long, value_enum, default_value_t = Answer::Device)]
    pub answer: Answer,
    /// Failures in a row before giving up.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub retries: u32,
    /// A handshake, a preparation or an inference must be done within this time.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30s",
        value_parser = super::units::parse_duration,
    )]
    pub timeout: Duration,
    /// Where to write what happens, one line per event.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    answers: AnswerArgs,
    #[command(flatten)]
    link: LinkArgs,
}

/// Readings from a file; a raw one is read when the network has told its width.
struct FileSensor {
    path: PathBuf,
    options: ReadOptions,
    /// Those that a shared model was trained on.
    columns: Option<Columns>,
    loaded: Option<Readings>,
}

impl FileSensor {
    fn open(
        path: PathBuf,
        options: ReadOptions,
        columns: Option<Columns>,
    ) -> Result<Self, ReadingsError> {
        let loaded = match Readings::load_named(&path, options, columns.as_ref()) {
            Err(ReadingsError::File { fault: Fault::WidthNeeded, .. }) => None,
            loaded => Some(loaded?),
        };
        Ok(Self { path, options, columns, loaded })
    }
}

impl Sensor for FileSensor {
    fn width(&self) -> Option<usize> {
        self.loaded.as_ref().map(Readings::width)
    }

    fn readings(&mut self, width: usize) -> Result<&Readings, ReadingsError> {
        let loaded = match self.loaded.take() {
            Some(loaded) => loaded,
            None => {
                let options = ReadOptions { width: Some(width), ..self.options };
                Readings::load_named(&self.path, options, self.columns.as_ref())?
            }
        };
        Ok(self.loaded.insert(loaded))
    }
}

/// Prints answers, writes the report, moves the bar.
struct Console {
    report: Report,
    printer: Printer,
    /// The first reading that is neither answered nor refused.
    next: usize,
    bar: ProgressBar,
}

impl Events for Console {
    fn connected(&mut self, readings: usize) {
        // The first connection says how many readings there are; later ones go on where it stopped.
        if self.bar.length() != Some(readings as u64) {
            self.bar = progress("inferring", readings as u64, false);
        }
        tracing::info!("connected");
    }

    fn prepared(&mut self, session: u64, traffic: Counts, took: Duration) {
        if let Err(error) = self.report.prepared(session, traffic, took) {
            tracing::warn!("the report cannot be written: {error}");
        }
    }

    fn answer(&mut self, inference: &Inference<'_>) -> io::Result<()> {
        self.report.answer(inference)?;
        let Inference { index, frac_bits, values, .. } = *inference;
        // Somebody else may have the answer.
        if !values.is_empty() {
            let line = self.printer.line(Asked::Reading(index), frac_bits, values)?;
            self.bar.suspend(|| print(&line))?;
        }
        self.next = index + 1;
        self.bar.inc(1);
        Ok(())
    }

    fn refused(&mut self, error: &DeviceError) -> io::Result<()> {
        self.report.failed(error)?;
        tracing::warn!("{error}");
        self.next += 1;
        self.bar.inc(1);
        Ok(())
    }

    fn failed(&mut self, error: &DeviceError, pause: Duration) {
        tracing::warn!("{error}; next attempt in {} ms", pause.as_millis());
        if let Err(error) = self.report.failed(error) {
            tracing::warn!("the report cannot be written: {error}");
        }
    }
}

/// Infers all readings.
///
/// # Errors
/// [`DeviceError`]; it is the report's last line, too.
pub fn run(args: DeviceArgs) -> Result<()> {
    let role = if args.outsource.is_some() { Role::DataParty } else { Role::Device };
    let route = args.link.route(role)?;
    let pairing = pairing(&args, &route)?;
    let report = Report::create(args.report.as_deref()).map_err(DeviceError::Report)?;
    let printer = Printer::new(args.answers.clone(), &[], None);
    let (from, bar) = (args.from_reading, ProgressBar::hidden());
    let mut console = Console { report, printer, next: from, bar };
    let elsewhere = match (args.to_console, args.answer) {
        (true, _) => Some("console"),
        (_, Answer::Host) => Some("host"),
        _ => None,
    };
    let done = match pairing {
        Some(pairing) => infer_alone(args, pairing, &route, &mut console),
        None => infer(args, &route, &mut console),
    };
    console.bar.finish_and_clear();
    match done {
        Ok(count) => {
            if let Some(place) = elsewhere {
                tracing::info!("{count} readings are inferred; the {place} has the answers");
            }
            console.report.done(count).map_err(DeviceError::Report)?;
        }
        Err(error) => {
            // The error itself matters more than whether it could be reported.
            let _ = console.report.failed(&error);
            let over =
                matches!(error, DeviceError::Stopped { .. } | DeviceError::ReadingsRefused { .. });
            if !over && console.next > from {
                tracing::info!(
                    "readings before {next}, counted from 0, are done; go on with --from-reading \
                     {next}",
                    next = console.next
                );
            }
            return Err(error.into());
        }
    }
    Ok(())
}

/// What a device without a dealer needs; `None` with one.
fn pairing(args: &DeviceArgs, route: &Route) -> Result<Option<Pairing>> {
    let AloneArgs { state, name, model } = &args.alone;
    if args.prepare == Prepare::Dealer {
        let alone = [
            ("state", state.is_some()),
            ("name", name.is_some()),
            ("model", model.is_some()),
            ("store", args.store),
            ("fill", args.fill.is_some()),
        ];
        expect_absent(&alone, "a dealer; add --prepare ot")?;
        given(args.key.as_deref(), "key")?;
        return Ok(None);
    }
    let dealt = [
        ("key", args.key.is_some()),
        ("counter", args.counter.is_some()),
        ("new-counter", args.new_counter),
    ];
    expect_absent(&dealt, "--prepare ot")?;
    let host = given(args.host.as_deref(), "host")?.to_owned();
    let answer = args.answer.into();
    args.alone.pairing(host, route, answer, args.store, args.timeout).map(Some)
}

fn infer_alone(
    args: DeviceArgs,
    pairing: Pairing,
    route: &Route,
    console: &mut Console,
) -> Result<usize, DeviceError> {
    let options = ReadOptions { width: None, divide: args.divide };
    let sensor = FileSensor::open(args.inputs, options, None)?;
    let fill = args.fill.unwrap_or(0);
    route.announce();
    until_stopped(async |stop| {
        let settings = Settings {
            answer: args.answer.into(),
            from: args.from_reading,
            count: args.count,
            retries: args.retries,
            phase: args.timeout,
            stall: args.timeout,
            ..Settings::new(pairing.host.clone(), route.clone())
        };
        let mut device = alone::Device { settings, pairing, fill, sensor, events: console };
        let done = device.run(&stop).await;
        route.drained().await;
        done
    })
}

fn infer(args: DeviceArgs, route: &Route, console: &mut Console) -> Result<usize, DeviceError> {
    let key = args.key.clone().unwrap_or_default();
    let counter = args.counter.unwrap_or_else(|| counter_of(&key));
    let (key, counter) = FileCounter::open(&counter, &key, args.new_counter)?;
    let file = args.task.as_deref().map(task::load).transpose()?;
    let (task, columns, exponents) = match file {
        Some(TaskFile { task, columns, exponents }) => (Some(task), columns, exponents),
        None => (None, None, Vec::new()),
    };
    let options = ReadOptions { width: None, divide: args.divide };
    let sensor = FileSensor::open(args.inputs, options, columns)?;
    let identity = Identity::new(key.device, &key.key);
    route.announce();
    until_stopped(async |stop| {
        let done = if let (Some(servers), Some(task)) = (args.outsource, task) {
            let settings = data_party::Settings {
                recipient: if args.to_console { Recipient::Console } else { Recipient::DataParty },
                from: args.from_reading,
                count: args.count,
                retries: args.retries,
                phase: args.timeout,
                stall: args.timeout,
                ..data_party::Settings::new(servers, route.clone())
            };
            let events = console;
            DataParty { settings, identity, counter, task, exponents, sensor, events }
                .run(&stop)
                .await
        } else {
            let settings = Settings {
                answer: args.answer.into(),
                from: args.from_reading,
                count: args.count,
                retries: args.retries,
                phase: args.timeout,
                stall: args.timeout,
                // Without --outsource it is required.
                ..Settings::new(args.host.unwrap_or_default(), route.clone())
            };
            Device { settings, identity, counter, sensor, events: console }.run(&stop).await
        };
        route.drained().await;
        done
    })
}
