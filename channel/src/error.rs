//! Why there is no channel, or none any more.

use core::fmt;

use embedded_io_async::ErrorKind;

use crate::party::Party;

/// The version of handshake and records.
pub const VERSION: u16 = 2;

/// The word of a refusal, one byte on the wire. It comes before anybody is authenticated: whoever
/// sits on the line can forge it, and gains no more by it than by cutting the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum Reason {
    /// The sender speaks another version.
    Version = 1,
    /// The sender has no key for the peer's role and name, or the peer did not prove that it holds
    /// the key.
    Unknown = 2,
    /// The sender does not have the resumption that the peer offers; a handshake with static keys
    /// may follow on the same connection.
    ResumptionUnknown = 3,
    /// All places are taken.
    Busy = 4,
    /// The sender is being stopped.
    ShuttingDown = 5,
    /// The peer took too long.
    TooSlow = 6,
    /// Bytes that are no handshake.
    Malformed = 7,
    /// The step of the peer's ratchet was used before.
    Step = 8,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Version,
        Self::Unknown,
        Self::ResumptionUnknown,
        Self::Busy,
        Self::ShuttingDown,
        Self::TooSlow,
        Self::Malformed,
        Self::Step,
    ];

    /// The reason's byte on the wire.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self as u8
    }

    /// The reason of a byte; `None` if there is none.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.byte() == byte)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "it speaks another version of the channel; install matching versions",
            Self::Unknown => {
                "it has no key for this role and name, or another one, or is another program: \
                 check its address, and pair the two again"
            }
            Self::ResumptionUnknown => {
                "it no longer has the resumption; connect with the static keys"
            }
            Self::Busy => "all its places are taken; try again later",
            Self::ShuttingDown => "it is being stopped; try again later",
            Self::TooSlow => {
                "it waited too long for a message; check the network and try again later"
            }
            Self::Malformed => "it got bytes that are no handshake; check its address",
            Self::Step => {
                "this step was used; if this side is a copy, or from a backup, provision a new key"
            }
        })
    }
}

impl core::error::Error for Reason {}

/// Why there is no channel, or none any more. No variant carries anything that is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The transport failed.
    Transport(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] ErrorKind),
    /// The peer closed the connection during the handshake.
    Closed,
    /// The first bytes are not those of a channel.
    NotAChannel,
    /// The peer speaks another version of the channel.
    Version {
        /// The peer's.
        theirs: u16,
    },
    /// The peer sent bytes that are no handshake.
    Malformed,
    /// The peer refused.
    Refused(Reason),
    /// There is no key for whoever wants to connect.
    Unknown(Party),
    /// The peer did not prove that it holds the key which it was expected to hold.
    Authentication,
    /// The step of the peer's ratchet was used before.
    Step {
        /// The lowest step that was not used.
        next: u64,
        /// The peer's.
        offered: u64,
    },
    /// So many of the peer's hellos were lost that this side has followed a part of the way. The
    /// peer's next connections do the rest.
    Behind {
        /// The step to which this side has come.
        next: u64,
        /// The peer's.
        offered: u64,
    },
    /// The ratchet could not be stored; the connection is not begun.
    NotStored,
    /// A handshake with static keys needs one.
    NoStaticKey,
    /// A record is not what the peer sealed: it was changed, repeated, left out or put elsewhere.
    Record,
    /// A record claims to be longer than any.
    RecordLength {
        /// What it claims, in bytes of plaintext.
        bytes: u16,
    },
    /// The connection ended without the peer having closed the channel.
    Truncated,
    /// This side has closed its direction.
    Finished,
    /// The cipher seals no more.
    Exhausted,
}

impl Error {
    /// A word for programs that read a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transport(ErrorKind::TimedOut) => "Timeout",
            Self::Transport(_) => "Transport",
            Self::Closed => "Closed",
            Self::NotAChannel => "NotAChannel",
            Self::Version { .. } => "Version",
            Self::Malformed => "Malformed",
            Self::Refused(_) => "Refused",
            Self::Unknown(_) => "Unknown",
            Self::Authentication => "Authentication",
            Self::Step { .. } => "Step",
            Self::Behind { .. } => "Behind",
            Self::NotStored => "NotStored",
            Self::NoStaticKey => "NoStaticKey",
            Self::Record => "Record",
            Self::RecordLength { .. } => "RecordLength",
            Self::Truncated => "Truncated",
            Self::Finished => "Finished",
            Self::Exhausted => "Exhausted",
        }
    }

    /// What a responder tells a peer whose handshake ended so; `None` if it says nothing.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Version { .. } => Some(Reason::Version),
            Self::Malformed => Some(Reason::Malformed),
            Self::Unknown(_) | Self::Authentication | Self::NoStaticKey => Some(Reason::Unknown),
            Self::Transport(ErrorKind::TimedOut) => Some(Reason::TooSlow),
            Self::Step { .. } => Some(Reason::Step),
            Self::NotStored | Self::Behind { .. } => Some(Reason::Busy),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(ErrorKind::TimedOut) => {
                write!(f, "the peer did not answer in time; check the network, and connect again")
            }
            Self::Transport(kind) => {
                write!(f, "the connection failed ({kind}); check the network, and connect again")
            }
            Self::Closed => {
                write!(f, "the peer closed the connection during the handshake; see its log")
            }
            Self::NotAChannel => {
                write!(
                    f,
                    "the peer does not speak the secure channel; check the address, and that \
                     both sides are built with it"
                )
            }
            Self::Version { theirs } => {
                write!(
                    f,
                    "the peer speaks version {theirs} of the channel, this program {VERSION}; \
                     install matching versions"
                )
            }
            Self::Malformed => {
                write!(f, "the peer sent bytes that are no handshake; check its release")
            }
            Self::Refused(reason) => write!(f, "the peer refused: {reason}"),
            Self::Unknown(party) => {
                write!(f, "there is no key for {party}; pair it with this program")
            }
            Self::Authentication => {
                write!(
                    f,
                    "the peer did not prove that it holds the pinned key; check its address, \
                     compare fingerprints, and pair the two again if its key was replaced"
                )
            }
            Self::Step { next, offered } => {
                write!(
                    f,
                    "the peer is at step {offered}, this side at {next}; if the peer is a copy, or \
                     from a backup, provision a new key"
                )
            }
            Self::Behind { next, offered } => {
                write!(
                    f,
                    "the peer is at step {offered}, this side has followed to {next}; the peer's \
                     next connections go on"
                )
            }
            Self::NotStored => {
                write!(f, "the ratchet could not be stored; the connection is not begun")
            }
            Self::NoStaticKey => {
                write!(f, "this party has no static key; generate one, and pair it with its peer")
            }
            Self::Record => {
                write!(
                    f,
                    "a record is not what the peer sealed; somebody changes the line, connect \
                     again"
                )
            }
            Self::RecordLength { bytes } => {
                write!(
                    f,
                    "a record claims {bytes} bytes, more than any has; somebody changes the \
                     line, connect again"
                )
            }
            Self::Truncated => {
                write!(
                    f,
                    "the connection ended before the peer closed the channel; what came is not \
                     all, connect again"
                )
            }
            Self::Finished => write!(f, "this side has closed the channel; connect again"),
            Self::Exhausted => write!(f, "the channel's cipher is used up; connect again"),
        }
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Transport(kind) => *kind,
            Self::Closed | Self::Truncated => ErrorKind::ConnectionReset,
            Self::Refused(_) => ErrorKind::ConnectionRefused,
            Self::Unknown(_) | Self::Authentication | Self::Step { .. } => {
                ErrorKind::PermissionDenied
            }
            Self::NotAChannel
            | Self::Version { .. }
            | Self::Malformed
            | Self::Record
            | Self::RecordLength { .. } => ErrorKind::InvalidData,
            Self::Finished => ErrorKind::BrokenPipe,
            Self::Behind { .. } | Self::NotStored | Self::NoStaticKey | Self::Exhausted => {
                ErrorKind::Other
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_survive_their_bytes() {
        // 0 says that the handshake goes on.
        for byte in 0..=255 {
            let reason = Reason::from_byte(byte);
            assert_eq!(reason.is_some(), (1..=8).contains(&byte));
            assert!(reason.is_none_or(|reason| reason.byte() == byte));
        }
    }
}
