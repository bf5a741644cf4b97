//! Server 0, which has no model: it keeps lanes of prepared sessions to server 1.
//!
//! A lane connects, prepares a session, and waits for a query; so an inference has the online phase
//! alone. What fails is tried again with a new connection and the next session number, after a
//! pause that grows.

use std::sync::Arc;

use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::Evaluate;
use sharelet_core::session::wire::task::{Field, Task};
use sharelet_core::session::{SessionError, servers};
use sharelet_core::share::Party;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::evaluator::{Evaluator, Question};
use super::lane::{self, Lanes, said};
use super::peer::{PeerError, Settings};
use super::pool::{Job, Pool};
use super::session_numbers::SessionNumbers;
use crate::host::within;
use crate::store::counter::FileCounter;
use sharelet_link::{Role, tcp};
use sharelet_model::MAX_LAYERS;

/// The most work of a session, in keystream blocks of 16 weights each: some seconds.
const MAX_BLOCKS: u64 = 1 << 26;

/// Server 0 of a model that server 1 owns.
pub struct Party0 {
    settings: Settings,
    identity: Identity,
    numbers: SessionNumbers<FileCounter>,
    task: Task,
    instance: u64,
    pool: Pool<u32>,
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
            numbers: SessionNumbers::new(counter),
            task,
            instance,
            pool: Pool::default(),
        })
    }
}

/// Whether server 1's network is that of the task.
pub(super) fn expect_network(
    &Task { inputs, outputs, input_frac_bits, output_frac_bits, .. }: &Task,
    network: &Network<MAX_LAYERS>,
) -> Result<(), PeerError> {
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

impl Lanes for Party0 {
    type Word = u32;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn pool(&self) -> &Pool<u32> {
        &self.pool
    }

    async fn lane(
        &self,
        number: usize,
        sessions: &mut u64,
        stop: &CancellationToken,
    ) -> Result<(), PeerError> {
        let Settings { peer, route, connect, stall, phase, .. } = &self.settings;
        let mut network = Network::<MAX_LAYERS>::default();
        let greeted = async {
            let mut connection = tcp::connect(peer, Role::Server1, route, *connect, *stall).await?;
            within(*phase, servers::connect(&mut connection, &self.hello())).await?;
            let (inputs, outputs) = (usize::from(self.task.inputs), usize::from(self.task.outputs));
            let policy = Policy {
                host: connection.peer().map(|server_1| server_1.name),
                answer: Answer::Device,
                inputs: Some(inputs),
                max_outputs: outputs,
                max_blocks: MAX_BLOCKS,
            };
            let connected =
                within(*phase, p0::connect(connection, &self.identity, policy, &mut network))
                    .await?;
            expect_network(&self.task, connected.network())?;
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
            let job = self.pool.offer(number);
            let Job { question, done } = tokio::select! {
                biased;
                Ok(job) = job => job,
                () = stop.cancelled() => return Ok(()),
                _ = said(&mut prepared.io_mut().reader) => return Err(SessionError::Closed.into()),
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

    fn ready(&self) -> u64 {
        self.pool.ready()
    }

    fn expect_ready(&self) -> Result<(), String> {
        self.pool.expect_ready()
    }

    async fn evaluate(&self, question: Question<u32>) -> Result<Vec<u32>, Reason> {
        self.pool.ask(question, self.settings.wait).await
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        let mut lanes = JoinSet::new();
        for number in 0..self.settings.lanes.max(1) {
            let (party, stop) = (self.clone(), stop.clone());
            lanes.spawn(async move { lane::keep(&*party, number, &stop).await });
        }
        lane::all(lanes).await
    }
}
