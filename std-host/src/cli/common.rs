//! What the commands share: logging, addresses, progress, and how to stop.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use sharelet_core::wire::control;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::dealer::client::ClientError;
use crate::device::DeviceError;
use crate::host::HostError;
use crate::link::LinkError;
use crate::link::tcp::Exposure;
use crate::model::ModelError;
use crate::readings::ReadingsError;
use crate::store::StoreError;

/// The exit code of a program that was told to stop before it was done.
const INTERRUPTED: u8 = 130;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// `sharelet import` in a build without it.
    #[cfg(not(feature = "import"))]
    #[error("this build has no importer; build one with `cargo build --release -p sharelet-host`")]
    NoImporter,
    /// A model.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Readings.
    #[error(transparent)]
    Readings(#[from] ReadingsError),
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
    /// The import.
    #[cfg(feature = "import")]
    #[error(transparent)]
    Import(#[from] crate::import::ImportError),
    /// A device's name.
    #[error("`{name}` is not a device's name: use 1 to 16 letters, digits, `.`, `-` and `_`")]
    DeviceName {
        /// What was given.
        name: String,
    },
    /// A file exists.
    #[error("{path} exists already; choose another name, or replace it with --force", path = path.display())]
    Exists {
        /// The file.
        path: std::path::PathBuf,
    },
    /// The twin.
    #[error(transparent)]
    Twin(#[from] super::twin::TwinError),
    /// Standard output or another stream.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    /// The exit code: 130 if the program was told to stop, 1 otherwise. (2 is for wrong arguments.)
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Device(DeviceError::Stopped) => ExitCode::from(INTERRUPTED),
            _ => ExitCode::FAILURE,
        }
    }
}

/// How much is logged.
#[derive(Args, Debug, Clone, Copy)]
pub struct Verbosity {
    /// Say more on standard error; twice for everything. RUST_LOG=target=level,... overrides it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

impl Verbosity {
    /// Starts logging to standard error.
    pub fn start(self) {
        let level = match self.verbose {
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let wanted = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        let (filter, ignored) = match wanted.as_deref().map(str::parse::<Targets>) {
            Some(Ok(filter)) => (filter, false),
            other => (Targets::new().with_default(level), other.is_some()),
        };
        let terminal = io::stderr().is_terminal();
        let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(terminal).with_target(false);
        // A program that already logs keeps its own way.
        let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
        if ignored {
            tracing::warn!("RUST_LOG is ignored: give TARGET=LEVEL pairs or one level, such as info or sharelet_host=debug");
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
    /// Listen on and connect to other machines, although everyone on the way can read and change what is sent.
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

/// A runtime on all cores.
///
/// # Errors
/// What the system says.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// Is cancelled by Ctrl-C or SIGTERM; a second Ctrl-C ends the program at once.
///
/// # Errors
/// What the system says.
pub fn stop_on_signal() -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            #[cfg(not(unix))]
            let _ = tokio::signal::ctrl_c().await;
            if stopped.is_cancelled() {
                std::process::exit(i32::from(INTERRUPTED));
            }
            tracing::info!("stopping; once more to stop at once");
            stopped.cancel();
        }
    });
    Ok(stop)
}

/// The one line that a server prints on standard output.
///
/// # Errors
/// What the system says.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "listening on {address}").and_then(|()| out.flush())
}

/// A progress bar on a terminal, nothing elsewhere.
#[must_use]
pub fn progress(what: &'static str, total: u64, bytes: bool) -> ProgressBar {
    let target = if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(total), target).with_message(what);
    let counter = if bytes { "{bytes}/{total_bytes}" } else { "{pos}/{len}" };
    // The template is fixed: if it did not parse, the default one is shown.
    if let Ok(style) = ProgressStyle::with_template(&format!("{{msg}} [{{bar:30}}] {counter} {{eta}}")) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A host and a port; names are resolved later, when they are needed.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_endpoint(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(name, _)| !name.is_empty()).and_then(|(_, port)| port.parse::<u16>().ok());
    port.filter(|&port| port > 0).map(|_| text.to_owned()).ok_or_else(|| "give HOST:PORT, such as 127.0.0.1:7100".to_owned())
}

/// A duration such as `20ms` or `1.5s`.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("give a number and us, ms, s, m or h, such as 20ms".to_owned()),
    };
    let seconds: f64 = number.trim().parse().map_err(|_| "give a number and a unit, such as 20ms".to_owned())?;
    Duration::try_from_secs_f64(seconds * scale).map_err(|_| "give a duration that is not negative".to_owned())
}

/// Bits per second, such as `10mbit` or `250kbit`.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_bandwidth(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "bit" | "" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        _ => return Err("give a number and bit, kbit, mbit or gbit (per second), such as 10mbit".to_owned()),
    };
    let bits: f64 = number.trim().parse().map_err(|_| "give a number and a unit, such as 10mbit".to_owned())?;
    if bits * scale > 0.0 && bits.is_finite() { Ok(bits * scale) } else { Err("give a bandwidth above zero".to_owned()) }
}

/// A text as JSON.
#[must_use]
pub fn json_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted() {
        assert_eq!(json_text("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }

    #[test]
    fn units() {
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(parse_duration("20 parsecs").is_err() && parse_duration("-1s").is_err() && parse_duration("").is_err());
        assert_eq!(parse_bandwidth("10mbit"), Ok(1e7));
        assert!(parse_bandwidth("0").is_err() && parse_bandwidth("mbit").is_err() && parse_bandwidth("inf").is_err());
    }
}
