//! Server 0 of a shared model: it keeps lanes to server 1, with a session prepared on each.
//!
//! What fails is tried again with a new connection, fresh numbers and an opening under fresh masks.

use core::time::Duration;
use std::sync::Arc;

use embedded_io_async::ErrorKind;
use sharelet_core::functions::engine::EngineError;
use sharelet_core::keystream::Keystream;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::task::Task;
use sharelet_core::session::{SessionCounter as _, SessionError, refuse, servers};
use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;

use super::asking::{AskError, Asked, Asking};
use super::model::SharedModel;
use super::wire::{self, Begin, Lane};
use crate::dealer::wire::Description as _;
use crate::host::within;
use crate::server::evaluator::{Evaluator, Question};
use crate::server::lane::{self, Lanes, said};
use crate::server::peer::{PeerError, Settings};
use crate::server::pool::{Job, Pool};
use crate::server::training::supply::{Sessions, Source, Supply};
use crate::server::training::wire as messages;
use crate::store::counter::FileCounter;
use crate::store::key::DeviceKey;
use sharelet_link::exchange::{Exchange, Sent};
use sharelet_link::{Connection, Reader, Role, Writer, tcp};
use sharelet_train::serving::Opened;

/// Sessions of a chunk, the opening included: numbers that are recorded as used at once, and lost
/// if the connection breaks.
pub const CHUNK: u32 = 1024;
/// Server 1 may take so long to ask the dealer and to get a session from it.
const DEALING: Duration = Duration::from_secs(600);

/// Server 0.
pub struct Party0 {
    settings: Settings,
    chunk: u32,
    model: SharedModel,
    /// Nothing if the two servers prepare together.
    dealt: Option<Dealt>,
    instance: u64,
    pool: Pool<u64>,
    sent: std::sync::Mutex<Sent>,
}

impl core::fmt::Debug for Party0 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Party0")
            .field("settings", &self.settings)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

/// What a dealer's correlations take.
struct Dealt {
    key: DeviceKey,
    /// Lanes take chunks one after the other: the dealer deals ascending numbers.
    counter: tokio::sync::Mutex<FileCounter>,
}

/// The sessions of a chunk, and the opened weights.
struct Chunk {
    link: Exchange<Reader, Writer>,
    sessions: Sessions,
    weights: Opened,
    /// A query that server 1 did not begin with.
    again: Option<Job<u64>>,
}

impl Party0 {
    /// Server 0 with the key that it shares with the dealer, and the counter of its sessions; or
    /// without either, to prepare with server 1. Chunks have `chunk` sessions.
    #[must_use]
    pub fn new(
        settings: Settings,
        chunk: u32,
        model: SharedModel,
        key: Option<(DeviceKey, FileCounter)>,
        instance: u64,
    ) -> Arc<Self> {
        let dealt =
            key.map(|(key, counter)| Dealt { key, counter: tokio::sync::Mutex::new(counter) });
        let (pool, sent) = (Pool::default(), std::sync::Mutex::default());
        Arc::new(Self { settings, chunk: chunk.max(2), model, dealt, instance, pool, sent })
    }

    /// What the latest inference sent to server 1.
    #[must_use]
    pub fn latest(&self) -> Sent {
        *self.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn connect(&self, number: usize) -> Result<Connection, PeerError> {
        let Settings { peer, route, connect, stall, phase, .. } = &self.settings;
        let mut connection = tcp::connect(peer, Role::Server1, route, *connect, *stall).await?;
        let ours = self.hello();
        let theirs = async {
            servers::greet(&mut connection, &ours).await?;
            servers::receive_server_hello(&mut connection).await
        };
        let theirs = within(*phase, theirs).await?;
        if let Some(refusal) = wire::objection(&ours, &theirs) {
            // The reason matters more than whether it still reaches the other server.
            let _ = refuse(&mut connection.writer, refusal).await;
            return Err(SessionError::Refused(refusal).into());
        }
        let mut greeting = self.model.greeting();
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        let key = self.dealt.as_ref().map(|Dealt { key, .. }| (key.device, key.key_id()));
        greeting.lane = Some(Lane { number, key });
        let Connection { reader, writer, .. } = &mut connection;
        let agreed = wire::agree(reader, writer, &greeting, |theirs| self.model.difference(theirs));
        timed(*phase, agreed).await?;
        Ok(connection)
    }

    /// A chunk of numbers, recorded, and told to server 1.
    async fn numbers(
        &self,
        dealt: &Dealt,
        server_1: Option<DeviceId>,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<Sessions, PeerError> {
        let Dealt { key, counter } = dealt;
        let mut counter = counter.lock().await;
        // All numbers of the chunk are recorded as used before the first is: after a crash they
        // are skipped.
        let first = counter.next().await.map_err(SessionError::from)?;
        let last = first.saturating_add(self.chunk.into()) - 1;
        counter.consume(last).await.map_err(SessionError::from)?;
        let description = self.model.describe(key.device, (first, self.chunk));
        let binding = description.bind(&Keystream::new(&key.key)).map_err(broken)?;
        let order = Some(description.order(&binding, server_1));
        self.tell(Begin { first, count: self.chunk, order }, link).await?;
        let serving = &self.model.serving;
        let sessions = serving.sessions(first, self.chunk);
        let source = Source::Key(Arc::new(binding));
        Ok(Sessions::Dealt(Supply::prepare(sessions, serving.truncation(), source)))
    }

    async fn tell(
        &self,
        begin: Begin,
        link: &mut Exchange<Reader, Writer>,
    ) -> Result<(), PeerError> {
        let (reader, writer) = link.halves();
        messages::send(writer, &begin).await?;
        reader.await_message(DEALING);
        wire::receive_turn(reader).await
    }

    /// A chunk of sessions, and the weights opened in its first.
    async fn begin(
        &self,
        server_1: Option<DeviceId>,
        (reader, writer): (Reader, Writer),
    ) -> Result<Chunk, PeerError> {
        let mut link = Exchange::new(reader, writer);
        let mut sessions = match &self.dealt {
            Some(dealt) => self.numbers(dealt, server_1, &mut link).await?,
            None => {
                self.tell(Begin { first: 0, count: self.chunk, order: None }, &mut link).await?;
                Sessions::together(Party::P0)
            }
        };
        let serving = &self.model.serving;
        let prepared = sessions.opening(serving, &mut link).await?;
        let (reader, _) = link.halves();
        reader.await_message(DEALING);
        wire::receive_turn(reader).await?;
        let mut open = serving.open(&self.model.model, &self.model.scaling);
        let opened = prepared.run(&mut open, link);
        let (weights, link) =
            timed(self.settings.phase, async { opened.await.map_err(broken) }).await?;
        Ok(Chunk { link, sessions, weights, again: None })
    }

    /// One session; `false` after `stop`.
    async fn query(
        &self,
        number: usize,
        chunk: &mut Chunk,
        stop: &CancellationToken,
    ) -> Result<bool, PeerError> {
        let Chunk { link, sessions, weights, again } = chunk;
        let mut prepared = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(false),
            prepared = sessions.query(&self.model.serving, weights, link) => prepared?,
        };
        self.model.serving.foresee(&mut prepared, weights).map_err(broken)?;
        let ready = async {
            let (reader, _) = link.halves();
            reader.await_message(DEALING);
            wire::receive_turn(reader).await
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(false),
            ready = ready => ready?,
        };
        let mut early = None;
        let Job { question, done } = match again.take() {
            Some(job) => job,
            None => {
                let mut job = self.pool.offer(number);
                loop {
                    tokio::select! {
                        biased;
                        Ok(job) = &mut job => break job,
                        () = stop.cancelled() => return Ok(false),
                        // Server 1 may begin before it is asked.
                        first = said(link.halves().0), if early.is_none() => {
                            early = Some(first.ok_or(SessionError::Closed)?);
                        }
                    }
                }
            }
        };
        let Question { id, recipient, share } = question;
        let kept = share.clone();
        let mut evaluate = self.model.serving.evaluate(weights, share).map_err(broken)?;
        link.take();
        let asking = Asking::ask(link, Asked { id, recipient }, early);
        let ran =
            tokio::time::timeout(self.settings.phase, prepared.run(&mut evaluate, asking)).await;
        // The data party may be gone.
        match ran {
            Ok(Ok((output, _))) => {
                *self.sent.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = link.take();
                let _ = done.send(Ok(output.words));
                Ok(true)
            }
            Ok(Err(EngineError::Link(AskError::Refused(reason)))) => {
                let _ = done.send(Err(reason));
                Ok(true)
            }
            Ok(Err(EngineError::Link(AskError::Other))) => {
                *again = Some(Job { question: Question { id, recipient, share: kept }, done });
                Ok(true)
            }
            Ok(Err(error)) => {
                let _ = done.send(Err(Reason::PeerLost));
                Err(broken(error))
            }
            Err(_) => {
                let _ = done.send(Err(Reason::PeerLost));
                Err(SessionError::Transport(ErrorKind::TimedOut).into())
            }
        }
    }
}

impl Lanes for Party0 {
    type Word = u64;

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn pool(&self) -> &Pool<u64> {
        &self.pool
    }

    async fn lane(
        &self,
        number: usize,
        sessions: &mut u64,
        stop: &CancellationToken,
    ) -> Result<(), PeerError> {
        let connection = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            connection = self.connect(number) => connection?,
        };
        let server_1 = connection.peer().map(|server_1| server_1.name);
        let Connection { mut reader, mut writer, .. } = connection;
        tracing::debug!("a lane to server 1 is open");
        loop {
            let begun = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                begun = self.begin(server_1, (reader, writer)) => begun,
            };
            let mut chunk = begun?;
            for _ in 1..self.chunk {
                if !self.query(number, &mut chunk, stop).await? {
                    return Ok(());
                }
                *sessions += 1;
            }
            // The last session of a chunk was spent on another query.
            if let Some(Job { done, .. }) = chunk.again {
                let _ = done.send(Err(Reason::Busy));
            }
            (reader, writer) = chunk.link.into_halves();
        }
    }
}

/// An error in the middle of a session.
pub(super) fn broken(error: impl core::fmt::Display) -> PeerError {
    PeerError::Broken(error.to_string())
}

/// Runs a step for so long.
pub(super) async fn timed<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let timed_out = SessionError::Transport(ErrorKind::TimedOut);
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(timed_out.into()))
}

impl Evaluator for Party0 {
    type Word = u64;

    fn party(&self) -> Party {
        Party::P0
    }

    fn task(&self) -> &Task {
        &self.model.task
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

    async fn evaluate(&self, question: Question<u64>) -> Result<Vec<u64>, Reason> {
        self.pool.ask(question, self.settings.wait).await
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> Result<(), PeerError> {
        lane::on_threads(&self, &stop).await
    }
}
