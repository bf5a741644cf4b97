//! The host: owns the model, prepares with devices, and infers for them.
//!
//! A connection is a task; a device has one connection at a time, and the newer one wins. What a
//! connection does blocks a thread; handshakes and inferences, preparations, and whole batches each
//! have a bound of their own. Whoever has not proved its name costs no disk: of it nothing is kept,
//! and it has no store, whose halves it could spend in another's name.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rand_chacha::ChaCha20Rng;
use sharelet_alone::{Half, P1, Task, online};
use sharelet_core::ring::write_le_slice;
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::share::Party;
use sharelet_link::frame::{self, FrameError, Header};
use sharelet_link::service::{Event, Service, Visit};
use sharelet_link::{Connection, Party as Peer, Reader, Role, Writer};
use sharelet_prepare::Kept;
use tokio::sync::{Mutex as Turn, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::AloneError;
use super::client::{forget, opened, store_folder};
use super::filling::{FillingHost, is_whole, most};
use super::link::{COMPUTING, Tallied, field, kept, model_name, pair_name, rng};
use super::served::Served;
use super::taken::Taken;
use super::wire::{Hello, Message, Refusal, Stocked, Ticket, Turn as Whether, Want, Welcome};
use crate::host::kernel::Vectorised;
use crate::host::models::{self, Changes, Models};
use crate::host::{AnswerSink, HostAnswer, Patience, with_limits};
use crate::meter::{Meter, Phase, Records};
use crate::store::StoreError;
use crate::store::halves::{Batch, Halves, HalvesError, Origin};
use crate::store::host::{HostStore, record_name};
use crate::store::kept::{KeptFile, KeptId};
use sharelet_link::monitor::{DeviceFigures, Watched};
use sharelet_link::service::Place;

/// Batches that are begun at the same time: each has some hundred megabytes.
const BATCHES: usize = 4;
/// The longest that a batch may take, however slow the line is.
const BATCH_TIME: Duration = Duration::from_secs(4 * 3600);
/// Inferences that a connection may have prepared and not used, in turns of the best number.
const TURNS: usize = 4;

/// The host's service.
pub struct Host {
    models: Models<Served>,
    /// Most inferences of a store. More than a device may have on a day are never begun.
    most_ready: u64,
    /// Whether it serves a server 0, which fills stores and does nothing else here.
    of_lanes: bool,
    /// What it proves to devices that it is.
    name: Option<DeviceId>,
    store: HostStore,
    /// Where the halves and transfers of devices are.
    state: PathBuf,
    stores: bool,
    answer: Answer,
    sink: AnswerSink,
    patience: Patience,
    devices: Mutex<HashMap<DeviceId, Slot>>,
    /// What handshakes and inferences, preparations, and whole batches take: threads and memory.
    works: [Semaphore; 3],
    /// Batches that are begun.
    batches: Semaphore,
    meter: Meter,
    records: Records,
}

/// A device that has connected: the place of its latest connection, and whose turn it is.
#[derive(Clone)]
struct Slot {
    place: Place,
    /// Its inferences so far, for who has the turn.
    turn: Arc<Turn<u64>>,
}

/// What a connection takes for a while.
#[derive(Clone, Copy)]
enum Work {
    Light,
    Heavy,
    Batch,
}

impl core::fmt::Debug for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Host").field("models", &self.models).finish_non_exhaustive()
    }
}

/// A connection in its session.
struct Session {
    device: DeviceId,
    served: Arc<Served>,
    /// Whether the device has proved its name.
    sealed: bool,
    /// What the pair keeps, until something is to be made.
    kept: Box<Kept>,
    p1: Option<P1>,
    /// How something is made: for stores, silently.
    manner: [bool; 2],
    halves: VecDeque<Half>,
    store: Option<Halves>,
}

impl Session {
    /// What makes halves, begun with the device if it was not.
    async fn maker(
        &mut self,
        task: &Task,
        rng: &mut ChaCha20Rng,
        link: &mut Tallied<'_>,
    ) -> Result<&mut P1, AloneError> {
        let Self { kept, p1, manner: [stores, silent], .. } = self;
        match p1 {
            Some(p1) => Ok(p1),
            None => {
                let begun = P1::begin(task, (kept, field(*stores)), rng, link);
                let begun = Box::pin(begun).await?;
                Ok(p1.insert(if *silent { begun.silently() } else { begun }))
            }
        }
    }
}

/// A batch that a device has begun, and the memory that it takes until it is complete.
struct Begun<'h> {
    filling: FillingHost,
    /// What a part takes.
    work: Work,
    /// Something must have come by then: the next part, or an inference.
    until: Instant,
    /// It must be complete by then.
    end: Instant,
    _memory: SemaphorePermit<'h>,
}

impl Host {
    /// A host that gives answers to `answer`; `sink` gets those that the host is to learn. `state`
    /// is where it keeps what belongs to devices; with `stores` their halves, too.
    #[must_use]
    pub fn new(
        (models, name): (Models<Served>, Option<DeviceId>),
        (store, state, stores): (HostStore, PathBuf, bool),
        answer: Answer,
        sink: AnswerSink,
        patience: Patience,
    ) -> Arc<Self> {
        Arc::new(Self::made((models, name), (store, state, stores), answer, sink, patience))
    }

    /// Server 1's side of the store that it has together with server 0, of at most `most_ready`
    /// inferences: none is evaluated here. `name` is server 1's.
    #[must_use]
    pub fn of_lanes(
        (served, name): (Arc<Served>, DeviceId),
        (store, state): (HostStore, PathBuf),
        most_ready: u64,
        patience: Patience,
    ) -> Arc<Self> {
        let (models, sink) = (Models::one(served), Box::new(|_| ()));
        let (models, state) = ((models, Some(name)), (store, state, true));
        let host = Self::made(models, state, Answer::Device, sink, patience);
        Arc::new(Self { of_lanes: true, most_ready, ..host })
    }

    fn made(
        (models, name): (Models<Served>, Option<DeviceId>),
        (store, state, stores): (HostStore, PathBuf, bool),
        answer: Answer,
        sink: AnswerSink,
        patience: Patience,
    ) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // Who waits for a slow peer holds a thread: of those there are some thirty.
        let works = [16, (2 * cores).min(8), 1].map(Semaphore::new);
        let (devices, meter, records) = (Mutex::default(), Meter::new(), Records::default());
        let batches = Semaphore::new(BATCHES);
        Self {
            models,
            most_ready: store.quota().sessions_per_day.into(),
            of_lanes: false,
            name,
            store,
            state,
            stores,
            answer,
            sink,
            patience,
            devices,
            works,
            batches,
            meter,
            records,
        }
    }

    /// Its state: where a folder of models is read with.
    #[must_use]
    pub const fn store(&self) -> &HostStore {
        &self.store
    }

    /// Serves other models from now on: connections of devices whose model is another one end after
    /// the inference that is under way.
    pub fn replace(&self, served: models::Served<Served>) {
        self.models.replace(served);
    }

    /// Makes this the device's connection; an older one ends.
    fn enter(&self, device: DeviceId, visit: &Visit) -> Arc<Turn<u64>> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let place = visit.place();
        match devices.get_mut(&device) {
            Some(slot) => {
                core::mem::replace(&mut slot.place, place).take_away();
                slot.turn.clone()
            }
            None => {
                let turn = Arc::<Turn<u64>>::default();
                devices.insert(device, Slot { place, turn: turn.clone() });
                turn
            }
        }
    }

    /// A device that is gone leaves nothing in memory, unless it is back already.
    fn leave(&self, device: DeviceId, turn: Arc<Turn<u64>>) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        drop(turn);
        if devices.get(&device).is_some_and(|slot| Arc::strong_count(&slot.turn) == 1) {
            devices.remove(&device);
        }
    }

    /// Waits until there is room for it.
    async fn room_for(&self, work: Work, visit: &Visit) -> Result<SemaphorePermit<'_>, AloneError> {
        let [light, heavy, batch] = &self.works;
        let room = match work {
            Work::Light => light,
            Work::Heavy => heavy,
            Work::Batch => batch,
        };
        let closed = |_| AloneError::Refused(Refusal::ShuttingDown);
        visit.or(async { room.acquire().await.map_err(closed) }).await
    }

    fn kept_file(&self, device: DeviceId) -> KeptFile {
        // A name may be `.` or `..`; a directory may not.
        KeptFile::new(self.state.join(format!("alone-{device}")).join("kept"))
    }

    async fn speak(
        &self,
        peer: Option<Peer>,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
    ) -> Result<(), AloneError> {
        let greeting =
            async { Ok::<_, AloneError>(frame::read_greeting(reader, Message::Hello).await?) };
        let hello: Hello = frame::decode(Message::Hello, &visit.greeting(greeting).await?)?;
        self.welcome((hello, None), peer, (reader, writer), visit).await
    }

    /// A peer that has greeted; server 0 with what it takes out of stores in this run of it.
    ///
    /// # Errors
    /// What ends it, a refusal of the peer included.
    pub async fn welcome(
        &self,
        (hello, taken): (Hello, Option<&Taken>),
        peer: Option<Peer>,
        (reader, writer): (&mut Reader, &mut Writer),
        visit: &mut Visit,
    ) -> Result<(), AloneError> {
        let device = hello.device;
        if peer.is_some_and(|peer| peer.name != device) {
            return Err(AloneError::Refused(Refusal::UnknownDevice));
        }
        if hello.answer != self.answer {
            return Err(AloneError::Refused(Refusal::AnswerMismatch { ours: self.answer }));
        }
        if hello.stores && (!self.stores || peer.is_none()) {
            return Err(AloneError::Refused(Refusal::NoStore));
        }
        let model = record_name(&self.model_of(&hello)?.digest());
        tokio::task::block_in_place(|| self.store.expect_quota(device, model))?;
        let turn = self.enter(device, visit);
        let hello = (&hello, taken, peer.is_some());
        let served = self.serve(hello, &turn, (reader, writer), visit).await;
        self.leave(device, turn);
        match &served {
            Ok(()) => tracing::info!(%device, "gone"),
            Err(error) => tracing::info!(%device, "gone: {error}"),
        }
        served
    }

    /// The model that a device is to have now, if it is the one that it means.
    fn model_of(&self, hello: &Hello) -> Result<Arc<Served>, AloneError> {
        let (name, served) =
            self.models.named(hello.device).ok_or(AloneError::Refused(Refusal::NoModel))?;
        if hello.model.as_ref().is_some_and(|meant| *meant != name) {
            return Err(AloneError::Refused(Refusal::OtherModel));
        }
        Ok(served)
    }

    /// A device whose turn it is: another connection of it has ended before.
    async fn serve(
        &self,
        (hello, taken, sealed): (&Hello, Option<&Taken>, bool),
        turn: &Turn<u64>,
        (reader, writer): (&mut Reader, &mut Writer),
        visit: &mut Visit,
    ) -> Result<(), AloneError> {
        visit.enter()?;
        let mut numbers = visit.or(async { Ok::<_, AloneError>(turn.lock().await) }).await?;
        let device = hello.device;
        let mut changes = self.models.changes();
        // It may be another one since the connection began to wait.
        let served = self.model_of(hello)?;
        let halves = (&mut *reader, &mut *writer);
        let mut session = self.begun((hello, &served), sealed, halves, visit).await?;
        reader.end_message();
        tracing::debug!(%device, "connected");
        // Of who has proved no name nothing is kept.
        let record = sealed.then(|| self.records.of(device));
        let _here = record.as_ref().map(|record| record.here());
        let link = (reader, writer);
        let among = (&mut *numbers, taken);
        let served = self.sessions(&mut session, link, among, visit, &mut changes).await;
        // While it is still this connection's turn: the next would read the same file.
        let is_cheat = served.as_ref().err().is_some_and(AloneError::is_cheat);
        // Of who has proved no name nothing is kept, and nobody else's is touched.
        if is_cheat && sealed {
            tracing::error!(%device, "it has cheated; what was kept of it is deleted");
            taken.iter().for_each(|taken| taken.spoil());
            let file = self.kept_file(device);
            if let Err(error) = tokio::task::block_in_place(|| forget(&file)) {
                tracing::error!(%device, "what was kept of it cannot be deleted: {error}");
            }
        }
        served
    }

    /// The rest of the handshake, in time, when there is room for it.
    async fn begun(
        &self,
        hello: (&Hello, &Arc<Served>),
        sealed: bool,
        (reader, writer): (&mut Reader, &mut Writer),
        visit: &Visit,
    ) -> Result<Box<Session>, AloneError> {
        let _permit = self.room_for(Work::Light, visit).await?;
        // Base transfers are large: on the heap, whatever is built around them.
        let begun = Box::pin(self.begin(hello, sealed, reader, writer));
        blocking(within(visit, &self.patience, begun))
    }

    /// The rest of the handshake.
    async fn begin(
        &self,
        (hello, served): (&Hello, &Arc<Served>),
        sealed: bool,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<Box<Session>, AloneError> {
        let (network, task) = (served.model().network.clone(), served.task());
        let digest = &served.digest();
        let file = self.kept_file(hello.device);
        let loaded = if sealed { file.load()? } else { None };
        let (own, loaded): (Option<KeptId>, _) = loaded.unzip();
        let stores = self.stores && sealed;
        let welcome = Welcome { model: *digest, network, kept: own, stores };
        let welcome = frame::encode(Message::Welcome, &welcome)?;
        frame::greet(writer, Message::Welcome, &welcome).await?;
        let mut link = Tallied::new(reader, writer);
        let keeps = sealed.then_some(&file);
        let met = kept(Party::P1, keeps, [own, hello.kept], loaded, &mut link);
        let (transfers, kept) = Box::pin(met).await?;
        let open = || {
            let pair = pair_name(*hello.device.as_bytes(), DeviceId::proved(self.name));
            let model = model_name(digest, task);
            let origin = Origin { party: 1, pair, model, transfers };
            Halves::open(&store_folder(&file, &model), origin, Half::bytes(Party::P1, task))
        };
        let mut store = hello.stores.then(open).transpose()?;
        if let Some(store) = &mut store {
            let Stocked(theirs) = frame::receive(reader, Message::Stock).await?;
            frame::send(writer, Message::Stock, &Stocked(store.stock())).await?;
            store.match_with(&theirs)?;
        }
        let (device, manner) = (hello.device, [hello.stores, hello.silent]);
        let (served, halves) = (served.clone(), VecDeque::new());
        Ok(Box::new(Session { device, served, sealed, kept, p1: None, manner, halves, store }))
    }

    /// What the device wants, one after the other, until it goes.
    async fn sessions(
        &self,
        session: &mut Session,
        (reader, writer): (&mut Reader, &mut Writer),
        (numbers, taken): (&mut u64, Option<&Taken>),
        visit: &mut Visit,
        changes: &mut Changes,
    ) -> Result<(), AloneError> {
        let record = session.sealed.then(|| self.records.of(session.device));
        let mut begun: Option<Begun<'_>> = None;
        loop {
            let another = tokio::select! {
                biased;
                () = changes.until_replaced(&self.models, session.device, &session.served) => {
                    return Err(AloneError::Refused(Refusal::ModelReplaced));
                }
                next = self.next(begun.as_ref(), reader, visit) => next?,
            };
            if !another {
                return Ok(());
            }
            let Some(header) = Header::<Message>::read_or_end(reader).await? else {
                return Ok(());
            };
            if header.kind != Message::Want {
                let (expected, found) = (Message::Want, header.kind);
                return Err(FrameError::UnexpectedFrame { expected, found }.into());
            }
            let want: Want = header.message(reader).await?;
            reader.end_message();
            let link = (&mut *reader, &mut *writer);
            // A part of a batch has the time that its bytes take; of them there may be many.
            match want {
                // Server 0 alone chooses no inputs, and prepares on its lanes.
                Want::Infer { .. } | Want::Prepare { .. } if self.of_lanes => {
                    return Err(AloneError::Refused(Refusal::Protocol));
                }
                Want::Taken(_) => return Err(AloneError::Refused(Refusal::Protocol)),
                Want::Take { index, ticket } => {
                    let taken = taken.ok_or(AloneError::Refused(Refusal::Protocol))?;
                    self.take(session, (index, ticket), taken, &mut *link.1).await?;
                }
                Want::Infer { index } => {
                    let _room = self.room_for(Work::Light, visit).await?;
                    let begun = Instant::now();
                    let done = Box::pin(self.infer(session, index, numbers, link));
                    blocking(within(visit, &self.patience, done))?;
                    self.meter.session(Phase::Infer, begun.elapsed());
                    if let Some(record) = &record {
                        record.evaluated();
                    }
                }
                // Its room is taken: who had one, and waited for another, could wait for ever.
                Want::Prepare { .. } | Want::Fill(_) if begun.is_some() => {
                    return Err(AloneError::Refused(Refusal::Protocol));
                }
                Want::Prepare { sessions } => {
                    let _room = self.room_for(Work::Heavy, visit).await?;
                    let begun = Instant::now();
                    blocking(visit.or(Box::pin(self.prepare(session, sessions, link))))?;
                    self.meter.session(Phase::Prepare, begun.elapsed());
                }
                Want::Fill(batch) => {
                    begun = match self.begin_batch(session, batch, &mut *link.1).await? {
                        Some(batch) => self.part(session, batch, link, visit).await?,
                        None => None,
                    };
                }
                Want::More => {
                    let batch = begun.take().ok_or(AloneError::Refused(Refusal::Protocol))?;
                    frame::send_bytes(&mut *link.1, Message::Go, &[]).await?;
                    begun = self.part(session, batch, link, visit).await?;
                }
            }
            if let Some(begun) = &mut begun {
                begun.until = Instant::now() + self.patience.phase;
            }
            if let (Some(record), Some(store)) = (&record, &session.store) {
                record.ready(store.ready());
            }
        }
    }

    /// A part of a batch, when there is room for its work; what is left of the batch.
    async fn part<'h>(
        &self,
        session: &mut Session,
        begun: Begun<'h>,
        link: (&mut Reader, &mut Writer),
        visit: &Visit,
    ) -> Result<Option<Begun<'h>>, AloneError> {
        let _room = self.room_for(begun.work, visit).await?;
        let begin = std::time::Instant::now();
        let left = blocking(visit.or(Box::pin(self.fill(session, begun, link))))?;
        self.meter.session(Phase::Prepare, begin.elapsed());
        Ok(left)
    }

    /// Whether something more comes: in time, if a batch is begun.
    async fn next(
        &self,
        begun: Option<&Begun<'_>>,
        reader: &mut Reader,
        visit: &mut Visit,
    ) -> Result<bool, AloneError> {
        let Some(begun) = begun else {
            // The connection that fills stores is none that makes room for a newcomer.
            return Ok(if self.of_lanes {
                visit.next_of_work(reader).await?
            } else {
                visit.next(reader).await?
            });
        };
        let until = begun.until.min(begun.end);
        let next = tokio::time::timeout_at(until, visit.next_of_work(reader)).await;
        Ok(next.map_err(|_| AloneError::Refused(Refusal::TooSlow))??)
    }

    async fn prepare(
        &self,
        session: &mut Session,
        sessions: u32,
        (reader, writer): (&mut Reader, &mut Writer),
    ) -> Result<(), AloneError> {
        let served = session.served.clone();
        let (model, task) = (served.model(), served.task());
        let most = task.sessions_at_once();
        let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
        if !(1..=most).contains(&sessions) || session.halves.len() + sessions > TURNS * most {
            return Err(too_many(most));
        }
        frame::send_bytes(writer, Message::Go, &[]).await?;
        let (mut link, mut rng) = (Tallied::new(reader, writer), rng()?);
        let p1 = session.maker(task, &mut rng, &mut link).await?;
        let made = p1.prepare(task, model, sessions, &mut rng, &mut link).await?;
        session.halves.extend(made);
        tracing::debug!(device = %session.device, sessions, "prepared");
        Ok(())
    }

    /// Begins a batch, if there is room for it; the device is told.
    async fn begin_batch(
        &self,
        session: &Session,
        batch: Batch,
        writer: &mut Writer,
    ) -> Result<Option<Begun<'_>>, AloneError> {
        let task = session.served.task();
        let store = session.store.as_ref().ok_or(AloneError::Refused(Refusal::NoStore))?;
        let sessions = usize::try_from(batch.count).unwrap_or(usize::MAX);
        let whole = is_whole(task, &batch);
        if !whole && sessions > most(task) {
            return Err(too_many(most(task)));
        }
        let fits = store.expect(&batch);
        let (turn, memory) = match (&fits, self.batches.try_acquire()) {
            (Err(HalvesError::Full), _) => (Whether::Enough, None),
            (Err(_), _) => return Err(fits.err().map_or(too_many(most(task)), Into::into)),
            (Ok(()), _) if store.ready() >= self.most_ready => (Whether::Enough, None),
            (Ok(()), Err(_)) => (Whether::Later, None),
            (Ok(()), Ok(memory)) => (Whether::Now, Some(memory)),
        };
        frame::send_bytes(writer, Message::Go, &[turn.byte()]).await?;
        let Some(_memory) = memory else { return Ok(None) };
        let work = if whole { Work::Batch } else { Work::Heavy };
        let (filling, now) = (FillingHost::new(task, batch), Instant::now());
        let (until, end) = (now + self.patience.phase, now + BATCH_TIME);
        Ok(Some(Begun { filling, work, until, end, _memory }))
    }

    /// A part of a batch; what is left of it.
    async fn fill<'h>(
        &self,
        session: &mut Session,
        mut begun: Begun<'h>,
        (reader, writer): (&mut Reader, &mut Writer),
    ) -> Result<Option<Begun<'h>>, AloneError> {
        let served = session.served.clone();
        let (model, task) = (served.model(), served.task());
        let mut rng = rng()?;
        {
            let mut link = Tallied::new(reader, writer);
            let p1 = session.maker(task, &mut rng, &mut link).await?;
            begun.filling.step(p1, (task, model), &mut rng, &mut link).await?;
        }
        if !begun.filling.is_complete() {
            return Ok(Some(begun));
        }
        let store = session.store.as_mut().ok_or(AloneError::Refused(Refusal::NoStore))?;
        begun.filling.keep(store, (reader, writer)).await?;
        let ready = store.ready();
        tracing::info!(device = %session.device, "{ready} inferences are in the store");
        Ok(None)
    }

    /// Takes a half out of the store, for a lane.
    async fn take(
        &self,
        session: &mut Session,
        (index, ticket): (u64, Ticket),
        taken: &Taken,
        writer: &mut Writer,
    ) -> Result<(), AloneError> {
        let store = session.store.as_mut().ok_or(AloneError::Refused(Refusal::NoStore))?;
        let bytes = tokio::task::block_in_place(|| store.spend(index))?;
        tracing::debug!("{} spends half {index}", session.device);
        let half = Half::from_bytes(Party::P1, session.served.task(), &bytes);
        let half = half.ok_or(AloneError::Refused(Refusal::NotPrepared))?;
        taken.put(ticket, half);
        frame::send_bytes(writer, Message::Go, &[]).await?;
        Ok(())
    }

    async fn infer(
        &self,
        session: &mut Session,
        index: Option<u64>,
        numbers: &mut u64,
        (reader, writer): (&mut Reader, &mut Writer),
    ) -> Result<(), AloneError> {
        let served = session.served.clone();
        let (model, task) = (served.model(), served.task());
        // Counted before anything is spent, and before the device learns anything.
        self.store.serve(session.device, record_name(&served.digest()))?;
        let half = match (index, &mut session.store) {
            (None, None) => session.halves.pop_front(),
            (Some(index), Some(store)) => {
                let bytes = store.spend(index)?;
                tracing::debug!("{} spends half {index}", session.device);
                Half::from_bytes(Party::P1, task, &bytes)
            }
            _ => None,
        };
        let half = half.ok_or(AloneError::Refused(Refusal::NotPrepared))?;
        frame::send_bytes(writer, Message::Go, &[]).await?;
        let mut link = Tallied::new(reader, writer);
        let affine = Vectorised(model);
        let share = online::infer_p1(task, half, &affine, None, &mut link).await?;
        let mut own = Zeroizing::new(vec![0; size_of_val(share.as_slice())]);
        write_le_slice(&share, &mut own);
        let mut answer = None;
        if self.answer.to_host() {
            reader.await_message(COMPUTING);
            let theirs = frame::receive_bytes(reader, Message::Share, own.len()).await?;
            answer = Some(opened(&share, &theirs));
        }
        let (device, number) = (session.device, index.unwrap_or(*numbers));
        *numbers += 1;
        if let Some(values) = answer {
            let frac_bits = model.network.output_frac_bits();
            let (labels, scores) = (model.labels.clone(), model.scores);
            let session = number;
            (self.sink)(HostAnswer { device, session, frac_bits, values, labels, scores });
        }
        // The device takes it as done.
        let told = if self.answer.to_device() { &own[..] } else { &[] };
        frame::send_bytes(writer, Message::Answer, told).await?;
        tracing::debug!(%device, session = number, "evaluated");
        Ok(())
    }
}

fn too_many(most: usize) -> AloneError {
    AloneError::Refused(Refusal::TooMany { most: u32::try_from(most).unwrap_or(u32::MAX) })
}

/// Works on this thread: other connections go on on others.
fn blocking<T>(work: impl Future<Output = T>) -> T {
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| handle.block_on(work))
}

/// A step that must be done in time, unless the conversation has to end before.
async fn within<T>(
    visit: &Visit,
    patience: &Patience,
    step: impl Future<Output = Result<T, AloneError>>,
) -> Result<T, AloneError> {
    let timed = tokio::time::timeout(patience.phase, step);
    visit.or(async { timed.await.unwrap_or(Err(AloneError::Refused(Refusal::TooSlow))) }).await
}

/// What the device is told.
pub(crate) fn refusal_of(error: &AloneError) -> Option<Refusal> {
    Some(match error {
        AloneError::Refused(refusal) => *refusal,
        AloneError::Wire(FrameError::Refused(_) | FrameError::Closed | FrameError::Io(_)) => {
            return None;
        }
        AloneError::Wire(FrameError::TimedOut) => Refusal::TooSlow,
        AloneError::Wire(_) => Refusal::Protocol,
        AloneError::Store(StoreError::Quota { .. }) => Refusal::Quota,
        AloneError::Store(StoreError::Revoked) => Refusal::UnknownDevice,
        AloneError::Store(_) => Refusal::Disk,
        AloneError::Halves(HalvesError::Backup { .. }) => Refusal::Backup,
        AloneError::Halves(HalvesError::Peer { .. }) => Refusal::NotPrepared,
        AloneError::Halves(HalvesError::Store(StoreError::File(_))) => Refusal::Disk,
        AloneError::Halves(_) => Refusal::NoStore,
        error if error.is_cheat() => Refusal::Protocol,
        _ => return None,
    })
}

impl Service for Host {
    type Error = AloneError;

    fn roles(&self) -> &[Role] {
        &[Role::Device]
    }

    fn observe(&self, event: Event) {
        self.meter.event(event);
    }

    async fn converse(
        self: Arc<Self>,
        connection: Connection,
        mut visit: Visit,
    ) -> Result<(), AloneError> {
        let peer = connection.peer();
        let Connection { mut reader, mut writer, .. } = connection;
        let ended = self.speak(peer, &mut reader, &mut writer, &mut visit).await;
        if let Some(refusal) = ended.as_ref().err().and_then(refusal_of) {
            self.meter.refused(&refusal);
            // The reason matters more than whether it still reaches the device.
            let _ = frame::send(&mut writer, Message::Refuse, &refusal).await;
        }
        ended
    }
}

impl Watched for Host {
    fn metrics(&self) -> String {
        self.meter.text(self.records.ready())
    }

    fn devices(&self) -> Vec<DeviceFigures> {
        with_limits(&self.store, self.records.figures())
    }

    fn expect_ready(&self) -> Result<(), String> {
        if self.models.is_empty() { Err("no model is served".to_owned()) } else { Ok(()) }
    }
}
