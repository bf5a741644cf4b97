//! The dealer: keeps device keys and masked models, and deals corrections on all cores.
//!
//! It sees no message between device and host. [`wire`] is what it speaks with hosts, [`client`]
//! their side of it; `orders` says who gets what.

pub mod client;
mod course;
mod held;
pub mod masked;
mod orders;
mod served;
pub mod wire;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use sharelet_core::binding::Binding;
use sharelet_core::keystream::{KeyId, Keystream};
use sharelet_core::session::deal;
use sharelet_core::session::wire::control::DeviceId;
use tokio::sync::oneshot;

use self::held::Holding;
use self::masked::MaskedModel;
use self::wire::{Deal, Dealing, Kind, MAX_COUNT, Offer, Refusal, Status, StatusIs, WireError};
use crate::meter::{Meter, Phase};
use crate::store::StoreError;
use crate::store::dealer::DealerStore;
use sharelet_link::frame::{self, Header};
use sharelet_link::monitor::Watched;
use sharelet_link::service::{Event, Leave, Service, Visit};
use sharelet_link::{Connection, Party, Reader, Role, Writer};

/// Masked models that are kept in memory.
const MODELS_IN_MEMORY: usize = 8;

/// Masked models that are kept on disk.
pub const MODELS: u32 = 256;
/// Those of them that one owner may have; with another one the oldest goes.
pub const MODELS_OF_OWNER: u32 = 16;

/// Why a connection to a host ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DealerError {
    /// The connection or its bytes.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The host was refused, with the reason.
    #[error("refused: {0}")]
    Refused(Refusal),
}

impl From<Leave> for DealerError {
    fn from(leave: Leave) -> Self {
        Self::Refused(match leave {
            Leave::Stopping => Refusal::ShuttingDown,
            Leave::Full => Refusal::Busy,
            Leave::TooSlow => Refusal::TooSlow,
        })
    }
}

/// Deals one session: fresh randomness, seeded by the operating system.
///
/// # Errors
/// [`Refusal::State`] without randomness, [`Refusal::BadNetwork`] if the model's parts do not fit
/// each other.
pub fn deal_session(
    model: &MaskedModel,
    binding: &Binding,
    session: u64,
) -> Result<Vec<u8>, Refusal> {
    let seed = crate::store::key::random_key().map_err(|error| state(&error))?;
    let mut rng = ChaCha20Rng::from_seed(*seed.expose());
    let mut scratch = vec![0; deal::scratch_elems(&model.network)];
    let mut out = vec![0; deal::correction_bytes(&model.network)];
    deal::session(
        &model.network,
        binding,
        session,
        &model.layers,
        &mut rng,
        &mut scratch,
        &mut out,
    )
    .map_err(|_| Refusal::BadNetwork)?;
    Ok(out)
}

fn state(error: &StoreError) -> Refusal {
    tracing::error!("{error}");
    Refusal::State
}

/// The dealer's service.
#[derive(Debug)]
pub struct Dealer {
    store: DealerStore,
    /// Masked models on disk, at most.
    most: u32,
    /// Owners that send a masked model: one at a time each, since it waits in memory.
    sending: Mutex<HashSet<Party>>,
    /// Words of data and models whose masks are held for a peer.
    held: Arc<Holding>,
    /// With their owners, most recently used last.
    models: Mutex<Vec<(Option<Party>, Arc<MaskedModel>)>>,
    meter: Meter,
}

/// An owner that sends a masked model.
struct Sending<'d> {
    dealer: &'d Dealer,
    owner: Party,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut sending = self.dealer.sending.lock().unwrap_or_else(PoisonError::into_inner);
        sending.remove(&self.owner);
    }
}

impl Dealer {
    /// A dealer over its state, with room for `most` masked models.
    #[must_use]
    pub fn new(store: DealerStore, most: u32) -> Arc<Self> {
        let (sending, held) = (Mutex::default(), Arc::default());
        let (models, meter) = (Mutex::default(), Meter::new());
        Arc::new(Self { store, most, sending, held, models, meter })
    }

    async fn speak(
        self: &Arc<Self>,
        peer: Option<Party>,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
    ) -> Result<(), DealerError> {
        visit
            .greeting(async { Ok::<_, DealerError>(frame::read_hello(reader, Kind::Hello).await?) })
            .await?;
        visit.enter()?;
        frame::greet(writer, Kind::Welcome, &[]).await?;
        while visit.next(reader).await? {
            let header = Header::read(reader).await?;
            match self.answer(peer, reader, writer, visit, header).await {
                Err(DealerError::Refused(refusal)) if !refusal.ends_connection() => {
                    self.meter.refused(&refusal);
                    visit.warn(format_args!("refused: {refusal}"));
                    frame::send(writer, Kind::Refuse, &refusal).await?;
                }
                answered => answered?,
            }
        }
        Ok(())
    }

    async fn answer(
        self: &Arc<Self>,
        peer: Option<Party>,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
        header: Header<Kind>,
    ) -> Result<(), DealerError> {
        if let Err(refusal) = orders::role(peer, header.kind) {
            header.body(reader).await?;
            return Err(DealerError::Refused(refusal));
        }
        match header.kind {
            Kind::Status => {
                let Status { device } = header.message(reader).await?;
                let status = self.blocking(move |dealer| {
                    let key = dealer.key(device)?.key_id();
                    let next_session =
                        dealer.store.next_session(device, key).map_err(|error| state(&error))?;
                    Ok(StatusIs { key, next_session })
                });
                Ok(frame::send(writer, Kind::StatusIs, &status.await?).await?)
            }
            Kind::Offer => {
                let offer: Offer = header.message(reader).await?;
                self.take_offer(peer, reader, writer, offer).await
            }
            Kind::Deal => {
                let request: Deal = header.message(reader).await?;
                self.deal(peer, writer, request).await
            }
            Kind::Train => {
                let request = header.message(reader).await?;
                self.deal_course(peer, reader, writer, visit, request).await
            }
            Kind::Serve => {
                let request = header.message(reader).await?;
                self.deal_served(peer, reader, writer, visit, request).await
            }
            found => Err(WireError::UnexpectedFrame { expected: Kind::Deal, found }.into()),
        }
    }

    /// Runs what waits for the disk beside the tasks that wait for the network.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, DealerError> {
        let dealer = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&dealer)).await;
        done.unwrap_or(Err(Refusal::State)).map_err(DealerError::Refused)
    }

    fn key(&self, device: DeviceId) -> Result<crate::store::key::DeviceKey, Refusal> {
        self.store.key(device).map_err(|error| state(&error))?.ok_or(Refusal::UnknownDevice)
    }

    /// Records numbers before they are dealt: after a power cut they are skipped, never dealt
    /// again.
    fn record(
        &self,
        device: DeviceId,
        key: KeyId,
        (first, count): (u64, u32),
    ) -> Result<(), Refusal> {
        self.store.record(device, key, first, count).map_err(|error| match error {
            StoreError::SessionUsed { next, .. } => Refusal::SessionUsed { next },
            error => state(&error),
        })
    }

    async fn take_offer(
        self: &Arc<Self>,
        peer: Option<Party>,
        reader: &mut Reader,
        writer: &mut Writer,
        offer: Offer,
    ) -> Result<(), DealerError> {
        let Offer { id, network } = offer;
        let bytes = masked::check(&network).map_err(DealerError::Refused)?;
        let known = match self.blocking(move |dealer| dealer.model(peer, &id)).await {
            Ok(_) => true,
            Err(DealerError::Refused(Refusal::UnknownModel)) => false,
            Err(error) => return Err(error),
        };
        if !known {
            let most = self.most;
            self.blocking(move |dealer| {
                if let Some(owner) = peer {
                    let made = dealer.store.make_room(owner, MODELS_OF_OWNER as usize);
                    made.map_err(|error| state(&error))?;
                }
                let count = dealer.store.model_count().map_err(|error| state(&error))?;
                let is_full = count >= most as usize;
                if is_full { Err(Refusal::TooManyModels { limit: most }) } else { Ok(()) }
            })
            .await?;
            let _sending = self.begin_sending(peer).map_err(DealerError::Refused)?;
            frame::send_bytes(writer, Kind::Wanted, &[]).await?;
            let matrices = frame::receive_bytes(reader, Kind::Masked, bytes).await?;
            let keep = move |dealer: &Self| {
                let description = masked::description(&network);
                if masked::id(&description, &matrices) != id {
                    return Err(Refusal::Digest);
                }
                let file = MaskedModel::file(&description, &matrices);
                dealer.store.put_model(peer, &id, &file).map_err(|error| state(&error))
            };
            self.blocking(keep).await?;
            tracing::info!(
                model = &sharelet_link::hex::hex(&id)[..8],
                "took a masked model of {bytes} bytes"
            );
        }
        Ok(frame::send_bytes(writer, Kind::Known, &[]).await?)
    }

    /// The right of an owner to send a masked model, until it is dropped.
    fn begin_sending(&self, owner: Option<Party>) -> Result<Option<Sending<'_>>, Refusal> {
        let Some(owner) = owner else { return Ok(None) };
        let begun = self.sending.lock().unwrap_or_else(PoisonError::into_inner).insert(owner);
        if begun { Ok(Some(Sending { dealer: self, owner })) } else { Err(Refusal::Busy) }
    }

    /// A masked model that `owner` has offered, from memory or disk.
    fn model(&self, owner: Option<Party>, id: &[u8; 32]) -> Result<Arc<MaskedModel>, Refusal> {
        let lock = || self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it =
            |(known, model): &(Option<Party>, Arc<MaskedModel>)| *known == owner && model.id == *id;
        let in_memory = {
            let mut models = lock();
            models.iter().position(is_it).map(|position| {
                let found = models.remove(position);
                models.push(found.clone());
                found.1
            })
        };
        let found = match in_memory {
            Some(found) => return Ok(found),
            // Nobody else waits while it is read.
            None => {
                let bytes = self
                    .store
                    .model(owner, id)
                    .map_err(|error| state(&error))?
                    .ok_or(Refusal::UnknownModel)?;
                match MaskedModel::from_file(&bytes, id) {
                    Some(model) => Arc::new(model),
                    None => {
                        tracing::error!("{}", self.store.remove_model(owner, id));
                        return Err(Refusal::UnknownModel);
                    }
                }
            }
        };
        let mut models = lock();
        models.retain(|known| !is_it(known));
        models.push((owner, found.clone()));
        if models.len() > MODELS_IN_MEMORY {
            models.remove(0);
        }
        Ok(found)
    }

    /// Deals on all cores and sends in order; what is dealt waits in memory for at most one session
    /// per core.
    async fn deal(
        self: &Arc<Self>,
        peer: Option<Party>,
        writer: &mut Writer,
        request: Deal,
    ) -> Result<(), DealerError> {
        let Deal { device, model, first, count, ordered } = request;
        if count == 0 || count > MAX_COUNT {
            return Err(DealerError::Refused(Refusal::Count { limit: MAX_COUNT }));
        }
        let prepare = move |dealer: &Self| {
            let key = dealer.key(device)?;
            let model = dealer.model(peer, &model)?;
            let binding = model.bind(&Keystream::new(&key.key));
            orders::window(&binding, peer, &ordered, (first, count))?;
            dealer.record(device, key.key_id(), (first, count))?;
            Ok((key.key_id(), model, Arc::new(binding)))
        };
        let (key, model, binding) = self.blocking(prepare).await?;
        let bytes_each = u32::try_from(deal::correction_bytes(&model.network)).unwrap_or(u32::MAX);
        frame::send(writer, Kind::Dealing, &Dealing { key, bytes_each }).await?;
        let window = rayon::current_num_threads() + 1;
        let mut sessions = (first..).take(count as usize);
        let mut in_flight = VecDeque::with_capacity(window);
        let mut begun = Instant::now();
        loop {
            for session in sessions.by_ref().take(window - in_flight.len()) {
                let (done, dealt) = oneshot::channel();
                let (model, binding) = (model.clone(), binding.clone());
                // The receiver is gone if the host is: then nobody misses the result.
                rayon::spawn(move || drop(done.send(deal_session(&model, &binding, session))));
                in_flight.push_back((session, dealt));
            }
            let Some((session, dealt)) = in_flight.pop_front() else { break };
            let corrections =
                dealt.await.unwrap_or(Err(Refusal::State)).map_err(DealerError::Refused)?;
            // One after the other: what each adds to the time of all.
            let before = core::mem::replace(&mut begun, Instant::now());
            self.meter.session(Phase::Deal, begun.duration_since(before));
            wire::send_correction(writer, session, &corrections).await?;
        }
        tracing::debug!(%device, "dealt sessions {first} to {}", first + u64::from(count) - 1);
        Ok(())
    }
}

impl Service for Dealer {
    type Error = DealerError;

    fn roles(&self) -> &[Role] {
        &[Role::Host, Role::Server1]
    }

    fn observe(&self, event: Event) {
        self.meter.event(event);
    }

    async fn converse(
        self: Arc<Self>,
        connection: Connection,
        mut visit: Visit,
    ) -> Result<(), DealerError> {
        let peer = connection.peer();
        let Connection { mut reader, mut writer, .. } = connection;
        let ended = self.speak(peer, &mut reader, &mut writer, &mut visit).await;
        if let Err(error) = &ended {
            let refusal = match error {
                DealerError::Refused(refusal) => *refusal,
                DealerError::Wire(WireError::Version { .. }) => {
                    Refusal::Version { ours: wire::VERSION }
                }
                DealerError::Wire(WireError::TimedOut) => Refusal::TooSlow,
                DealerError::Wire(_) => Refusal::Protocol,
            };
            self.meter.refused(&refusal);
            // The reason matters more than whether it arrives.
            let _ = frame::send(&mut writer, Kind::Refuse, &refusal).await;
        }
        ended
    }
}

impl Watched for Dealer {
    fn metrics(&self) -> String {
        self.meter.text(0)
    }

    fn expect_ready(&self) -> Result<(), String> {
        self.store.expect_there().map_err(|error| error.to_string())
    }
}
