//! The operator's console: takes the two shares of answers that data parties gave away, and adds
//! them up.

use core::time::Duration;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Instant;

use sharelet_core::DeviceId;
use sharelet_core::ring::Ring;
use sharelet_core::session::wire::WireError;
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::query::QueryId;
use sharelet_core::session::wire::servers::ConsoleHello;
use sharelet_core::session::wire::task::{Field, Task};
use sharelet_core::session::{SessionError, servers};
use sharelet_core::share;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::device::data_party::opened;
use sharelet_link::pauses::Pauses;
use sharelet_link::{Connection, LinkError, Reader, Route, Writer};
use sharelet_link::{Role, tcp};

/// A server may be silent for this long: there may be no answers.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Queries that were printed and whose shares may come again, since a confirmation was lost.
const REMEMBERED: usize = 1 << 14;
/// Shares on their way from the connections.
const ON_THE_WAY: usize = 64;

/// Where the servers are, and how long to wait for what.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Server 0 and server 1, `HOST:PORT`.
    pub servers: [String; 2],
    /// How the connections are made.
    pub route: Route,
    /// Answers to print; `None` for all.
    pub count: Option<usize>,
    /// A server must accept and greet within this time.
    pub connect: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// A share whose other half does not come within this time is dropped.
    pub pair: Duration,
    /// Between attempts.
    pub pauses: Pauses,
}

impl Settings {
    /// All answers, some seconds for everything.
    #[must_use]
    pub fn new(servers: [String; 2], route: Route) -> Self {
        Self {
            servers,
            route,
            count: None,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            pair: Duration::from_secs(60),
            pauses: Pauses::default(),
        }
    }
}

/// Why the console stops, or tries again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// A server cannot be reached.
    #[error("server {party}: {source}")]
    Link {
        /// Which server.
        party: u8,
        /// Why.
        source: LinkError,
    },
    /// A connection.
    #[error("server {party}: {source}")]
    Session {
        /// Which server.
        party: u8,
        /// What happened.
        source: SessionError,
    },
    /// The addresses are exchanged, or name one server twice.
    #[error(
        "party: the server at {address} is --party {found}, --from names it as server {expected}; \
         exchange the addresses"
    )]
    Party {
        /// The address.
        address: String,
        /// The server's party.
        found: u8,
        /// The party that it should have.
        expected: u8,
    },
    /// The servers evaluate different things.
    #[error("{field}: the two servers differ in it; they do not belong together, check --from")]
    Task {
        /// What differs.
        field: Field,
    },
    /// The answers cannot be printed.
    #[error("the answers cannot be printed: {0}")]
    Print(#[from] std::io::Error),
    /// The program was told to stop.
    #[error("stopped; answers that were not printed wait at the servers")]
    Stopped,
}

impl ConsoleError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Link { source, .. } => source.is_passing(),
            Self::Session { source, .. } => match source {
                SessionError::Transport(_) | SessionError::Closed => true,
                SessionError::Wire(error) => {
                    !matches!(error, WireError::NotSharelet | WireError::Version { .. })
                }
                SessionError::Refused(refusal) => {
                    matches!(refusal, Refusal::ShuttingDown | Refusal::TooSlow)
                }
                _ => false,
            },
            _ => false,
        }
    }
}

/// An answer that a data party gave to the operator.
pub struct ConsoleAnswer {
    /// The query's number, which the data party knows, too.
    pub id: QueryId,
    /// Fraction bits of the values.
    pub frac_bits: u8,
    /// The values, two's complement.
    pub values: Vec<u64>,
}

impl core::fmt::Debug for ConsoleAnswer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ConsoleAnswer").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A share that waits for the other one.
struct Pending<R> {
    party: usize,
    share: Vec<R>,
    since: Instant,
}

/// The console.
pub struct Console<S> {
    settings: Settings,
    name: DeviceId,
    sink: S,
    printed: usize,
    recent: (VecDeque<QueryId>, HashSet<QueryId>),
}

impl<S> core::fmt::Debug for Console<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Console")
            .field("settings", &self.settings)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A share from a server, or how its connection ended.
type Event<R> = (usize, Result<(QueryId, Vec<R>), SessionError>);

impl<S: FnMut(ConsoleAnswer) -> std::io::Result<()>> Console<S> {
    /// A console of this name; `sink` gets the answers.
    pub fn new(settings: Settings, name: DeviceId, sink: S) -> Self {
        Self { settings, name, sink, printed: 0, recent: Default::default() }
    }

    /// Takes answers until `stop`, or until as many as were asked for; returns their number. What
    /// fails is tried again.
    ///
    /// # Errors
    /// [`ConsoleError`] that no further attempt can help.
    pub async fn run(&mut self, stop: &CancellationToken) -> Result<usize, ConsoleError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => Err(ConsoleError::Stopped),
            done = self.persist() => done,
        }
    }

    async fn persist(&mut self) -> Result<usize, ConsoleError> {
        let pauses = self.settings.pauses;
        let mut attempts = pauses.attempts(None);
        loop {
            let before = self.printed;
            match self.serve().await {
                Ok(()) => return Ok(self.printed),
                Err(error) if !error.is_passing() => return Err(error),
                Err(error) => {
                    if self.printed != before {
                        attempts.worked();
                    }
                    let wait = attempts.failed().unwrap_or(pauses.longest);
                    tracing::warn!("{error}; next attempt in {} ms", wait.as_millis());
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Connects to server `party` and greets.
    async fn connect(&self, party: usize) -> Result<(Reader, Writer, Task), ConsoleError> {
        let Settings { servers: addresses, route, connect, stall, .. } = &self.settings;
        let number = u8::from(party == 1);
        let Some(address) = addresses.get(party) else { return Err(ConsoleError::Stopped) };
        let role = if party == 0 { Role::Server0 } else { Role::Server1 };
        let opened = tcp::connect(address, role, route, *connect, *stall).await;
        let Connection { mut reader, mut writer, .. } =
            opened.map_err(|source| ConsoleError::Link { party: number, source })?;
        let greeted = async {
            servers::greet_as_console(&mut writer, &ConsoleHello { name: self.name }).await?;
            servers::receive_server_hello(&mut reader).await
        };
        let theirs = crate::host::within(*connect, greeted).await;
        let theirs = theirs.map_err(|source| ConsoleError::Session { party: number, source })?;
        if theirs.party != number {
            return Err(ConsoleError::Party {
                address: address.clone(),
                found: theirs.party,
                expected: number,
            });
        }
        Ok((reader, writer, theirs.task))
    }

    /// One connection to either server.
    async fn serve(&mut self) -> Result<(), ConsoleError> {
        let (reader_0, writer_0, task) = self.connect(0).await?;
        let (reader_1, writer_1, other) = self.connect(1).await?;
        if let Some(field) = task.difference(&other) {
            return Err(ConsoleError::Task { field });
        }
        tracing::info!("connected to both servers");
        let (readers, writers) = ([reader_0, reader_1], [writer_0, writer_1]);
        match task.ring_bits {
            64 => self.put_together::<u64>(&task, readers, writers).await,
            _ => self.put_together::<u32>(&task, readers, writers).await,
        }
    }

    /// Answers from shares in words of the task's ring.
    async fn put_together<R: Ring>(
        &mut self,
        task: &Task,
        [reader_0, reader_1]: [Reader; 2],
        mut writers: [Writer; 2],
    ) -> Result<(), ConsoleError> {
        let (events, mut received) = mpsc::channel::<Event<R>>(ON_THE_WAY);
        let outputs = usize::from(task.outputs);
        // They end when this set is dropped.
        let mut tasks = JoinSet::new();
        for (party, reader) in [(0, reader_0), (1, reader_1)] {
            tasks.spawn(receive(party, reader, outputs, events.clone()));
        }
        let mut pending: HashMap<QueryId, Pending<R>> = HashMap::new();
        let mut clock = tokio::time::interval(self.settings.pair.max(Duration::from_millis(1)) / 4);
        while self.settings.count.is_none_or(|count| self.printed < count) {
            let event = tokio::select! {
                event = received.recv() => event,
                _ = clock.tick() => {
                    self.drop_stale(&mut pending, &mut writers).await?;
                    continue;
                }
            };
            let Some((party, share)) = event else { return Err(ConsoleError::Stopped) };
            let number = u8::from(party == 1);
            let (id, share) =
                share.map_err(|source| ConsoleError::Session { party: number, source })?;
            if self.recent.1.contains(&id) {
                confirm(&mut writers, party, id).await?;
                continue;
            }
            match pending.remove(&id) {
                Some(Pending { party: other, share: mut values, .. }) if other != party => {
                    share::open(&mut values, &share);
                    let (frac_bits, values) = opened(task, &values);
                    (self.sink)(ConsoleAnswer { id, frac_bits, values })?;
                    self.printed += 1;
                    self.remember(id);
                    confirm(&mut writers, 0, id).await?;
                    confirm(&mut writers, 1, id).await?;
                }
                _ => drop(pending.insert(id, Pending { party, share, since: Instant::now() })),
            }
        }
        Ok(())
    }

    fn remember(&mut self, id: QueryId) {
        self.recent.1.insert(id);
        self.recent.0.push_back(id);
        if self.recent.0.len() > REMEMBERED
            && let Some(oldest) = self.recent.0.pop_front()
        {
            self.recent.1.remove(&oldest);
        }
    }

    /// Shares whose other half does not exist would fill a server's queue.
    async fn drop_stale<R>(
        &self,
        pending: &mut HashMap<QueryId, Pending<R>>,
        writers: &mut [Writer; 2],
    ) -> Result<(), ConsoleError> {
        let stale =
            pending.iter().filter(|(_, pending)| pending.since.elapsed() > self.settings.pair);
        let stale: Vec<(QueryId, usize)> =
            stale.map(|(id, pending)| (*id, pending.party)).collect();
        for (id, party) in stale {
            tracing::warn!(query = %id, "dropped: server {} has no share of it", 1 - party);
            pending.remove(&id);
            confirm(writers, party, id).await?;
        }
        Ok(())
    }
}

/// Tells a server that its share need not be kept.
async fn confirm(writers: &mut [Writer; 2], party: usize, id: QueryId) -> Result<(), ConsoleError> {
    let Some(writer) = writers.get_mut(party) else { return Ok(()) };
    let number = u8::from(party == 1);
    servers::confirm(writer, id)
        .await
        .map_err(|source| ConsoleError::Session { party: number, source })
}

/// Share after share from one server.
async fn receive<R: Ring>(
    party: usize,
    mut reader: Reader,
    outputs: usize,
    events: mpsc::Sender<Event<R>>,
) {
    loop {
        let mut share = vec![R::ZERO; outputs];
        reader.await_message(IDLE);
        let event = servers::receive_delivery(&mut reader, &mut share).await.map(|id| (id, share));
        let ended = event.is_err();
        if events.send((party, event)).await.is_err() || ended {
            return;
        }
    }
}
