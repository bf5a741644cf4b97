//! What the commands share: their errors, arguments of several of them, and how to stop.

use core::net::SocketAddr;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sharelet_core::session::wire::control;
#[cfg(unix)]
use tokio::signal::unix;
use tokio_util::sync::CancellationToken;

use crate::plot::PlotError;
use sharelet_host::dealer::client::ClientError;
use sharelet_host::device::DeviceError;
use sharelet_host::host::HostError;
use sharelet_host::server::training::run::RunError;
use sharelet_host::store::StoreError;
use sharelet_host::store::training::TrainingError;
use sharelet_link::Exposure;
use sharelet_link::files::FileError;
use sharelet_link::wan::Wan;
use sharelet_link::{LinkError, Route};
use sharelet_model::ModelError;
use sharelet_model::readings::ReadingsError;
use sharelet_train::course::CourseError;
use sharelet_train::curve::CurveError;
use sharelet_train::plain::PlainError;

/// The exit code of a program that was told to stop before it was done.
const INTERRUPTED: u8 = 130;
/// The exit code for arguments that do not go together; clap has the same.
const WRONG_ARGUMENTS: u8 = 2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// `sharelet import` in a build without it.
    #[cfg(not(feature = "import"))]
    #[error("this build has no importer; build one with `cargo build --release -p sharelet-cli`")]
    NoImporter,
    /// A model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Readings.
    #[error(transparent)]
    Readings(#[from] ReadingsError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// State.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The host.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The dealer.
    #[error(transparent)]
    Dealer(#[from] ClientError),
    /// The device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The other server.
    #[error(transparent)]
    Peer(#[from] sharelet_host::server::peer::PeerError),
    /// A share of a model that is served.
    #[error(transparent)]
    SharedModel(#[from] sharelet_host::server::shared::model::ModelError),
    /// The console.
    #[error(transparent)]
    Console(#[from] sharelet_host::console::ConsoleError),
    /// An argument that the others need.
    #[error("--{argument} is missing: {why}")]
    Missing {
        /// The argument.
        argument: &'static str,
        /// What it is needed for.
        why: &'static str,
    },
    /// The import.
    #[cfg(feature = "import")]
    #[error(transparent)]
    Import(#[from] sharelet_import::ImportError),
    /// An owner's data.
    #[error(transparent)]
    Data(#[from] sharelet_host::data::DataError),
    /// An upload to two servers.
    #[error(transparent)]
    Owner(#[from] sharelet_host::upload::owner::OwnerError),
    /// A server's datasets.
    #[error(transparent)]
    Dataset(#[from] sharelet_host::store::datasets::DatasetError),
    /// A device's name.
    #[error("`{name}` is not a device's name: use 1 to 16 letters, digits, `.`, `-` and `_`")]
    DeviceName {
        /// What was given.
        name: String,
    },
    /// A file exists.
    #[error(
        "{path} exists already; choose another name, or replace it with --force",
        path = path.display(),
    )]
    Exists {
        /// The file.
        path: std::path::PathBuf,
    },
    /// A chart.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A chart in the middle of JSON.
    #[error("--json and --plot both print; give --plot a file, such as --plot cost.svg")]
    PlotBesideJson,
    /// A training run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Training in plaintext.
    #[error(transparent)]
    Plain(#[from] PlainError),
    /// A training run's configuration, on its data.
    #[error(transparent)]
    Course(#[from] CourseError),
    /// A curve.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// A share of a model.
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// Arguments that do not go together.
    #[error("{0}")]
    Arguments(String),
    /// The twin.
    #[error(transparent)]
    Twin(#[from] super::twin::TwinError),
    /// Standard output or another stream.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// The exit code: 130 if the program was told to stop, 2 for wrong arguments, 1 otherwise.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Device(DeviceError::Stopped)
            | Self::Console(sharelet_host::console::ConsoleError::Stopped) => {
                ExitCode::from(INTERRUPTED)
            }
            Self::PlotBesideJson | Self::Arguments(_) | Self::Missing { .. } => {
                ExitCode::from(WRONG_ARGUMENTS)
            }
            Self::Run(RunError::Stopped { .. }) => ExitCode::from(INTERRUPTED),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Who learns the answer.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// The device alone.
    #[default]
    Device,
    /// The host alone.
    Host,
    /// Both.
    Both,
}

impl From<Answer> for control::Answer {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Device => Self::Device,
            Answer::Host => Self::Host,
            Answer::Both => Self::Both,
        }
    }
}

/// Permission for links that others can read.
#[derive(Args, Debug, Clone, Copy)]
pub struct Plaintext {
    /// Listen on and connect to other machines, although everyone on the way can read and change
    /// what is sent.
    #[arg(long)]
    pub insecure_plaintext: bool,
}

impl Plaintext {
    /// The rule for addresses.
    #[must_use]
    pub fn exposure(self) -> Exposure {
        if self.insecure_plaintext { Exposure::InsecurePlaintext } else { Exposure::Local }
    }
}

/// How a command's connections are made.
#[derive(Args, Debug, Clone, Copy)]
pub struct LinkArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub plaintext: Plaintext,
    /// Emulate a wide-area link: what this program sends arrives DELAY later, at BANDWIDTH per
    /// connection. Give it to the other side, too, to delay the answers.
    #[arg(long = "link", value_name = "DELAY,BANDWIDTH", value_parser = super::units::parse_link)]
    pub wan: Option<Wan>,
}

impl LinkArgs {
    /// The route of all connections of the command: clone it, and await [`Route::drained`] before
    /// the program ends.
    #[must_use]
    pub fn route(self) -> Route {
        Route::new(self.plaintext.exposure(), self.wan)
    }
}

/// A runtime on all cores.
///
/// # Errors
/// What the system says.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Is cancelled by Ctrl-C, SIGTERM, or SIGHUP; a second Ctrl-C or SIGTERM ends the program at once.
///
/// There is nothing to read anew on SIGHUP, so it means that the terminal is gone. A program that
/// was started to ignore it, as by `nohup`, goes on ignoring it.
///
/// # Errors
/// What the system says.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut signals = Signals::listen()?;
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            let urgent = signals.next().await;
            if stopped.is_cancelled() && urgent {
                std::process::exit(i32::from(INTERRUPTED));
            }
            // Before the log, which may be a terminal that is gone.
            stopped.cancel();
            tracing::info!("stopping; once more to stop at once");
        }
    });
    Ok(stop)
}

/// Signals that end a program. They are listened for from the start, and not only when the task
/// that waits for them has its turn.
#[cfg(unix)]
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: Option<unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> io::Result<Self> {
        let hang_up = (!ignores_hang_up()).then(|| unix::signal(unix::SignalKind::hangup()));
        Ok(Self {
            interrupt: unix::signal(unix::SignalKind::interrupt())?,
            terminate: unix::signal(unix::SignalKind::terminate())?,
            hang_up: hang_up.transpose()?,
        })
    }

    /// Waits for one; `false` if it only says that the terminal is gone, which it may say twice.
    async fn next(&mut self) -> bool {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            _ = hang_up => false,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> bool {
        let _ = tokio::signal::ctrl_c().await;
        true
    }
}

/// Whether the program was started to ignore SIGHUP, where the system says so: Linux.
#[cfg(unix)]
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signal number 1 is the lowest bit.
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// The one line that a server prints on standard output.
///
/// # Errors
/// What the system says.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {address}").and_then(|()| out.flush())
}
