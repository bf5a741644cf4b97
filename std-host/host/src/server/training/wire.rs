//! What two servers say to each other before a run: who they are, what they train, and from where.
//!
//! ```text
//! both:      Hello         "SLTR", version, and what must be the same
//! both:      Verdict       go on, or why not
//! server 0:  Start         the run, the step, the first session, the order for all of them
//!            or Begin      without a dealer: the run and the step
//! server 1:  Verdict       the dealer has agreed, or why not
//! ```
//!
//! [Frames](sharelet_link::frame) without kinds: a message is its length as `u32`, and `postcard`.
//! Afterwards come the sessions' messages, whose lengths both know.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sharelet_core::binding::Order;
use sharelet_core::keystream::KeyId;
use sharelet_core::session::wire::control::DeviceId;

use crate::store::datasets::Descriptor;
use sharelet_link::frame::{self, FrameError, Header, Protocol};
use sharelet_link::{Reader, Writer};

/// Version of these messages.
pub const VERSION: u16 = 7;
/// Most bytes of a message.
pub const MAX_MESSAGE_BYTES: usize = 1 << 22;
/// Most characters of the other server's reason.
const MAX_REASON_CHARS: usize = 400;

/// The one kind of message, also between servers of a shared model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message;

impl Protocol for Message {
    const MAGIC: [u8; 4] = *b"SLTR";
    const VERSION: u16 = VERSION;
    const PEERS: &'static str = "server that trains or shares a model";
    const KINDS: &'static [(Self, usize)] = &[(Self, MAX_MESSAGE_BYTES)];
    const REFUSE: Self = Self;
    const HAS_KINDS: bool = false;
    type Refusal = String;

    fn number(self) -> u8 {
        0
    }
}

/// Why servers do not come together.
pub type PeerError = FrameError<Message>;

/// The first message of either server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// `SLTR`.
    pub magic: [u8; 4],
    /// [`VERSION`].
    pub version: u16,
    /// 0 or 1.
    pub party: u8,
    /// Where correlations come from.
    pub prepares: Prepares,
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
    /// The run whose share of the finished model is there, if this one goes on.
    pub finished: Option<[u8; 16]>,
}

/// Where the correlations of a run come from. Both servers must mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prepares {
    /// A dealer.
    Dealer,
    /// The two servers make them.
    Alone,
}

/// Where a run without a dealer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The run.
    pub run: [u8; 16],
    /// Steps that were made already.
    pub step: u64,
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
    /// What lets server 1 fetch the sessions.
    pub order: Order,
}

/// Whether a server goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It does.
    Go,
    /// It does not, and why.
    Stop(String),
}

impl Hello {
    /// A greeting with the program's magic and version.
    #[must_use]
    pub const fn magic() -> ([u8; 4], u16) {
        (Message::MAGIC, VERSION)
    }
}

/// Sends a message.
///
/// # Errors
/// [`PeerError`]; [`PeerError::NotSharelet`] above [`MAX_MESSAGE_BYTES`].
pub async fn send(writer: &mut Writer, message: &impl Serialize) -> Result<(), PeerError> {
    frame::send(writer, Message, message).await
}

/// Reads a message.
///
/// # Errors
/// [`PeerError`]; [`PeerError::NotSharelet`] if it is none.
pub async fn receive<T: DeserializeOwned>(reader: &mut Reader) -> Result<T, PeerError> {
    frame::receive(reader, Message).await
}

/// Reads the first message; another version is told apart before anything else of it is understood.
///
/// # Errors
/// [`PeerError::NotSharelet`] and [`PeerError::Version`] among others.
pub async fn receive_hello(reader: &mut Reader) -> Result<Hello, PeerError> {
    let body = Header::expect(reader, Message).await?.body(reader).await?;
    let (magic, version): ([u8; 4], u16) =
        postcard::take_from_bytes(&body).map_err(|_| PeerError::NotSharelet)?.0;
    match (magic == Message::MAGIC, version) {
        (false, _) => Err(PeerError::NotSharelet),
        (true, VERSION) => frame::decode(Message, &body),
        (true, theirs) => Err(PeerError::Version { theirs }),
    }
}

/// Another server's text, without what steers a terminal.
#[must_use]
pub fn printable(reason: &str) -> String {
    reason.chars().filter(|char| !char.is_control()).take(MAX_REASON_CHARS).collect()
}

/// Reads a verdict; a refusal is an error.
///
/// # Errors
/// [`PeerError::Refused`] among others.
pub async fn receive_verdict(reader: &mut Reader) -> Result<(), PeerError> {
    match receive(reader).await? {
        Verdict::Go => Ok(()),
        Verdict::Stop(reason) => Err(PeerError::Refused(printable(&reason))),
    }
}
