//! Server 0, which has no model: it keeps lanes of prepared inferences to server 1.

use std::sync::Arc;

use embedded_io_async::Write as _;
use rand_chacha::ChaCha20Rng;
use sharelet_alone::{Half, P0, Task as Network, online};
use sharelet_core::session::SessionError;
use sharelet_core::session::servers;
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::Evaluate;
use sharelet_core::session::wire::task::Task;
use sharelet_core::share::Party;
use sharelet_link::frame;
use sharelet_link::{Connection, Reader, Role, Writer, tcp};
use sharelet_prepare::FieldBits;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::reserve::{Reserve, Storage};
use crate::alone::AloneError;
use crate::alone::link::{COMPUTING, Tallied, expect_bounded, rng};
use crate::alone::taken::TakenHalf;
use crate::alone::wire::{Hello, Message, Refusal, Want, Welcome, WireError};
use crate::host::within;
use crate::server::evaluator::{Evaluator, Question};
use crate::server::lane::{self, Lanes, said};
use crate::server::party0::expect_network;
use crate::server::peer::{PeerError, Settings, broken};
use crate::server::pool::{Job, Pool};

/// Server 0 of a model that server 1 owns.
#[derive(Debug)]
pub struct Party0 {
    settings: Settings,
    task: Task,
    instance: u64,
    pool: Pool<u32>,
    /// None if nothing is prepared ahead of time.
    storage: Option<Storage>,
    reserve: Reserve,
}

/// A connection in its session.
struct Lane {
    reader: Reader,
    writer: Writer,
    network: Network,
    /// What makes halves, once the lane has had to.
    p0: Option<P0>,
    rng: ChaCha20Rng,
}

impl Party0 {
    /// Server 0 of what `task` describes.
    #[must_use]
    pub fn new(
        settings: Settings,
        task: Task,
        instance: u64,
        storage: Option<Storage>,
    ) -> Arc<Self> {
        let (pool, reserve) = (Pool::default(), Reserve::default());
        Arc::new(Self { settings, task, instance, pool, storage, reserve })
    }

    async fn connect(&self) -> Result<Box<Lane>, PeerError> {
        let Settings { peer, route, connect, stall, phase, .. } = &self.settings;
        let mut connection = tcp::connect(peer, Role::Server1, route, *connect, *stall).await?;
        within(*phase, servers::connect(&mut connection, &self.hello())).await?;
        let Connection { mut reader, mut writer, .. } = connection;
        let unnamed = || DeviceId::new("server-0").ok_or_else(|| broken("no name"));
        let device = self.storage.as_ref().map_or_else(unnamed, |storage| Ok(storage.name))?;
        let hello = Hello {
            device,
            answer: Answer::Device,
            kept: None,
            stores: false,
            silent: false,
            model: None,
        };
        let hello = frame::encode(Message::Hello, &hello).map_err(broken)?;
        frame::greet(&mut writer, Message::Hello, &hello).await.map_err(broken)?;
        let welcome = frame::read_greeting(&mut reader, Message::Welcome).await.map_err(broken)?;
        let Welcome { network, .. } = frame::decode(Message::Welcome, &welcome).map_err(broken)?;
        network.validate().map_err(|error| PeerError::Differ(error.to_string()))?;
        expect_network(&self.task, &network)?;
        let network = Network::new(network).map_err(broken)?;
        expect_bounded(&network).map_err(broken)?;
        let rng = rng().map_err(broken)?;
        Ok(Box::new(Lane { reader, writer, network, p0: None, rng }))
    }

    /// The next half of a lane: one that was taken out of the stores, or one that is made now.
    async fn half(&self, lane: &mut Lane) -> Result<TakenHalf, PeerError> {
        if self.storage.is_some() {
            self.reserve.met().await;
        }
        while let Some((ticket, taken)) = self.reserve.pop() {
            // A server 1 that was started anew has forgotten what it had taken.
            if lane.want::<1>(Want::Taken(ticket)).await? == [1] {
                return Ok(taken);
            }
        }
        let [] = lane.want(Want::Prepare { sessions: 1 }).await?;
        let Lane { reader, writer, network, p0, rng } = lane;
        let mut link = Tallied::new(reader, writer);
        let p0 = match p0 {
            Some(p0) => p0,
            None => {
                // Base transfers are large: on the heap.
                let met = sharelet_prepare::link::meet(rng, &mut link);
                let kept = Box::new(Box::pin(met).await.map_err(broken)?);
                let begun = P0::begin(network, (&kept, FieldBits::Two), rng, &mut link);
                p0.insert(Box::pin(begun).await.map_err(broken)?)
            }
        };
        let made = p0.prepare(network, 1, rng, &mut link).await.map_err(broken)?;
        let half = made.into_iter().next().ok_or_else(|| broken("nothing was prepared"))?;
        Ok(TakenHalf { half, spoilt: CancellationToken::new() })
    }
}

impl Lane {
    /// Says what is wanted; what server 1 says to it.
    async fn want<const N: usize>(&mut self, want: Want) -> Result<[u8; N], PeerError> {
        frame::send(&mut self.writer, Message::Want, &want).await.map_err(broken)?;
        self.reader.await_message(COMPUTING);
        let said = frame::receive_bytes(&mut self.reader, Message::Go, N).await.map_err(broken)?;
        <[u8; N]>::try_from(&said[..]).map_err(broken)
    }
}

/// An inference of which server 1 may have no half.
async fn infer(
    Lane { reader, writer, network, .. }: &mut Lane,
    half: Half,
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
            let TakenHalf { half, spoilt } = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                half = self.half(&mut lane) => half?,
            };
            let job = self.pool.offer(number);
            let Job { question, done } = tokio::select! {
                biased;
                () = spoilt.cancelled() => return Err(broken("the other server has cheated")),
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

    fn ready(&self) -> u64 {
        self.pool.ready() + self.reserve.ready()
    }

    fn expect_ready(&self) -> Result<(), String> {
        self.pool.expect_ready()
    }

    async fn evaluate(&self, question: Question<u32>) -> Result<Vec<u32>, Reason> {
        self.pool.ask(question, self.settings.wait).await
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        let _filling = self.storage.clone().map(|storage| {
            // It computes for long, as lanes do: a thread of its own, which ends with them.
            let (party, stop, runtime) = (self.clone(), stop.child_token(), Handle::current());
            let ends = stop.clone().drop_guard();
            let filling = tokio::task::spawn_blocking(move || {
                let (hello, settings) = (party.hello(), (&party.settings, &storage));
                runtime.block_on(party.reserve.keep_filled(settings, (&hello, &party.task), &stop));
            });
            tokio::spawn(async move {
                if let Err(error) = filling.await {
                    tracing::error!("nothing is prepared ahead any more: {error}");
                }
            });
            ends
        });
        lane::on_threads(&self, &stop).await
    }
}
