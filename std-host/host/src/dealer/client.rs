//! The host's side of the conversation with a dealer.
//!
//! A few connections are kept and shared by all devices. One that was kept too long is replaced
//! without a word.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use sharelet_core::session::network::Network;
use sharelet_core::session::wire::control::DeviceId;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::wire::{
    self, Deal, Dealing, Description, Kind, MAX_CORRECTION_BYTES, Offer, Ordered, Refusal, Status,
    StatusIs, WireError,
};
use sharelet_link::frame::{self, Header};
use sharelet_link::{Connection, LinkError, Role, Route, tcp};
use sharelet_model::MAX_LAYERS;
use sharelet_train::tensor::offline::{Dealt, Plan};

/// Connections to the dealer at the same time, for corrections and masked models.
const CONNECTIONS: usize = 4;
/// As many more for what is answered at once: a device that connects does not wait until others
/// have got their corrections.
const SHORT_CONNECTIONS: usize = 2;

/// Why the dealer is of no help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// It cannot be reached.
    #[error("dealer: {0}")]
    Link(#[from] LinkError),
    /// The connection failed, or the dealer refused.
    #[error("dealer: {0}")]
    Wire(#[from] WireError),
}

impl ClientError {
    /// The dealer's refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Wire(WireError::Refused(refusal)) => Some(*refusal),
            _ => None,
        }
    }
}

/// A machine that failed is asked last for so long.
const AVOIDED: Duration = Duration::from_secs(10);

/// A machine of a dealer.
#[derive(Debug)]
struct Machine {
    address: String,
    /// When it failed at last.
    failed: Mutex<Option<Instant>>,
}

impl Machine {
    fn failed(&self) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_avoided(&self) -> bool {
        let failed = *self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|failed| failed.elapsed() < AVOIDED)
    }
}

/// Does something when it is dropped, unless all was well.
struct Doubt<F: Fn()>(F);

impl<F: Fn()> Doubt<F> {
    fn dispel(self) {
        core::mem::forget(self);
    }
}

impl<F: Fn()> Drop for Doubt<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The machines of a dealer, which connections are divided among.
#[derive(Debug)]
struct Machines {
    all: Vec<Machine>,
    next: AtomicUsize,
}

impl Machines {
    fn new(addresses: &str) -> Self {
        let machine = |address: &str| Machine {
            address: address.trim().to_owned(),
            failed: Mutex::default(),
        };
        Self { all: addresses.split(',').map(machine).collect(), next: AtomicUsize::new(0) }
    }

    /// All of them: another one is the first each time, and those that failed are the last.
    fn in_turn(&self) -> Vec<&Machine> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.all.len().max(1);
        let (before, after) = self.all.split_at(first);
        let mut turn: Vec<&Machine> = after.iter().chain(before).collect();
        turn.sort_by_key(|machine| machine.is_avoided());
        turn
    }
}

/// A dealer as hosts see it, on one machine or several that share its state.
#[derive(Debug)]
pub struct Client {
    address: String,
    machines: Machines,
    route: Route,
    connect: Duration,
    stall: Duration,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
    short_permits: Semaphore,
    /// Whether it has answered at last.
    reached: AtomicBool,
}

/// A connection that is returned when its request is done, and closed if it failed.
struct Lease<'c> {
    client: &'c Client,
    connection: Connection,
    _permit: SemaphorePermit<'c>,
}

impl Lease<'_> {
    fn give_back(self) {
        self.client.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.connection);
    }
}

impl Client {
    /// The dealer at `address`, or at several with commas between them; nothing is connected yet.
    #[must_use]
    pub fn new(address: String, route: Route, connect: Duration, stall: Duration) -> Self {
        let machines = Machines::new(&address);
        let [permits, short_permits] = [CONNECTIONS, SHORT_CONNECTIONS].map(Semaphore::new);
        let (idle, reached) = (Mutex::default(), AtomicBool::new(false));
        Self { address, machines, route, connect, stall, idle, permits, short_permits, reached }
    }

    /// The dealer's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks the dealer whether it is there: connects, and greets.
    pub async fn probe(&self) {
        let met = tokio::time::timeout(self.connect, self.fresh()).await;
        self.reached.store(matches!(met, Ok(Ok(_))), Ordering::Relaxed);
    }

    /// Whether the dealer has answered the last request: a refusal is an answer.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    async fn fresh(&self) -> Result<Connection, ClientError> {
        let mut failed = None;
        let turn = self.machines.in_turn();
        // Where there are others, one that does not answer has only its part of the time.
        let limit = self.connect / u32::try_from(turn.len() + 1).unwrap_or(u32::MAX);
        let limit = if turn.len() > 1 { limit } else { self.connect };
        for machine in turn {
            // Also where nobody waits any more.
            let doubt = Doubt(|| machine.failed());
            match self.greet(&machine.address, limit).await {
                Ok(connection) => {
                    doubt.dispel();
                    return Ok(connection);
                }
                Err(error) => failed = Some(error),
            }
        }
        // There always is a machine.
        Err(failed.unwrap_or(WireError::Closed.into()))
    }

    async fn greet(&self, address: &str, limit: Duration) -> Result<Connection, ClientError> {
        let Self { route, stall, .. } = self;
        let mut connection = tcp::connect(address, Role::Dealer, route, limit, *stall).await?;
        frame::greet(&mut connection.writer, Kind::Hello, &[]).await?;
        frame::read_hello(&mut connection.reader, Kind::Welcome).await?;
        Ok(connection)
    }

    /// Sends a request, and notes whether it was answered.
    async fn request(
        &self,
        kind: Kind,
        body: &[u8],
    ) -> Result<(Lease<'_>, Kind, Vec<u8>), ClientError> {
        let answered = self.ask(kind, body).await;
        let reached = answered.as_ref().err().is_none_or(|error| error.refusal().is_some());
        self.reached.store(reached, Ordering::Relaxed);
        answered
    }

    /// Sends a request and reads the first answer. A connection that was kept may have died: then a
    /// new one is tried.
    async fn ask(
        &self,
        kind: Kind,
        body: &[u8],
    ) -> Result<(Lease<'_>, Kind, Vec<u8>), ClientError> {
        let permits = if kind == Kind::Status { &self.short_permits } else { &self.permits };
        let permit = permits.acquire().await.map_err(|_| WireError::Closed)?;
        let kept = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // One that was forgotten is not asked on what is still open.
        let kept = kept.filter(|connection| self.route.knows(connection.peer()));
        let mut answered = None;
        if let Some(mut connection) = kept {
            // Those of a machine that has gone would each be waited for.
            let clear = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let doubt = Doubt(clear);
            match exchange(&mut connection, kind, body).await {
                Ok(answer) if !ends(&answer) => {
                    doubt.dispel();
                    answered = Some((connection, answer));
                }
                Ok(_) | Err(_) => {
                    tracing::debug!("a kept connection to the dealer has ended");
                }
            }
        }
        let (connection, (kind, answer)) = match answered {
            Some(answered) => answered,
            None => {
                let mut connection = self.fresh().await?;
                let answer = exchange(&mut connection, kind, body).await?;
                (connection, answer)
            }
        };
        let lease = Lease { client: self, connection, _permit: permit };
        if kind != Kind::Refuse {
            return Ok((lease, kind, answer));
        }
        let refusal: Refusal = frame::decode(kind, &answer)?;
        if !refusal.ends_connection() {
            lease.give_back();
        }
        Err(WireError::Refused(refusal).into())
    }

    /// How a device stands.
    ///
    /// # Errors
    /// [`ClientError`]; [`Refusal::UnknownDevice`] if the dealer has no key for it.
    pub async fn status(&self, device: DeviceId) -> Result<StatusIs, ClientError> {
        let (lease, kind, body) =
            self.request(Kind::Status, &frame::encode(Kind::Status, &Status { device })?).await?;
        let status = decode_expected(Kind::StatusIs, kind, &body)?;
        lease.give_back();
        Ok(status)
    }

    /// Makes sure that the dealer has a masked model; `matrices` are sent if it does not. Returns
    /// whether they were.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn offer(
        &self,
        id: [u8; 32],
        network: &Network<MAX_LAYERS>,
        matrices: &[u8],
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<bool, ClientError> {
        let offer = Offer { id, network: network.clone() };
        let (mut lease, answer, _) =
            self.request(Kind::Offer, &frame::encode(Kind::Offer, &offer)?).await?;
        if answer != Kind::Wanted && answer != Kind::Known {
            return Err(WireError::UnexpectedFrame { expected: Kind::Wanted, found: answer }.into());
        }
        if answer == Kind::Wanted {
            let Connection { reader, writer, .. } = &mut lease.connection;
            wire::send_masked(writer, matrices, progress).await?;
            frame::receive_bytes(reader, Kind::Known, 0).await?;
        }
        lease.give_back();
        Ok(answer == Kind::Wanted)
    }

    /// Asks for sessions; their corrections follow one by one, `expected` bytes each.
    ///
    /// # Errors
    /// [`ClientError`]; the dealer's refusals say what to ask for instead.
    pub async fn deal(
        &self,
        request: Deal,
        expected: usize,
    ) -> Result<Corrections<'_>, ClientError> {
        let (lease, kind, body) =
            self.request(Kind::Deal, &frame::encode(Kind::Deal, &request)?).await?;
        let dealing: Dealing = decode_expected(Kind::Dealing, kind, &body)?;
        let found = dealing.bytes_each as usize;
        if found != expected || expected > MAX_CORRECTION_BYTES {
            return Err(WireError::WrongLength { kind: Kind::Correction, expected, found }.into());
        }
        Ok(Corrections {
            lease: Some(lease),
            dealing,
            expected,
            next: request.first,
            left: request.count,
        })
    }
}

impl Client {
    /// Asks for the sessions of a training run or of a shared model that server 0 has ordered: a
    /// connection of its own.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sessions<D: Description>(
        &self,
        request: &Ordered<D>,
    ) -> Result<Sessions, ClientError> {
        let mut connection = self.fresh().await?;
        frame::send(&mut connection.writer, D::KIND, request).await?;
        // The dealer makes masks of the data before it answers.
        connection.reader.await_message(PREPARE);
        frame::receive_bytes(&mut connection.reader, Kind::Agreed, 0).await?;
        Ok(Sessions { connection, next: request.description.sessions().0 })
    }
}

/// The dealer may take so long to look at a training run, or to deal a session.
const PREPARE: Duration = Duration::from_secs(600);

/// Sessions of a training run, as they are dealt.
#[derive(Debug)]
pub struct Sessions {
    connection: Connection,
    next: u64,
}

impl Sessions {
    /// The next session, as its plan counts it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn next(&mut self, plan: &Plan) -> Result<Dealt, ClientError> {
        let Connection { reader, writer, .. } = &mut self.connection;
        frame::send_bytes(writer, Kind::Next, &[]).await?;
        reader.await_message(PREPARE);
        let dealt = wire::receive_session(reader, self.next, plan).await?;
        self.next += 1;
        Ok(dealt)
    }
}

/// One control message each way.
async fn exchange(
    connection: &mut Connection,
    kind: Kind,
    body: &[u8],
) -> Result<(Kind, Vec<u8>), WireError> {
    frame::send_bytes(&mut connection.writer, kind, body).await?;
    let header = Header::<Kind>::read(&mut connection.reader).await?;
    Ok((header.kind, header.body(&mut connection.reader).await?))
}

/// Decodes the answer that is due.
fn decode_expected<T: serde::de::DeserializeOwned>(
    expected: Kind,
    found: Kind,
    body: &[u8],
) -> Result<T, WireError> {
    if found == expected {
        frame::decode(found, body)
    } else {
        Err(WireError::UnexpectedFrame { expected, found })
    }
}

/// Whether an answer says that the connection has ended, as a dealer that was stopped does.
fn ends((kind, body): &(Kind, Vec<u8>)) -> bool {
    *kind == Kind::Refuse
        && frame::decode::<_, Refusal>(*kind, body).is_ok_and(Refusal::ends_connection)
}

/// Corrections on their way.
pub struct Corrections<'c> {
    lease: Option<Lease<'c>>,
    dealing: Dealing,
    expected: usize,
    next: u64,
    left: u32,
}

impl core::fmt::Debug for Corrections<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Corrections")
            .field("next", &self.next)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Corrections<'_> {
    /// What the dealer said about them.
    #[must_use]
    pub fn dealing(&self) -> Dealing {
        self.dealing
    }

    /// The next session and its corrections; `None` after the last.
    ///
    /// # Errors
    /// [`ClientError`]; the sessions that have not arrived are lost, their numbers are skipped.
    pub async fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, ClientError> {
        let Some(mut lease) = self.lease.take() else { return Ok(None) };
        if self.left == 0 {
            lease.give_back();
            return Ok(None);
        }
        let session = self.next;
        let corrections =
            wire::receive_correction(&mut lease.connection.reader, session, self.expected).await?;
        self.next += 1;
        self.left -= 1;
        self.lease = Some(lease);
        Ok(Some((session, corrections)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_take_turns_and_those_that_failed_are_last() {
        let machines = Machines::new("a:1, b:1,c:1");
        let turn = || -> Vec<&str> {
            machines.in_turn().into_iter().map(|machine| machine.address.as_str()).collect()
        };
        assert_eq!(turn(), ["a:1", "b:1", "c:1"]);
        assert_eq!(turn(), ["b:1", "c:1", "a:1"]);
        machines.all[2].failed();
        assert_eq!(turn(), ["a:1", "b:1", "c:1"]);
        assert_eq!(turn(), ["a:1", "b:1", "c:1"]);
        assert_eq!(turn(), ["b:1", "a:1", "c:1"]);
        let one = Machines::new("dealer-1@a:1");
        assert_eq!(one.in_turn().len(), 1);
    }
}
