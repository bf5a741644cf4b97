//! The bytes between host and dealer.
//!
//! A connection carries frames, the host asks and the dealer answers, one request at a time. All
//! integers are little-endian.
//!
//! ```text
//! frame:  kind, u8 | length of the body, u32 | body
//! ```
//!
//! Bodies of kinds below 16 are control messages: `postcard` of the struct named in the table, at
//! most [`MAX_CONTROL_BYTES`]. The first frame of each side is a greeting, whose body is the four
//! bytes `SLTD` and the version as `u16`.
//!
//! | kind | name | direction | body |
//! |---|---|---|---|
//! | 1 | `Hello` | host to dealer, first | greeting |
//! | 2 | `Welcome` | dealer to host, first | greeting |
//! | 3 | `Refuse` | dealer to host, instead of any answer | [`Refusal`] |
//! | 4 | `Status` | host to dealer | [`Status`]: a device's name |
//! | 5 | `StatusIs` | dealer to host | [`StatusIs`]: its key's public name and the lowest session not dealt under it |
//! | 6 | `Offer` | host to dealer | [`Offer`]: id of a masked model and its network |
//! | 7 | `Wanted` | dealer to host | empty: the `Masked` frame is to follow |
//! | 8 | `Known` | dealer to host | empty: the dealer has the masked model |
//! | 9 | `Deal` | host to dealer | [`Deal`]: device, masked model, sessions that follow those dealt under its key |
//! | 10 | `Dealing` | dealer to host | [`Dealing`]: the key's public name, bytes per session |
//! | 11 | `Agreed` | dealer to server 1 | [`Agreed`]: the key's public name, and how many sessions there are |
//! | 12 | `Next` | server 1 to dealer | empty: one more session is wanted |
//! | 16 | `Masked` | host to dealer, after `Wanted` | the matrices `A = W - E`, `u32` each, row-major, first layer first |
//! | 17 | `Correction` | dealer to host, once per session asked for, in order | session, `u64`, the corrections, and the CRC-32 (IEEE) of both, `u32` |
//! | 18 | `Train` | server 1 to dealer | [`Train`], at most [`MAX_REQUEST_BYTES`]: a training run |
//! | 20 | `Serve` | server 1 to dealer | [`Serve`], at most [`MAX_REQUEST_BYTES`]: sessions of a shared model; answered as `Train` is |
//! | 19 | `Session` | dealer to server 1, once per `Next`, in order | session, `u64`, the seed of server 1's masks, 32 bytes, records, words of products, and the CRC-32 (IEEE) of all this, `u32` |
//!
//! `Masked` is answered by `Known`, or by `Refuse` if its digest is not the offered id. The id of a
//! masked model is the SHA-256 of `sharelet masked model 1`, a zero byte, the length of the
//! network's description as `u32`, the description (`postcard`), and the body of `Masked`.
//!
//! After `Refuse`, the connection goes on if the refusal concerns what was asked for, and ends if
//! it concerns how ([`Refusal::ends_connection`]). No frame's body is longer than its kind and the
//! public shapes allow; a longer one is refused before memory is taken for it, and memory for bulk
//! bodies grows only as their bytes arrive.

use embedded_io_async::{Read as _, ReadExactError, Write as _};
use serde::{Deserialize, Serialize};
use sharelet_core::keystream::KeyId;
use sharelet_core::session::network::{Network, NetworkError};
use sharelet_core::session::wire::control::DeviceId;

use sharelet_link::{Reader, Writer};
use sharelet_model::MAX_LAYERS;
use sharelet_train::config::Arithmetic;
use sharelet_train::course::Sizes;
use sharelet_train::tensor::offline::{Dealt, Plan};

/// Version of this format.
pub const VERSION: u16 = 1;
/// Most bytes of a control message's body.
pub const MAX_CONTROL_BYTES: usize = 1024;
/// Most bytes of a masked model.
pub const MAX_MASKED_BYTES: usize = 1 << 30;
/// Most bytes of the corrections of one session.
pub const MAX_CORRECTION_BYTES: usize = 1 << 28;
/// Most bytes of a training run or shared model that is to be dealt.
pub const MAX_REQUEST_BYTES: usize = 1 << 16;
/// Most bytes of a session of a program.
pub const MAX_SESSION_BYTES: usize = 1 << 31;
/// Most sessions of one request.
pub const MAX_COUNT: u32 = 1024;
/// Most sessions of one request of a shared model.
pub const MAX_SERVED: u32 = 1 << 16;

const MAGIC: [u8; 4] = *b"SLTD";
const HEADER_BYTES: usize = 5;
/// Bytes around the corrections in a `Correction` frame.
const CORRECTION_EXTRA_BYTES: usize = 12;
/// Memory for a bulk body is taken in steps of this many bytes.
const BULK_STEP_BYTES: usize = 1 << 20;

/// What a frame carries; see the table at the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Hello = 1,
    Welcome = 2,
    Refuse = 3,
    Status = 4,
    StatusIs = 5,
    Offer = 6,
    Wanted = 7,
    Known = 8,
    Deal = 9,
    Dealing = 10,
    Agreed = 11,
    Next = 12,
    Masked = 16,
    Correction = 17,
    Train = 18,
    Session = 19,
    Serve = 20,
}

impl Kind {
    fn parse(kind: u8) -> Result<Self, WireError> {
        const ALL: [Kind; 17] = [
            Kind::Hello,
            Kind::Welcome,
            Kind::Refuse,
            Kind::Status,
            Kind::StatusIs,
            Kind::Offer,
            Kind::Wanted,
            Kind::Known,
            Kind::Deal,
            Kind::Dealing,
            Kind::Agreed,
            Kind::Next,
            Kind::Masked,
            Kind::Correction,
            Kind::Train,
            Kind::Session,
            Kind::Serve,
        ];
        ALL.into_iter().find(|known| *known as u8 == kind).ok_or(WireError::UnknownFrame { kind })
    }
}

/// Host to dealer: how does a device stand?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The device.
    pub device: DeviceId,
}

/// Dealer to host: how a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusIs {
    /// Public name of the device's key; corrections dealt under another key are of no use.
    pub key: KeyId,
    /// The lowest session number that was not dealt under this key; 0 if none was.
    pub next_session: u64,
}

/// Host to dealer: a masked model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its id.
    pub id: [u8; 32],
    /// Its network.
    pub network: Network<MAX_LAYERS>,
}

/// Host to dealer: sessions to deal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deal {
    /// The device.
    pub device: DeviceId,
    /// The masked model.
    pub model: [u8; 32],
    /// The first session's number.
    pub first: u64,
    /// How many sessions, at most [`MAX_COUNT`].
    pub count: u32,
}

/// Dealer to host: the corrections that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dealing {
    /// Public name of the device's key.
    pub key: KeyId,
    /// Bytes of the corrections of one session.
    pub bytes_each: u32,
}

/// Server 1 to dealer: a training run, of which all sessions are dealt one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Train {
    /// The name under which server 0's key is known.
    pub device: DeviceId,
    /// The first session's number.
    pub first: u64,
    /// Steps that were made already.
    pub steps: u64,
    /// Sizes of the data.
    pub sizes: Sizes,
    /// The configuration, as TOML.
    pub config: String,
}

/// Server 1 to dealer: a shared model that is served. The first session opens it under masks, each
/// of the others is an inference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// The name under which server 0's key is known.
    pub device: DeviceId,
    /// The first session's number.
    pub first: u64,
    /// How many sessions, the opening included: from 2 to [`MAX_SERVED`].
    pub count: u32,
    /// Layers and sizes.
    pub network: sharelet_train::network::Network,
    /// Fraction bits, and how values are truncated.
    pub arithmetic: Arithmetic,
}

/// Dealer to server 1: the sessions that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// Public name of server 0's key.
    pub key: KeyId,
    /// How many there are.
    pub sessions: u32,
}

/// Why the dealer does not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The dealer speaks another version.
    #[error("the dealer speaks version {ours}, this program {VERSION}; install matching versions")]
    Version {
        /// The dealer's version.
        ours: u16,
    },
    /// The dealer has no key for the device.
    #[error(
        "the dealer has no key for this device; run `sharelet provision` on the dealer's machine"
    )]
    UnknownDevice,
    /// The dealer does not have the masked model.
    #[error("the dealer does not have the masked model; offer it first")]
    UnknownModel,
    /// A session number was dealt already.
    #[error("sessions below {next} were dealt already; ask for {next} or higher")]
    SessionUsed {
        /// The lowest number that was not dealt.
        next: u64,
    },
    /// A session number is ahead of what was dealt.
    #[error(
        "the session is ahead of {next}, the lowest that was not dealt: the dealer's state is \
         older than the device; provision the device anew"
    )]
    TooFarAhead {
        /// The lowest number that was not dealt.
        next: u64,
    },
    /// A training run that contradicts itself.
    #[error(
        "the training run is refused: its configuration does not fit its data; install matching \
         versions at server and dealer"
    )]
    BadRun,
    /// Too many or no sessions at once.
    #[error("the count of sessions must lie between 1 and {limit}; ask for fewer at a time")]
    Count {
        /// The most sessions of one request.
        limit: u32,
    },
    /// The network contradicts itself.
    #[error("the network's description contradicts itself; import the model again")]
    BadNetwork,
    /// The masked model or its corrections are larger than the dealer takes.
    #[error("the model is larger than the dealer takes; use a smaller one")]
    TooLarge,
    /// The dealer keeps as many masked models as it may.
    #[error(
        "the dealer keeps {limit} masked models already; delete old ones from its state directory"
    )]
    TooManyModels {
        /// Its limit.
        limit: u32,
    },
    /// The masked model does not have the digest that was offered.
    #[error("the masked model was damaged on the way; send it again")]
    Digest,
    /// The dealer's state cannot be read or written.
    #[error("the dealer's state cannot be read or written; see the dealer's log")]
    State,
    /// Bytes that the dealer does not understand.
    #[error("the dealer got bytes that it did not understand")]
    Protocol,
    /// As many connections as the dealer serves.
    #[error("the dealer serves as many hosts as it may; try again later")]
    Busy,
    /// The dealer is being stopped.
    #[error("the dealer is being stopped; try again later")]
    ShuttingDown,
    /// Nothing came, or a message took too long.
    #[error("the dealer waited too long for a message; check the network and try again later")]
    TooSlow,
}

impl Refusal {
    /// Whether the connection ends with it.
    #[must_use]
    pub fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::Version { .. }
                | Self::Protocol
                | Self::Busy
                | Self::ShuttingDown
                | Self::Digest
                | Self::TooLarge
                | Self::TooSlow
        )
    }
}

/// What is wrong with the connection or the bytes on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The connection failed, or the peer was silent for too long.
    #[error("the connection failed: {0}; check the network")]
    Io(#[from] std::io::Error),
    /// The peer was silent for too long.
    #[error("the peer stopped answering; check that it runs, and the network")]
    TimedOut,
    /// The peer closed the connection in the middle.
    #[error("the peer closed the connection in the middle; see its log")]
    Closed,
    /// The first bytes are not those of a sharelet program on this port.
    #[error("the peer is not a sharelet dealer or host; check address and port")]
    NotSharelet,
    /// The peer speaks another version.
    #[error("the peer speaks version {theirs}, this program {VERSION}; install matching versions")]
    Version {
        /// The peer's version.
        theirs: u16,
    },
    /// No frame has this number.
    #[error("unknown frame number {kind}")]
    UnknownFrame {
        /// The number.
        kind: u8,
    },
    /// Another frame was due.
    #[error("a {found:?} frame where {expected:?} was due")]
    UnexpectedFrame {
        /// The frame that was due.
        expected: Kind,
        /// The frame that came.
        found: Kind,
    },
    /// The body is shorter or longer than it may be.
    #[error("a {kind:?} frame of {found} bytes where {expected} were due")]
    WrongLength {
        /// The frame.
        kind: Kind,
        /// Bytes that were due, or the most that may come.
        expected: usize,
        /// Bytes announced.
        found: usize,
    },
    /// A control message that does not decode.
    #[error("a {kind:?} message that does not decode")]
    Malformed {
        /// The frame.
        kind: Kind,
    },
    /// A network that contradicts itself.
    #[error("the network is refused: {0}")]
    Network(NetworkError),
    /// The checksum of corrections does not match.
    #[error("the corrections of session {session} were damaged on the way; they are dropped")]
    Checksum {
        /// The session.
        session: u64,
    },
    /// Corrections for another session than was due.
    #[error("corrections for session {found} where {expected} were due; they are dropped")]
    WrongSession {
        /// The session that was due.
        expected: u64,
        /// The session that came.
        found: u64,
    },
    /// The dealer refused.
    #[error("the dealer refused: {0}")]
    Refused(Refusal),
}

fn io(error: std::io::Error) -> WireError {
    if error.kind() == std::io::ErrorKind::TimedOut {
        WireError::TimedOut
    } else {
        WireError::Io(error)
    }
}

async fn read_exact(reader: &mut Reader, bytes: &mut [u8]) -> Result<(), WireError> {
    reader.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::UnexpectedEof => WireError::Closed,
        ReadExactError::Other(error) => io(error),
    })
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame carries.
    pub kind: Kind,
    /// Bytes that follow.
    pub body_bytes: usize,
}

/// Reads a header.
///
/// # Errors
/// [`WireError`].
pub async fn read_header(reader: &mut Reader) -> Result<Header, WireError> {
    let mut bytes = [0; HEADER_BYTES];
    read_exact(reader, &mut bytes).await?;
    parse_header(bytes)
}

/// Reads a header, or `None` if the peer closed the connection before it.
///
/// # Errors
/// [`WireError`].
pub async fn read_header_or_end(reader: &mut Reader) -> Result<Option<Header>, WireError> {
    let mut bytes = [0; HEADER_BYTES];
    let (first, rest) = bytes.split_at_mut(1);
    match read_exact(reader, first).await {
        Err(WireError::Closed) => return Ok(None),
        read => read?,
    }
    read_exact(reader, rest).await?;
    parse_header(bytes).map(Some)
}

fn parse_header(bytes: [u8; HEADER_BYTES]) -> Result<Header, WireError> {
    let [kind, length @ ..] = bytes;
    let body_bytes = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    Ok(Header { kind: Kind::parse(kind)?, body_bytes })
}

/// Reads the body of a `Train` or `Serve` frame.
///
/// # Errors
/// [`WireError`].
pub async fn read_request<T: for<'a> Deserialize<'a>>(
    reader: &mut Reader,
    header: Header,
) -> Result<T, WireError> {
    let Header { kind, body_bytes: found } = header;
    if found > MAX_REQUEST_BYTES {
        return Err(WireError::WrongLength { kind, expected: MAX_REQUEST_BYTES, found });
    }
    decode(kind, &read_bulk(reader, found).await?)
}

/// Sends a session of a program.
///
/// # Errors
/// [`WireError`].
pub async fn send_session(
    writer: &mut Writer,
    session: u64,
    dealt: &Dealt,
) -> Result<(), WireError> {
    let number = session.to_le_bytes();
    let products = dealt.product_bytes();
    let parts = [&number[..], dealt.seed(), dealt.records(), &products];
    let mut crc = crc32fast::Hasher::new();
    parts.iter().for_each(|part| crc.update(part));
    let [number, seed, records, products] = parts;
    write(writer, Kind::Session, &[number, seed, records, products, &crc.finalize().to_le_bytes()])
        .await
}

/// Reads a session of a program, as `plan` counts it.
///
/// # Errors
/// [`WireError::WrongSession`] and [`WireError::Checksum`] among others.
pub async fn receive_session(
    reader: &mut Reader,
    session: u64,
    plan: &Plan,
) -> Result<Dealt, WireError> {
    let header = expect(reader, Kind::Session).await?;
    let too_long =
        |found| WireError::WrongLength { kind: Kind::Session, expected: MAX_SESSION_BYTES, found };
    let dealt_bytes = usize::try_from(plan.dealt_bytes()).map_err(|_| too_long(usize::MAX))?;
    let due = dealt_bytes.saturating_add(CORRECTION_EXTRA_BYTES);
    if header.body_bytes != due {
        return Err(WireError::WrongLength {
            kind: Kind::Session,
            expected: due,
            found: header.body_bytes,
        });
    }
    let mut number = [0; 8];
    read_exact(reader, &mut number).await?;
    let body = read_bulk(reader, dealt_bytes).await?;
    let mut checksum = [0; 4];
    read_exact(reader, &mut checksum).await?;
    if checksum != correction_checksum(&number, &body) {
        return Err(WireError::Checksum { session });
    }
    match u64::from_le_bytes(number) {
        found if found != session => Err(WireError::WrongSession { expected: session, found }),
        _ => Dealt::parse(plan, body).map_err(|_| too_long(dealt_bytes)),
    }
}

/// Reads the body of a control frame.
///
/// # Errors
/// [`WireError`].
pub async fn read_body(reader: &mut Reader, header: Header) -> Result<Vec<u8>, WireError> {
    let Header { kind, body_bytes } = header;
    if body_bytes > MAX_CONTROL_BYTES {
        return Err(WireError::WrongLength {
            kind,
            expected: MAX_CONTROL_BYTES,
            found: body_bytes,
        });
    }
    let mut body = vec![0; body_bytes];
    read_exact(reader, &mut body).await?;
    Ok(body)
}

/// Decodes the body of a control frame.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn decode<T: for<'a> Deserialize<'a>>(kind: Kind, body: &[u8]) -> Result<T, WireError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(WireError::Malformed { kind }),
    }
}

/// Reads the frame that is due; a refusal becomes an error.
///
/// # Errors
/// [`WireError`].
pub async fn expect(reader: &mut Reader, kind: Kind) -> Result<Header, WireError> {
    let header = read_header(reader).await?;
    if header.kind == Kind::Refuse {
        let body = read_body(reader, header).await?;
        return Err(WireError::Refused(decode(Kind::Refuse, &body)?));
    }
    if header.kind != kind {
        return Err(WireError::UnexpectedFrame { expected: kind, found: header.kind });
    }
    Ok(header)
}

/// Reads the control message that is due.
///
/// # Errors
/// [`WireError`].
pub async fn receive<T: for<'a> Deserialize<'a>>(
    reader: &mut Reader,
    kind: Kind,
) -> Result<T, WireError> {
    let header = expect(reader, kind).await?;
    decode(kind, &read_body(reader, header).await?)
}

async fn write(writer: &mut Writer, kind: Kind, parts: &[&[u8]]) -> Result<(), WireError> {
    let body_bytes: usize = parts.iter().map(|part| part.len()).sum();
    let too_long = WireError::WrongLength { kind, expected: u32::MAX as usize, found: body_bytes };
    let length = u32::try_from(body_bytes).map_err(|_| too_long)?;
    let [a, b, c, d] = length.to_le_bytes();
    writer.write_all(&[kind as u8, a, b, c, d]).await.map_err(io)?;
    for part in parts {
        writer.write_all(part).await.map_err(io)?;
    }
    writer.flush().await.map_err(io)
}

/// The body of a control message.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn encode<T: Serialize>(kind: Kind, message: &T) -> Result<Vec<u8>, WireError> {
    postcard::to_allocvec(message).map_err(|_| WireError::Malformed { kind })
}

/// Decodes a control message that is due.
///
/// # Errors
/// [`WireError::UnexpectedFrame`], [`WireError::Malformed`].
pub fn decode_expected<T: for<'a> Deserialize<'a>>(
    expected: Kind,
    found: Kind,
    body: &[u8],
) -> Result<T, WireError> {
    if found == expected {
        decode(found, body)
    } else {
        Err(WireError::UnexpectedFrame { expected, found })
    }
}

/// Sends a control message whose body is encoded.
///
/// # Errors
/// [`WireError`].
pub async fn send_body(writer: &mut Writer, kind: Kind, body: &[u8]) -> Result<(), WireError> {
    write(writer, kind, &[body]).await
}

/// Sends a control message.
///
/// # Errors
/// [`WireError`].
pub async fn send<T: Serialize>(
    writer: &mut Writer,
    kind: Kind,
    message: &T,
) -> Result<(), WireError> {
    write(writer, kind, &[&encode(kind, message)?]).await
}

/// Sends a control frame without a body.
///
/// # Errors
/// [`WireError`].
pub async fn send_empty(writer: &mut Writer, kind: Kind) -> Result<(), WireError> {
    write(writer, kind, &[]).await
}

/// Sends magic and version.
///
/// # Errors
/// [`WireError`].
pub async fn greet(writer: &mut Writer, kind: Kind) -> Result<(), WireError> {
    write(writer, kind, &[&MAGIC, &VERSION.to_le_bytes()]).await
}

/// Reads magic and version.
///
/// # Errors
/// [`WireError::NotSharelet`] and [`WireError::Version`] among others.
pub async fn read_greeting(reader: &mut Reader, kind: Kind) -> Result<(), WireError> {
    let header = match expect(reader, kind).await {
        Err(WireError::UnknownFrame { .. } | WireError::UnexpectedFrame { .. }) => {
            return Err(WireError::NotSharelet);
        }
        other => other?,
    };
    if header.body_bytes > MAX_CONTROL_BYTES {
        return Err(WireError::NotSharelet);
    }
    let body = read_body(reader, header).await?;
    let version = body.strip_prefix(&MAGIC).ok_or(WireError::NotSharelet)?;
    let Some((version, rest)) = version.split_first_chunk() else {
        return Err(WireError::Malformed { kind });
    };
    match u16::from_le_bytes(*version) {
        VERSION if rest.is_empty() => Ok(()),
        VERSION => Err(WireError::Malformed { kind }),
        theirs => Err(WireError::Version { theirs }),
    }
}

/// Sends a masked model.
///
/// # Errors
/// [`WireError`].
pub async fn send_masked(
    writer: &mut Writer,
    bytes: &[u8],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(), WireError> {
    let found = bytes.len();
    let length = u32::try_from(found).ok().filter(|_| found <= MAX_MASKED_BYTES);
    let length = length.ok_or(WireError::WrongLength {
        kind: Kind::Masked,
        expected: MAX_MASKED_BYTES,
        found,
    })?;
    let [a, b, c, d] = length.to_le_bytes();
    writer.write_all(&[Kind::Masked as u8, a, b, c, d]).await.map_err(io)?;
    for step in bytes.chunks(BULK_STEP_BYTES) {
        writer.write_all(step).await.map_err(io)?;
        progress(step.len() as u64);
    }
    writer.flush().await.map_err(io)
}

/// Reads `len` bytes, taking memory only as they arrive.
async fn read_bulk(reader: &mut Reader, len: usize) -> Result<Vec<u8>, WireError> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let from = bytes.len();
        bytes.resize(len.min(from + BULK_STEP_BYTES), 0);
        read_exact(reader, bytes.get_mut(from..).unwrap_or(&mut [])).await?;
    }
    Ok(bytes)
}

/// Reads a masked model of `expected` bytes.
///
/// # Errors
/// [`WireError`].
pub async fn receive_masked(reader: &mut Reader, expected: usize) -> Result<Vec<u8>, WireError> {
    let header = expect(reader, Kind::Masked).await?;
    if header.body_bytes != expected {
        return Err(WireError::WrongLength {
            kind: Kind::Masked,
            expected,
            found: header.body_bytes,
        });
    }
    read_bulk(reader, expected).await
}

/// Sends the corrections of a session.
///
/// # Errors
/// [`WireError`].
pub async fn send_correction(
    writer: &mut Writer,
    session: u64,
    corrections: &[u8],
) -> Result<(), WireError> {
    let session = session.to_le_bytes();
    write(
        writer,
        Kind::Correction,
        &[&session, corrections, &correction_checksum(&session, corrections)],
    )
    .await
}

/// Reads the corrections of session `session`, `expected` bytes.
///
/// # Errors
/// [`WireError::WrongSession`] and [`WireError::Checksum`] among others.
pub async fn receive_correction(
    reader: &mut Reader,
    session: u64,
    expected: usize,
) -> Result<Vec<u8>, WireError> {
    let header = expect(reader, Kind::Correction).await?;
    let due = expected + CORRECTION_EXTRA_BYTES;
    if header.body_bytes != due {
        return Err(WireError::WrongLength {
            kind: Kind::Correction,
            expected: due,
            found: header.body_bytes,
        });
    }
    let mut found = [0; 8];
    read_exact(reader, &mut found).await?;
    let corrections = read_bulk(reader, expected).await?;
    let mut checksum = [0; 4];
    read_exact(reader, &mut checksum).await?;
    if checksum != correction_checksum(&found, &corrections) {
        return Err(WireError::Checksum { session });
    }
    match u64::from_le_bytes(found) {
        found if found != session => Err(WireError::WrongSession { expected: session, found }),
        _ => Ok(corrections),
    }
}

fn correction_checksum(session: &[u8; 8], corrections: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(session);
    crc.update(corrections);
    crc.finalize().to_le_bytes()
}
