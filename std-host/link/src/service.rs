//! What all programs that listen have in common: they admit, let greet, converse, refuse with a
//! reason, and drain.
//!
//! A peer is a stranger until it has greeted in the way that the [`Service`] wants. Until then it
//! costs a task and two buffers, for [`Limits::hello`] at most, and holds up nobody: its place is
//! not one of those that are served (`places`). A peer that is served has a total
//! time for each message beside the longest silence in it; between messages it may be silent for
//! long, but gives its place to a newcomer when there is no other, is told so, and can come back.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use sharelet_channel::{Party, Reason, Role};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::connection::{Bare, Connection, Reader};
use crate::error::LinkError;
use crate::known::{KNOWN_EVERY, Known, Present};
pub use crate::places::Place;
use crate::places::Places;
use crate::route::Route;
use crate::system;
use crate::tcp::Listener;
use crate::warnings::Warnings;

/// What a service allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Peers that are served at the same time; as many more may greet. Fewer where the system lets
    /// the program have few connections open.
    pub connections: usize,
    /// A greeting must be complete within this time.
    pub hello: Duration,
    /// The first message after it must begin within this time.
    pub first: Duration,
    /// The longest silence between later messages.
    pub idle: Duration,
    /// A message must be complete within this time, and what its length takes at
    /// [`SLOWEST`](super::timeout::SLOWEST).
    pub message: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// How long conversations may go on after the service was told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    /// 64 peers, some seconds for everything, and an hour between messages.
    fn default() -> Self {
        Self {
            connections: 64,
            hello: Duration::from_secs(10),
            first: Duration::from_secs(30),
            idle: Duration::from_secs(3600),
            message: Duration::from_secs(60),
            stall: Duration::from_secs(20),
            grace: Duration::from_secs(3),
        }
    }
}

/// Why a conversation ends although the peer's bytes were right. Each protocol has a refusal for
/// each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Leave {
    /// The service is being stopped.
    #[error("the service is being stopped")]
    Stopping,
    /// As many are served as may be, or a newcomer has got the place.
    #[error("as many peers are served as may be")]
    Full,
    /// Nothing came, or a message took too long.
    #[error("the peer said nothing, or took too long over a message")]
    TooSlow,
}

/// What happens to a connection, for who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was accepted: a stranger's.
    Accepted,
    /// It has ended without a handshake.
    Unheard,
    /// It has ended.
    Ended {
        /// As the peer wanted it, and not by an error.
        well: bool,
    },
}

/// What a program does with those who connect to it.
pub trait Service: Send + Sync + 'static {
    /// How a conversation ends that goes wrong.
    type Error: fmt::Display + Send;

    /// The roles of those who may connect; nobody else gets through the handshake.
    fn roles(&self) -> &[Role];

    /// How many connections of one peer are served at the same time.
    fn most_of(&self, _peer: Party) -> usize {
        8
    }

    /// Is told what happens to connections.
    fn observe(&self, _event: Event) {}

    /// Converses with one peer, from its greeting to its end; tells it what concerns it. What is
    /// returned goes to the log.
    fn converse(
        self: Arc<Self>,
        connection: Connection,
        visit: Visit,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

/// A peer that is there, and the place that it has.
#[derive(Debug)]
pub struct Visit {
    peer: SocketAddr,
    limits: Limits,
    stop: CancellationToken,
    place: Place,
    asked: bool,
    warnings: Arc<Warnings>,
    /// Who has proved to be there, and how many places it may have.
    proved: Option<(Party, usize)>,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.place.places.leave(self.place.number);
    }
}

impl Visit {
    fn new(
        peer: SocketAddr,
        (places, warnings): (Arc<Places>, Arc<Warnings>),
        limits: Limits,
        stop: CancellationToken,
    ) -> Self {
        let place = Place::new(places, peer.ip());
        Self { peer, limits, stop, place, asked: false, warnings, proved: None }
    }

    /// The only visit, for who has a connection and no listener.
    #[must_use]
    pub fn alone(limits: Limits, stop: CancellationToken) -> Self {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let shared = (Arc::new(Places::new(1)), Arc::default());
        Self::new(peer, shared, limits, stop)
    }

    /// The same, for a peer that may be silent for as long as `idle` before every message.
    #[must_use]
    pub fn patient(mut self, idle: Duration) -> Self {
        (self.limits.first, self.limits.idle) = (idle, idle);
        self
    }

    /// What the service allows.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Is cancelled when the service is to stop.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// The place that the peer has.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Writes a warning about the peer, unless there were many of late.
    pub fn warn(&self, warning: impl fmt::Display) {
        self.warnings.warn(format_args!("{}: {warning}", self.peer));
    }

    /// Waits until the conversation has to end.
    pub async fn ends(&self) -> Leave {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Leave::Stopping,
            () = self.place.taken.cancelled() => Leave::Full,
        }
    }

    /// A step, unless the conversation has to end before.
    ///
    /// # Errors
    /// The step's, or [`Leave`].
    pub async fn or<T, E: From<Leave>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        tokio::select! {
            biased;
            leave = self.ends() => Err(leave.into()),
            done = step => done,
        }
    }

    /// The peer's greeting, which must be complete within [`Limits::hello`].
    ///
    /// # Errors
    /// The greeting's, or [`Leave`].
    pub async fn greeting<T, E: From<Leave>>(
        &self,
        greeting: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let greeted = tokio::time::timeout(self.limits.hello, greeting);
        self.or(async { greeted.await.unwrap_or(Err(Leave::TooSlow.into())) }).await
    }

    /// Takes a place among those that are served, once the peer is known to be one. In the place
    /// of a peer that only waits, if there is no other.
    ///
    /// # Errors
    /// [`Leave::Full`].
    pub fn enter(&self) -> Result<(), Leave> {
        if self.place.places.enter(self.place.number, self.proved) {
            Ok(())
        } else {
            Err(Leave::Full)
        }
    }

    /// Waits for the next message; `false` if the peer is gone instead. Meanwhile the place may go
    /// to another. The message has [`Limits::message`] from here on.
    ///
    /// # Errors
    /// [`Leave`].
    pub async fn next(&mut self, reader: &mut Reader) -> Result<bool, Leave> {
        self.place.places.wait(self.place.number);
        let begun = self.next_of_work(reader).await?;
        // Whose place went in this moment was told so.
        if self.place.places.work(self.place.number) { Ok(begun) } else { Err(Leave::Full) }
    }

    /// As [`Visit::next`], for a peer that has begun something: it keeps its place.
    ///
    /// # Errors
    /// [`Leave`], but not for a newcomer.
    pub async fn next_of_work(&mut self, reader: &mut Reader) -> Result<bool, Leave> {
        let Limits { first, idle, message, .. } = self.limits;
        let silence = if core::mem::replace(&mut self.asked, true) { idle } else { first };
        let begun = tokio::select! {
            biased;
            leave = self.ends() => return Err(leave),
            begun = reader.begins(silence) => begun,
        };
        match begun {
            Ok(begun) => {
                reader.begin_message(message);
                Ok(begun)
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Leave::TooSlow),
            // Between messages, every end is one.
            Err(_) => Ok(false),
        }
    }
}

/// Serves whoever connects, one task each, until `stop`; then waits a while for those that are
/// under way.
pub async fn serve<S: Service>(
    service: Arc<S>,
    mut listener: Listener,
    limits: Limits,
    stop: CancellationToken,
) {
    // A quarter each for those that greet, are served, and leave; one stays for files and for
    // connections that the program makes.
    let connections = limits.connections.min(system::most_descriptors() / 4).max(1);
    let (places, warnings) = (Arc::new(Places::new(connections)), listener.warnings());
    let (mut tasks, known) = (JoinSet::new(), Arc::new(Known::default()));
    let mut looks = tokio::time::interval(KNOWN_EVERY);
    // As many again for those who were asked to leave, and have not left yet: each of them ends
    // soon. Until one has, newcomers wait in the system's queue; nobody is sent away unheard.
    let most = connections.saturating_mul(3);
    loop {
        let (bare, peer) = tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = tasks.join_next() => {
                report(ended);
                continue;
            }
            _ = looks.tick() => {
                if let Some(keyring) = listener.route().keyring() {
                    known.expel(keyring);
                }
                continue;
            }
            accepted = listener.accept(), if tasks.len() < most => accepted,
        };
        service.observe(Event::Accepted);
        let shared = (places.clone(), warnings.clone());
        let mut visit = Visit::new(peer, shared, limits, stop.clone());
        let (service, route, known) = (service.clone(), listener.route().clone(), known.clone());
        tasks.spawn(async move {
            let mut observed = Observed { service: service.clone(), ends: Event::Unheard };
            let warnings = visit.warnings.clone();
            let connection = match secure(&route, bare, service.roles(), &visit).await {
                Ok(connection) => connection,
                Err(error) => return warnings.warn(format_args!("{peer}: {error}")),
            };
            observed.ends = Event::Ended { well: false };
            let party = connection.peer();
            visit.proved = party.map(|party| (party, service.most_of(party)));
            let keyring = route.keyring();
            let present = party.map(|party| Present::new(known, keyring, visit.place(), party));
            let ended = tokio::select! {
                biased;
                () = forgotten(present.as_ref()) => {
                    let why = "it is paired no more as it was; cut";
                    return warnings.warn(format_args!("{peer}: {why}"));
                }
                ended = service.converse(connection, visit) => ended,
            };
            match ended {
                Ok(()) => {
                    observed.ends = Event::Ended { well: true };
                    tracing::debug!(%peer, "closed");
                }
                Err(error) => warnings.warn(format_args!("{peer}: connection ended: {error}")),
            }
        });
    }
    let route = listener.close();
    let done = async {
        while let Some(ended) = tasks.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(limits.grace, done).await.is_err() {
        tracing::warn!("{} connections did not end in time and are cut", tasks.len());
        tasks.shutdown().await;
    }
    route.drained().await;
}

/// Tells a service how a connection has ended, whatever ends it.
struct Observed<S: Service> {
    service: Arc<S>,
    ends: Event,
}

impl<S: Service> Drop for Observed<S> {
    fn drop(&mut self) {
        self.service.observe(self.ends);
    }
}

/// Waits until a peer is paired no more.
async fn forgotten(present: Option<&Present>) {
    match present {
        Some(present) => present.expelled.cancelled().await,
        None => core::future::pending().await,
    }
}

/// Why there is no conversation.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("{0}")]
    Link(#[from] LinkError),
    #[error("no handshake: {0}")]
    Leave(#[from] Leave),
}

/// Lets a stranger shake hands, as long as one may greet, and says why it must leave before.
async fn secure(
    route: &Route,
    mut bare: Bare,
    roles: &[Role],
    visit: &Visit,
) -> Result<Connection, Unheard> {
    let accepted = visit.greeting(async { Ok(route.accept(&mut bare, roles).await?) }).await;
    if let Err(Unheard::Leave(leave)) = &accepted {
        let reason = match leave {
            Leave::Stopping => Reason::ShuttingDown,
            Leave::Full => Reason::Busy,
            Leave::TooSlow => Reason::TooSlow,
        };
        // The reason matters more than whether it arrives.
        let told = sharelet_channel::refuse(&mut bare, reason);
        let _ = tokio::time::timeout(visit.limits.stall, told).await;
    }
    Ok(match accepted? {
        Some(shaken) => Connection::sealed(bare, shaken, visit.limits.stall),
        None => Connection::plain(bare, visit.limits.stall),
    })
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!("a conversation ended abruptly: {error}");
    }
}
