//! Frames: the one codec of the links between PCs. A protocol is a table of its kinds.
//!
//! ```text
//! frame:     kind, u8 | length of the body, u32 | body
//! greeting:  four bytes that name the protocol | its version, u16 | what else it says
//! ```
//!
//! All integers are little-endian; the body of a control message is `postcard` of a struct. No
//! frame's body is longer than its kind allows: a longer one is refused before memory is taken for
//! it, and memory grows only as bytes arrive. From its first byte on, a frame may take the stall
//! limit and the time that its bytes take at [`SLOWEST`](super::timeout::SLOWEST).

use core::fmt::{Debug, Display};

use embedded_io_async::{Read, ReadExactError, Write as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::{Reader, Writer};

/// Most bytes of a control message, unless its kind says otherwise.
pub const CONTROL_BYTES: usize = 1024;
/// Bytes around the body of [`send_numbered`].
pub const NUMBERED_BYTES: usize = 12;
/// Memory for a body is taken in steps of this many bytes.
const STEP_BYTES: usize = 1 << 20;
const HEADER_BYTES: usize = 5;

/// What two programs say to each other: the type's values are the kinds of its frames.
pub trait Protocol: Copy + Debug + PartialEq + Send + Sync + 'static {
    /// The first bytes of a greeting.
    const MAGIC: [u8; 4];
    /// Its version.
    const VERSION: u16;
    /// Who speaks it, for people.
    const PEERS: &'static str;
    /// All kinds, each with the most bytes of its body.
    const KINDS: &'static [(Self, usize)];
    /// The kind that comes instead of any answer; its body is a [`Protocol::Refusal`].
    const REFUSE: Self;
    /// Whether a frame begins with its kind. Without, there is one kind, and bytes that are wrong
    /// are a stranger's.
    const HAS_KINDS: bool = true;
    /// Why something is refused.
    type Refusal: Serialize + DeserializeOwned + Debug + Display + Send + Sync;

    /// The kind's byte.
    fn number(self) -> u8;
}

/// What is wrong with a connection or the bytes on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError<P: Protocol> {
    /// The connection failed.
    #[error("the connection failed: {0}; check that the peer runs, and the network")]
    Io(std::io::Error),
    /// The peer was silent for too long, or its message took too long.
    #[error("the peer does not answer in time; check address and port, and that it runs")]
    TimedOut,
    /// The peer closed the connection in the middle.
    #[error("the peer closed the connection in the middle; see its log")]
    Closed,
    /// The bytes are not those of this protocol.
    #[error("the peer is not a sharelet {}; check address and port", P::PEERS)]
    NotSharelet,
    /// The peer speaks another version.
    #[error(
        "the peer speaks version {theirs}, this program {}; install matching versions",
        P::VERSION
    )]
    Version {
        /// The peer's version.
        theirs: u16,
    },
    /// No frame has this number.
    #[error("unknown frame number {kind}; install matching versions")]
    UnknownFrame {
        /// The number.
        kind: u8,
    },
    /// Another frame was due.
    #[error("a {found:?} frame where {expected:?} was due; install matching versions")]
    UnexpectedFrame {
        /// The frame that was due.
        expected: P,
        /// The frame that came.
        found: P,
    },
    /// The body is shorter or longer than it may be.
    #[error("a {kind:?} frame of {found} bytes where {expected} are due or allowed")]
    WrongLength {
        /// The frame.
        kind: P,
        /// Bytes that were due, or the most that may come.
        expected: usize,
        /// Bytes announced.
        found: usize,
    },
    /// A control message that does not decode.
    #[error("a {kind:?} message that does not decode; install matching versions")]
    Malformed {
        /// The frame.
        kind: P,
    },
    /// The checksum of a session does not match.
    #[error("session {session} was damaged on the way; it is dropped")]
    Checksum {
        /// The session that was due.
        session: u64,
    },
    /// Another session than was due.
    #[error("session {found} where {expected} was due; it is dropped")]
    WrongSession {
        /// The session that was due.
        expected: u64,
        /// The session that came.
        found: u64,
    },
    /// The peer refused.
    #[error("refused: {0}")]
    Refused(P::Refusal),
}

impl<P: Protocol> From<std::io::Error> for FrameError<P> {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::TimedOut => Self::TimedOut,
            std::io::ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl<P: Protocol> FrameError<P> {
    fn malformed(kind: P) -> Self {
        if P::HAS_KINDS { Self::Malformed { kind } } else { Self::NotSharelet }
    }

    fn wrong_length(kind: P, expected: usize, found: usize) -> Self {
        if P::HAS_KINDS { Self::WrongLength { kind, expected, found } } else { Self::NotSharelet }
    }
}

/// Reads as many bytes as there is room for.
///
/// # Errors
/// The connection's; `UnexpectedEof` if the peer closed it before.
pub async fn read_exact(
    reader: &mut impl Read<Error = std::io::Error>,
    bytes: &mut [u8],
) -> std::io::Result<()> {
    reader.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::UnexpectedEof => std::io::ErrorKind::UnexpectedEof.into(),
        ReadExactError::Other(error) => error,
    })
}

/// Reads a body, and takes memory only as it arrives.
async fn read_body(reader: &mut Reader, len: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let from = bytes.len();
        bytes.resize(len.min(from + STEP_BYTES), 0);
        read_exact(reader, bytes.get_mut(from..).unwrap_or_default()).await?;
    }
    Ok(bytes)
}

/// A frame whose body has not been read. It is as long as its kind allows at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<P> {
    /// What the frame carries.
    pub kind: P,
    body_bytes: usize,
}

impl<P: Protocol> Header<P> {
    fn parse(number: Option<u8>, length: [u8; 4]) -> Result<Self, FrameError<P>> {
        let mut kinds = P::KINDS.iter();
        let known = match number {
            Some(number) => kinds.find(|(kind, _)| kind.number() == number),
            None => kinds.next(),
        };
        let unknown = || FrameError::UnknownFrame { kind: number.unwrap_or_default() };
        let (kind, most) = *known.ok_or_else(unknown)?;
        let body_bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if body_bytes > most {
            return Err(FrameError::wrong_length(kind, most, body_bytes));
        }
        Ok(Self { kind, body_bytes })
    }

    /// Reads the next frame's header; `None` if the peer closed the connection before it.
    ///
    /// # Errors
    /// [`FrameError::UnknownFrame`], [`FrameError::WrongLength`], and the connection's.
    pub async fn read_or_end(reader: &mut Reader) -> Result<Option<Self>, FrameError<P>> {
        let mut bytes = [0; HEADER_BYTES];
        let bytes = bytes.get_mut(usize::from(!P::HAS_KINDS)..).unwrap_or_default();
        let (first, rest) = bytes.split_at_mut(1);
        match read_exact(reader, first).await {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        reader.continue_message(reader.stall());
        read_exact(reader, rest).await?;
        let length = bytes.last_chunk().copied().unwrap_or_default();
        let header = Self::parse(bytes.first().copied().filter(|_| P::HAS_KINDS), length)?;
        if header.body_bytes == 0 {
            reader.end_message();
        }
        Ok(Some(header))
    }

    /// Reads the next frame's header.
    ///
    /// # Errors
    /// [`FrameError::Closed`] at the end, and as [`Header::read_or_end`].
    pub async fn read(reader: &mut Reader) -> Result<Self, FrameError<P>> {
        Self::read_or_end(reader).await?.ok_or(FrameError::Closed)
    }

    /// Reads the header of the frame that is due.
    ///
    /// # Errors
    /// [`FrameError::Refused`] if a refusal comes instead, [`FrameError::UnexpectedFrame`] if
    /// something else, and as [`Header::read_or_end`].
    pub async fn expect(reader: &mut Reader, due: P) -> Result<Self, FrameError<P>> {
        let header = Self::read(reader).await?;
        if header.kind == due {
            Ok(header)
        } else if header.kind == P::REFUSE {
            Err(FrameError::Refused(header.message(reader).await?))
        } else {
            Err(FrameError::UnexpectedFrame { expected: due, found: header.kind })
        }
    }

    /// Reads the body.
    ///
    /// # Errors
    /// The connection's.
    pub async fn body(self, reader: &mut Reader) -> Result<Vec<u8>, FrameError<P>> {
        let body = read_body(reader, self.body_bytes).await?;
        reader.end_message();
        Ok(body)
    }

    /// Reads the body as a control message.
    ///
    /// # Errors
    /// [`FrameError::Malformed`] and the connection's.
    pub async fn message<T: DeserializeOwned>(
        self,
        reader: &mut Reader,
    ) -> Result<T, FrameError<P>> {
        decode(self.kind, &self.body(reader).await?)
    }

    /// Checks that the body is so long.
    ///
    /// # Errors
    /// [`FrameError::WrongLength`].
    pub fn of_bytes(self, expected: usize) -> Result<Self, FrameError<P>> {
        if self.body_bytes == expected {
            Ok(self)
        } else {
            Err(FrameError::wrong_length(self.kind, expected, self.body_bytes))
        }
    }
}

/// A message from bytes, and nothing after it.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<'b, P: Protocol, T: Deserialize<'b>>(
    kind: P,
    body: &'b [u8],
) -> Result<T, FrameError<P>> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::malformed(kind)),
    }
}

/// The body of a control message.
///
/// # Errors
/// [`FrameError::Malformed`] if it cannot be written as bytes.
pub fn encode<P: Protocol>(kind: P, message: &impl Serialize) -> Result<Vec<u8>, FrameError<P>> {
    postcard::to_allocvec(message).map_err(|_| FrameError::malformed(kind))
}

/// Reads the control message that is due.
///
/// # Errors
/// As [`Header::expect`] and [`Header::message`].
pub async fn receive<P: Protocol, T: DeserializeOwned>(
    reader: &mut Reader,
    due: P,
) -> Result<T, FrameError<P>> {
    Header::expect(reader, due).await?.message(reader).await
}

/// Reads the body of the frame that is due, of exactly so many bytes.
///
/// # Errors
/// As [`Header::expect`] and [`Header::of_bytes`].
pub async fn receive_bytes<P: Protocol>(
    reader: &mut Reader,
    due: P,
    expected: usize,
) -> Result<Vec<u8>, FrameError<P>> {
    Header::expect(reader, due).await?.of_bytes(expected)?.body(reader).await
}

/// Sends a frame whose body is these parts; `sent` is told bytes as they leave.
///
/// # Errors
/// [`FrameError::WrongLength`] if its kind does not allow so many bytes, and the connection's.
pub async fn send_parts<P: Protocol>(
    writer: &mut Writer,
    kind: P,
    parts: &[&[u8]],
    sent: &mut (dyn FnMut(u64) + Send),
) -> Result<(), FrameError<P>> {
    let found: usize = parts.iter().map(|part| part.len()).sum();
    let most = P::KINDS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, most)| *most);
    let length = u32::try_from(found).ok().filter(|_| found <= most);
    let [a, b, c, d] =
        length.ok_or_else(|| FrameError::wrong_length(kind, most, found))?.to_le_bytes();
    let header = [kind.number(), a, b, c, d];
    writer.write_all(header.get(usize::from(!P::HAS_KINDS)..).unwrap_or_default()).await?;
    for step in parts.iter().flat_map(|part| part.chunks(STEP_BYTES)) {
        writer.write_all(step).await?;
        sent(step.len() as u64);
    }
    Ok(writer.flush().await?)
}

/// Sends a frame.
///
/// # Errors
/// As [`send_parts`].
pub async fn send_bytes<P: Protocol>(
    writer: &mut Writer,
    kind: P,
    body: &[u8],
) -> Result<(), FrameError<P>> {
    send_parts(writer, kind, &[body], &mut |_| ()).await
}

/// Sends a control message.
///
/// # Errors
/// As [`encode`] and [`send_parts`].
pub async fn send<P: Protocol>(
    writer: &mut Writer,
    kind: P,
    message: &impl Serialize,
) -> Result<(), FrameError<P>> {
    send_bytes(writer, kind, &encode(kind, message)?).await
}

/// Sends a greeting, and `rest` in it.
///
/// # Errors
/// As [`send_parts`].
pub async fn greet<P: Protocol>(
    writer: &mut Writer,
    kind: P,
    rest: &[u8],
) -> Result<(), FrameError<P>> {
    send_parts(writer, kind, &[&P::MAGIC, &P::VERSION.to_le_bytes(), rest], &mut |_| ()).await
}

/// Reads the greeting that is due; leaves what follows the version.
///
/// # Errors
/// [`FrameError::NotSharelet`] and [`FrameError::Version`] among others.
pub async fn read_greeting<P: Protocol>(
    reader: &mut Reader,
    due: P,
) -> Result<Vec<u8>, FrameError<P>> {
    let header = Header::expect(reader, due).await.map_err(|error| match error {
        FrameError::UnknownFrame { .. }
        | FrameError::UnexpectedFrame { .. }
        | FrameError::WrongLength { .. } => FrameError::NotSharelet,
        other => other,
    })?;
    let mut body = header.body(reader).await?;
    let (version, rest) = body
        .strip_prefix(&P::MAGIC)
        .ok_or(FrameError::NotSharelet)?
        .split_first_chunk()
        .ok_or(FrameError::malformed(due))?;
    match u16::from_le_bytes(*version) {
        version if version == P::VERSION => Ok(body.split_off(body.len() - rest.len())),
        theirs => Err(FrameError::Version { theirs }),
    }
}

/// Reads the greeting that is due, which says nothing else.
///
/// # Errors
/// [`FrameError::Malformed`] if it does, and as [`read_greeting`].
pub async fn read_hello<P: Protocol>(reader: &mut Reader, due: P) -> Result<(), FrameError<P>> {
    decode(due, &read_greeting(reader, due).await?)
}

fn checksum(number: [u8; 8], parts: &[&[u8]]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&number);
    parts.iter().for_each(|part| crc.update(part));
    crc.finalize().to_le_bytes()
}

/// Sends what belongs to a session: its number, `u64`, the parts, and the CRC-32 (IEEE) of all
/// this, `u32`.
///
/// # Errors
/// As [`send_parts`].
pub async fn send_numbered<P: Protocol>(
    writer: &mut Writer,
    kind: P,
    session: u64,
    parts: [&[u8]; 3],
) -> Result<(), FrameError<P>> {
    let (number, [a, b, c]) = (session.to_le_bytes(), parts);
    let parts = [&number[..], a, b, c, &checksum(number, &parts)];
    send_parts(writer, kind, &parts, &mut |_| ()).await
}

/// Reads what [`send_numbered`] sends for a session, `expected` bytes.
///
/// # Errors
/// [`FrameError::WrongSession`] and [`FrameError::Checksum`] among others.
pub async fn receive_numbered<P: Protocol>(
    reader: &mut Reader,
    due: P,
    session: u64,
    expected: usize,
) -> Result<Vec<u8>, FrameError<P>> {
    let header = Header::expect(reader, due).await?;
    header.of_bytes(expected.saturating_add(NUMBERED_BYTES))?;
    let (mut number, mut sum) = ([0; 8], [0; 4]);
    read_exact(reader, &mut number).await?;
    let body = read_body(reader, expected).await?;
    read_exact(reader, &mut sum).await?;
    reader.end_message();
    if sum != checksum(number, &[&body]) {
        return Err(FrameError::Checksum { session });
    }
    match u64::from_le_bytes(number) {
        found if found == session => Ok(body),
        found => Err(FrameError::WrongSession { expected: session, found }),
    }
}

#[cfg(test)]
mod tests;
