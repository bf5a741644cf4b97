//! Why a device and a host who are alone do not go on.

use std::io;

use sharelet_link::LinkError;
use sharelet_link::service::Leave;
use sharelet_prepare::{Failed, OtError, PrepareError};

use super::wire::{Refusal, WireError};
use crate::store::StoreError;
use crate::store::halves::HalvesError;

/// What failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AloneError {
    /// The host cannot be reached.
    #[error("{0}")]
    Link(#[from] LinkError),
    /// The connection, or what the peer says; its refusal, too.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// Preparing or inferring.
    #[error("{0}")]
    Session(#[from] sharelet_alone::AloneError<io::Error>),
    /// The network or the model.
    #[error("{0}")]
    Model(#[from] sharelet_alone::AloneError<core::convert::Infallible>),
    /// The store.
    #[error("{0}")]
    Halves(#[from] HalvesError),
    /// What is kept of the peer.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The peer was refused.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Something else than what was expected.
    #[error("{0}")]
    Unfit(String),
}

impl AloneError {
    /// A word for programs that read a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Link(_) => "Connect",
            Self::Wire(WireError::Refused(_)) | Self::Refused(_) => "Refused",
            Self::Wire(WireError::TimedOut) => "Timeout",
            Self::Wire(_) => "Wire",
            Self::Session(_) => "Session",
            Self::Model(_) | Self::Unfit(_) => "Network",
            Self::Halves(_) | Self::Store(_) => "Store",
        }
    }

    /// Whether another attempt can help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        use sharelet_alone::AloneError as Session;
        match self {
            Self::Link(error) => error.is_passing(),
            Self::Wire(error) => match error {
                WireError::Io(_) | WireError::TimedOut | WireError::Closed => true,
                WireError::Refused(refusal) => {
                    matches!(
                        refusal,
                        Refusal::ShuttingDown
                            | Refusal::Busy
                            | Refusal::TooSlow
                            | Refusal::ModelReplaced
                    )
                }
                _ => false,
            },
            Self::Session(Session::Transfers(Failed::Link(_))) => true,
            _ => false,
        }
    }

    /// Whether the peer was caught at cheating in the transfers.
    #[must_use]
    pub fn is_cheat(&self) -> bool {
        use sharelet_alone::AloneError as Session;
        let transfer = match self {
            Self::Session(Session::Transfers(Failed::Prepare(error))) => error,
            _ => return false,
        };
        matches!(transfer, PrepareError::Transfer(OtError::Check))
    }
}

impl From<Leave> for AloneError {
    fn from(leave: Leave) -> Self {
        Self::Refused(match leave {
            Leave::Stopping => Refusal::ShuttingDown,
            Leave::Full => Refusal::Busy,
            Leave::TooSlow => Refusal::TooSlow,
        })
    }
}

impl From<PrepareError> for AloneError {
    fn from(error: PrepareError) -> Self {
        Self::Session(error.into())
    }
}
