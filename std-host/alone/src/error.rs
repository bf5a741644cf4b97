//! What can go wrong between two parties who are alone.

use sharelet_prepare::{Failed, PrepareError};
use thiserror::Error;

/// Why there are no correlations, or no answer. Nothing of what was made or begun is of use then.
/// `E` is the link's error.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AloneError<E> {
    /// The transfers, the peer, or the link.
    #[error(transparent)]
    Transfers(#[from] Failed<E>),
    /// The encrypted products.
    #[error("encrypted products: {0}")]
    Products(#[from] sharelet_rlwe::Error),
    /// A half of another network, or of the other party.
    #[error("correlations of another network, or of the other party")]
    Half,
    /// Batches of a network that has windows.
    #[error("the network has maps of windows, which are not prepared in batches")]
    NoBatches,
    /// An input of another length.
    #[error("the network takes {expected_elems} values, the input has {found_elems}")]
    Input {
        /// What the network takes.
        expected_elems: usize,
        /// What there is.
        found_elems: usize,
    },
}

impl<E> From<PrepareError> for AloneError<E> {
    fn from(error: PrepareError) -> Self {
        Self::Transfers(error.into())
    }
}

/// The link's own error.
pub(crate) fn of_link<E>(error: E) -> AloneError<E> {
    AloneError::Transfers(Failed::Link(error))
}
