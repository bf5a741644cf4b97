//! What the commands share: their errors, arguments of several of them, and how to stop.

use core::time::Duration;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use sharelet_core::DeviceId;
use sharelet_core::session::wire::control;
#[cfg(unix)]
use tokio::signal::unix;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::units::parse_endpoint;
use sharelet_host::console::ConsoleError;
use sharelet_host::dealer::client::Client;
use sharelet_host::device::DeviceError;
use sharelet_host::server::training::run::RunError;
use sharelet_host::store::counter::FileCounter;
use sharelet_host::store::identity::Own;
use sharelet_host::store::key::DeviceKey;
use sharelet_host::store::peers;
use sharelet_link::tcp::Listener;
use sharelet_link::wan::Wan;
use sharelet_link::{Keyring, Role, Route};

/// A dealer or server must accept within this time.
pub const CONNECT: Duration = Duration::from_secs(5);
/// The exit code of a program that was told to stop before it was done.
const INTERRUPTED: u8 = 130;
/// The exit code of every other failure.
const FAILURE: u8 = 1;
/// The exit code for arguments that do not go together; clap has the same.
const WRONG_ARGUMENTS: u8 = 2;
/// The exit code where nobody reads the output any more: that of a program which SIGPIPE ends.
const UNREAD: u8 = 141;

/// Arguments that do not go together, in a way that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongArguments(pub String);

/// Standard output was closed by who read it, as `head` does.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct Unread;

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the output: {0}; check where it goes")]
struct OutputError(#[from] io::Error);

/// Whether a command ended since nobody reads its output any more: nothing is left to say.
#[must_use]
pub fn is_unread(error: &anyhow::Error) -> bool {
    let is = |error: &io::Error| error.get_ref().is_some_and(|inner| inner.is::<Unread>());
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is))
}

/// The exit code: 130 if the program was told to stop, 141 if nobody reads its output any more, 2
/// for wrong arguments, 1 otherwise.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let stopped = matches!(error.downcast_ref(), Some(DeviceError::Stopped { .. }))
        || matches!(error.downcast_ref(), Some(ConsoleError::Stopped))
        || matches!(error.downcast_ref(), Some(RunError::Stopped { .. }));
    match stopped {
        true => INTERRUPTED,
        false if is_unread(error) => UNREAD,
        false if error.is::<WrongArguments>() => WRONG_ARGUMENTS,
        false => FAILURE,
    }
}

/// Refuses to replace a file.
///
/// # Errors
/// There is one, and `force` is not set.
pub fn expect_none(path: &Path, force: bool) -> Result<()> {
    if !force && path.try_exists()? {
        bail!("{} exists already; choose another name, or replace it with --force", path.display());
    }
    Ok(())
}

/// An argument that the others need.
///
/// # Errors
/// It is missing: [`WrongArguments`] names it.
pub fn given<'a, T: ?Sized>(value: Option<&'a T>, argument: &str) -> Result<&'a T> {
    let missing = || format!("--{argument} is missing; see the command with --help");
    Ok(value.ok_or_else(|| WrongArguments(missing()))?)
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

/// Where correlations come from.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prepare {
    /// A dealer, a third machine.
    #[default]
    Dealer,
    /// The two parties alone, by oblivious transfer.
    Ot,
}

/// Refuses arguments that belong to the other source of correlations.
///
/// # Errors
/// [`WrongArguments`] names the first.
pub fn expect_absent(given: &[(&str, bool)], why: &str) -> Result<()> {
    match given.iter().find(|(_, given)| *given) {
        Some((argument, _)) => {
            Err(WrongArguments(format!("--{argument} does not go with {why}")).into())
        }
        None => Ok(()),
    }
}

/// How a command's connections are made.
#[derive(Args, Debug, Clone)]
pub struct LinkArgs {
    /// Who this program is: the file that `sharelet keygen` made. Its peers are beside it.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure_plaintext")]
    pub id: Option<PathBuf>,
    /// Connections that everyone on the way can read and change, and whose ends may be anybody:
    /// only for lines that are protected otherwise. Every line of the log says INSECURE.
    #[arg(long)]
    pub insecure_plaintext: bool,
    /// Emulate a wide-area link: what this program sends arrives DELAY later, at BANDWIDTH per
    /// connection. Give it to the other side, too, to delay the answers.
    #[arg(long = "link", value_name = "DELAY,BANDWIDTH", value_parser = super::units::parse_link)]
    pub wan: Option<Wan>,
}

impl LinkArgs {
    /// The route of all connections of a command that is `role`: clone it, and await
    /// [`Route::drained`] before the program ends.
    ///
    /// # Errors
    /// There is no identity, or it is one of another role.
    pub fn route(&self, role: Role) -> Result<Route> {
        if self.insecure_plaintext {
            super::terminal::insecure();
            return Ok(Route::insecure_plaintext(self.wan));
        }
        let id = self.id.as_deref().ok_or_else(|| WrongArguments(NO_IDENTITY.to_owned()))?;
        let own = Own::load(id)?;
        if own.party.role != role {
            return Err(WrongArguments(format!(
                "{} is the identity of {}, this command needs one of a {role}; see `sharelet \
                 keygen --help`",
                id.display(),
                own.party
            ))
            .into());
        }
        let keyring = Keyring::new(own.identity(), peers::folder_of(id));
        Ok(Route::sealed(Arc::new(keyring), self.wan))
    }
}

/// The name that a route proves, if its connections are sealed.
#[must_use]
pub fn name_of(route: &Route) -> Option<DeviceId> {
    route.keyring().map(|keyring| keyring.own().party().name)
}

/// What is missing where there is neither an identity nor the permission to do without.
const NO_IDENTITY: &str = "--id is missing: connections are sealed by keys. Make an identity with \
                           `sharelet keygen`, and pair it with its peers by `sharelet pair`";

/// A party of two servers, as a role.
#[must_use]
pub fn server(party: u8) -> Role {
    if party == 0 { Role::Server0 } else { Role::Server1 }
}

/// Where the counter of a key lies, unless another place is named.
#[must_use]
pub fn counter_of(key: &Path) -> PathBuf {
    key.with_extension("counter")
}

/// Where correlations come from: server 0 expands a key that the dealer knows, server 1 asks it.
#[derive(Args, Debug, Clone)]
pub struct DealtArgs {
    /// Server 0: its key, which the dealer knows.
    #[arg(long, value_name = "FILE", help_heading = "Server 0")]
    pub key: Option<PathBuf>,
    /// Server 0: the counter of the key's sessions; by default the key's file, ending in
    /// `.counter`.
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "Server 0")]
    pub counter: Option<PathBuf>,
    /// Server 0: make the counter, if there is none and the key was never used.
    #[arg(long, requires = "key", help_heading = "Server 0")]
    pub new_counter: bool,
    /// Server 1: the dealer.
    #[arg(
        long,
        value_name = "ADDRESS",
        value_parser = parse_endpoint,
        help_heading = "Server 1",
    )]
    pub dealer: Option<String>,
}

impl DealtArgs {
    /// Server 0's key and counter.
    ///
    /// # Errors
    /// One of them is missing, damaged, or in use.
    pub fn key(&self) -> Result<(DeviceKey, FileCounter)> {
        let key = given(self.key.as_deref(), "key")?;
        let counter = self.counter.clone().unwrap_or_else(|| counter_of(key));
        Ok(FileCounter::open(&counter, key, self.new_counter)?)
    }

    /// Server 1's way to the dealer; `stall` is the longest silence within a message.
    ///
    /// # Errors
    /// There is no address.
    pub fn dealer(&self, route: Route, stall: Duration) -> Result<Client> {
        let address = given(self.dealer.as_deref(), "dealer")?.to_owned();
        Ok(Client::new(address, route, CONNECT, stall))
    }
}

/// Threads of a dealer or host that wait for the disk, at most. Each keeps memory, and a state is
/// written by one at a time: more of them would only wait for each other.
const DISK_THREADS: usize = 32;

/// A runtime on all cores.
///
/// # Errors
/// What the system says.
pub fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// As [`until_stopped`], for a service that keeps its state on the disk for many peers at once.
///
/// # Errors
/// The command's, and what the system says.
pub fn serve_until_stopped<T, E: From<io::Error>>(
    command: impl AsyncFnOnce(CancellationToken) -> Result<T, E>,
) -> Result<T, E> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.max_blocking_threads(DISK_THREADS).enable_all().build()?;
    runtime.block_on(async { command(stop_on_signal(None)?).await })
}

/// As [`serve_until_stopped`], for a service that reads something anew on SIGHUP: it is told.
///
/// # Errors
/// The command's, and what the system says.
pub fn serve_and_reload<T, E: From<io::Error>>(
    command: impl AsyncFnOnce(CancellationToken, Arc<Notify>) -> Result<T, E>,
) -> Result<T, E> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.max_blocking_threads(DISK_THREADS).enable_all().build()?;
    runtime.block_on(async {
        let reload = Arc::new(Notify::new());
        command(stop_on_signal(Some(reload.clone()))?, reload).await
    })
}

/// Runs a command's connections on all cores, and tells it when the program is to stop.
///
/// # Errors
/// The command's, and what the system says.
pub fn until_stopped<T, E: From<io::Error>>(
    command: impl AsyncFnOnce(CancellationToken) -> Result<T, E>,
) -> Result<T, E> {
    runtime()?.block_on(async { command(stop_on_signal(None)?).await })
}

/// Is cancelled by Ctrl-C, SIGTERM, or SIGHUP; a second Ctrl-C or SIGTERM ends the program at once.
///
/// Where there is nothing to `reload`, SIGHUP means that the terminal is gone. A program that was
/// started to ignore it, as by `nohup`, goes on ignoring it.
fn stop_on_signal(reload: Option<Arc<Notify>>) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut signals = Signals::listen()?;
    let stopped = stop.clone();
    tokio::spawn(async move {
        loop {
            let urgent = signals.next().await;
            if let Some(reload) = reload.as_ref().filter(|_| !urgent) {
                reload.notify_one();
                continue;
            }
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

/// Listens, and says where.
///
/// # Errors
/// The address is in use, or others can read what comes there and that was not allowed.
pub async fn listen(address: &str, route: Route) -> Result<Listener> {
    let listener = Listener::bind(address, route).await?;
    announce(&listener)?;
    Ok(listener)
}

/// The one line that a server prints on standard output.
///
/// # Errors
/// Standard output is gone.
pub fn announce(listener: &Listener) -> Result<()> {
    output(&format!("listening on {}\n", listener.local_address()?))
}

/// Prints lines at once, for whoever reads them as they come.
///
/// # Errors
/// Standard output is gone.
pub fn print(lines: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let printed = out.write_all(lines.as_bytes()).and_then(|()| out.flush());
    printed.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, Unread),
        _ => error,
    })
}

/// As [`print()`], for what a command ends without.
///
/// # Errors
/// Standard output is gone.
pub fn output(lines: &str) -> Result<()> {
    Ok(print(lines).map_err(OutputError)?)
}
