//! What data parties and consoles see of a server.
//!
//! A data party may ask one query after the other on its connection. A query is registered when
//! its half is complete, and its number is used then: what is cut, or not for this server, leaves
//! nothing behind.

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use embedded_io_async::{ErrorKind, Read as _};
use sharelet_core::keystream::{ChaCha12, Key};
use sharelet_core::ring::{Ring, read_le_slice};
use sharelet_core::session::data_party::expand_seed;
use sharelet_core::session::servers::{self, Opening};
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::frame::HEADER_BYTES;
use sharelet_core::session::wire::query::{
    Half, QUERY_HEADER_BYTES, QueryHeader, Reason, Recipient, SEED_BYTES, Status, is_query,
};
use sharelet_core::session::wire::servers::ConsoleHello;
use sharelet_core::session::{SessionError, refuse};
use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize as _;

use super::console_queue::{Place, Queue};
use super::evaluator::{Evaluator, LaneEnded, Question};
use super::peer::PeerError;
use super::replays::Replays;
use crate::host::{self, HostError};
use crate::meter::{DeviceRecord, Meter, Phase, Records};
use sharelet_link::monitor::{DeviceFigures, Watched};
use sharelet_link::service::{self, Event, Leave, Limits, Service, Visit};
use sharelet_link::tcp::Listener;
use sharelet_link::{Connection, Reader, Role, Writer};

/// Lanes that server 0 may keep.
const MOST_LANES: usize = 512;
/// Most bytes of a refused query that are read, so that the refusal arrives before the connection
/// ends.
const MOST_DRAINED: usize = 1 << 20;
/// The longest that they are read when a newcomer has got the place.
const TAKEN: Duration = Duration::from_secs(1);

/// What a server allows: many data parties, which come back when they have slept.
#[must_use]
pub fn limits() -> Limits {
    Limits { connections: 1024, idle: Duration::from_secs(60), ..Limits::default() }
}

/// A server.
#[derive(Debug)]
pub struct Server<E: Evaluator> {
    evaluator: Arc<E>,
    queue: Option<Queue<E::Word>>,
    replays: Mutex<Replays>,
    meter: Meter,
    records: Records,
    /// Connections of server 0.
    lanes: Arc<AtomicUsize>,
}

/// A connection of server 0, counted as long as it is there.
struct Lane(Arc<AtomicUsize>);

impl Drop for Lane {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a data party asks on one connection.
struct Asking {
    /// Nothing is kept of who has proved no name.
    record: Option<Arc<DeviceRecord>>,
    evaluated: u64,
}

/// How a connection ended early, for the log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueriesError {
    /// The first bytes are those of no peer that the server has.
    #[error("{0}")]
    Stranger(HostError),
    /// A data party was refused.
    #[error("refused a query: {0}")]
    Refused(Reason),
    /// A data party.
    #[error("data party: {0}")]
    Session(#[from] SessionError),
    /// A console.
    #[error("console: {0}")]
    Console(HostError),
    /// The other server.
    #[error("a lane to server 0: {0}")]
    Lane(#[from] LaneEnded),
}

impl From<Leave> for QueriesError {
    fn from(leave: Leave) -> Self {
        Self::Refused(match leave {
            Leave::Stopping => Reason::ShuttingDown,
            Leave::Full => Reason::Busy,
            Leave::TooSlow => Reason::TooSlow,
        })
    }
}

impl<E: Evaluator> Service for Server<E> {
    type Error = QueriesError;

    fn roles(&self) -> &[Role] {
        match self.evaluator.party() {
            Party::P0 => &[Role::DataParty, Role::Console],
            Party::P1 => &[Role::DataParty, Role::Console, Role::Server0],
        }
    }

    fn observe(&self, event: Event) {
        self.meter.event(event);
    }

    /// Server 0 keeps a lane for each session that it prepares.
    fn most_of(&self, peer: sharelet_link::Party) -> usize {
        if peer.role == Role::Server0 { MOST_LANES } else { 8 }
    }

    async fn converse(
        self: Arc<Self>,
        mut connection: Connection,
        mut visit: Visit,
    ) -> Result<(), QueriesError> {
        // Whoever has proved a role speaks as that.
        let role = connection.peer().map(|peer| peer.role);
        let mut head = [0; HEADER_BYTES];
        connection.reader.begin_message(visit.limits().message);
        let opening = visit.greeting(async {
            read_exact(&mut connection.reader, &mut head).await.map_err(HostError::from)?;
            if is_query(head[0]) {
                return Ok(None);
            }
            Ok::<_, HostError>(Some(servers::receive_opening(&mut connection.reader, head).await?))
        });
        let opening = opening.await.and_then(|opening| {
            let spoken = match opening {
                None => Role::DataParty,
                Some(Opening::Server(_)) => Role::Server0,
                Some(Opening::Console(_)) => Role::Console,
            };
            let proved = role.is_none_or(|role| role == spoken);
            if proved { Ok(opening) } else { Err(HostError::Refused(Refusal::Protocol)) }
        });
        match opening {
            Ok(None) => self.data_party(connection, head, &mut visit).await,
            Ok(Some(Opening::Server(hello))) => {
                connection.reader.end_message();
                self.lanes.fetch_add(1, Ordering::Relaxed);
                let _lane = Lane(self.lanes.clone());
                Ok(self.evaluator.accept(connection, hello, visit).await?)
            }
            Ok(Some(Opening::Console(hello))) => {
                let ended = self.console(&mut connection, &hello, &visit).await;
                self.refuse(&mut connection.writer, &ended).await;
                ended.map_err(QueriesError::Console)
            }
            Err(error) => {
                let ended = Err(error);
                self.refuse(&mut connection.writer, &ended).await;
                ended.map_err(QueriesError::Stranger)
            }
        }
    }
}

impl<E: Evaluator> Server<E> {
    /// A server that asks `evaluator`. Without a `queue` no answer goes to a console.
    #[must_use]
    pub fn new(evaluator: Arc<E>, queue: Option<Queue<E::Word>>) -> Arc<Self> {
        let (replays, meter, records) = (Mutex::default(), Meter::new(), Records::default());
        let lanes = Arc::default();
        Arc::new(Self { evaluator, queue, replays, meter, records, lanes })
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// [`PeerError`] if the other server does not belong to this one.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        limits: Limits,
        stop: CancellationToken,
    ) -> Result<(), PeerError> {
        let evaluating = async {
            let ended = self.evaluator.clone().run(stop.clone()).await;
            if ended.is_err() {
                stop.cancel();
            }
            ended
        };
        let serving = service::serve(self.clone(), listener, limits, stop.clone());
        let ((), ended) = tokio::join!(serving, evaluating);
        ended
    }

    /// Tells the other server or a console why its connection ends; the reason matters more than
    /// whether it still arrives.
    async fn refuse(&self, writer: &mut Writer, ended: &Result<(), HostError>) {
        if let Some(refusal) = ended.as_ref().err().and_then(host::refusal_of) {
            self.meter.refused(&refusal);
            let _ = refuse(writer, refusal).await;
        }
    }

    async fn console(
        &self,
        connection: &mut Connection,
        hello: &ConsoleHello,
        visit: &Visit,
    ) -> Result<(), HostError> {
        match &self.queue {
            Some(queue) => queue.serve(connection, hello, &self.evaluator.hello(), visit).await,
            None => Err(HostError::Refused(Refusal::UnknownConsole)),
        }
    }

    /// Query after query until the data party goes or is refused.
    async fn data_party(
        &self,
        connection: Connection,
        head: [u8; HEADER_BYTES],
        visit: &mut Visit,
    ) -> Result<(), QueriesError> {
        let peer = connection.peer();
        let Connection { mut reader, mut writer, .. } = connection;
        let record = peer.map(|peer| self.records.of(peer.name));
        let _here = record.as_ref().map(|record| record.here());
        let mut asking = Asking { record, evaluated: 0 };
        let halves = (&mut reader, &mut writer);
        let ended = self.ask_all(&mut asking, halves, head, visit).await;
        // One line for a connection.
        if let Some(peer) = peer {
            tracing::info!(device = %peer.name, evaluated = asking.evaluated, "gone");
        }
        let reason = match &ended {
            Err(QueriesError::Refused(reason)) => *reason,
            Err(QueriesError::Session(SessionError::Transport(ErrorKind::TimedOut))) => {
                Reason::TooSlow
            }
            _ => return ended,
        };
        self.meter.refused(&reason);
        // The reason matters more than whether it still arrives.
        let _ = send_status(&mut writer, Status::Refused(reason)).await;
        drop(writer);
        reader.end_message();
        let taken = async {
            if visit.ends().await != Leave::Full {
                core::future::pending().await
            }
            tokio::time::sleep(TAKEN).await;
        };
        tokio::select! {
            _ = tokio::time::timeout(visit.limits().hello, drain(&mut reader)) => {}
            () = taken => {}
        }
        ended
    }

    async fn ask_all(
        &self,
        asking: &mut Asking,
        (reader, writer): (&mut Reader, &mut Writer),
        mut head: [u8; HEADER_BYTES],
        visit: &mut Visit,
    ) -> Result<(), QueriesError> {
        loop {
            let begun = Instant::now();
            self.ask(reader, writer, head, visit).await?;
            self.meter.session(Phase::Infer, begun.elapsed());
            asking.evaluated += 1;
            asking.record.iter().for_each(|record| record.evaluated());
            match visit.next(reader).await {
                Ok(true) => read_exact(reader, &mut head).await?,
                // A data party that sleeps comes back with a new connection.
                Ok(false) | Err(Leave::Stopping | Leave::TooSlow) => return Ok(()),
                Err(Leave::Full) => return Err(Leave::Full.into()),
            }
        }
    }

    /// One query, whose header begins with `head`.
    async fn ask(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        head: [u8; HEADER_BYTES],
        visit: &Visit,
    ) -> Result<(), QueriesError> {
        let mut header = [0; QUERY_HEADER_BYTES];
        let (begun, rest) = header.split_at_mut(HEADER_BYTES);
        begun.copy_from_slice(&head);
        // Whoever has not said which query it is still greets.
        visit.greeting(async { Ok::<_, QueriesError>(read_exact(reader, rest).await?) }).await?;
        let header = QueryHeader::parse(header).map_err(QueriesError::Refused)?;
        let place = self.admit(&header).map_err(QueriesError::Refused)?;
        visit.enter()?;
        // Before anything of the reading is read: under a number that was used it may be masked as
        // another reading was.
        if !self.replays.lock().unwrap_or_else(PoisonError::into_inner).insert(header.id) {
            return Err(QueriesError::Refused(Reason::Replay));
        }
        let share = self.read_share(reader).await?;
        let question = Question { id: header.id, recipient: header.recipient, share };
        // What is under way when the server is stopped may end, but leaves time to say so.
        let late = async {
            visit.stop().cancelled().await;
            tokio::time::sleep(visit.limits().grace / 2).await;
        };
        let answer = tokio::select! {
            biased;
            answer = self.evaluator.evaluate(question) => answer,
            () = late => Err(Reason::ShuttingDown),
        };
        let answer = answer.map_err(QueriesError::Refused)?;
        tracing::debug!(query = %header.id, "evaluated");
        match (place, &self.queue) {
            (Some(place), Some(queue)) => {
                queue.push(place, header.id, answer);
                send_status(writer, Status::Accepted).await?;
            }
            _ => servers::answer(writer, &answer).await?,
        }
        Ok(())
    }

    /// What the header alone decides. For an answer to the console, its place in the queue.
    fn admit(&self, header: &QueryHeader) -> Result<Option<Place>, Reason> {
        let half = if self.evaluator.party() == Party::P0 { Half::Seed } else { Half::Masked };
        if header.half != half {
            return Err(Reason::Half);
        }
        if header.task != self.evaluator.task().id() {
            return Err(Reason::Task);
        }
        match (header.recipient, &self.queue) {
            (Recipient::DataParty, _) => Ok(None),
            (Recipient::Console, None) => Err(Reason::NoConsole),
            (Recipient::Console, Some(queue)) => {
                queue.reserve().map(Some).ok_or(Reason::ConsoleFull)
            }
        }
    }

    /// This server's share of the input.
    async fn read_share(&self, reader: &mut Reader) -> Result<Vec<E::Word>, SessionError> {
        let mut share = vec![E::Word::ZERO; usize::from(self.evaluator.task().inputs)];
        if self.evaluator.party() == Party::P0 {
            let mut seed = [0; SEED_BYTES];
            read_exact(reader, &mut seed).await?;
            expand_seed::<ChaCha12, _>(&Key::from_bytes(seed), &mut share);
            seed.zeroize();
        } else {
            let mut bytes = vec![0; size_of_val(share.as_slice())];
            read_exact(reader, &mut bytes).await?;
            read_le_slice(&bytes, &mut share);
        }
        Ok(share)
    }
}

impl<E: Evaluator> Watched for Server<E> {
    fn metrics(&self) -> String {
        self.meter.text(self.evaluator.ready())
    }

    fn devices(&self) -> Vec<DeviceFigures> {
        self.records.figures()
    }

    fn expect_ready(&self) -> Result<(), String> {
        if self.evaluator.party() == Party::P1 && self.lanes.load(Ordering::Relaxed) == 0 {
            return Err("server 0 is not connected".to_owned());
        }
        self.evaluator.expect_ready()
    }
}

async fn send_status(writer: &mut Writer, status: Status) -> Result<(), SessionError> {
    use embedded_io_async::Write as _;
    let sent = async {
        writer.write_all(&status.emit()).await?;
        writer.flush().await
    };
    sent.await.map_err(|_| SessionError::Closed)
}

async fn read_exact(reader: &mut Reader, buffer: &mut [u8]) -> Result<(), SessionError> {
    use embedded_io_async::{Error, ReadExactError};
    reader.read_exact(buffer).await.map_err(|error| match error {
        ReadExactError::UnexpectedEof => SessionError::Closed,
        ReadExactError::Other(error) => SessionError::Transport(Error::kind(&error)),
    })
}

/// Reads what a refused data party still sends: a connection that is closed over unread bytes loses
/// the refusal.
async fn drain(reader: &mut Reader) {
    let (mut buffer, mut drained) = ([0; 4096], 0);
    while drained < MOST_DRAINED {
        match reader.read(&mut buffer).await {
            Ok(read) if read > 0 => drained += read,
            _ => return,
        }
    }
}
