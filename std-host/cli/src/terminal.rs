//! What people see while a command works: log lines and progress bars.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::io::{self, IsTerminal as _, Write};
use std::sync::LazyLock;

use clap::{Args, ValueEnum};
use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How much is logged.
#[derive(Args, Debug, Clone, Copy)]
pub struct Verbosity {
    /// Say more on standard error; twice for everything. RUST_LOG=target=level,... overrides it.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Say nothing on standard error but warnings and errors.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// How lines on standard error are written.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub log: Format,
}

/// How the log is written.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for programs that collect logs.
    Json,
}

impl Verbosity {
    /// Starts logging to standard error.
    pub fn start(self) {
        QUIET.store(self.quiet, Ordering::Relaxed);
        JSON.store(self.log == Format::Json, Ordering::Relaxed);
        let level = match self.verbose {
            _ if self.quiet => LevelFilter::WARN,
            0 => LevelFilter::INFO,
            1 => LevelFilter::DEBUG,
            _ => LevelFilter::TRACE,
        };
        let wanted = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
        let (filter, ignored) = match wanted.as_deref().map(str::parse::<Targets>) {
            Some(Ok(filter)) => (filter, false),
            other => {
                // What this library says of itself could name a user and a password.
                let beneath = level.min(LevelFilter::WARN);
                let filter = Targets::new().with_default(level).with_target("async_nats", beneath);
                (filter, other.is_some())
            }
        };
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| LogLines)
            // A terminal that is gone is no reason to panic.
            .log_internal_errors(false);
        let lines = match self.log {
            Format::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
            Format::Text => {
                let colours = io::stderr().is_terminal() && !without_colours();
                lines.with_target(false).with_ansi(colours).boxed()
            }
        };
        // A program that already logs keeps its own way.
        let _ = tracing_subscriber::registry().with(lines).with(filter).try_init();
        if ignored {
            tracing::warn!(
                "RUST_LOG is ignored: give TARGET=LEVEL pairs or one level, such as info or \
                 sharelet_host=debug"
            );
        }
    }
}

/// Whether colours are not wanted: <https://no-color.org>.
fn without_colours() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Columns of a chart on standard output: those of the terminal, or as many as a page has.
#[must_use]
pub fn width() -> usize {
    const PAGE: usize = 100;
    Term::stdout().size_checked().map_or(PAGE, |(_, columns)| columns.into())
}

/// A progress bar on a terminal, nothing elsewhere.
#[must_use]
pub fn progress(what: &'static str, total: u64, bytes: bool) -> ProgressBar {
    let bar = bars().add(ProgressBar::new(total)).with_message(what);
    let counter = if bytes { "{bytes}/{total_bytes}" } else { "{pos}/{len}" };
    // The template is fixed: if it did not parse, the default one is shown.
    if let Ok(style) =
        ProgressStyle::with_template(&format!("{{msg}} [{{bar:30}}] {counter} {{eta}}"))
    {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// What is being done, and since when, on a terminal, where nobody knows how much is left; nothing
/// elsewhere.
#[must_use]
pub fn working(what: String) -> ProgressBar {
    const TICK: Duration = Duration::from_millis(120);
    let bar = bars().add(ProgressBar::new_spinner()).with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    bar
}

/// All bars of the program: they share the terminal with the log.
fn bars() -> &'static MultiProgress {
    static BARS: LazyLock<MultiProgress> = LazyLock::new(|| {
        let target = if io::stderr().is_terminal() && !QUIET.load(Ordering::Relaxed) {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        MultiProgress::with_draw_target(target)
    });
    &BARS
}

/// Whether there are no bars.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Whether the log is JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// Whether each line on standard error is an object.
#[must_use]
pub fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Whether connections are plaintext.
static INSECURE: AtomicBool = AtomicBool::new(false);

/// From here on every line of the log says that connections are plaintext.
pub fn insecure() {
    INSECURE.store(true, Ordering::Relaxed);
}

/// What every line begins with.
#[must_use]
pub fn prefix() -> &'static str {
    if INSECURE.load(Ordering::Relaxed) { "INSECURE " } else { "" }
}

/// Standard error for log lines, of which each is one write: bars step aside for it.
#[derive(Debug)]
struct LogLines;

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bars().suspend(|| {
            let mut lines = io::stderr().lock();
            match bytes.strip_prefix(b"{") {
                // A line of JSON stays one.
                Some(rest) if INSECURE.load(Ordering::Relaxed) => {
                    lines.write_all(b"{\"insecure\":true,")?;
                    lines.write_all(rest)?;
                }
                _ => {
                    let prefix = if bytes.starts_with(b"{") { "" } else { prefix() };
                    lines.write_all(prefix.as_bytes())?;
                    lines.write_all(bytes)?;
                }
            }
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
