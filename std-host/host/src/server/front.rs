//! What data parties and consoles see of a server.
//!
//! A connection is a task; a data party may ask one query after the other on it. A query is
//! registered when its half is complete, and its number is used then: what is cut, or not for this
//! server, leaves nothing behind.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use embedded_io_async::Read as _;
use sharelet_core::keystream::{ChaCha12, Key};
use sharelet_core::ring::{Ring, read_le_slice};
use sharelet_core::session::data_party::expand_seed;
use sharelet_core::session::servers::{self, Opening};
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::frame::HEADER_BYTES;
use sharelet_core::session::wire::query::{
    Half, QUERY_HEADER_BYTES, QueryHeader, Reason, Recipient, SEED_BYTES, Status, is_query,
};
use sharelet_core::session::wire::{self, WireError};
use sharelet_core::session::{SessionError, refuse};
use sharelet_core::share::Party;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroize as _;

use super::console_queue::{Place, Queue};
use super::evaluator::{Evaluator, Question};
use super::peer::PeerError;
use super::seen::Seen;
use sharelet_link::tcp::{self, Admission, Listener};
use sharelet_link::{Connection, Reader, Writer};

/// Most bytes of a refused query that are read, so that the refusal arrives before the connection
/// ends.
const MOST_DRAINED: usize = 1 << 20;

/// What a server allows data parties.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// The first message must begin within this time.
    pub hello: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// The longest silence between two queries of a connection.
    pub idle: Duration,
    /// How long connections may go on after the server was told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            hello: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            grace: Duration::from_secs(3),
        }
    }
}

/// A server.
#[derive(Debug)]
pub struct Server<E: Evaluator> {
    evaluator: Arc<E>,
    queue: Option<Queue<E::Word>>,
    limits: Limits,
    seen: Mutex<Seen>,
}

/// How a data party's connection ended, for the log.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("refused a query: {0}")]
    Refused(Reason),
    #[error("{0}")]
    Session(#[from] SessionError),
}

impl<E: Evaluator> Server<E> {
    /// A server that asks `evaluator`. Without a `queue` no answer goes to a console.
    #[must_use]
    pub fn new(evaluator: Arc<E>, queue: Option<Queue<E::Word>>, limits: Limits) -> Arc<Self> {
        Arc::new(Self { evaluator, queue, limits, seen: Mutex::default() })
    }

    /// Serves until `stop`.
    ///
    /// # Errors
    /// [`PeerError`] if the other server does not belong to this one.
    pub async fn serve(
        self: Arc<Self>,
        listener: Listener,
        stop: CancellationToken,
    ) -> Result<(), PeerError> {
        let limits = self.limits;
        let serve = tcp::ServeLimits {
            connections: limits.connections,
            stall: limits.stall,
            grace: limits.grace,
        };
        let connection = |connection, peer, admission| {
            let (server, stop) = (self.clone(), stop.clone());
            async move { server.connection(connection, peer, admission, stop).await }
        };
        let evaluating = async {
            let ended = self.evaluator.clone().run(stop.clone()).await;
            if ended.is_err() {
                stop.cancel();
            }
            ended
        };
        let ((), ended) =
            tokio::join!(tcp::serve(listener, serve, stop.clone(), connection), evaluating);
        ended
    }

    async fn connection(
        self: Arc<Self>,
        mut connection: Connection,
        peer: SocketAddr,
        admission: Admission,
        stop: CancellationToken,
    ) {
        let mut head = [0; HEADER_BYTES];
        connection.reader.await_message(self.limits.hello);
        match connection.reader.read_exact(&mut head).await {
            Ok(()) if is_query(head[0]) => {
                match self.queries(connection, head, admission, stop).await {
                    Ok(()) => tracing::debug!(%peer, "closed"),
                    Err(error) => tracing::warn!(%peer, "data party: {error}"),
                }
            }
            Ok(()) => self.other(connection, head, peer, stop).await,
            Err(error) => tracing::debug!(%peer, "nothing was asked: {error:?}"),
        }
    }

    /// A connection from the other server or from a console.
    async fn other(
        &self,
        mut connection: Connection,
        head: [u8; HEADER_BYTES],
        peer: SocketAddr,
        stop: CancellationToken,
    ) {
        let hello = match servers::receive_opening(&mut connection.reader, head).await {
            Ok(Opening::Server(hello)) => {
                return self.evaluator.accept(connection, hello, stop).await;
            }
            Ok(Opening::Console(hello)) => hello,
            Err(error) => {
                let refusal = match error {
                    SessionError::Wire(WireError::Version { .. }) => {
                        Refusal::Version { ours: wire::VERSION }
                    }
                    _ => Refusal::Protocol,
                };
                let _ = refuse(&mut connection.writer, refusal).await;
                tracing::warn!(%peer, "connection ended: {error}");
                return;
            }
        };
        let ended = match &self.queue {
            Some(queue) => {
                queue.serve(&mut connection, &hello, &self.evaluator.hello(), &stop).await
            }
            None => {
                let _ = refuse(&mut connection.writer, Refusal::UnknownConsole).await;
                Err(SessionError::Refused(Refusal::UnknownConsole))
            }
        };
        match ended {
            Ok(()) => tracing::info!(%peer, "the console is gone"),
            Err(error) => tracing::warn!(%peer, "console: {error}"),
        }
    }

    /// Query after query until the data party goes or is refused.
    async fn queries(
        &self,
        connection: Connection,
        head: [u8; HEADER_BYTES],
        admission: Admission,
        stop: CancellationToken,
    ) -> Result<(), Ended> {
        let Connection { mut reader, mut writer } = connection;
        let ended = if admission == Admission::Full {
            Err(Ended::Refused(Reason::Busy))
        } else {
            self.ask_all(&mut reader, &mut writer, head, &stop).await
        };
        if let Err(Ended::Refused(reason)) = ended {
            // The reason matters more than whether it still arrives.
            let _ = send_status(&mut writer, Status::Refused(reason)).await;
            drop(writer);
            let _ = tokio::time::timeout(self.limits.hello, drain(&mut reader)).await;
        }
        ended
    }

    async fn ask_all(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        mut head: [u8; HEADER_BYTES],
        stop: &CancellationToken,
    ) -> Result<(), Ended> {
        loop {
            self.ask(reader, writer, head, stop).await?;
            reader.await_message(self.limits.idle);
            let (first, rest) = head.split_at_mut(1);
            let read = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                read = reader.read(first) => read,
            };
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => read_exact(reader, rest).await?,
                // A data party that sleeps comes back with a new connection.
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => return Ok(()),
                Err(_) => return Err(SessionError::Closed.into()),
            }
        }
    }

    /// One query, whose header begins with `head`.
    async fn ask(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        head: [u8; HEADER_BYTES],
        stop: &CancellationToken,
    ) -> Result<(), Ended> {
        let mut header = [0; QUERY_HEADER_BYTES];
        let (begun, rest) = header.split_at_mut(HEADER_BYTES);
        begun.copy_from_slice(&head);
        read_exact(reader, rest).await?;
        let header = QueryHeader::parse(header).map_err(Ended::Refused)?;
        let place = self.admit(&header).map_err(Ended::Refused)?;
        let share = self.read_share(reader).await?;
        if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(header.id) {
            return Err(Ended::Refused(Reason::Replay));
        }
        let question = Question { id: header.id, recipient: header.recipient, share };
        // What is under way when the server is stopped may end, but leaves time to say so.
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(self.limits.grace / 2).await;
        };
        let answer = tokio::select! {
            biased;
            answer = self.evaluator.evaluate(question) => answer,
            () = late => Err(Reason::ShuttingDown),
        };
        let answer = answer.map_err(Ended::Refused)?;
        tracing::info!(query = %header.id, "evaluated");
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
