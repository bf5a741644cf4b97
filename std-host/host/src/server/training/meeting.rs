//! How two servers that train come together: one connects, the other listens.
//!
//! Whoever listens does so as a service: the first that greets right is the other server, and all
//! others are refused, by a [`Verdict`] that names the reason, without any word about the run.

use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use sharelet_core::session::wire::control::DeviceId;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::RunError;
use super::wire::{self, Hello, PeerError, Verdict};
use crate::store::datasets::Descriptor;
use sharelet_link::service::{self, Leave, Limits, Service, Visit};
use sharelet_link::tcp::Listener;
use sharelet_link::{Connection, Reader, Role, Writer};
use sharelet_train::course::Course;

/// Where the other server is.
#[derive(Debug)]
pub enum Meeting {
    /// At the other end of this connection.
    Connected(Connection),
    /// Among those that connect here, within a time.
    Listening(Listener, Limits, Duration),
}

impl From<Connection> for Meeting {
    fn from(connection: Connection) -> Self {
        Self::Connected(connection)
    }
}

/// The other server.
#[derive(Debug)]
pub(super) struct Met {
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) theirs: Hello,
    /// The name that it has proved.
    pub(super) name: Option<DeviceId>,
    /// Refuses others as long as the run goes on.
    pub(super) others: Option<DropGuard>,
}

impl Meeting {
    /// Waits for the other server, and exchanges greetings and verdicts.
    pub(super) async fn meet(
        self,
        ours: Hello,
        course: Arc<Course>,
        stop: &CancellationToken,
    ) -> Result<Met, RunError> {
        let (listener, limits, wait) = match self {
            Self::Connected(connection) => return greet(connection, &ours, &course).await,
            Self::Listening(listener, limits, wait) => (listener, limits, wait),
        };
        let (found, met) = oneshot::channel();
        let waiting = Arc::new(Waiting { ours, course, found: Mutex::new(Some(found)) });
        let stop = stop.child_token();
        let others = stop.clone().drop_guard();
        tokio::spawn(service::serve(waiting, listener, limits, stop));
        let met = tokio::time::timeout(wait, met).await.map_err(|_| RunError::Alone { wait })?;
        let met = met.map_err(|_| RunError::Stopped { step: 0 })?;
        Ok(Met { others: Some(others), ..met })
    }
}

/// Why one that has connected is not the other server.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("{0}")]
    Peer(#[from] PeerError),
    #[error("{0}")]
    Leave(#[from] Leave),
    #[error("{0}")]
    Differs(String),
    #[error("another server is met already; a run has two")]
    Busy,
}

impl Refused {
    /// What one is told that has not greeted.
    fn verdict(&self) -> Verdict {
        Verdict::Stop(match self {
            Self::Peer(PeerError::Version { .. }) => {
                format!("this server speaks version {}; install matching versions", wire::VERSION)
            }
            Self::Peer(_) => "the greeting is not that of a server that trains".to_owned(),
            other => other.to_string(),
        })
    }
}

/// A server that waits for the other.
struct Waiting {
    ours: Hello,
    course: Arc<Course>,
    /// Where the other server goes; taken by the first that greets right.
    found: Mutex<Option<oneshot::Sender<Met>>>,
}

impl Waiting {
    fn found(&self) -> std::sync::MutexGuard<'_, Option<oneshot::Sender<Met>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn greet(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        theirs: &Hello,
        visit: &Visit,
    ) -> Result<oneshot::Sender<Met>, Refused> {
        let found = match difference(&self.ours, theirs, &self.course) {
            Some(reason) => Err(Refused::Differs(reason)),
            None => self.found().take().ok_or(Refused::Busy),
        };
        match found {
            Err(refused) => {
                wire::send(writer, &self.ours).await?;
                wire::send(writer, &Verdict::Stop(refused.to_string())).await?;
                Err(refused)
            }
            Ok(found) => {
                // Whatever fails here, the place of the other server is free again.
                let agreed = async {
                    wire::send(writer, &self.ours).await?;
                    wire::send(writer, &Verdict::Go).await?;
                    Ok::<_, Refused>(wire::receive_verdict(reader).await?)
                };
                match visit.greeting(agreed).await {
                    Ok(()) => Ok(found),
                    Err(error) => {
                        *self.found() = Some(found);
                        Err(error)
                    }
                }
            }
        }
    }
}

impl Service for Waiting {
    type Error = Refused;

    fn roles(&self) -> &[Role] {
        if self.ours.party == 0 { &[Role::Server1] } else { &[Role::Server0] }
    }

    async fn converse(
        self: Arc<Self>,
        connection: Connection,
        visit: Visit,
    ) -> Result<(), Refused> {
        let name = connection.peer().map(|peer| peer.name);
        let Connection { mut reader, mut writer, .. } = connection;
        let hello = async { Ok::<_, Refused>(wire::receive_hello(&mut reader).await?) };
        let greeted = visit.greeting(hello).await;
        let theirs =
            match greeted.and_then(|theirs| visit.enter().map(|()| theirs).map_err(Into::into)) {
                Ok(theirs) => theirs,
                Err(refused) => {
                    // The reason matters more than whether it arrives.
                    let _ = wire::send(&mut writer, &refused.verdict()).await;
                    return Err(refused);
                }
            };
        let found = self.greet(&mut reader, &mut writer, &theirs, &visit).await?;
        // The run may have been stopped.
        let _ = found.send(Met { reader, writer, theirs, name, others: None });
        Ok(())
    }
}

/// Exchanges greetings and verdicts.
async fn greet(connection: Connection, ours: &Hello, course: &Course) -> Result<Met, RunError> {
    let name = connection.peer().map(|peer| peer.name);
    let Connection { mut reader, mut writer, .. } = connection;
    // At the same time: greetings may be longer than what the network holds.
    let (sent, theirs) =
        tokio::join!(wire::send(&mut writer, ours), wire::receive_hello(&mut reader));
    // What came says more than that the other end is closed.
    let theirs = theirs?;
    sent?;
    let difference = difference(ours, &theirs, course);
    let verdict = difference.as_ref().map_or(Verdict::Go, |reason| Verdict::Stop(reason.clone()));
    let sent = wire::send(&mut writer, &verdict).await;
    if let Some(reason) = difference {
        return Err(RunError::Differ(reason));
    }
    // A server that refuses closes the connection: its reason matters more.
    let told = wire::receive_verdict(&mut reader).await;
    if !matches!(told, Err(PeerError::Refused(_))) {
        sent?;
    }
    told?;
    Ok(Met { reader, writer, theirs, name, others: None })
}

/// The first thing that is not as it must be.
fn difference(ours: &Hello, theirs: &Hello, course: &Course) -> Option<String> {
    if ours.party == theirs.party {
        return Some(format!(
            "party: both servers are party {}; give one --party 0 and the other --party 1",
            ours.party
        ));
    }
    if theirs.party > 1 {
        return Some("party: the other server is neither 0 nor 1".to_owned());
    }
    if ours.prepares != theirs.prepares {
        let reason = "one server asks a dealer and the other prepares without one; give --prepare \
                      ot to both or to none";
        return Some(reason.to_owned());
    }
    match course.config().difference(&theirs.config) {
        Ok(None) => {}
        Ok(Some(difference)) => return Some(difference.to_string()),
        Err(error) => return Some(error.to_string()),
    }
    let data = |ours: &Descriptor, theirs: &Descriptor| {
        let name = &ours.dataset;
        ours.difference(theirs).map(|field| {
            format!(
                "data set `{name}`: {field} differs between the servers; share it anew with both"
            )
        })
    };
    if let Some(reason) = data(&ours.train, &theirs.train) {
        return Some(reason);
    }
    let test = match (&ours.test, &theirs.test) {
        (Some(ours), Some(theirs)) => data(ours, theirs),
        (None, None) => None,
        _ => Some("one server has a data set to test on, the other has none".to_owned()),
    };
    if test.is_some() {
        return test;
    }
    (ours.resume != theirs.resume).then(|| {
        "one server resumes and the other does not; give --resume to both or to none".to_owned()
    })
}
