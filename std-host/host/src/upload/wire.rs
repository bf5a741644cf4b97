//! The bytes between an owner of data and a server: [frames](sharelet_link::frame).
//!
//! An owner connects to both servers; it asks, the server answers. `docs/wire-format.md` has the
//! table.
//!
//! `Hello`, `Welcome`, `Begin`, `Standing`; then, unless the upload is stored, `Send`, `Keys`...,
//! `Seed` or `Piece`..., `Finish`, `Stored`; then, when both servers have stored it, `Commit` and
//! `Registered`, with server 0 first. Lengths and numbers of bulk frames follow from the
//! description; any other is an error. A server keeps one frame in memory.

use serde::{Deserialize, Serialize};
use sharelet_core::share::Party;

use crate::data::description::{MAX_NAMES_BYTES, UploadId};
use crate::data::keys::KEY_HASH_BYTES;
use crate::data::name::Name;
use crate::data::shares::PIECE_ELEMS;
use crate::store::datasets::{Disagreement, Progress};
use sharelet_link::frame::{self, CONTROL_BYTES, FrameError, Protocol};
use sharelet_link::{Reader, Writer};

/// Version of this format.
pub const VERSION: u16 = 4;
/// Hashed keys of a frame; the last may have fewer.
pub const KEYS_PER_FRAME: usize = 4096;

/// A description names all columns.
const MAX_BEGIN_BYTES: usize = 1024 + MAX_NAMES_BYTES;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Owner to server, first: a greeting.
    Hello = 1,
    /// Server to owner, first: a greeting and [`Welcome`].
    Welcome = 2,
    /// Server to owner, instead of any answer: [`Refusal`]; the connection ends.
    Refuse = 3,
    /// Owner to server: [`Description`](crate::data::description::Description) of the upload.
    Begin = 4,
    /// Server to owner: [`Standing`].
    Standing = 5,
    /// Owner to server, empty: keys and share follow; what was stored of the upload is replaced.
    Send = 6,
    /// Owner to server: SHA-256 of the body of `Begin`, all keys and the share.
    Finish = 7,
    /// Server to owner, empty: everything is there and durable, and not registered.
    Stored = 8,
    /// Owner to server, empty: the other server has stored it, too, or has registered it.
    Commit = 9,
    /// Server to owner, empty: the upload is a part of the dataset.
    Registered = 10,
    /// Owner to server, after `Send`: hashed keys, at most [`KEYS_PER_FRAME`].
    Keys = 16,
    /// Owner to server 0, after the keys: 32 bytes.
    Seed = 17,
    /// Owner to server 1, after the keys: [`PIECE_ELEMS`] words of eight bytes, fewer in the last.
    Piece = 18,
}

impl Protocol for Kind {
    const MAGIC: [u8; 4] = *b"SLTU";
    const VERSION: u16 = VERSION;
    const PEERS: &'static str = "server or owner of data";
    const KINDS: &'static [(Self, usize)] = &[
        (Self::Hello, CONTROL_BYTES),
        (Self::Welcome, CONTROL_BYTES),
        (Self::Refuse, CONTROL_BYTES),
        (Self::Begin, MAX_BEGIN_BYTES),
        (Self::Standing, CONTROL_BYTES),
        (Self::Send, 0),
        (Self::Finish, 32),
        (Self::Stored, 0),
        (Self::Commit, 0),
        (Self::Registered, 0),
        (Self::Keys, KEYS_PER_FRAME * KEY_HASH_BYTES),
        (Self::Seed, 32),
        (Self::Piece, PIECE_ELEMS * 8),
    ];
    const REFUSE: Self = Self::Refuse;
    type Refusal = Refusal;

    fn number(self) -> u8 {
        self as u8
    }
}

/// What is wrong with the connection or the bytes on it.
pub type WireError = FrameError<Kind>;

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
    /// The upload is in another owner's name.
    #[error(
        "the upload is in another owner's name than the one that the connection's keys prove; \
         share under that name"
    )]
    NotYours,
}

/// Answers a greeting.
///
/// # Errors
/// The connection's.
pub async fn welcome(writer: &mut Writer, welcome: &Welcome) -> Result<(), WireError> {
    frame::greet(writer, Kind::Welcome, &frame::encode(Kind::Welcome, welcome)?).await
}

/// Reads the greeting of a server.
///
/// # Errors
/// [`WireError::NotSharelet`] and [`WireError::Version`] among others.
pub async fn read_welcome(reader: &mut Reader) -> Result<Welcome, WireError> {
    frame::decode(Kind::Welcome, &frame::read_greeting(reader, Kind::Welcome).await?)
}
