//! The other server: where it is, how patient one is with it, and why two do not work together.

use core::time::Duration;

use sharelet_core::session::SessionError;
use sharelet_core::session::wire::WireError;
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::wire::query::Reason;
use sharelet_core::session::wire::task::Field;
use sharelet_link::{LinkError, Route};

use super::training::wire::PeerError as Greeting;
use crate::host::refusal;
use sharelet_link::pauses::Pauses;
use sharelet_link::service::Leave;

/// Where server 1 is, and how patient server 0.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Server 1, `HOST:PORT`.
    pub peer: String,
    /// How the connections are made.
    pub route: Route,
    /// Sessions that are kept prepared.
    pub lanes: usize,
    /// Server 1 must accept within this time.
    pub connect: Duration,
    /// The longest silence within a message.
    pub stall: Duration,
    /// A handshake, a preparation or an inference must be done within this time.
    pub phase: Duration,
    /// A query waits this long for a prepared session.
    pub wait: Duration,
    /// Between attempts of a lane.
    pub pauses: Pauses,
}

impl Settings {
    /// Four lanes, some seconds for everything.
    #[must_use]
    pub fn new(peer: String, route: Route) -> Self {
        Self {
            peer,
            route,
            lanes: 4,
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            phase: Duration::from_secs(300),
            wait: Duration::from_secs(10),
            pauses: Pauses::default(),
        }
    }
}

/// Why two servers do not work together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The other server cannot be reached.
    #[error("server 1: {0}")]
    Link(#[from] LinkError),
    /// The lane.
    #[error("server 1: {0}")]
    Session(#[from] SessionError),
    /// The network that server 1 describes is not that of its task.
    #[error("server 1: {field}: its network is not the one of its task; import the model again")]
    Description {
        /// What differs.
        field: Field,
    },
    /// What the servers of a shared model say to each other.
    #[error("the other server: {0}")]
    Greeting(#[from] Greeting),
    /// Their shares of a model do not belong together.
    #[error("{0}")]
    Differ(String),
    /// There are no correlations for a shared model.
    #[error("no correlations: {0}")]
    Correlations(String),
    /// An inference with a shared model ended in the middle.
    #[error("the session with the other server ended: {0}")]
    Broken(String),
}

impl From<Leave> for PeerError {
    fn from(leave: Leave) -> Self {
        SessionError::Refused(refusal(leave)).into()
    }
}

impl PeerError {
    /// Whether another attempt can help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Link(error) => error.is_passing(),
            Self::Description { .. } | Self::Differ(_) => false,
            Self::Correlations(_) | Self::Broken(_) => true,
            Self::Greeting(error) => matches!(error, Greeting::Io(_) | Greeting::Closed),
            Self::Session(error) => match error {
                SessionError::Transport(_) | SessionError::Closed => true,
                SessionError::Wire(error) => {
                    !matches!(error, WireError::NotSharelet | WireError::Version { .. })
                }
                SessionError::Refused(refusal) => matches!(
                    refusal,
                    Refusal::NoCorrelations
                        | Refusal::ShuttingDown
                        | Refusal::Busy
                        | Refusal::Protocol
                        | Refusal::TooSlow
                        | Refusal::NoHalf
                        | Refusal::HalvesDiffer
                ),
                _ => false,
            },
        }
    }

    /// What data parties are told.
    #[must_use]
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Session(SessionError::Refused(Refusal::NoCorrelations))
            | Self::Correlations(_) => Reason::NoCorrelations,
            Self::Session(SessionError::Refused(Refusal::NoHalf)) => Reason::NoPartner,
            Self::Session(SessionError::Refused(Refusal::HalvesDiffer)) => Reason::HalvesDiffer,
            _ => Reason::PeerLost,
        }
    }
}

/// An error in the middle of a lane: another attempt may help.
pub(super) fn broken(error: impl core::fmt::Display) -> PeerError {
    PeerError::Broken(error.to_string())
}
