//! The device's side of a connection to a host, without a dealer.

use core::time::Duration;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use sharelet_alone::{Half, P0, Task, online};
use sharelet_core::ring::{Ring as _, read_le_slice, write_le_slice};
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_core::share::Party;
use sharelet_link::files::{FileError, sync_directory};
use sharelet_link::frame;
use sharelet_link::{Connection, Counts, Reader, Role, Route, Writer, tcp};
use sharelet_prepare::Kept;
use zeroize::Zeroizing;

use super::filling::{FillingDevice, sessions_of};
use super::link::{COMPUTING, Tallied, expect_bounded, field, kept, model_name, pair_name, rng};
use super::wire::{Hello, Message, Stocked, Ticket, Turn, Want, Welcome};
use super::{AloneError, wire as messages};
use crate::store::StoreError;
use crate::store::halves::{Batch, Halves, HalvesError, Origin};
use crate::store::kept::{Held, KeptFile, KeptId};

/// Where the host is, and what the device keeps.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The host, `HOST:PORT`.
    pub host: String,
    /// Which addresses are acceptable, and over which line.
    pub route: Route,
    /// The device's name.
    pub device: DeviceId,
    /// Who learns the answer; the host must have been started with the same.
    pub answer: Answer,
    /// Where the device keeps what it knows of the host.
    pub state: PathBuf,
    /// The name of the model that is meant; whichever the host has for the device if it is none.
    pub model: Option<String>,
    /// Whether inferences are taken from a store, in `state`.
    pub stores: bool,
    /// Whether batches of [`SLOTS`](sharelet_alone::SLOTS) are made with silent transfers: fewer
    /// bytes, more work.
    pub silent: bool,
    /// The host must accept within this time.
    pub connect: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
}

/// What a part of a batch has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// So many of its inferences are made, and none of them is stored.
    Made(u64),
    /// It is complete, and stored: so many inferences.
    Stored(u32),
    /// It is not begun: the host makes batches for others.
    Later,
    /// It is not begun: the host, or this side, keeps no more.
    Enough,
}

/// A device that is connected.
pub struct Client {
    reader: Reader,
    writer: Writer,
    /// The network, and what is derived from it.
    task: Task,
    answer: Answer,
    /// What the pair keeps, until something is to be made: keys of encryption are large, and a
    /// connection that only spends a store needs none.
    kept: Box<Kept>,
    p0: Option<P0>,
    /// How something is made: for stores, silently.
    manner: [bool; 2],
    /// Prepared on this connection, oldest first.
    halves: VecDeque<Half>,
    store: Option<Halves>,
    /// A batch of which some parts are made.
    filling: Option<FillingDevice>,
    /// What is kept of the host, for this program alone.
    file: KeptFile,
    _held: Held,
}

impl core::fmt::Debug for Client {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Client").field("store", &self.store).finish_non_exhaustive()
    }
}

/// What the folders of stores begin with.
const STORE: &str = "store-";

/// What the device keeps of a host, in its state.
fn kept_file(state: &Path, address: &str, host: Option<DeviceId>) -> KeptFile {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let of_address = || format!("plaintext-{}", address.chars().map(plain).collect::<String>());
    let host = host.map_or_else(of_address, |host| format!("host-{host}"));
    KeptFile::new(state.join(host).join("kept"))
}

/// The folder of a pair's store of a model, by what [`model_name`] calls it.
pub(super) fn store_folder(kept: &KeptFile, model: &[u8; 32]) -> PathBuf {
    let name = model.first_chunk::<8>().map(|name| sharelet_link::hex::hex(name));
    kept.path().with_file_name(format!("{STORE}{}", name.unwrap_or_default()))
}

impl Client {
    /// Connects, and begins a session.
    ///
    /// # Errors
    /// [`AloneError`], the host's refusal included.
    pub async fn connect(settings: &Settings) -> Result<Self, AloneError> {
        let Settings { host, route, connect, stall, .. } = settings;
        let connection = tcp::connect(host, Role::Host, route, *connect, *stall).await?;
        Self::meet(connection, settings).await
    }

    /// The same on a connection that is open.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn meet(connection: Connection, settings: &Settings) -> Result<Self, AloneError> {
        let Settings { host, device, answer, state, stores, silent, model, .. } = settings;
        let peer = connection.peer().map(|peer| peer.name);
        let Connection { mut reader, mut writer, .. } = connection;
        let file = kept_file(state, host, peer);
        let held = file.lock()?;
        let (own, loaded): (Option<KeptId>, _) = file.load()?.unzip();
        let (model, (stores, silent)) = (model.clone(), (*stores, *silent));
        let hello = Hello { device: *device, answer: *answer, kept: own, stores, silent, model };
        frame::greet(&mut writer, Message::Hello, &frame::encode(Message::Hello, &hello)?).await?;
        let welcome = frame::read_greeting(&mut reader, Message::Welcome).await?;
        let Welcome { model, network, kept: peers, stores: peer_stores } =
            frame::decode(Message::Welcome, &welcome)?;
        network.validate().map_err(|error| {
            AloneError::Unfit(format!("the host's network is refused: {error}"))
        })?;
        if answer.to_host() && network.opens_a_public_map() {
            let error = sharelet_core::session::SessionError::PublicAnswer;
            return Err(AloneError::Unfit(error.to_string()));
        }
        if stores && !peer_stores {
            return Err(messages::WireError::Refused(messages::Refusal::NoStore).into());
        }
        let task = Task::new(network)?;
        expect_bounded(&task)?;
        let (transfers, kept) = {
            let mut link = Tallied::new(&mut reader, &mut writer);
            // Base transfers are large: on the heap, whatever is built around them.
            let met = kept(Party::P0, Some(&file), [own, peers], loaded, &mut link);
            Box::pin(met).await?
        };
        let model = model_name(&model, &task);
        let pair = pair_name(*device.as_bytes(), DeviceId::proved(peer));
        let origin = Origin { party: 0, pair, model, transfers };
        let bytes = Half::bytes(Party::P0, &task);
        let open = || Halves::open(&store_folder(&file, &model), origin, bytes);
        let store = stores.then(open).transpose()?;
        let mut client = Self {
            reader,
            writer,
            task,
            answer: *answer,
            kept,
            p0: None,
            manner: [stores, silent],
            halves: VecDeque::new(),
            store,
            filling: None,
            file,
            _held: held,
        };
        client.match_stores().await?;
        Ok(client)
    }

    async fn match_stores(&mut self) -> Result<(), AloneError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        frame::send(&mut self.writer, Message::Stock, &Stocked(store.stock())).await?;
        let Stocked(peer) = frame::receive(&mut self.reader, Message::Stock).await?;
        Ok(store.match_with(&peer)?)
    }

    /// The network.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Inferences that are prepared.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.store.as_ref().map_or(self.halves.len() as u64, Halves::ready)
    }

    /// Whether a batch is being made; the host waits for its next part as long as it waits for a
    /// preparation.
    #[must_use]
    pub const fn is_filling(&self) -> bool {
        self.filling.is_some()
    }

    /// Says what is wanted, and waits until the host goes along; bytes of it.
    async fn want(&mut self, want: Want) -> Result<Counts, AloneError> {
        let body = frame::encode(Message::Want, &want)?;
        frame::send_bytes(&mut self.writer, Message::Want, &body).await?;
        frame::receive_bytes(&mut self.reader, Message::Go, 0).await?;
        let sent_bytes = FRAME_BYTES + body.len() as u64;
        Ok(Counts { sent_bytes, received_bytes: FRAME_BYTES, round_trips: 1 })
    }

    /// Prepares inferences of this connection.
    ///
    /// # Errors
    /// [`AloneError`].
    pub async fn prepare(&mut self, sessions: u32) -> Result<Counts, AloneError> {
        let wanted = self.want(Want::Prepare { sessions }).await?;
        let sessions = usize::try_from(sessions).unwrap_or(usize::MAX);
        let mut rng = rng()?;
        let (made, counts) = {
            let (p0, task, mut link) = self.maker(&mut rng).await?;
            (p0.prepare(task, sessions, &mut rng, &mut link).await, link.counts)
        };
        let made = self.expect_honest(made.map_err(AloneError::from))?;
        self.halves.extend(made);
        Ok(added(wanted, counts))
    }

    /// What makes halves, begun with the host if it was not.
    async fn maker(
        &mut self,
        rng: &mut ChaCha20Rng,
    ) -> Result<(&mut P0, &Task, Tallied<'_>), AloneError> {
        let Self { reader, writer, task, kept, p0, manner: [stores, silent], .. } = self;
        let mut link = Tallied::new(reader, writer);
        let p0 = match p0 {
            Some(p0) => p0,
            None => {
                let begun = P0::begin(task, (kept, field(*stores)), rng, &mut link);
                let begun = Box::pin(begun).await?;
                p0.insert(if *silent { begun.silently() } else { begun })
            }
        };
        Ok((p0, task, link))
    }

    /// Adds a batch to both stores: [`SLOTS`](sharelet_alone::SLOTS) inferences where `count` and
    /// the network allow it, and as many as are best prepared at once otherwise. Returns how many,
    /// none if no more are kept; `made` is told of them as they are made. Waits while the host
    /// makes batches for others.
    ///
    /// # Errors
    /// As [`Client::fill_some`].
    pub async fn fill(&mut self, count: u64, mut made: impl FnMut(u64)) -> Result<u32, AloneError> {
        loop {
            match self.fill_some(count).await? {
                Filled::Made(sessions) => made(sessions),
                Filled::Stored(sessions) => return Ok(sessions),
                Filled::Later => tokio::time::sleep(LATER).await,
                Filled::Enough => return Ok(0),
            }
        }
    }

    /// The same part by part, for who infers in between: begins a batch of which `count` would be
    /// welcome, or goes on with the one that is begun.
    ///
    /// # Errors
    /// [`AloneError`]; after one neither side has the batch.
    pub async fn fill_some(&mut self, count: u64) -> Result<Filled, AloneError> {
        let mut rng = rng()?;
        let mut filling = match self.filling.take() {
            Some(filling) => {
                self.want(Want::More).await?;
                filling
            }
            None => match self.begin_batch(count, &mut rng).await? {
                (Turn::Now, filling) => filling,
                (Turn::Later, _) => return Ok(Filled::Later),
                (Turn::Enough, _) => return Ok(Filled::Enough),
            },
        };
        let (p0, task, mut link) = self.maker(&mut rng).await?;
        let made = filling.step(p0, task, &mut rng, &mut link).await;
        let made = self.expect_honest(made)?;
        if !filling.is_complete() {
            self.filling = Some(filling);
            return Ok(Filled::Made(made as u64));
        }
        let Self { reader, writer, store, .. } = self;
        let store = store.as_mut().ok_or_else(no_store)?;
        Ok(Filled::Stored(filling.keep(store, (reader, writer)).await?))
    }

    async fn begin_batch(
        &mut self,
        count: u64,
        rng: &mut ChaCha20Rng,
    ) -> Result<(Turn, FillingDevice), AloneError> {
        let store = self.store.as_ref().ok_or_else(no_store)?;
        let sessions = u32::try_from(sessions_of(&self.task, count)).unwrap_or(0);
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let batch = Batch { id, first: store.end(), count: sessions };
        let filling = FillingDevice::new(&self.task, batch);
        match store.expect(&batch) {
            Err(HalvesError::Full) => return Ok((Turn::Enough, filling)),
            fits => fits?,
        }
        frame::send(&mut self.writer, Message::Want, &Want::Fill(batch)).await?;
        let turn = frame::receive_bytes(&mut self.reader, Message::Go, 1).await?;
        let turn = turn.first().and_then(|turn| Turn::of(*turn));
        let unknown = || AloneError::Unfit("the host's answer is not understood".to_owned());
        Ok((turn.ok_or_else(unknown)?, filling))
    }

    /// Infers with what was prepared: with the store's next half, or the connection's oldest.
    /// Returns the answer, if the device learns it, and what the inference sent and received.
    ///
    /// # Errors
    /// [`AloneError`]; what it was to spend is spent.
    pub async fn infer(&mut self, input: &[u32]) -> Result<(Vec<u32>, Counts), AloneError> {
        let nothing =
            || AloneError::Unfit("nothing is prepared; run `sharelet prepare` first".to_owned());
        let (index, half) = match &self.store {
            Some(store) => (Some(store.next_index().ok_or_else(nothing)?), None),
            None => (None, Some(self.halves.pop_front().ok_or_else(nothing)?)),
        };
        let mut counts = self.want(Want::Infer { index }).await?;
        let half = match (half, &mut self.store, index) {
            (Some(half), ..) => half,
            // Recorded before anything of it is sent.
            (None, Some(store), Some(index)) => {
                let bytes = store.spend(index)?;
                Half::from_bytes(Party::P0, &self.task, &bytes).ok_or_else(nothing)?
            }
            _ => return Err(nothing()),
        };
        let Self { reader, writer, task, answer, .. } = self;
        let mut link = Tallied::new(reader, writer);
        let share = online::infer_p0(task, half, input, &mut link).await?;
        counts = added(counts, link.counts);
        let mut own = Zeroizing::new(vec![0; size_of_val(share.as_slice())]);
        if answer.to_host() {
            write_le_slice(&share, &mut own);
            frame::send_bytes(writer, Message::Share, &own).await?;
            counts.sent_bytes += FRAME_BYTES + own.len() as u64;
        }
        let bytes = if answer.to_device() { own.len() } else { 0 };
        reader.await_message(COMPUTING);
        let theirs = frame::receive_bytes(reader, Message::Answer, bytes).await?;
        counts.received_bytes += FRAME_BYTES + bytes as u64;
        counts.round_trips += 1;
        Ok((opened(&share, &theirs), counts))
    }

    /// The same for a store that is to have up to `up_to`, when half of them are spent: whole
    /// batches where it may have many, and what is missing otherwise.
    ///
    /// # Errors
    /// As [`Client::fill_some`].
    pub async fn fill_up_to(&mut self, up_to: u64) -> Result<Filled, AloneError> {
        let missing = up_to.saturating_sub(self.ready()).max(1);
        let whole = sessions_of(&self.task, up_to) == sharelet_alone::SLOTS;
        self.fill_some(if whole { up_to } else { missing }).await
    }

    /// Waits until the host ends the connection, or says why it does.
    pub async fn until_ended(&mut self) -> AloneError {
        self.reader.await_message(IDLE);
        match frame::receive_bytes(&mut self.reader, Message::Go, 0).await {
            Ok(_) => AloneError::Unfit("the host says something that was not asked".to_owned()),
            Err(error) => error.into(),
        }
    }

    /// Takes the store's next half on both sides, for a lane that names the ticket; `None` if there
    /// is none. Both have recorded it as spent when this returns.
    ///
    /// # Errors
    /// [`AloneError`]; what was to be taken is spent.
    pub async fn take(&mut self) -> Result<Option<(Ticket, Half)>, AloneError> {
        let store = self.store.as_ref().ok_or_else(no_store)?;
        let Some(index) = store.next_index() else { return Ok(None) };
        let mut ticket = Ticket::default();
        rng()?.fill_bytes(&mut ticket);
        self.want(Want::Take { index, ticket }).await?;
        let store = self.store.as_mut().ok_or_else(no_store)?;
        let bytes = store.spend(index)?;
        let damaged = || AloneError::Unfit("a half of the store is none".to_owned());
        let half = Half::from_bytes(Party::P0, &self.task, &bytes).ok_or_else(damaged)?;
        Ok(Some((ticket, half)))
    }

    /// Forgets what is kept of a host that was caught at cheating, and what was made with it: it
    /// may have learned of it.
    fn expect_honest<T>(&mut self, made: Result<T, AloneError>) -> Result<T, AloneError> {
        if made.as_ref().err().is_some_and(AloneError::is_cheat) {
            self.halves.clear();
            (self.store, self.filling) = (None, None);
            if let Err(error) = forget(&self.file) {
                tracing::error!("what was kept of the host cannot be deleted: {error}");
            }
        }
        made
    }
}

/// Forgets transfers and all stores that were made with them: these first, so that none is left of
/// transfers that nobody knows any more.
pub(super) fn forget(kept: &KeptFile) -> Result<(), AloneError> {
    let stores = forget_stores(kept);
    kept.forget()?;
    stores
}

fn forget_stores(kept: &KeptFile) -> Result<(), AloneError> {
    let Some(directory) = kept.path().parent() else { return Ok(()) };
    let failed = |error| StoreError::from(FileError::at(directory)(error));
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    let mut ended = Ok(());
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(STORE) {
            ended = std::fs::remove_dir_all(&path).map_err(failed).and(ended);
        }
    }
    sync_directory(directory).map_err(StoreError::from)?;
    Ok(ended?)
}

/// Both shares together; nothing where the peer sent none.
pub(super) fn opened(share: &[u32], theirs: &[u8]) -> Vec<u32> {
    let mut values = vec![0_u32; theirs.len() / u32::BYTES];
    read_le_slice(theirs, &mut values);
    values.iter_mut().zip(share).for_each(|(value, share)| *value = value.wrapping_add(*share));
    values
}

/// A connection that fills stores may have nothing to do for so long.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Until a host is asked again that makes batches for others.
const LATER: Duration = Duration::from_secs(1);
/// Bytes around the body of a frame.
const FRAME_BYTES: u64 = 5;
fn no_store() -> AloneError {
    AloneError::Unfit("this device has no store; name one with --store".to_owned())
}

fn added(a: Counts, b: Counts) -> Counts {
    Counts {
        sent_bytes: a.sent_bytes + b.sent_bytes,
        received_bytes: a.received_bytes + b.received_bytes,
        round_trips: a.round_trips + b.round_trips,
    }
}
