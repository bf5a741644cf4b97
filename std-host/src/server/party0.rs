//! Server 0, which has no model: it keeps lanes of prepared sessions to server 1.
//!
//! A lane connects, prepares a session, and waits for a query; so an inference has the online phase alone. What fails is
//! tried again with a new connection and the next session number, after a pause that grows.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use embedded_io_async::{ErrorKind, Read as _};
use sharelet_core::network::Network;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::{SessionError, refuse, servers};
use sharelet_core::share::Party;
use sharelet_core::wire::WireError;
use sharelet_core::wire::control::{Answer, Refusal};
use sharelet_core::wire::query::Reason;
use sharelet_core::wire::servers::{Evaluate, ServerHello};
use sharelet_core::wire::task::{Field, Task};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::evaluator::{Evaluator, Question};
use super::numbers::Numbers;
use crate::host::within;
use crate::link::tcp::{self, Exposure};
use crate::link::{Connection, LinkError, Route};
use crate::model::MAX_LAYERS;
use crate::store::counter::FileCounter;

/// The most work of a session, in keystream blocks of 16 weights each: some seconds.
const MAX_BLOCKS: u64 = 1 << 26;
/// A prepared session may wait this long for a query.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where server 1 is, and how patient server 0.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Server 1, `HOST:PORT`.
    pub peer: String,
    /// How the connections are made.
    pub route: Route,
    /// Sessions that are kept prepared.
    pub lanes: usize,
    /// Server 1 must accept within this time.
    pub connect: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// A handshake, a preparation or an inference must be done within this time.
    pub phase: Duration,
    /// A query waits this long for a prepared session.
    pub wait: Duration,
    /// Pause after the first failure; it doubles with every further one ...
    pub shortest_pause: Duration,
    /// ... up to this.
    pub longest_pause: Duration,
}

impl Settings {
    /// Four lanes, some seconds for everything.
    #[must_use]
    pub fn new(peer: String) -> Self {
        Self {
            peer,
            route: Exposure::Local.into(),
            lanes: 4,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            phase: Duration::from_secs(300),
            wait: Duration::from_secs(10),
            shortest_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
        }
    }
}

/// Why two servers do not work together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The other server cannot be reached.
    #[error("server 1: {0}")]
    Link(#[from] LinkError),
    /// The lane.
    #[error("server 1: {0}")]
    Session(#[from] SessionError),
    /// The network that server 1 describes is not that of its task.
    #[error("server 1: {field}: its network is not the one of its task; import the model again")]
    Description {
        /// What differs.
        field: Field,
    },
}

impl PeerError {
    /// Whether another attempt can help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Link(error) => matches!(error, LinkError::Connect { .. }),
            Self::Description { .. } => false,
            Self::Session(error) => match error {
                SessionError::Transport(_) | SessionError::Closed => true,
                SessionError::Wire(error) => !matches!(error, WireError::NotSharelet | WireError::Version { .. }),
                SessionError::Refused(refusal) => matches!(
                    refusal,
                    Refusal::NoCorrelations
                        | Refusal::ShuttingDown
                        | Refusal::Busy
                        | Refusal::Protocol
                        | Refusal::NoHalf
                        | Refusal::HalvesDiffer
                ),
                _ => false,
            },
        }
    }

    /// What data parties are told.
    fn reason(&self) -> Reason {
        match self {
            Self::Session(SessionError::Refused(Refusal::NoCorrelations)) => Reason::NoCorrelations,
            Self::Session(SessionError::Refused(Refusal::NoHalf)) => Reason::NoPartner,
            Self::Session(SessionError::Refused(Refusal::HalvesDiffer)) => Reason::HalvesDiffer,
            _ => Reason::PeerLost,
        }
    }
}

/// A query for a lane, and where its answer goes.
struct Job {
    question: Question,
    done: oneshot::Sender<Result<Vec<u32>, Reason>>,
}

/// A lane whose session is prepared.
type Slot = oneshot::Sender<Job>;

/// Server 0 of a model that server 1 owns.
pub struct Party0 {
    settings: Settings,
    identity: Identity,
    numbers: Numbers<FileCounter>,
    task: Task,
    instance: u64,
    prepared: mpsc::UnboundedSender<Slot>,
    slots: tokio::sync::Mutex<mpsc::UnboundedReceiver<Slot>>,
    /// Why the latest lane ended that was not asked for anything.
    trouble: Mutex<Option<Reason>>,
}

impl core::fmt::Debug for Party0 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party0").field("settings", &self.settings).field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Party0 {
    /// Server 0 with the key that it shares with the dealer, and the counter of its sessions.
    #[must_use]
    pub fn new(settings: Settings, identity: Identity, counter: FileCounter, task: Task, instance: u64) -> Arc<Self> {
        let (prepared, slots) = mpsc::unbounded_channel();
        let (numbers, slots) = (Numbers::new(counter), tokio::sync::Mutex::new(slots));
        Arc::new(Self { settings, identity, numbers, task, instance, prepared, slots, trouble: Mutex::default() })
    }

    fn note(&self, trouble: Option<Reason>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// A lane for ever, with pauses after failures; returns when no further attempt can help, or after `stop`.
    async fn keep_lane(&self, number: usize, stop: &CancellationToken) -> Result<(), PeerError> {
        let Settings { shortest_pause, longest_pause, .. } = self.settings;
        let pauses = ExponentialBuilder::default()
            .with_min_delay(shortest_pause)
            .with_max_delay(longest_pause)
            .without_max_times()
            .with_jitter();
        let mut pause = pauses.build();
        loop {
            let mut sessions = 0_u64;
            let error = match self.lane(&mut sessions, stop).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !error.is_passing() {
                return Err(error);
            }
            self.note(Some(error.reason()));
            if sessions > 0 {
                pause = pauses.build();
            }
            let wait = pause.next().unwrap_or(longest_pause);
            if number == 0 {
                tracing::warn!("{error}; next attempt in {} ms", wait.as_millis());
            } else {
                tracing::debug!("lane {number}: {error}");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One connection: greetings, then session after session until `stop`.
    async fn lane(&self, sessions: &mut u64, stop: &CancellationToken) -> Result<(), PeerError> {
        let Settings { peer, route, connect, stall, phase, .. } = &self.settings;
        let mut network = Network::<MAX_LAYERS>::default();
        let greeted = async {
            let mut connection = tcp::connect(peer, route.clone(), *connect, *stall).await?;
            within(*phase, servers::connect(&mut connection, &self.hello())).await?;
            let (inputs, outputs) = (usize::from(self.task.inputs), usize::from(self.task.outputs));
            let policy = Policy { answer: Answer::Device, inputs: Some(inputs), max_outputs: outputs, max_blocks: MAX_BLOCKS };
            let connected = within(*phase, p0::connect(connection, &self.identity, policy, &mut network)).await?;
            self.check(connected.network())?;
            Ok::<_, PeerError>(connected)
        };
        let mut connected = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            greeted = greeted => greeted?,
        };
        tracing::debug!("a lane to server 1 is open");
        let mut output = vec![0; usize::from(self.task.outputs)];
        loop {
            let mut numbers = &self.numbers;
            let mut prepared = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                prepared = within(*phase, connected.prepare(&mut numbers, &mut output)) => prepared?,
            };
            self.note(None);
            let (slot, job) = oneshot::channel();
            // The receiver lives as long as `self`.
            let _ = self.prepared.send(slot);
            let Job { question, done } = tokio::select! {
                biased;
                Ok(job) = job => job,
                () = stop.cancelled() => return Ok(()),
                () = gone(prepared.io_mut()) => return Err(SessionError::Closed.into()),
            };
            let query = Evaluate { id: question.id, recipient: question.recipient };
            let evaluating = async {
                servers::evaluate(prepared.io_mut(), &query).await?;
                prepared.infer_shared(&question.share).await
            };
            match within(*phase, evaluating).await {
                Ok((again, answer)) => {
                    // The data party may be gone.
                    let _ = done.send(Ok(answer.to_vec()));
                    connected = again;
                    *sessions += 1;
                }
                Err(error) => {
                    let error = PeerError::from(error);
                    let _ = done.send(Err(error.reason()));
                    return Err(error);
                }
            }
        }
    }

    fn check(&self, network: &Network<MAX_LAYERS>) -> Result<(), PeerError> {
        let Task { inputs, outputs, input_frac_bits, output_frac_bits, .. } = self.task;
        let field = [
            (network.inputs() != usize::from(inputs), Field::Inputs),
            (network.outputs() != usize::from(outputs), Field::Outputs),
            (network.input_frac_bits() != input_frac_bits, Field::InputScale),
            (network.output_frac_bits() != output_frac_bits, Field::OutputScale),
        ];
        match field.into_iter().find(|(differs, _)| *differs) {
            Some((_, field)) => Err(PeerError::Description { field }),
            None => Ok(()),
        }
    }
}

/// Waits until the other server ends the connection: while a session waits for a query, it has nothing to say.
async fn gone(connection: &mut Connection) {
    connection.reader.await_message(IDLE);
    let _ = connection.reader.read(&mut [0; 1]).await;
}

impl Evaluator for Party0 {
    fn party(&self) -> Party {
        Party::P0
    }

    fn task(&self) -> &Task {
        &self.task
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    async fn evaluate(&self, question: Question) -> Result<Vec<u32>, Reason> {
        let (done, answer) = oneshot::channel();
        let mut job = Job { question, done };
        let handed = async {
            loop {
                let slot = self.slots.lock().await.recv().await;
                // A lane that has ended meanwhile gives the job back.
                match slot.map(|slot| slot.send(job)) {
                    Some(Ok(())) => return true,
                    Some(Err(back)) => job = back,
                    None => return false,
                }
            }
        };
        match tokio::time::timeout(self.settings.wait, handed).await {
            Ok(true) => {}
            _ => {
                let trouble = *self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
                return Err(trouble.unwrap_or(Reason::Busy));
            }
        }
        answer.await.unwrap_or(Err(Reason::PeerLost))
    }

    async fn accept(&self, mut connection: Connection, hello: ServerHello, _: CancellationToken) {
        // Server 0 opens connections to the other one, so this is another server 0, or one that is set up differently.
        let refusal = servers::objection(&self.hello(), &hello).unwrap_or(Refusal::Protocol);
        tracing::warn!("a server was refused: {refusal}");
        let _ = refuse(&mut connection.writer, refusal).await;
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        let mut lanes = JoinSet::new();
        for number in 0..self.settings.lanes.max(1) {
            let (party, stop) = (self.clone(), stop.clone());
            lanes.spawn(async move { party.keep_lane(number, &stop).await });
        }
        while let Some(ended) = lanes.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(SessionError::Transport(ErrorKind::Other).into()),
            }
        }
        Ok(())
    }
}
