//! Server 0, which has no model: it keeps lanes of prepared inferences to server 1.

use std::sync::Arc;

use embedded_io_async::Write as _;
use rand_chacha::ChaCha20Rng;
use sharelet_alone::{P0, Task as Network, online};
use sharelet_core::session::SessionError;
use sharelet_core::session::servers;
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::Evaluate;
use sharelet_core::session::wire::task::Task;
use sharelet_core::share::Party;
use sharelet_link::frame;
use sharelet_link::{Connection, Reader, Role, Writer, tcp};
use sharelet_prepare::FieldBits;
use tokio_util::sync::CancellationToken;

use crate::alone::AloneError;
use crate::alone::link::{COMPUTING, Tallied, expect_bounded, rng};
use crate::alone::wire::{Message, Refusal, Welcome, WireError};
use crate::host::within;
use crate::server::evaluator::{Evaluator, Question};
use crate::server::lane::{self, Lanes, said};
use crate::server::party0::expect_network;
use crate::server::peer::{PeerError, Settings};
use crate::server::pool::{Job, Pool};

/// Server 0 of a model that server 1 owns.
#[derive(Debug)]
pub struct Party0 {
    settings: Settings,
    task: Task,
    instance: u64,
    pool: Pool<u32>,
}

/// A connection in its session.
struct Lane {
    reader: Reader,
    writer: Writer,
    network: Network,
    p0: P0,
    rng: ChaCha20Rng,
}

impl Party0 {
    /// Server 0 of what `task` describes.
    #[must_use]
    pub fn new(settings: Settings, task: Task, instance: u64) -> Arc<Self> {
        Arc::new(Self { settings, task, instance, pool: Pool::default() })
    }

    async fn connect(&self) -> Result<Box<Lane>, PeerError> {
        let Settings { peer, route, connect, stall, phase, .. } = &self.settings;
        let mut connection = tcp::connect(peer, Role::Server1, route, *connect, *stall).await?;
        within(*phase, servers::connect(&mut connection, &self.hello())).await?;
        let Connection { mut reader, mut writer, .. } = connection;
        let welcome = frame::read_greeting(&mut reader, Message::Welcome).await.map_err(broken)?;
        let Welcome { network, .. } = frame::decode(Message::Welcome, &welcome).map_err(broken)?;
        network.validate().map_err(|error| PeerError::Differ(error.to_string()))?;
        expect_network(&self.task, &network)?;
        let network = Network::new(network).map_err(broken)?;
        expect_bounded(&network).map_err(broken)?;
        let mut rng = rng().map_err(broken)?;
        let mut link = Tallied::new(&mut reader, &mut writer);
        // Base transfers are large: on the heap.
        let met = sharelet_prepare::link::meet(&mut rng, &mut link);
        let kept = Box::new(Box::pin(met).await.map_err(broken)?);
        let begun = P0::begin(&network, (&kept, FieldBits::Two), &mut rng, &mut link);
        let p0 = Box::pin(begun).await.map_err(broken)?;
        Ok(Box::new(Lane { reader, writer, network, p0, rng }))
    }
}

/// An error in the middle of a lane: another attempt may help.
pub(super) fn broken(error: impl core::fmt::Display) -> PeerError {
    PeerError::Broken(error.to_string())
}

/// An inference of which server 1 may have no half.
async fn infer(
    Lane { reader, writer, network, .. }: &mut Lane,
    half: sharelet_alone::Half,
    question: &Question<u32>,
) -> Result<Vec<u32>, AloneError> {
    let query = Evaluate { id: question.id, recipient: question.recipient };
    servers::evaluate(writer, &query)
        .await
        .map_err(|error| AloneError::Unfit(error.to_string()))?;
    writer.flush().await.map_err(WireError::from)?;
    reader.await_message(COMPUTING);
    frame::receive_bytes(reader, Message::Go, 0).await?;
    let mut link = Tallied::new(reader, writer);
    let answer = online::infer_p0(network, half, &question.share, &mut link).await?;
    Ok(answer.to_vec())
}

/// What data parties are told of a failure.
fn reason(error: &AloneError) -> Reason {
    match error {
        AloneError::Wire(WireError::Refused(Refusal::NoHalf)) => Reason::NoPartner,
        AloneError::Wire(WireError::Refused(Refusal::HalvesDiffer)) => Reason::HalvesDiffer,
        _ => Reason::PeerLost,
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
        let mut lane = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            lane = self.connect() => lane?,
        };
        tracing::debug!("a lane to server 1 is open");
        loop {
            let Lane { reader, writer, network, p0, rng } = &mut *lane;
            let mut link = Tallied::new(reader, writer);
            let halves = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                made = p0.prepare(network, 1, rng, &mut link) => made.map_err(broken)?,
            };
            let half = halves.into_iter().next().ok_or_else(|| broken("nothing was prepared"))?;
            let job = self.pool.offer(number);
            let Job { question, done } = tokio::select! {
                biased;
                Ok(job) = job => job,
                () = stop.cancelled() => return Ok(()),
                _ = said(&mut lane.reader) => return Err(SessionError::Closed.into()),
            };
            let phase = self.settings.phase;
            let inferred = tokio::time::timeout(phase, infer(&mut lane, half, &question)).await;
            // The data party may be gone.
            match inferred {
                Ok(Ok(answer)) => {
                    let _ = done.send(Ok(answer));
                    *sessions += 1;
                }
                Ok(Err(error)) => {
                    let _ = done.send(Err(reason(&error)));
                    return Err(broken(error));
                }
                Err(_) => {
                    let _ = done.send(Err(Reason::PeerLost));
                    return Err(broken("it took too long"));
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

    async fn evaluate(&self, question: Question<u32>) -> Result<Vec<u32>, Reason> {
        self.pool.ask(question, self.settings.wait).await
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        lane::on_threads(&self, &stop).await
    }
}
