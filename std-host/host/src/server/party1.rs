//! Server 1, which owns the model: it serves lanes of prepared sessions to server 0.
//!
//! A lane is a connection on which the session of a device and a host runs, again and again. Halves
//! of queries wait here until a lane asks for them; one that nobody asks for in time is dropped,
//! and a lane that asks for one that does not come in time ends.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sharelet_core::keystream::{ChaCha12, KeyId, Rounds as _};
use sharelet_core::session::p1::{self, P1, ScratchSizes};
use sharelet_core::session::wire::control::{Answer, DeviceId, Refusal, max_welcome_bytes};
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::servers::{Evaluate, ServerHello};
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{refuse, servers};
use sharelet_core::share::Party;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::evaluator::{Evaluator, LaneEnded, Question};
use super::pairing::{Pairing, Waiting};
use super::peer::PeerError;
use crate::host::kernel::Vectorised;
use crate::host::model::HostModel;
use crate::host::provider::{Asks, Provider};
use crate::host::{Buffers, Host, HostError, grant, refusal_of, within};
use sharelet_link::service::Visit;
use sharelet_link::{Connection, Reader, Writer};
use sharelet_model::MAX_LAYERS;

/// How patient server 1 is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The other half of a query must come within this time.
    pub pair: Duration,
    /// A handshake, a preparation or an inference must be done within this time.
    pub phase: Duration,
    /// The longest silence of a lane that has nothing to do.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            pair: Duration::from_secs(5),
            phase: Duration::from_secs(300),
            idle: Duration::from_secs(24 * 3600),
        }
    }
}

/// The run of server 0 whose lanes are served, and the supply for its key.
#[derive(Default)]
struct Peer {
    instance: u64,
    replaced: CancellationToken,
    supply: Option<Supply>,
}

/// A supply that is kept filled as long as this value lives.
struct Supply {
    device: DeviceId,
    provider: Arc<Provider>,
    _filling: DropGuard,
}

impl Peer {
    /// The supply for a key, if it is the one that is kept.
    fn supply_of(&self, device: DeviceId, key: KeyId) -> Option<Arc<Provider>> {
        let supply = self
            .supply
            .as_ref()
            .filter(|supply| supply.device == device && supply.provider.key() == key);
        supply.map(|supply| supply.provider.clone())
    }
}

/// Server 1 of a model that it owns.
pub struct Party1 {
    host: Arc<Host>,
    model: Arc<HostModel>,
    instance: u64,
    patience: Patience,
    pairing: Pairing<u32>,
    peer: Mutex<Peer>,
}

impl core::fmt::Debug for Party1 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party1")
            .field("host", &self.host)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Party1 {
    /// Server 1 with its model and the supply of `host`, whose own devices are not served.
    #[must_use]
    pub fn new(
        (host, model): (Arc<Host>, Arc<HostModel>),
        instance: u64,
        patience: Patience,
    ) -> Arc<Self> {
        Arc::new(Self {
            host,
            model,
            instance,
            patience,
            pairing: Pairing::default(),
            peer: Mutex::default(),
        })
    }

    fn peer(&self) -> MutexGuard<'_, Peer> {
        self.peer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The half of a query, which may be on its way.
    async fn half(&self, query: &Evaluate) -> Result<Waiting<u32>, Refusal> {
        let half = self.pairing.take(query.id, query.recipient, self.patience.pair).await;
        half.map_err(|reason| {
            if reason == Reason::HalvesDiffer { Refusal::HalvesDiffer } else { Refusal::NoHalf }
        })
    }

    /// Makes this run of server 0 the one that is served; lanes of an older one end.
    fn enter(&self, hello: &ServerHello) -> CancellationToken {
        let mut peer = self.peer();
        if peer.instance != hello.instance {
            peer.replaced.cancel();
            *peer = Peer {
                instance: hello.instance,
                replaced: CancellationToken::new(),
                supply: peer.supply.take(),
            };
        }
        peer.replaced.clone()
    }

    /// The supply of corrections for server 0's key.
    async fn supply(
        &self,
        device: DeviceId,
        key: KeyId,
        visit: &Visit,
    ) -> Result<Arc<Provider>, HostError> {
        let known = self.peer().supply_of(device, key);
        let provider = match known {
            Some(provider) => provider,
            None => {
                let made = self.host.provider(device, key).await?;
                let mut peer = self.peer();
                // Another lane may have been quicker.
                peer.supply_of(device, key).unwrap_or_else(|| {
                    let gone = CancellationToken::new();
                    let stop = visit.stop().clone();
                    tokio::spawn(made.clone().keep_filled(gone.clone(), stop));
                    peer.supply = Some(Supply {
                        device,
                        provider: made.clone(),
                        _filling: gone.drop_guard(),
                    });
                    made
                })
            }
        };
        self.host.ask_about(device, &provider, visit).await?;
        Ok(provider)
    }

    /// One lane: greetings, then session after session.
    async fn lane(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        theirs: &ServerHello,
        visit: &mut Visit,
    ) -> Result<(), HostError> {
        let ours = self.hello();
        if let Some(refusal) = servers::objection(&ours, theirs) {
            return Err(HostError::Refused(refusal));
        }
        servers::greet(writer, &ours).await?;
        let hello =
            visit.greeting(async { Ok::<_, HostError>(p1::receive_hello(reader).await?) }).await?;
        if hello.rounds != ChaCha12::ROUNDS {
            return Err(HostError::Refused(Refusal::RoundsMismatch { ours: ChaCha12::ROUNDS }));
        }
        let provider = self.supply(hello.device, hello.key, visit).await?;
        visit.enter()?;
        let replaced = self.enter(theirs);
        let HostModel { model, seed, masked_id, .. } = &*self.model;
        let buffer = &mut vec![0; max_welcome_bytes(MAX_LAYERS)];
        p1::welcome(writer, &model.network, seed.expose(), masked_id, buffer).await?;
        let mut buffers = Buffers::new(ScratchSizes::of(&model.network));
        loop {
            let session = self.session(reader, writer, &provider, &mut buffers, visit);
            let ended = tokio::select! {
                biased;
                () = replaced.cancelled() => return Err(HostError::Refused(Refusal::Busy)),
                ended = session => ended?,
            };
            if ended {
                return Ok(());
            }
        }
    }

    /// One session; `true` if server 0 closed the lane instead.
    async fn session(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        provider: &Arc<Provider>,
        buffers: &mut Buffers,
        visit: &mut Visit,
    ) -> Result<bool, HostError> {
        let model = &self.model.model;
        let kernel = Vectorised(model);
        if !visit.next(reader).await? {
            return Ok(true);
        }
        let Some(request) = p1::receive_request(reader).await? else { return Ok(true) };
        // Several lanes have one counter.
        let supplied = provider.take(request, Asks::Anyhow).await?;
        reader.end_message();
        let (session, corrections) = grant(writer, supplied).await?;
        let preparing =
            P1::new(&model.network, &kernel, Answer::Device).prepare(reader, buffers.scratch());
        let prepared = within(self.patience.phase, preparing).await?;
        if !visit.next_of_work(reader).await? {
            return Ok(true);
        }
        let Some(query) = servers::receive_evaluate(reader).await? else { return Ok(true) };
        reader.end_message();
        let Waiting { share, done, .. } = self.half(&query).await.map_err(HostError::Refused)?;
        let evaluating = async {
            let ready = prepared.input(reader).await?;
            Ok(ready.infer_shared(reader, writer, &corrections, &share).await?.to_vec())
        };
        // An error drops `done`, which tells the data party.
        let answer = within(self.patience.phase, evaluating).await?;
        tracing::debug!(query = %query.id, session, "evaluated");
        // The data party may be gone.
        let _ = done.send(Ok(answer));
        Ok(false)
    }
}

impl Evaluator for Party1 {
    type Word = u32;

    fn party(&self) -> Party {
        Party::P1
    }

    fn task(&self) -> &Task {
        &self.model.task
    }

    fn instance(&self) -> u64 {
        self.instance
    }

    async fn evaluate(&self, question: Question<u32>) -> Result<Vec<u32>, Reason> {
        self.pairing.answer(question, self.patience.pair, self.patience.phase).await
    }

    async fn accept(
        &self,
        connection: Connection,
        hello: ServerHello,
        visit: Visit,
    ) -> Result<(), LaneEnded> {
        let Connection { mut reader, mut writer, .. } = connection;
        let mut visit = visit.patient(self.patience.idle);
        let ended = self.lane(&mut reader, &mut writer, &hello, &mut visit).await;
        if let Some(refusal) = ended.as_ref().err().and_then(refusal_of) {
            // The reason matters more than whether it still arrives.
            let _ = refuse(&mut writer, refusal).await;
        }
        Ok(ended?)
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        stop.cancelled().await;
        Ok(())
    }
}
