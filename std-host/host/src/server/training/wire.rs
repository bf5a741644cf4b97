//! What two servers say to each other before a run: who they are, what they train, and from where.
//!
//! ```text
//! both:      Hello         "SLTR", version, and what must be the same
//! both:      Verdict       go on, or why not
//! server 0:  Start         the run, the step, the first session
//! server 1:  Verdict       the dealer has agreed, or why not
//! ```
//!
//! A message is its length as `u32`, little-endian, and `postcard`. Afterwards come the sessions'
//! messages, whose lengths both know.

use embedded_io_async::{Read as _, ReadExactError, Write as _};
use serde::{Deserialize, Serialize};
use sharelet_core::keystream::KeyId;
use sharelet_core::session::wire::control::DeviceId;

use crate::store::datasets::Descriptor;
use sharelet_link::{Reader, Writer};

/// Version of these messages.
pub const VERSION: u16 = 1;
const MAGIC: [u8; 4] = *b"SLTR";
/// Most bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 1 << 22;
const STEP_BYTES: usize = 1 << 16;

/// The first message of either server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `SLTR`.
    pub magic: [u8; 4],
    /// [`VERSION`].
    pub version: u16,
    /// 0 or 1.
    pub party: u8,
    /// The configuration's fields.
    pub config: Vec<(String, String)>,
    /// The data to train on.
    pub train: Descriptor,
    /// The data to test on.
    pub test: Option<Descriptor>,
    /// Whether the run goes on.
    pub resume: bool,
    /// The run whose checkpoints are there, and their steps.
    pub checkpoints: Option<([u8; 16], Vec<u64>)>,
}

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The run.
    pub run: [u8; 16],
    /// Steps that were made already.
    pub step: u64,
    /// The first session.
    pub first: u64,
    /// The name under which the dealer knows server 0's key.
    pub device: DeviceId,
    /// The key's public name.
    pub key: KeyId,
}

/// Whether a server goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It does.
    Go,
    /// It does not, and why.
    Stop(String),
}

/// Why servers do not come together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The connection.
    #[error("the other server: {0}; check that it runs, and the network")]
    Io(#[from] std::io::Error),
    /// It says nothing.
    #[error(
        "the other server does not answer; check that it runs, and that address and port are \
         those of its training"
    )]
    Silent,
    /// It closed the connection.
    #[error("the other server closed the connection; see its log")]
    Closed,
    /// It is something else.
    #[error("the other side is not a sharelet server that trains; check address and port")]
    NotSharelet,
    /// Its version.
    #[error("version: {VERSION} here and {theirs} at the other server; install matching versions")]
    Version {
        /// Its version.
        theirs: u16,
    },
    /// It will not go on.
    #[error("the other server refuses: {0}")]
    Refused(String),
}

fn io(error: std::io::Error) -> PeerError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => PeerError::Closed,
        std::io::ErrorKind::TimedOut => PeerError::Silent,
        _ => PeerError::Io(error),
    }
}

impl Hello {
    /// A greeting with the program's magic and version.
    #[must_use]
    pub const fn magic() -> ([u8; 4], u16) {
        (MAGIC, VERSION)
    }
}

/// Sends a message.
///
/// # Errors
/// [`PeerError`].
pub async fn send<T: Serialize>(writer: &mut Writer, message: &T) -> Result<(), PeerError> {
    let body = postcard::to_allocvec(message).map_err(|error| io(std::io::Error::other(error)))?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_MESSAGE_BYTES);
    let length = length.ok_or_else(|| {
        io(std::io::Error::other("the data sets have too many columns to be described"))
    })?;
    writer.write_all(&length.to_le_bytes()).await.map_err(io)?;
    writer.write_all(&body).await.map_err(io)?;
    writer.flush().await.map_err(io)
}

async fn read_exact(reader: &mut Reader, bytes: &mut [u8]) -> Result<(), PeerError> {
    reader.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::UnexpectedEof => PeerError::Closed,
        ReadExactError::Other(error) => io(error),
    })
}

async fn receive_bytes(reader: &mut Reader) -> Result<Vec<u8>, PeerError> {
    let mut length = [0; 4];
    read_exact(reader, &mut length).await?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE_BYTES {
        return Err(PeerError::NotSharelet);
    }
    // Memory is taken as bytes arrive.
    let mut body = Vec::new();
    while body.len() < length {
        let from = body.len();
        body.resize(length.min(from + STEP_BYTES), 0);
        read_exact(reader, body.get_mut(from..).unwrap_or_default()).await?;
    }
    Ok(body)
}

/// Reads a message.
///
/// # Errors
/// [`PeerError`].
pub async fn receive<T: for<'a> Deserialize<'a>>(reader: &mut Reader) -> Result<T, PeerError> {
    decode(&receive_bytes(reader).await?)
}

/// A message, and nothing after it.
fn decode<T: for<'a> Deserialize<'a>>(body: &[u8]) -> Result<T, PeerError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(PeerError::NotSharelet),
    }
}

/// Reads the first message; another version is told apart before anything else of it is understood.
///
/// # Errors
/// [`PeerError`].
pub async fn receive_hello(reader: &mut Reader) -> Result<Hello, PeerError> {
    let body = receive_bytes(reader).await?;
    let (magic, version): ([u8; 4], u16) =
        postcard::take_from_bytes(&body).map_err(|_| PeerError::NotSharelet)?.0;
    match (magic == MAGIC, version) {
        (false, _) => Err(PeerError::NotSharelet),
        (true, VERSION) => decode(&body),
        (true, theirs) => Err(PeerError::Version { theirs }),
    }
}

/// Reads a verdict; a refusal is an error.
///
/// # Errors
/// [`PeerError::Refused`] among others.
pub async fn receive_verdict(reader: &mut Reader) -> Result<(), PeerError> {
    match receive(reader).await? {
        Verdict::Go => Ok(()),
        // The other server's text is not ours: nothing that steers a terminal.
        Verdict::Stop(reason) => Err(PeerError::Refused(
            reason.chars().filter(|char| !char.is_control()).take(400).collect(),
        )),
    }
}
