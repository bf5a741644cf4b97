//! Who speaks when, for a whole network: the device as [`p0`], the host as [`p1`], the dealer in
//! [`deal`].
//!
//! Two servers run the same session on an input that they hold shares of: server 0 as [`p0`],
//! server 1 as [`p1`], with the greetings of [`servers`]. The device is then a [`data_party`],
//! which shares its input and adds up two answers.
//!
//! Sessions are generic over `embedded-io-async` and know no socket, board or file. They work
//! through a network layer by layer and piece by piece, so that the device's memory does not grow
//! with a layer's width. States are types: after an error the state is gone, the session is dead,
//! and a retry takes the next number. Time-outs belong to the transport.

pub mod cost;
pub mod data_party;
pub mod deal;
pub mod gate;
pub mod keep;
pub mod linear;
pub mod network;
pub mod p0;
pub mod p1;
pub mod packed;
#[doc(hidden)]
pub mod phases;
#[doc(hidden)]
pub mod piece;
pub mod servers;
pub mod wire;

use core::fmt;
use core::future::Future;

use embedded_io_async::{Error as _, ErrorKind, Read, Write};
use serde::{Deserialize, Serialize};

use crate::correlation::LengthError;
use crate::session::network::NetworkError;
use crate::session::wire::WireError;
use crate::session::wire::control::{self, MAX_CONTROL_BYTES, Refusal};
use crate::session::wire::frame::{HEADER_BYTES, Header, Kind};
use crate::session::wire::query::Reason;
use crate::step::StepError;

/// Sessions that `P0` orders at once, its next one first; and how far ahead of it a number may
/// be that `P1` grants.
///
/// As many as the dealer deals in answer to one request: more of them ahead of time are of no use.
/// Whoever fetches them all uses up these numbers and no others, so the dealer is never further
/// ahead of `P0` than this, and one grant always takes `P0` past what others have used up.
pub const ORDER_SESSIONS: u32 = 1024;

/// Where a party keeps the number of its next session.
pub trait SessionCounter {
    /// The lowest number that was not used.
    ///
    /// # Errors
    /// [`CounterError`] if the number cannot be read.
    fn next(&mut self) -> impl Future<Output = Result<u64, CounterError>>;

    /// Records `session`, and every number below it, as used. Returns only when the record survives
    /// a power cut.
    ///
    /// # Errors
    /// [`CounterError`] if that cannot be promised; the session is then not begun.
    fn consume(&mut self, session: u64) -> impl Future<Output = Result<(), CounterError>>;
}

/// The session counter could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CounterError;

/// Why a session ended early. No variant carries anything that depends on a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionError {
    /// The transport failed.
    Transport(#[cfg_attr(feature = "defmt", defmt(Debug2Format))] ErrorKind),
    /// The peer closed the connection in the middle.
    Closed,
    /// The peer sent something else than was due.
    Wire(WireError),
    /// The peer refused.
    Refused(Refusal),
    /// The network that the host described is not one that this device serves.
    Network(NetworkError),
    /// The network takes another number of inputs than the caller has.
    InputWidth {
        /// What the network takes, in elements.
        network: usize,
        /// What the caller has, in elements.
        found: usize,
    },
    /// The answer does not fit the caller's buffer.
    AnswerTooWide {
        /// What the network answers, in elements.
        network: usize,
        /// What the buffer holds, in elements.
        limit: usize,
    },
    /// A session takes the device longer than its policy allows.
    TooMuchWork {
        /// What the network takes at least, in keystream blocks.
        network: u64,
        /// What the policy allows, in keystream blocks.
        limit: u64,
    },
    /// The host would learn a public map of the input without the dealer's doing.
    PublicAnswer,
    /// The host granted a session number that was used already, or one too far ahead.
    SessionNumber {
        /// The lowest number that was not used.
        next: u64,
        /// The number granted.
        granted: u64,
    },
    /// The session counter could not be read or written.
    Counter,
    /// The dealer's correction has the wrong length.
    Correction(LengthError),
    /// A buffer has the wrong length.
    Step(StepError),
    /// A server gives a data party no answer.
    Query(Reason),
}

impl SessionError {
    /// A word for programs that read a report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Transport(ErrorKind::TimedOut) => "Timeout",
            Self::Transport(_) => "Transport",
            Self::Closed => "Closed",
            Self::Wire(_) => "Wire",
            Self::Refused(_) | Self::Query(_) => "Refused",
            Self::Network(_) => "Network",
            Self::InputWidth { .. } => "InputWidth",
            Self::AnswerTooWide { .. } => "AnswerTooWide",
            Self::TooMuchWork { .. } => "TooMuchWork",
            Self::PublicAnswer => "PublicAnswer",
            Self::SessionNumber { .. } => "SessionNumber",
            Self::Counter => "Counter",
            Self::Correction(_) => "Correction",
            Self::Step(_) => "Step",
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(ErrorKind::TimedOut) => {
                write!(
                    f,
                    "the peer did not answer in time; check the network, the session is abandoned"
                )
            }
            Self::Transport(kind) => write!(
                f,
                "the connection failed ({kind}); check the network, the session is abandoned"
            ),
            Self::Closed => write!(
                f,
                "the peer closed the connection in the middle; see its log, the session is \
                 abandoned"
            ),
            Self::Wire(error @ (WireError::NotSharelet | WireError::Version { .. })) => {
                write!(f, "{error}")
            }
            Self::Wire(error) => {
                write!(
                    f,
                    "unexpected bytes from the peer: {error}; the session is abandoned, check \
                     that both sides run the same release"
                )
            }
            Self::Refused(refusal) => write!(f, "the peer refused: {refusal}"),
            Self::Network(error) => write!(f, "the host's network is refused: {error}"),
            Self::InputWidth { network, found } => {
                write!(
                    f,
                    "the network takes {network} values, the reading has {found}; use the model \
                     made for this sensor"
                )
            }
            Self::AnswerTooWide { network, limit } => {
                write!(
                    f,
                    "the network answers {network} values, the buffer holds {limit}; enlarge it \
                     or use another model"
                )
            }
            Self::TooMuchWork { network, limit } => {
                write!(
                    f,
                    "the network takes {network} or more keystream blocks, the device allows \
                     {limit}; raise its bound or use a smaller model"
                )
            }
            Self::PublicAnswer => write!(
                f,
                "the network's last layer has neither weights nor an activation, and the host is \
                 to learn its answer; keep the answer, or end the network in a layer with weights"
            ),
            Self::SessionNumber { next, granted } => {
                write!(
                    f,
                    "the host granted session {granted} where {next} is the next unused; the \
                     session is not begun"
                )
            }
            Self::Counter => {
                write!(f, "the session counter could not be recorded; the session is not begun")
            }
            Self::Correction(error) => {
                write!(f, "the dealer's correction is damaged: {error}; discard it")
            }
            Self::Step(error) => write!(f, "a buffer has the wrong length: {error}"),
            Self::Query(reason) => write!(f, "the server refused: {reason}"),
        }
    }
}

impl core::error::Error for SessionError {}

impl From<WireError> for SessionError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<StepError> for SessionError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

impl From<LengthError> for SessionError {
    fn from(error: LengthError) -> Self {
        Self::Correction(error)
    }
}

impl From<CounterError> for SessionError {
    fn from(CounterError: CounterError) -> Self {
        Self::Counter
    }
}

/// Fills `buffer`. (The trait's own `read_exact` trusts what a transport says that it has read, and
/// panics if that is more than there was room for.)
async fn read_exact(io: &mut impl Read, mut buffer: &mut [u8]) -> Result<(), SessionError> {
    while !buffer.is_empty() {
        match io.read(buffer).await.map_err(|error| SessionError::Transport(error.kind()))? {
            0 => return Err(SessionError::Closed),
            read => buffer = buffer.get_mut(read..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Writes all of `bytes`. (The trait's own `write_all` panics if a transport takes none.)
async fn write_all(io: &mut impl Write, mut bytes: &[u8]) -> Result<(), SessionError> {
    while !bytes.is_empty() {
        match io.write(bytes).await.map_err(|error| SessionError::Transport(error.kind()))? {
            0 => return Err(SessionError::Transport(ErrorKind::WriteZero)),
            written => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    Ok(())
}

async fn flush(io: &mut impl Write) -> Result<(), SessionError> {
    io.flush().await.map_err(|error| SessionError::Transport(error.kind()))
}

/// Reads a header. A refusal ends the session wherever it comes.
async fn read_header(io: &mut impl Read) -> Result<Header, SessionError> {
    let mut bytes = [0; HEADER_BYTES];
    read_exact(io, &mut bytes).await?;
    check_refusal(io, Header::parse(bytes)?).await
}

async fn check_refusal(io: &mut impl Read, header: Header) -> Result<Header, SessionError> {
    if header.kind != Kind::Refuse {
        return Ok(header);
    }
    expect_control(header, Kind::Refuse)?;
    let mut buffer = [0; MAX_CONTROL_BYTES];
    let refusal = control::parse(read_control_body(io, header, &mut buffer).await?)?;
    Err(SessionError::Refused(refusal))
}

/// Reads the body of a control frame of a variable length.
async fn read_control_body<'b>(
    io: &mut impl Read,
    header: Header,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], SessionError> {
    let too_long = || WireError::WrongLength {
        expected_bytes: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
        found_bytes: header.body_bytes,
    };
    let len = usize::try_from(header.body_bytes)
        .ok()
        .filter(|&len| len <= buffer.len())
        .ok_or_else(too_long)?;
    let body = buffer.get_mut(..len).unwrap_or(&mut []);
    read_exact(io, body).await?;
    Ok(body)
}

/// Checks that a control frame of kind `kind` begins; its length is the reader's to check.
fn expect_control(header: Header, kind: Kind) -> Result<(), WireError> {
    header.expect(Header { kind, layer: 0, body_bytes: header.body_bytes })
}

/// Reads a control message of kind `kind`.
async fn read_control<'b>(
    io: &mut impl Read,
    kind: Kind,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], SessionError> {
    let header = read_header(io).await?;
    expect_control(header, kind)?;
    read_control_body(io, header, buffer).await
}

/// What opens a connection: bytes that are no frame at all do not come from a sharelet peer.
fn first_frame(error: SessionError) -> SessionError {
    match error {
        SessionError::Wire(WireError::UnknownFrame { .. }) => WireError::NotSharelet.into(),
        error => error,
    }
}

/// Reads the header of a bulk frame, whose length follows from public shapes.
async fn expect_bulk(
    io: &mut impl Read,
    kind: Kind,
    layer: usize,
    body_bytes: usize,
) -> Result<(), SessionError> {
    let header = read_header(io).await?;
    Ok(header.expect(bulk_header(kind, layer, body_bytes))?)
}

async fn write_bulk_header(
    io: &mut impl Write,
    kind: Kind,
    layer: usize,
    body_bytes: usize,
) -> Result<(), SessionError> {
    write_all(io, &bulk_header(kind, layer, body_bytes).emit()).await
}

fn bulk_header(kind: Kind, layer: usize, body_bytes: usize) -> Header {
    Header {
        kind,
        layer: u8::try_from(layer).unwrap_or(u8::MAX),
        body_bytes: u32::try_from(body_bytes).unwrap_or(u32::MAX),
    }
}

/// Writes a control frame whose body is already in `body`.
async fn write_control_body(
    io: &mut impl Write,
    kind: Kind,
    body: &[u8],
) -> Result<(), SessionError> {
    write_bulk_header(io, kind, 0, body.len()).await?;
    write_all(io, body).await?;
    flush(io).await
}

async fn write_control<T: Serialize>(
    io: &mut impl Write,
    kind: Kind,
    message: &T,
) -> Result<(), SessionError> {
    let mut buffer = [0; MAX_CONTROL_BYTES];
    let used = control::emit(message, &mut buffer).ok_or(WireError::Malformed)?;
    write_control_body(io, kind, buffer.get(..used).unwrap_or(&[])).await
}

async fn read_message<T: for<'a> Deserialize<'a>>(
    io: &mut impl Read,
    kind: Kind,
) -> Result<T, SessionError> {
    let mut buffer = [0; MAX_CONTROL_BYTES];
    Ok(control::parse(read_control(io, kind, &mut buffer).await?)?)
}

/// Tells the peer why the connection ends; a transport that fails now changes nothing.
///
/// # Errors
/// [`SessionError::Transport`].
pub async fn refuse(io: &mut impl Write, refusal: Refusal) -> Result<(), SessionError> {
    write_control(io, Kind::Refuse, &refusal).await
}
