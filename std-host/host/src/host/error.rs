//! Why a host cannot serve.

use sharelet_core::session::SessionError;
use sharelet_core::session::wire::control::Refusal;
use sharelet_link::service::Leave;
use sharelet_model::ModelError;

use crate::store::StoreError;

/// Why the host cannot serve, or a connection to a device ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The model.
    #[error("{0}")]
    Model(#[from] ModelError),
    /// The model is not one that a dealer takes.
    #[error("the model cannot be served: {reason}")]
    Unservable {
        /// Why.
        reason: String,
    },
    /// The state.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The session.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// The device was refused, with the reason.
    #[error("refused the device: {0}")]
    Refused(Refusal),
}

impl From<Leave> for HostError {
    fn from(leave: Leave) -> Self {
        Self::Refused(refusal(leave))
    }
}

/// What a peer in a session is told.
#[must_use]
pub fn refusal(leave: Leave) -> Refusal {
    match leave {
        Leave::Stopping => Refusal::ShuttingDown,
        Leave::Full => Refusal::Busy,
        Leave::TooSlow => Refusal::TooSlow,
    }
}
