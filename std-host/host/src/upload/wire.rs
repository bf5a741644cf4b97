//! The bytes between an owner of data and a server.
//!
//! An owner connects to both servers. A connection carries frames; the owner asks, the server
//! answers. All integers are little-endian.
//!
//! ```text
//! frame:  kind, u8 | length of the body, u32 | body
//! ```
//!
//! | kind | name | direction | body |
//! |---|---|---|---|
//! | 1 | `Hello` | owner to server, first | `SLTU`, version `u16` |
//! | 2 | `Welcome` | server to owner, first | `SLTU`, version `u16`, `postcard` of [`Welcome`] |
//! | 3 | `Refuse` | server to owner, instead of any answer; the connection ends | `postcard` of [`Refusal`] |
//! | 4 | `Begin` | owner to server | `postcard` of the upload's [`Description`] |
//! | 5 | `Standing` | server to owner | `postcard` of [`Standing`]: how far the upload is |
//! | 6 | `Send` | owner to server | empty: keys and share follow; what was stored of the upload is replaced |
//! | 7 | `Finish` | owner to server | SHA-256 of the body of `Begin`, all keys and the share, as their bytes follow one another |
//! | 8 | `Stored` | server to owner | empty: everything is there and durable, and not registered |
//! | 9 | `Commit` | owner to server | empty: the other server has stored it, too (or has registered it) |
//! | 10 | `Registered` | server to owner | empty: the upload is a part of the dataset |
//! | 16 | `Keys` | owner to server, after `Send` | hashed keys, 16 bytes each, at most [`KEYS_PER_FRAME`]; none without keys |
//! | 17 | `Seed` | owner to server 0, after the keys | 32 bytes |
//! | 18 | `Piece` | owner to server 1, after the keys | words of eight bytes: [`PIECE_ELEMS`], fewer in the last |
//!
//! `Hello`, `Welcome`, `Begin`, `Standing`; then, unless the upload is stored, `Send`, `Keys`...,
//! `Seed` or `Piece`..., `Finish`, `Stored`; then, when both servers have stored it, `Commit` and
//! `Registered`, with server 0 first. Lengths and numbers of bulk frames follow from the
//! description; any other is an error. A server keeps one frame in memory.

use embedded_io_async::{Read as _, ReadExactError, Write as _};
use serde::{Deserialize, Serialize};
use sharelet_core::share::Party;

use crate::data::description::{Description, MAX_COLUMNS, MAX_NAME_BYTES, Name, UploadId};
use crate::data::keys::KEY_HASH_BYTES;
use crate::data::shares::PIECE_ELEMS;
use crate::store::datasets::{Disagreement, Progress};
use sharelet_link::{Reader, Writer};

/// Version of this format.
pub const VERSION: u16 = 1;
/// The first bytes of a greeting.
pub const MAGIC: [u8; 4] = *b"SLTU";
/// Hashed keys of a frame; the last may have fewer.
pub const KEYS_PER_FRAME: usize = 4096;

const HEADER_BYTES: usize = 5;
const MAX_CONTROL_BYTES: usize = 1024;
/// A description names all columns.
const MAX_BEGIN_BYTES: usize = 1024 + MAX_COLUMNS * (MAX_NAME_BYTES + 2);

/// What a frame carries; see the table at the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Hello = 1,
    Welcome = 2,
    Refuse = 3,
    Begin = 4,
    Standing = 5,
    Send = 6,
    Finish = 7,
    Stored = 8,
    Commit = 9,
    Registered = 10,
    Keys = 16,
    Seed = 17,
    Piece = 18,
}

impl Kind {
    fn parse(kind: u8) -> Result<Self, WireError> {
        const ALL: [Kind; 13] = [
            Kind::Hello,
            Kind::Welcome,
            Kind::Refuse,
            Kind::Begin,
            Kind::Standing,
            Kind::Send,
            Kind::Finish,
            Kind::Stored,
            Kind::Commit,
            Kind::Registered,
            Kind::Keys,
            Kind::Seed,
            Kind::Piece,
        ];
        ALL.into_iter().find(|known| *known as u8 == kind).ok_or(WireError::UnknownFrame { kind })
    }

    fn most_bytes(self) -> usize {
        match self {
            Self::Begin => MAX_BEGIN_BYTES,
            Self::Keys => KEYS_PER_FRAME * KEY_HASH_BYTES,
            Self::Piece => PIECE_ELEMS * 8,
            _ => MAX_CONTROL_BYTES,
        }
    }
}

/// Server to owner: which party it is, and what it takes. Two servers of a pair say the same but
/// for the party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// 0 or 1.
    pub party: u8,
    /// Bits of a word.
    pub ring_bits: u8,
    /// Rounds of the keystream that server 0 expands its seed with.
    pub rounds: u8,
    /// Words of a piece.
    pub piece_elems: u32,
    /// Most words of an upload.
    pub most_elems: u64,
}

impl Welcome {
    /// What a server of this version says.
    #[must_use]
    pub fn of(party: Party, most_elems: u64) -> Self {
        #[allow(clippy::cast_possible_truncation)]
        let piece_elems = PIECE_ELEMS as u32;
        let rounds =
            <sharelet_core::keystream::ChaCha12 as sharelet_core::keystream::Rounds>::ROUNDS;
        Self {
            party: crate::store::datasets::file::party_number(party),
            ring_bits: 64,
            rounds,
            piece_elems,
            most_elems,
        }
    }

    /// The first field but the party in which another server differs, with both values.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<(&'static str, u64, u64)> {
        let fields = [
            ("ring_bits", u64::from(self.ring_bits), u64::from(other.ring_bits)),
            ("rounds", u64::from(self.rounds), u64::from(other.rounds)),
            ("piece_elems", u64::from(self.piece_elems), u64::from(other.piece_elems)),
            ("most_elems", self.most_elems, other.most_elems),
        ];
        fields.into_iter().find(|(_, own, other)| own != other)
    }
}

/// Server to owner: how far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The server has nothing of it.
    New,
    /// The server has all of it, and waits for `Commit`.
    Stored,
    /// It is a part of the dataset.
    Registered,
}

impl From<Progress> for Standing {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::New => Self::New,
            Progress::Stored => Self::Stored,
            Progress::Registered => Self::Registered,
        }
    }
}

/// Why a server does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The server speaks another version.
    #[error("the server speaks version {ours}, this program {VERSION}; install matching versions")]
    Version {
        /// The server's version.
        ours: u16,
    },
    /// Names or sizes are impossible.
    #[error("names or sizes are not allowed; install matching versions")]
    Description,
    /// The upload is larger than the server takes.
    #[error(
        "{found} words, and the server takes {most}; share fewer rows at a time, under several \
         owner names"
    )]
    TooLarge {
        /// Words of the upload.
        found: u64,
        /// Most words.
        most: u64,
    },
    /// Another upload of the owner to the dataset is under way.
    #[error("an upload of this owner to this dataset is under way; wait until it has ended")]
    UnderWay,
    /// The owner has given an upload already.
    #[error(
        "this owner has given upload {upload} to the dataset already; if `sharelet share` was \
         interrupted then, end it with --upload-id {upload}; other data needs another owner name \
         or dataset"
    )]
    Registered {
        /// The upload.
        upload: UploadId,
    },
    /// The upload of this id was another one.
    #[error(
        "the upload of this id was of another table or with other options; repeat it with the \
         same file and options"
    )]
    OtherUpload,
    /// The upload does not fit those of other owners.
    #[error("it does not fit the data of {other}: {what}")]
    Disagree {
        /// Whose upload was there before.
        other: Name,
        /// In what.
        what: Disagreement,
    },
    /// `Commit` for an upload that is not stored.
    #[error("the upload is not stored; share again")]
    NotStored,
    /// The digest does not match.
    #[error("the upload was damaged on the way; share again")]
    Digest,
    /// The server's state cannot be read or written.
    #[error("the server's state cannot be read or written; see the server's log")]
    State,
    /// Bytes that the server does not understand.
    #[error("the server got bytes that it did not understand; install matching versions")]
    Protocol,
    /// As many connections as the server serves.
    #[error("the server has as many connections as it may; try again later")]
    Busy,
    /// The server is being stopped.
    #[error("the server is being stopped; try again later")]
    ShuttingDown,
    /// Nothing came, or a message took too long.
    #[error("the server waited too long for a message; check the network and try again later")]
    TooSlow,
}

/// What is wrong with the connection or the bytes on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The connection failed.
    #[error("the connection failed: {0}; check the network")]
    Io(#[from] std::io::Error),
    /// The peer was silent for too long.
    #[error("the peer stopped answering; check that it runs, and the network")]
    TimedOut,
    /// The peer closed the connection in the middle.
    #[error("the peer closed the connection in the middle; see its log")]
    Closed,
    /// The first bytes are not those of this protocol.
    #[error("the peer is not a sharelet server or owner of data; check address and port")]
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
    /// The server refused.
    #[error("refused: {0}")]
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

/// Reads a frame; memory is taken for as much as its kind allows at most. `None` if the peer closed
/// the connection before it.
///
/// # Errors
/// [`WireError`].
pub async fn read_or_end(reader: &mut Reader) -> Result<Option<(Kind, Vec<u8>)>, WireError> {
    let mut header = [0; HEADER_BYTES];
    let (first, rest) = header.split_at_mut(1);
    match read_exact(reader, first).await {
        Err(WireError::Closed) => return Ok(None),
        read => read?,
    }
    read_exact(reader, rest).await?;
    let [kind, length @ ..] = header;
    let kind = Kind::parse(kind)?;
    let (found, expected) =
        (usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX), kind.most_bytes());
    if found > expected {
        return Err(WireError::WrongLength { kind, expected, found });
    }
    let mut body = vec![0; found];
    read_exact(reader, &mut body).await?;
    Ok(Some((kind, body)))
}

/// Reads the frame that is due; a refusal becomes an error.
///
/// # Errors
/// [`WireError`].
pub async fn expect(reader: &mut Reader, kind: Kind) -> Result<Vec<u8>, WireError> {
    match read_or_end(reader).await?.ok_or(WireError::Closed)? {
        (found, body) if found == kind => Ok(body),
        (Kind::Refuse, body) => Err(WireError::Refused(decode(Kind::Refuse, &body)?)),
        (found, _) => Err(WireError::UnexpectedFrame { expected: kind, found }),
    }
}

/// Reads a frame of exactly `expected` bytes.
///
/// # Errors
/// [`WireError`].
pub async fn expect_bytes(
    reader: &mut Reader,
    kind: Kind,
    expected: usize,
) -> Result<Vec<u8>, WireError> {
    let body = expect(reader, kind).await?;
    let found = body.len();
    if found == expected { Ok(body) } else { Err(WireError::WrongLength { kind, expected, found }) }
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

/// Sends a frame.
///
/// # Errors
/// [`WireError`].
pub async fn send(writer: &mut Writer, kind: Kind, body: &[u8]) -> Result<(), WireError> {
    let most = kind.most_bytes();
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= most);
    let length =
        length.ok_or(WireError::WrongLength { kind, expected: most, found: body.len() })?;
    let [a, b, c, d] = length.to_le_bytes();
    writer.write_all(&[kind as u8, a, b, c, d]).await.map_err(io)?;
    writer.write_all(body).await.map_err(io)?;
    writer.flush().await.map_err(io)
}

/// Sends a control message.
///
/// # Errors
/// [`WireError`].
pub async fn send_message<T: Serialize>(
    writer: &mut Writer,
    kind: Kind,
    message: &T,
) -> Result<(), WireError> {
    let body = postcard::to_allocvec(message).map_err(|_| WireError::Malformed { kind })?;
    send(writer, kind, &body).await
}

/// Greets a server.
///
/// # Errors
/// [`WireError`].
pub async fn hello(writer: &mut Writer) -> Result<(), WireError> {
    send(writer, Kind::Hello, &[&MAGIC[..], &VERSION.to_le_bytes()].concat()).await
}

/// Answers a greeting.
///
/// # Errors
/// [`WireError`].
pub async fn welcome(writer: &mut Writer, welcome: &Welcome) -> Result<(), WireError> {
    let message =
        postcard::to_allocvec(welcome).map_err(|_| WireError::Malformed { kind: Kind::Welcome })?;
    send(writer, Kind::Welcome, &[&MAGIC[..], &VERSION.to_le_bytes(), &message].concat()).await
}

/// Checks magic and version of a greeting's body; what follows them.
///
/// # Errors
/// [`WireError::NotSharelet`], [`WireError::Version`].
pub fn parse_greeting(kind: Kind, body: &[u8]) -> Result<&[u8], WireError> {
    let version = body.strip_prefix(&MAGIC).ok_or(WireError::NotSharelet)?;
    let (version, rest) = version.split_first_chunk().ok_or(WireError::Malformed { kind })?;
    match u16::from_le_bytes(*version) {
        VERSION => Ok(rest),
        theirs => Err(WireError::Version { theirs }),
    }
}

/// Reads the greeting of an owner.
///
/// # Errors
/// [`WireError::NotSharelet`] and [`WireError::Version`] among others.
pub async fn read_hello(reader: &mut Reader) -> Result<(), WireError> {
    let body = read_greeting(reader, Kind::Hello).await?;
    let rest = parse_greeting(Kind::Hello, &body)?;
    if rest.is_empty() { Ok(()) } else { Err(WireError::Malformed { kind: Kind::Hello }) }
}

/// Reads the greeting of a server.
///
/// # Errors
/// [`WireError::NotSharelet`] and [`WireError::Version`] among others.
pub async fn read_welcome(reader: &mut Reader) -> Result<Welcome, WireError> {
    let body = read_greeting(reader, Kind::Welcome).await?;
    decode(Kind::Welcome, parse_greeting(Kind::Welcome, &body)?)
}

async fn read_greeting(reader: &mut Reader, kind: Kind) -> Result<Vec<u8>, WireError> {
    expect(reader, kind).await.map_err(|error| match error {
        WireError::UnknownFrame { .. }
        | WireError::UnexpectedFrame { .. }
        | WireError::WrongLength { .. } => WireError::NotSharelet,
        other => other,
    })
}

/// A description as the body of `Begin`.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn encode_description(description: &Description) -> Result<Vec<u8>, WireError> {
    postcard::to_allocvec(description).map_err(|_| WireError::Malformed { kind: Kind::Begin })
}
