//! What a data party sends two servers, and what they answer.
//!
//! A query is one packet to each server: 16 bytes of header, then a seed for server 0, the masked
//! input for server 1. The answer is a server's share of the output and nothing else; three bytes
//! and the end of the connection in place of it are a refusal with its reason.
//!
//! ```text
//! header:   0xD1 | half and recipient | task, 6 bytes | query, 8 bytes
//! server 0: header | seed, 32 bytes
//! server 1: header | inputs, little-endian words
//! answer:   outputs, little-endian words            status: 0xA5 | reason | reason xor 0xFF
//! ```

use core::fmt;

use serde::{Deserialize, Serialize};

use super::task::TaskId;

/// The first byte of a query. Its high half names queries, its low half their version.
pub const QUERY_TAG: u8 = 0xD1;
/// The high half of the first byte of a query of any version.
const TAG_MASK: u8 = 0xF0;
/// Bytes of a query's header.
pub const QUERY_HEADER_BYTES: usize = 16;
/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;
/// Bytes of a status.
pub const STATUS_BYTES: usize = 3;
/// The first byte of a status.
const STATUS_TAG: u8 = 0xA5;
/// What every query costs the data party upwards beyond its input, in bytes, both servers together.
pub const QUERY_OVERHEAD_BYTES: usize = 2 * QUERY_HEADER_BYTES + SEED_BYTES;

/// What pairs the two halves of a query; used once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct QueryId(pub [u8; 8]);

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueryId({self})")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for QueryId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[u8]:02x}", self.0);
    }
}

/// Which half of a query a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Half {
    /// The seed, for server 0.
    Seed,
    /// The masked input, for server 1.
    Masked,
}

/// Who gets the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Recipient {
    /// The data party itself.
    #[default]
    DataParty,
    /// The operator's console; the data party learns that the answer waits there, and nothing else.
    Console,
}

/// The header of either half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QueryHeader {
    /// Which half follows.
    pub half: Half,
    /// Who gets the answer.
    pub recipient: Recipient,
    /// What is asked.
    pub task: TaskId,
    /// What pairs the halves.
    pub id: QueryId,
}

impl QueryHeader {
    /// The header's bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; QUERY_HEADER_BYTES] {
        let kind = u8::from(self.half == Half::Masked)
            | u8::from(self.recipient == Recipient::Console) << 1;
        let [t0, t1, t2, t3, t4, t5] = self.task;
        let [q0, q1, q2, q3, q4, q5, q6, q7] = self.id.0;
        [QUERY_TAG, kind, t0, t1, t2, t3, t4, t5, q0, q1, q2, q3, q4, q5, q6, q7]
    }

    /// A header from its bytes.
    ///
    /// # Errors
    /// [`Reason::Version`] for a query of another version; [`Reason::Malformed`] for anything else.
    pub fn parse(bytes: [u8; QUERY_HEADER_BYTES]) -> Result<Self, Reason> {
        let [tag, kind, t0, t1, t2, t3, t4, t5, id @ ..] = bytes;
        if tag != QUERY_TAG {
            return Err(if is_query(tag) { Reason::Version } else { Reason::Malformed });
        }
        if kind > 3 {
            return Err(Reason::Malformed);
        }
        let half = if kind & 1 == 1 { Half::Masked } else { Half::Seed };
        let recipient = if kind & 2 == 2 { Recipient::Console } else { Recipient::DataParty };
        Ok(Self { half, recipient, task: [t0, t1, t2, t3, t4, t5], id: QueryId(id) })
    }
}

/// Whether a connection that begins with this byte is a data party's, of any version.
#[must_use]
pub fn is_query(first: u8) -> bool {
    first & TAG_MASK == QUERY_TAG & TAG_MASK
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[non_exhaustive]
pub enum Reason {
    /// The query is of another version.
    Version = 1,
    /// The bytes are no query.
    Malformed = 2,
    /// The servers evaluate another model.
    Task = 3,
    /// The half is for the other server.
    Half = 4,
    /// The query's number was used before.
    Replay = 5,
    /// The other half did not come in time.
    NoPartner = 6,
    /// The halves disagree on who gets the answer.
    HalvesDiffer = 7,
    /// No console may take answers from this server.
    NoConsole = 8,
    /// As many answers wait for the console as may.
    ConsoleFull = 9,
    /// The server serves as many data parties as it can.
    Busy = 10,
    /// The other server is away, or went away in the middle.
    PeerLost = 11,
    /// There are no correlations: the dealer is gone or behind.
    NoCorrelations = 12,
    /// The server is being stopped.
    ShuttingDown = 13,
    /// The query did not arrive in time.
    TooSlow = 14,
}

impl Reason {
    const ALL: [Self; 14] = [
        Self::Version,
        Self::Malformed,
        Self::Task,
        Self::Half,
        Self::Replay,
        Self::NoPartner,
        Self::HalvesDiffer,
        Self::NoConsole,
        Self::ConsoleFull,
        Self::Busy,
        Self::PeerLost,
        Self::NoCorrelations,
        Self::ShuttingDown,
        Self::TooSlow,
    ];

    /// The reason with a number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as u8 == number)
    }

    /// Whether the same reading may have an answer later.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::NoPartner
                | Self::ConsoleFull
                | Self::Busy
                | Self::PeerLost
                | Self::NoCorrelations
                | Self::ShuttingDown
                | Self::TooSlow
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => {
                "the server speaks another version of queries; install matching versions"
            }
            Self::Malformed => "the server got bytes that are no query; check address and port",
            Self::Task => {
                "the servers evaluate another model; give the device the task file made from theirs"
            }
            Self::Half => "this half is for the other server; exchange the two addresses",
            Self::Replay => {
                "the query's number was used before; a counter may have been restored from a \
                 backup: provision the device anew"
            }
            Self::NoPartner => {
                "the other half did not reach the other server in time; check both addresses"
            }
            Self::HalvesDiffer => {
                "the two halves disagree on who gets the answer; update the device's program"
            }
            Self::NoConsole => "the server gives no answers to a console; start it with --console",
            Self::ConsoleFull => "too many answers wait for the console; start `sharelet console`",
            Self::Busy => "the server serves as many data parties as it can; try again later",
            Self::PeerLost => "the other server is away; try again later",
            Self::NoCorrelations => "the servers have no correlations; check that the dealer runs",
            Self::ShuttingDown => "the server is being stopped; try again later",
            Self::TooSlow => "the query did not arrive in time; check the network, try again later",
        })
    }
}

impl core::error::Error for Reason {}

/// What a server says in place of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The answer waits for the console.
    Accepted,
    /// There is no answer.
    Refused(Reason),
}

impl Status {
    /// The status' bytes.
    #[must_use]
    pub fn emit(self) -> [u8; STATUS_BYTES] {
        let reason = match self {
            Self::Accepted => 0,
            Self::Refused(reason) => reason as u8,
        };
        [STATUS_TAG, reason, !reason]
    }

    /// A status from its bytes; `None` if they are not one.
    #[must_use]
    pub fn parse(bytes: [u8; STATUS_BYTES]) -> Option<Self> {
        let [tag, reason, inverse] = bytes;
        if tag != STATUS_TAG || inverse != !reason {
            return None;
        }
        match reason {
            0 => Some(Self::Accepted),
            _ => Reason::from_number(reason).map(Self::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_wire() {
        for half in [Half::Seed, Half::Masked] {
            for recipient in [Recipient::DataParty, Recipient::Console] {
                let header =
                    QueryHeader { half, recipient, task: [1, 2, 3, 4, 5, 6], id: QueryId([9; 8]) };
                assert_eq!(QueryHeader::parse(header.emit()), Ok(header));
            }
        }
        let mut bytes = QueryHeader {
            half: Half::Seed,
            recipient: Recipient::DataParty,
            task: [0; 6],
            id: QueryId([0; 8]),
        }
        .emit();
        bytes[1] = 4;
        assert_eq!(QueryHeader::parse(bytes), Err(Reason::Malformed));
        bytes[0] = 0xD2;
        assert_eq!(QueryHeader::parse(bytes), Err(Reason::Version));
        bytes[0] = 1;
        assert_eq!(QueryHeader::parse(bytes), Err(Reason::Malformed));
    }

    #[test]
    fn every_reason_survives_the_wire() {
        for (number, reason) in (1..).zip(Reason::ALL) {
            assert_eq!(reason as u8, number);
            assert_eq!(
                Status::parse(Status::Refused(reason).emit()),
                Some(Status::Refused(reason))
            );
        }
        assert_eq!(Status::parse(Status::Accepted.emit()), Some(Status::Accepted));
        for bad in [[0xA5, 1, 1], [0xA4, 0, 0xff], [0xA5, 15, !15]] {
            assert_eq!(Status::parse(bad), None);
        }
    }
}
