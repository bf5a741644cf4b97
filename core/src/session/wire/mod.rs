//! The bytes between `P0` and `P1`: frames of a fixed header and a body (see
//! `docs/wire-format.md`).
//!
//! Control messages are `postcard` behind a magic number and a version; bulk bodies are
//! little-endian ring elements and packed bits in pieces of [`crate::session::piece::PIECE_ELEMS`]
//! elements. No byte of a peer can panic a reader.

#[doc(hidden)]
pub mod checksum;
pub mod control;
pub mod frame;
mod kind;
pub mod query;
pub mod servers;
pub mod task;

use core::fmt;

use kind::Kind;

/// Version of the wire format; peers with another one are refused at the handshake.
pub const VERSION: u16 = 6;

/// What is wrong with bytes that a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WireError {
    /// The first bytes are not those of a sharelet peer.
    NotSharelet,
    /// The peer speaks another version.
    Version {
        /// The peer's version.
        theirs: u16,
    },
    /// No frame has this number.
    UnknownFrame {
        /// The number that was read.
        kind: u8,
    },
    /// Another frame was due.
    UnexpectedFrame {
        /// The frame that was due.
        expected: Kind,
        /// The frame that came.
        found: Kind,
    },
    /// The frame is for another layer.
    WrongLayer {
        /// The layer that was due.
        expected: u8,
        /// The layer that came.
        found: u8,
    },
    /// The body is shorter or longer than the public shapes say.
    WrongLength {
        /// Bytes that were due.
        expected_bytes: u32,
        /// Bytes that the header announced.
        found_bytes: u32,
    },
    /// A control message that does not decode.
    Malformed,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSharelet => {
                write!(f, "the peer is not a sharelet program; check address and port")
            }
            Self::Version { theirs } => write!(
                f,
                "the peer speaks wire version {theirs}, this program {VERSION}; install matching \
                 versions on both sides"
            ),
            Self::UnknownFrame { kind } => write!(f, "unknown frame number {kind}"),
            Self::UnexpectedFrame { expected, found } => {
                write!(f, "a {found:?} frame where a {expected:?} frame was due")
            }
            Self::WrongLayer { expected, found } => {
                write!(f, "a frame for layer {found} where layer {expected} was due")
            }
            Self::WrongLength { expected_bytes, found_bytes } => {
                write!(f, "a frame of {found_bytes} bytes where {expected_bytes} were due")
            }
            Self::Malformed => write!(f, "a control message that does not decode"),
        }
    }
}

impl core::error::Error for WireError {}
