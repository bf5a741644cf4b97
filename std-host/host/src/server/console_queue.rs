//! Answers that wait for the operator's console: a bounded queue, kept until the console confirms.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use core::time::Duration;

use sharelet_core::DeviceId;
use sharelet_core::ring::Ring;
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::query::QueryId;
use sharelet_core::session::wire::servers::{ConsoleHello, ServerHello};
use sharelet_core::session::{SessionError, servers};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::host::HostError;
use sharelet_link::service::{self, Visit};
use sharelet_link::{Connection, Reader, Writer};

/// A console may be silent for this long: it is there whether or not there are answers.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);

/// Room for one answer, taken before it is computed.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

struct Entry<W> {
    number: u64,
    id: QueryId,
    share: Vec<W>,
    _place: Place,
}

struct State<W> {
    entries: VecDeque<Entry<W>>,
    next: u64,
}

/// The queue of shares in words of a ring, and who may empty it.
pub struct Queue<W> {
    console: DeviceId,
    places: Arc<Semaphore>,
    state: Mutex<State<W>>,
    news: Notify,
    current: Mutex<Option<service::Place>>,
}

impl<W> core::fmt::Debug for Queue<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Queue").field("console", &self.console).finish_non_exhaustive()
    }
}

impl<W: Ring> Queue<W> {
    /// A queue of at most `capacity` answers for the console of this name.
    #[must_use]
    pub fn new(console: DeviceId, capacity: usize) -> Self {
        let places = Arc::new(Semaphore::new(capacity.min(Semaphore::MAX_PERMITS)));
        Self {
            console,
            places,
            state: Mutex::new(State { entries: VecDeque::new(), next: 0 }),
            news: Notify::new(),
            current: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State<W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for one more answer, if there is any.
    #[must_use]
    pub fn reserve(&self) -> Option<Place> {
        self.places.clone().try_acquire_owned().ok().map(|permit| Place { _permit: permit })
    }

    /// Keeps a share for the console.
    pub fn push(&self, place: Place, id: QueryId, share: Vec<W>) {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.entries.push_back(Entry { number, id, share, _place: place });
        drop(state);
        self.news.notify_waiters();
    }

    /// The first share from `number` on, with its own number.
    fn from(&self, number: u64) -> Option<(u64, QueryId, Vec<W>)> {
        let state = self.state();
        let entry = state.entries.iter().find(|entry| entry.number >= number)?;
        Some((entry.number, entry.id, entry.share.clone()))
    }

    /// Serves a console to its end; a newer one takes its place.
    ///
    /// # Errors
    /// [`HostError`], which the console is to be told; what was not confirmed is kept.
    pub async fn serve(
        &self,
        connection: &mut Connection,
        hello: &ConsoleHello,
        ours: &ServerHello,
        visit: &Visit,
    ) -> Result<(), HostError> {
        let proved = connection.peer().is_none_or(|peer| peer.name == hello.name);
        if hello.name != self.console || !proved {
            return Err(HostError::Refused(Refusal::UnknownConsole));
        }
        let Connection { reader, writer, .. } = connection;
        self.replace(visit);
        visit.enter()?;
        servers::greet(writer, ours).await?;
        tracing::info!(console = %hello.name, "connected");
        let ended = visit.or(async {
            Ok::<_, HostError>(tokio::select! {
                ended = self.confirmations(reader, visit.limits().message) => ended,
                ended = self.deliveries(writer) => ended,
            })
        });
        match ended.await? {
            Err(SessionError::Closed) => Ok(()),
            ended => Ok(ended?),
        }
    }

    /// Makes this visit the console's; an older one ends.
    fn replace(&self, visit: &Visit) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(older) = current.replace(visit.place()) {
            older.take_away();
        }
    }

    async fn confirmations(
        &self,
        reader: &mut Reader,
        message: Duration,
    ) -> Result<(), SessionError> {
        loop {
            if !reader.begins(IDLE).await.unwrap_or(false) {
                return Ok(());
            }
            reader.begin_message(message);
            let id = servers::receive_confirmation(reader).await?;
            self.state().entries.retain(|entry| entry.id != id);
        }
    }

    async fn deliveries(&self, writer: &mut Writer) -> Result<(), SessionError> {
        let mut next = 0;
        loop {
            let news = self.news.notified();
            while let Some((number, id, share)) = self.from(next) {
                servers::deliver(writer, id, &share).await?;
                next = number + 1;
            }
            news.await;
        }
    }
}
