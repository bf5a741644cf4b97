//! The device as a program on a PC: the same session as the firmware's.
//!
//! A reading is inferred until its answer is there: what fails is reported, and tried again with a
//! new connection and the next session number, a bounded number of times.
//!
//! The host states which readings the model is made for, so it must not notice one that it is not
//! made for: zeros are inferred in its place, and the answer is dropped. A host that is to learn
//! the answer would take that for one: for it, such a reading is left out, and nothing is sent.

pub mod alone;
pub mod data_party;
pub mod report;

use core::fmt;
use core::time::Duration;
use std::time::Instant;

use sharelet_core::fixed::{FixedError, encode_or_zero};
use sharelet_core::ring::Ring;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::wire::WireError;
use sharelet_core::session::wire::control::{Answer, Refusal};
use sharelet_core::session::{SessionCounter, SessionError};
use tokio_util::sync::CancellationToken;

use crate::alone::AloneError;
use crate::store::StoreError;
use sharelet_link::pauses::Pauses;
use sharelet_link::{Counting, Counts, LinkError, Role, Route, tcp};
use sharelet_model::MAX_LAYERS;
use sharelet_model::readings::{Readings, ReadingsError};

/// The widest answer that fits a layer.
const MAX_OUTPUTS: usize = u16::MAX as usize;
/// The most work of a session, in keystream blocks of 16 weights each: some seconds.
const MAX_BLOCKS: u64 = 1 << 26;

/// Where the host is, and how long to wait for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host, `HOST:PORT`.
    pub host: String,
    /// Which addresses are acceptable, and over which line.
    pub route: Route,
    /// Who learns the answer; the host must have been started with the same.
    pub answer: Answer,
    /// The first reading to infer, counted from 0.
    pub from: usize,
    /// Readings to infer; `None` for all that follow.
    pub count: Option<usize>,
    /// Failures in a row before giving up.
    pub retries: u32,
    /// The host must accept within this time.
    pub connect: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// A handshake, a preparation or an inference must be done within this time.
    pub phase: Duration,
    /// Between attempts.
    pub pauses: Pauses,
}

impl Settings {
    /// The answer to the device alone, all readings, 5 retries, some seconds for everything.
    #[must_use]
    pub fn new(host: String, route: Route) -> Self {
        Self {
            host,
            route,
            answer: Answer::Device,
            from: 0,
            count: None,
            retries: 5,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            phase: Duration::from_secs(300),
            pauses: Pauses::default(),
        }
    }
}

/// Why the device stops, or tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The host cannot be reached.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The session.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// Without a dealer.
    #[error("{0}")]
    Alone(#[from] AloneError),
    /// One of two servers.
    #[error("server {party} at {address}: {source}")]
    Server {
        /// Which one.
        party: u8,
        /// Its address.
        address: String,
        /// What happened.
        source: SessionError,
    },
    /// Exponents of another task.
    #[error(
        "{found} inputs have a scale of their own, and the task has {inputs}; take both from one \
         task file"
    )]
    Exponents {
        /// Inputs of the task.
        inputs: usize,
        /// Exponents that were given.
        found: usize,
    },
    /// The readings.
    #[error("{0}")]
    Readings(#[from] ReadingsError),
    /// A reading that the model is not made for.
    #[error("reading {index}: {source}; it has no answer")]
    Reading {
        /// Its index, from 0.
        index: usize,
        /// What is wrong with it.
        source: FixedError,
    },
    /// Readings that the model is not made for, among others that were inferred.
    #[error(
        "{refused} of {of} readings have no answer, since the model is not made for them; each \
         was named when its turn came"
    )]
    ReadingsRefused {
        /// How many.
        refused: usize,
        /// How many there were in all.
        of: usize,
    },
    /// Fewer readings than were asked for.
    #[error(
        "{found} readings where {expected} are needed, with those that are left out in front; give \
         more, or ask for fewer"
    )]
    TooFewReadings {
        /// Readings needed.
        expected: usize,
        /// Readings found.
        found: usize,
    },
    /// Key or counter.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// An answer or the report cannot be written.
    #[error(
        "an answer or the report cannot be written: {0}; check where they go, and the space on the \
         disk"
    )]
    Report(#[from] std::io::Error),
    /// The program was told to stop.
    #[error(
        "stopped before reading {next}, counted from 0; a new start takes the next session number, \
         and the first reading, or this one with `--from-reading {next}`"
    )]
    Stopped {
        /// The first reading that has no answer.
        next: usize,
    },
}

impl DeviceError {
    /// A word for programs; the same as the firmware's.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Link(_) | Self::Alone(AloneError::Link(_)) => "Connect",
            Self::Alone(error) => error.name(),
            Self::Session(error) | Self::Server { source: error, .. } => error.name(),
            Self::Readings(_) | Self::TooFewReadings { .. } => "Sensor",
            Self::Reading { .. } | Self::ReadingsRefused { .. } => "Reading",
            Self::Store(StoreError::Key { .. }) => "Key",
            Self::Store(_) => "Store",
            Self::Report(_) => "Report",
            Self::Exponents { .. } => "Task",
            Self::Stopped { .. } => "Stopped",
        }
    }

    /// Whether nothing went wrong: a host that has another model now wants to be met again.
    #[must_use]
    pub const fn is_replacement(&self) -> bool {
        matches!(self, Self::Session(SessionError::Refused(Refusal::ModelReplaced)))
    }

    /// Whether another attempt can help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Link(error) => error.is_passing(),
            Self::Alone(error) => error.is_passing(),
            Self::Session(error) | Self::Server { source: error, .. } => match error {
                SessionError::Query(reason) => reason.is_passing(),
                SessionError::Transport(_) | SessionError::Closed => true,
                SessionError::Wire(error) => {
                    !matches!(error, WireError::NotSharelet | WireError::Version { .. })
                }
                SessionError::Refused(refusal) => {
                    matches!(
                        refusal,
                        Refusal::NoCorrelations
                            | Refusal::ShuttingDown
                            | Refusal::Busy
                            | Refusal::ModelReplaced
                            | Refusal::Protocol
                            | Refusal::TooSlow
                    )
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// A complete inference.
#[derive(Clone, Copy, Debug)]
pub struct Inference<'a> {
    /// The reading's index, from 0.
    pub index: usize,
    /// The answer, two's complement; empty if only the host learns it.
    pub values: &'a [u64],
    /// Its fraction bits.
    pub frac_bits: u8,
    /// What the online phase sent and received.
    pub traffic: Counts,
    /// How long it took.
    pub took: Duration,
}

/// Words of a ring as words of 64 bits that stand for the same integers.
#[must_use]
pub fn widened<R: Ring>(words: &[R]) -> Vec<u64> {
    words.iter().map(|word| word.to_i64().cast_unsigned()).collect()
}

/// What becomes of what happens.
pub trait Events {
    /// The handshake is done, `readings` readings are to be inferred in all.
    fn connected(&mut self, readings: usize);
    /// A session is prepared.
    fn prepared(&mut self, session: u64, traffic: Counts, took: Duration);
    /// A reading is inferred.
    ///
    /// # Errors
    /// What cannot be written ends the program.
    fn answer(&mut self, inference: &Inference<'_>) -> std::io::Result<()>;
    /// A reading is refused; in place of [`answer`](Self::answer), and best as fast as that.
    ///
    /// # Errors
    /// What cannot be written ends the program.
    fn refused(&mut self, error: &DeviceError) -> std::io::Result<()>;
    /// Something failed that is tried again, after `pause`.
    fn failed(&mut self, error: &DeviceError, pause: Duration);
}

impl<E: Events> Events for &mut E {
    fn connected(&mut self, readings: usize) {
        (**self).connected(readings);
    }

    fn prepared(&mut self, session: u64, traffic: Counts, took: Duration) {
        (**self).prepared(session, traffic, took);
    }

    fn answer(&mut self, inference: &Inference<'_>) -> std::io::Result<()> {
        (**self).answer(inference)
    }

    fn refused(&mut self, error: &DeviceError) -> std::io::Result<()> {
        (**self).refused(error)
    }

    fn failed(&mut self, error: &DeviceError, pause: Duration) {
        (**self).failed(error, pause);
    }
}

/// Readings that may need the network's width to be read.
pub trait Sensor {
    /// The width, if it is known before the handshake.
    fn width(&self) -> Option<usize>;
    /// The readings, `width` values each.
    ///
    /// # Errors
    /// [`ReadingsError`].
    fn readings(&mut self, width: usize) -> Result<&Readings, ReadingsError>;
}

/// How far a run has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The first reading of the run.
    from: usize,
    /// The next reading: all before it were answered, refused or left out.
    next: usize,
    /// Readings that were refused.
    refused: usize,
}

impl Progress {
    fn new(from: usize) -> Self {
        Self { from, next: from, refused: 0 }
    }

    /// How many readings were inferred in a run that ended so; `None` if it was told to stop.
    fn end(self, ended: Option<Result<(), DeviceError>>) -> Result<usize, DeviceError> {
        let Self { from, next, refused } = self;
        ended.unwrap_or(Err(DeviceError::Stopped { next }))?;
        let of = next - from;
        if refused == 0 { Ok(of) } else { Err(DeviceError::ReadingsRefused { refused, of }) }
    }
}

/// A device and what it is made of.
pub struct Device<S, C, E> {
    /// Addresses and times.
    pub settings: Settings,
    /// Name and key.
    pub identity: Identity,
    /// Session numbers.
    pub counter: C,
    /// Readings.
    pub sensor: S,
    /// Where answers go.
    pub events: E,
}

impl<S, C, E> fmt::Debug for Device<S, C, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("settings", &self.settings)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, SessionError> {
    let timed_out = SessionError::Transport(embedded_io_async::ErrorKind::TimedOut);
    tokio::time::timeout(limit, step).await.unwrap_or(Err(timed_out))
}

impl<S: Sensor, C: SessionCounter, E: Events> Device<S, C, E> {
    /// Infers all readings, or until `stop`. Returns how many were inferred.
    ///
    /// # Errors
    /// The failure that no further attempt can help, or the last of too many;
    /// [`DeviceError::ReadingsRefused`] after the last reading, if there were some that the model
    /// is not made for.
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<usize, DeviceError> {
        let mut progress = Progress::new(self.settings.from);
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            ended = self.persist(&mut progress) => Some(ended),
        };
        progress.end(ended)
    }

    async fn persist(&mut self, progress: &mut Progress) -> Result<(), DeviceError> {
        /// Replaced models without an inference in between: more are a failure.
        const MOST_REPLACED: u32 = 20;
        let mut attempts = self.settings.pauses.attempts(Some(self.settings.retries));
        let mut replaced = 0;
        loop {
            let before = progress.next;
            match self.serve(progress).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_replacement() && replaced < MOST_REPLACED => {
                    replaced = if progress.next == before { replaced + 1 } else { 1 };
                    tracing::debug!("{error}");
                    tokio::time::sleep(self.settings.pauses.shortest).await;
                }
                Err(error) => {
                    if progress.next != before {
                        attempts.worked();
                    }
                    let Some(wait) = attempts.failed().filter(|_| error.is_passing()) else {
                        return Err(error);
                    };
                    self.events.failed(&error, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// One connection: a handshake, then session after session.
    async fn serve(&mut self, progress: &mut Progress) -> Result<(), DeviceError> {
        let Settings { answer, connect, stall, phase, .. } = self.settings;
        let Settings { host, route, .. } = &self.settings;
        let connection = tcp::connect(host, Role::Host, route, connect, stall).await?;
        let policy = Policy {
            host: connection.peer().map(|host| host.name),
            answer,
            inputs: self.sensor.width(),
            max_outputs: MAX_OUTPUTS,
            max_blocks: MAX_BLOCKS,
        };
        let mut network = Network::<MAX_LAYERS>::default();
        let handshake =
            p0::connect(Counting::new(connection), &self.identity, policy, &mut network);
        let mut connected = within(phase, handshake).await?;
        let network = connected.network();
        let readings = self.sensor.readings(network.inputs())?;
        let end = check(readings, network.inputs(), progress.from, self.settings.count)?;
        self.events.connected(end - progress.from);
        let (mut input, mut output) = (vec![0; network.inputs()], vec![0; network.outputs()]);
        for reading in readings.rows().take(end).skip(progress.next) {
            let index = progress.next;
            let (scale, limit) = (network.input_scale(), network.input_limit());
            let encoded = encode_or_zero(reading, scale, limit, &mut input);
            let encoded = encoded.map_err(|source| DeviceError::Reading { index, source });
            if let Err(error) = &encoded
                && answer.to_host()
            {
                self.events.refused(error)?;
                progress.next += 1;
                progress.refused += 1;
                continue;
            }
            connected.io_mut().take();
            let start = Instant::now();
            let mut prepared =
                within(phase, connected.prepare(&mut self.counter, &mut output)).await?;
            let traffic = prepared.io_mut().take();
            self.events.prepared(prepared.session(), traffic, start.elapsed());
            let start = Instant::now();
            let values;
            (connected, values) = within(phase, prepared.infer(&input)).await?;
            let (traffic, took) = (connected.io_mut().take(), start.elapsed());
            let frac_bits = network.output_frac_bits();
            match encoded {
                Ok(()) => {
                    let values = &widened(values);
                    self.events.answer(&Inference { index, values, frac_bits, traffic, took })?;
                }
                Err(error) => {
                    self.events.refused(&error)?;
                    progress.refused += 1;
                }
            }
            progress.next += 1;
        }
        Ok(())
    }
}

/// The reading to end before. What is refused here depends on the shape of the readings alone.
fn check(
    readings: &Readings,
    width: usize,
    from: usize,
    count: Option<usize>,
) -> Result<usize, DeviceError> {
    if readings.width() != width {
        return Err(SessionError::InputWidth { network: width, found: readings.width() }.into());
    }
    let found = readings.len();
    // Without a count there is at least one.
    let expected = from.saturating_add(count.unwrap_or(1));
    if found < expected {
        return Err(DeviceError::TooFewReadings { expected, found });
    }
    Ok(if count.is_some() { expected } else { found })
}
