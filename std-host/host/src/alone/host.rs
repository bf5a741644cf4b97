//! The host: owns the model, prepares with devices, and infers for them.
//!
//! A connection is a task; a device has one connection at a time, and the newer one wins. What a
//! connection does blocks a thread; handshakes and inferences, preparations, and whole batches each
//! have a bound of their own. Whoever has not proved its name costs no disk: of it nothing is kept,
//! and it has no store, whose halves it could spend in another's name.

use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rand_chacha::ChaCha20Rng;
use sha2::{Digest as _, Sha256};
use sharelet_alone::{Half, P1, Task, online};
use sharelet_core::ring::write_le_slice;
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::share::Party;
use sharelet_link::frame::{self, FrameError, Header};
use sharelet_link::service::{Event, Service, Visit};
use sharelet_link::{Connection, Party as Peer, Reader, Role, Writer};
use sharelet_model::Model;
use sharelet_prepare::Kept;
use tokio::sync::{Mutex as Turn, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::AloneError;
use super::client::{forget, opened, store_folder};
use super::filling::{FillingHost, is_whole, most};
use super::link::{COMPUTING, Tallied, field, kept, model_name, pair_name, rng};
use super::wire::{Hello, Message, Refusal, Stocked, Turn as Whether, Want, Welcome};
use crate::host::kernel::Vectorised;
use crate::host::{AnswerSink, HostAnswer, Patience};
use crate::meter::{Meter, Phase, Records};
use crate::store::StoreError;
use crate::store::halves::{Batch, Halves, HalvesError, Origin};
use crate::store::host::HostStore;
use crate::store::kept::{KeptFile, KeptId};
use sharelet_link::monitor::{DeviceFigures, Watched};
use sharelet_link::service::Place;

/// Batches that are begun at the same time: each has some hundred megabytes.
const BATCHES: usize = 4;
/// The longest that a batch may take, however slow the line is.
const BATCH_TIME: Duration = Duration::from_secs(4 * 3600);
/// Inferences that a connection may have prepared and not used, in turns of the best number.
const TURNS: usize = 4;

/// A model that is served without a dealer.
pub struct Served {
    model: Model,
    /// A digest of its file, which tells nothing about the weights but whether a guess of all of
    /// them is right.
    digest: [u8; 32],
    task: Task,
}

impl core::fmt::Debug for Served {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Served").field("model", &self.model).finish_non_exhaustive()
    }
}

impl Served {
    /// Reads a model, and checks that its weights can be hidden.
    ///
    /// # Errors
    /// The file's; [`AloneError::Model`] with the number if they cannot.
    pub fn load(path: &Path) -> Result<Self, AloneError> {
        let unfit = |error: String| AloneError::Unfit(error);
        let bytes =
            fs::read(path).map_err(|error| unfit(format!("{}: {error}", path.display())))?;
        let model = Model::from_bytes(&bytes, path).map_err(|error| unfit(error.to_string()))?;
        Self::new(model, &bytes)
    }

    /// Of a model whose file is `file`.
    ///
    /// # Errors
    /// [`AloneError::Model`].
    pub fn new(model: Model, file: &[u8]) -> Result<Self, AloneError> {
        let task = Task::new(model.network.clone())?;
        task.check(&model)?;
        let digest =
            Sha256::new().chain_update("sharelet alone model 1").chain_update(file).finalize();
        let digest = digest.into();
        Ok(Self { model, digest, task })
    }

    /// A digest of its file.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// What both parties know of it.
    #[must_use]
    pub const fn task(&self) -> &Task {
        &self.task
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// The host's service.
pub struct Host {
    served: Served,
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
        f.debug_struct("Host").field("served", &self.served).finish_non_exhaustive()
    }
}

/// A connection in its session.
struct Session {
    device: DeviceId,
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
        (served, name): (Served, Option<DeviceId>),
        (store, state, stores): (HostStore, PathBuf, bool),
        answer: Answer,
        sink: AnswerSink,
        patience: Patience,
    ) -> Arc<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // Who waits for a slow peer holds a thread: of those there are some thirty.
        let works = [16, (2 * cores).min(8), 1].map(Semaphore::new);
        let (devices, meter, records) = (Mutex::default(), Meter::new(), Records::default());
        let batches = Semaphore::new(BATCHES);
        Arc::new(Self {
            served,
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
        })
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
        tokio::task::block_in_place(|| self.store.expect_quota(device))?;
        let turn = self.enter(device, visit);
        let served = self.serve((&hello, peer.is_some()), &turn, (reader, writer), visit).await;
        self.leave(device, turn);
        match &served {
            Ok(()) => tracing::info!(%device, "gone"),
            Err(error) => tracing::info!(%device, "gone: {error}"),
        }
        served
    }

    /// A device whose turn it is: another connection of it has ended before.
    async fn serve(
        &self,
        (hello, sealed): (&Hello, bool),
        turn: &Turn<u64>,
        (reader, writer): (&mut Reader, &mut Writer),
        visit: &mut Visit,
    ) -> Result<(), AloneError> {
        visit.enter()?;
        let mut numbers = visit.or(async { Ok::<_, AloneError>(turn.lock().await) }).await?;
        let device = hello.device;
        let halves = (&mut *reader, &mut *writer);
        let mut session = self.begun(hello, sealed, halves, visit).await?;
        reader.end_message();
        tracing::debug!(%device, "connected");
        // Of who has proved no name nothing is kept.
        let record = sealed.then(|| self.records.of(device));
        let _here = record.as_ref().map(|record| record.here());
        let served = self.sessions(&mut session, (reader, writer), &mut numbers, visit).await;
        // While it is still this connection's turn: the next would read the same file.
        let is_cheat = served.as_ref().err().is_some_and(AloneError::is_cheat);
        // Of who has proved no name nothing is kept, and nobody else's is touched.
        if is_cheat && sealed {
            tracing::error!(%device, "it has cheated; what was kept of it is deleted");
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
        hello: &Hello,
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
        hello: &Hello,
        sealed: bool,
        reader: &mut Reader,
        writer: &mut Writer,
    ) -> Result<Box<Session>, AloneError> {
        let Served { model, digest, task } = &self.served;
        let file = self.kept_file(hello.device);
        let loaded = if sealed { file.load()? } else { None };
        let (own, loaded): (Option<KeptId>, _) = loaded.unzip();
        let (network, stores) = (model.network.clone(), self.stores && sealed);
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
        let halves = VecDeque::new();
        Ok(Box::new(Session { device, sealed, kept, p1: None, manner, halves, store }))
    }

    /// What the device wants, one after the other, until it goes.
    async fn sessions(
        &self,
        session: &mut Session,
        (reader, writer): (&mut Reader, &mut Writer),
        numbers: &mut u64,
        visit: &mut Visit,
    ) -> Result<(), AloneError> {
        let record = session.sealed.then(|| self.records.of(session.device));
        let mut begun: Option<Begun<'_>> = None;
        while self.next(begun.as_ref(), reader, visit).await? {
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
        Ok(())
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
        let Some(begun) = begun else { return Ok(visit.next(reader).await?) };
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
        let Served { model, task, .. } = &self.served;
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
        let task = &self.served.task;
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
            (Ok(()), _) if store.ready() >= self.store.quota().sessions_per_day.into() => {
                (Whether::Enough, None)
            }
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
        let Served { model, task, .. } = &self.served;
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

    async fn infer(
        &self,
        session: &mut Session,
        index: Option<u64>,
        numbers: &mut u64,
        (reader, writer): (&mut Reader, &mut Writer),
    ) -> Result<(), AloneError> {
        let Served { model, task, .. } = &self.served;
        // Counted before anything is spent, and before the device learns anything.
        self.store.serve(session.device)?;
        let half = match (index, &mut session.store) {
            (None, None) => session.halves.pop_front(),
            (Some(index), Some(store)) => {
                let bytes = store.spend(index)?;
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
            let labels = model.labels.clone();
            (self.sink)(HostAnswer { device, session: number, frac_bits, values, labels });
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
fn refusal_of(error: &AloneError) -> Option<Refusal> {
    Some(match error {
        AloneError::Refused(refusal) => *refusal,
        AloneError::Wire(FrameError::Refused(_) | FrameError::Closed | FrameError::Io(_)) => {
            return None;
        }
        AloneError::Wire(FrameError::TimedOut) => Refusal::TooSlow,
        AloneError::Wire(_) => Refusal::Protocol,
        AloneError::Store(StoreError::Quota { .. }) => Refusal::Quota,
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
        self.records.figures()
    }

    fn expect_ready(&self) -> Result<(), String> {
        Ok(())
    }
}
