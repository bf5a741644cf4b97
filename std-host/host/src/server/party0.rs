//! Server 0, which has no model: it keeps lanes of prepared sessions to server 1.
//!
//! A lane connects, prepares a session, and waits for a query; so an inference has the online phase
//! alone. What fails is tried again with a new connection and the next session number, after a
//! pause that grows.

use core::time::Duration;
use std::sync::Arc;

use embedded_io_async::ErrorKind;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::wire::WireError;
use sharelet_core::session::wire::control::{Answer, Refusal};
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::{Evaluate, ServerHello};
use sharelet_core::session::wire::task::{Field, Task};
use sharelet_core::session::{SessionError, refuse, servers};
use sharelet_core::share::Party;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::evaluator::{Evaluator, Question};
use super::lanes::{Job, Pauses, Slots, gone};
use super::numbers::Numbers;
use super::training::wire::PeerError as Greeting;
use crate::host::within;
use crate::store::counter::FileCounter;
use sharelet_link::{Connection, LinkError, Route};
use sharelet_link::{Exposure, tcp};
use sharelet_model::MAX_LAYERS;

/// The most work of a session, in keystream blocks of 16 weights each: some seconds.
const MAX_BLOCKS: u64 = 1 << 26;

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
    /// What the servers of a shared model say to each other.
    #[error(transparent)]
    Greeting(#[from] super::training::wire::PeerError),
    /// Their shares of a model do not belong together.
    #[error("{0}")]
    Differ(String),
    /// There are no correlations for a shared model.
    #[error("no correlations: {0}")]
    Correlations(String),
    /// An inference with a shared model ended in the middle.
    #[error("the session with the other server ended: {0}")]
    Broken(String),
}

impl PeerError {
    /// Whether another attempt can help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Link(error) => matches!(error, LinkError::Connect { .. }),
            Self::Description { .. } | Self::Differ(_) => false,
            Self::Correlations(_) | Self::Broken(_) => true,
            Self::Greeting(error) => matches!(error, Greeting::Io(_) | Greeting::Closed),
            Self::Session(error) => match error {
                SessionError::Transport(_) | SessionError::Closed => true,
                SessionError::Wire(error) => {
                    !matches!(error, WireError::NotSharelet | WireError::Version { .. })
                }
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
    #[must_use]
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Session(SessionError::Refused(Refusal::NoCorrelations))
            | Self::Correlations(_) => Reason::NoCorrelations,
            Self::Session(SessionError::Refused(Refusal::NoHalf)) => Reason::NoPartner,
            Self::Session(SessionError::Refused(Refusal::HalvesDiffer)) => Reason::HalvesDiffer,
            _ => Reason::PeerLost,
        }
    }
}

/// Server 0 of a model that server 1 owns.
pub struct Party0 {
    settings: Settings,
    identity: Identity,
    numbers: Numbers<FileCounter>,
    task: Task,
    instance: u64,
    slots: Slots<u32>,
}

impl core::fmt::Debug for Party0 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party0")
            .field("settings", &self.settings)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Party0 {
    /// Server 0 with the key that it shares with the dealer, and the counter of its sessions.
    #[must_use]
    pub fn new(
        settings: Settings,
        identity: Identity,
        counter: FileCounter,
        task: Task,
        instance: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings,
            identity,
            numbers: Numbers::new(counter),
            task,
            instance,
            slots: Slots::default(),
        })
    }

    /// A lane for ever, with pauses after failures; returns when no further attempt can help, or
    /// after `stop`.
    async fn keep_lane(&self, number: usize, stop: &CancellationToken) -> Result<(), PeerError> {
        let mut pauses = Pauses::new(number, &self.settings);
        loop {
            let mut sessions = 0_u64;
            let error = match self.lane(number, &mut sessions, stop).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !error.is_passing() {
                return Err(error);
            }
            self.slots.note(Some(error.reason()));
            if !pauses.wait(&error, sessions, stop).await {
                return Ok(());
            }
        }
    }

    /// One connection: greetings, then session after session until `stop`.
    async fn lane(
        &self,
        number: usize,
        sessions: &mut u64,
        stop: &CancellationToken,
    ) -> Result<(), PeerError> {
        let Settings { peer, route, connect, stall, phase, .. } = &self.settings;
        let mut network = Network::<MAX_LAYERS>::default();
        let greeted = async {
            let mut connection = tcp::connect(peer, route.clone(), *connect, *stall).await?;
            within(*phase, servers::connect(&mut connection, &self.hello())).await?;
            let (inputs, outputs) = (usize::from(self.task.inputs), usize::from(self.task.outputs));
            let policy = Policy {
                answer: Answer::Device,
                inputs: Some(inputs),
                max_outputs: outputs,
                max_blocks: MAX_BLOCKS,
            };
            let connected =
                within(*phase, p0::connect(connection, &self.identity, policy, &mut network))
                    .await?;
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
                done = within(*phase, connected.prepare(&mut numbers, &mut output)) => done?,
            };
            let job = self.slots.offer(number);
            let Job { question, done } = tokio::select! {
                biased;
                Ok(job) = job => job,
                () = stop.cancelled() => return Ok(()),
                () = gone(&mut prepared.io_mut().reader) => return Err(SessionError::Closed.into()),
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

impl Evaluator for Party0 {
    type Word = u32;

    fn party(&self) -> Party {
        Party::P0
    }

    fn task(&self) -> &Task {
        &self.task
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    async fn evaluate(&self, question: Question<u32>) -> Result<Vec<u32>, Reason> {
        self.slots.ask(question, self.settings.wait).await
    }

    async fn accept(&self, mut connection: Connection, hello: ServerHello, _: CancellationToken) {
        // Server 0 opens connections to the other one, so this is another server 0, or one that is
        // set up differently.
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
