//! What can go wrong while two parties prepare.

use core::convert::Infallible;

use sharelet_core::functions::engine::EngineError;
use sharelet_core::step::StepError;
use sharelet_ot::OtError;
use thiserror::Error;

/// Why there are no correlations. Nothing of what was made is of any use then.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrepareError {
    /// The transfers: a peer that cheats, or a message that is damaged.
    #[error("oblivious transfer: {0}")]
    Transfer(#[from] OtError),
    /// The program cannot be prepared by two parties alone.
    #[error("{0}")]
    Program(EngineError<Infallible>),
    /// The peer prepares another program, or in another order.
    #[error(
        "the peer prepares another program: both sides need the same model, settings, and version"
    )]
    OtherProgram,
    /// What was kept of a pair cannot be read.
    #[error(
        "kept base transfers that are cut, damaged, or of another version: delete them on both \
         sides, and let the parties meet again"
    )]
    Kept,
    /// A preparation with silent transfers was not finished.
    #[error("an earlier preparation was not finished: both sides must begin a new session")]
    Lost,
    /// A message is not as long as the plan says.
    #[error(
        "{what} of {found_bytes} bytes where {expected_bytes} are expected; do both parties \
         prepare the same program?"
    )]
    Length {
        /// Which message.
        what: &'static str,
        /// What the plan says.
        expected_bytes: usize,
        /// What came.
        found_bytes: usize,
    },
    /// More than a party can address.
    #[error("a program of {transfers} transfers, which is more than a party can hold")]
    TooMany {
        /// Transfers of the program, in one direction.
        transfers: u64,
    },
}

/// Why two parties did not prepare over a link. `E` is the link's error.
#[derive(Debug, Error)]
pub enum Failed<E> {
    /// What was prepared, or the peer.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The link.
    #[error("the link to the peer failed: {0}")]
    Link(E),
}

impl From<EngineError<Infallible>> for PrepareError {
    fn from(error: EngineError<Infallible>) -> Self {
        Self::Program(error)
    }
}

impl From<StepError> for PrepareError {
    fn from(error: StepError) -> Self {
        Self::Program(error.into())
    }
}

/// Refuses a message of another length.
pub(crate) fn expect(
    what: &'static str,
    message: &[u8],
    expected_bytes: usize,
) -> Result<(), PrepareError> {
    if message.len() == expected_bytes {
        Ok(())
    } else {
        Err(PrepareError::Length { what, expected_bytes, found_bytes: message.len() })
    }
}
