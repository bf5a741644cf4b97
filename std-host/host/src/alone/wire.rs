//! What a device and a host who prepare alone say to each other.
//!
//! ```text
//! device:  Hello     "SLTA", version; name, who learns the answer, what is kept of the host
//! host:    Welcome   the network, the model's name, what is kept of the device
//! both:    base transfers, if they do not keep the same; a session's beginning
//! device:  Stock     what its store has           host:  Stock     its own
//! device:  Want      to prepare, to fill the stores, or to infer
//! host:    Go        or Refuse, and why
//! both:    what was wanted
//! both:    Stored    at the end of a batch
//! device:  Share     of the answer, if the host learns it
//! host:    Answer    its share, if the device learns it
//! ```
//!
//! [Frames](sharelet_link::frame) of `postcard`. What is wanted is messages whose lengths both
//! know. What ends it is a frame again: a refusal that comes in the middle is never taken for it.

use core::fmt;

use serde::{Deserialize, Serialize};
use sharelet_alone::Network;
use sharelet_core::session::wire::control::{Answer, DeviceId};
use sharelet_link::frame::{CONTROL_BYTES, FrameError, Protocol};

use crate::store::halves::{Batch, MAX_BATCHES, Stock};
use crate::store::kept::KeptId;

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 4 * u16::MAX as usize;
/// Most bytes of a network's description.
const NETWORK_BYTES: usize = 1 << 14;
/// Most bytes of a stock: a batch takes 31 at most.
const STOCK_BYTES: usize = 64 + 32 * MAX_BATCHES;

/// The kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// [`Hello`].
    Hello,
    /// [`Welcome`].
    Welcome,
    /// [`Stock`].
    Stock,
    /// [`Want`].
    Want,
    /// The host does it; to a batch a byte: [`Turn`].
    Go,
    /// [`Refusal`].
    Refuse,
    /// Whether a batch is durable: a byte.
    Stored,
    /// The device's share of the answer, if the host learns it.
    Share,
    /// The host's share of the answer, if the device learns it; empty otherwise. With it the
    /// inference is over.
    Answer,
}

impl Protocol for Message {
    const MAGIC: [u8; 4] = *b"SLTA";
    const VERSION: u16 = 5;
    const PEERS: &'static str = "device or host with `--prepare ot`";
    const KINDS: &'static [(Self, usize)] = &[
        (Self::Hello, CONTROL_BYTES),
        (Self::Welcome, NETWORK_BYTES),
        (Self::Stock, STOCK_BYTES),
        (Self::Want, CONTROL_BYTES),
        (Self::Go, CONTROL_BYTES),
        (Self::Refuse, CONTROL_BYTES),
        (Self::Stored, 1),
        (Self::Share, ANSWER_BYTES),
        (Self::Answer, ANSWER_BYTES),
    ];
    const REFUSE: Self = Self::Refuse;
    type Refusal = Refusal;

    fn number(self) -> u8 {
        match self {
            Self::Hello => 1,
            Self::Welcome => 2,
            Self::Stock => 3,
            Self::Want => 4,
            Self::Go => 5,
            Self::Refuse => 6,
            Self::Stored => 7,
            Self::Share => 8,
            Self::Answer => 9,
        }
    }
}

/// What is wrong with a connection or the bytes on it.
pub type WireError = FrameError<Message>;

/// The device's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The device's name.
    pub device: DeviceId,
    /// Who is to learn the answers; the host must have been started with the same.
    pub answer: Answer,
    /// What the device calls the transfers that it keeps of the host.
    pub kept: Option<KeptId>,
    /// Whether it has a store.
    pub stores: bool,
    /// Whether whole batches are made with silent transfers.
    pub silent: bool,
    /// The name of the model that is meant; whichever the host has for the device if it is none.
    pub model: Option<String>,
}

/// The host's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Digest of the model's file.
    pub model: [u8; 32],
    /// Its description.
    pub network: Network,
    /// What the host calls the transfers that it keeps of the device.
    pub kept: Option<KeptId>,
    /// Whether it has a store.
    pub stores: bool,
}

/// What the device wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// To prepare so many inferences of this connection.
    Prepare {
        /// How many.
        sessions: u32,
    },
    /// To add a batch to the stores: to make its first part now.
    Fill(Batch),
    /// To infer, with the oldest preparation of this connection, or with an index of the stores.
    Infer {
        /// The index.
        index: Option<u64>,
    },
    /// To make the next part of the batch.
    More,
    /// Server 0: to take an index out of the stores, for a lane that names the ticket.
    Take {
        /// The index.
        index: u64,
        /// What a lane calls it.
        ticket: Ticket,
    },
    /// Server 0, on a lane: the half that was taken for this ticket.
    Taken(Ticket),
}

/// What two servers call a half that they have taken out of their stores: random bytes.
pub type Ticket = [u8; 16];

/// Whether a batch is begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is.
    Now,
    /// The host makes as many as it can for others; what is there can be spent meanwhile.
    Later,
    /// The host keeps no more inferences of this device.
    Enough,
}

impl Turn {
    /// Its byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::Now => 0,
            Self::Later => 1,
            Self::Enough => 2,
        }
    }

    /// Of a byte; `None` if it is none.
    #[must_use]
    pub const fn of(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Now),
            1 => Some(Self::Later),
            2 => Some(Self::Enough),
            _ => None,
        }
    }
}

/// Why the host does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Refusal {
    /// Who connected is not the device that it names.
    UnknownDevice,
    /// They disagree on who learns the answers.
    AnswerMismatch {
        /// What the host was started with.
        ours: Answer,
    },
    /// The device has had as many sessions today as it may, or the host as many devices.
    Quota,
    /// More sessions at once than the host prepares.
    TooMany {
        /// The most.
        most: u32,
    },
    /// Nothing is prepared, or not with this index.
    NotPrepared,
    /// The host has no store, or it cannot be used.
    NoStore,
    /// The stores cannot be matched: one of them is older than the other knows.
    Backup,
    /// The host is being stopped.
    ShuttingDown,
    /// Another connection of the device is served, or there are too many.
    Busy,
    /// The device took too long.
    TooSlow,
    /// The host's disk.
    Disk,
    /// The device's messages do not fit.
    Protocol,
    /// Server 1 has no half of the query.
    NoHalf,
    /// The halves of a query disagree on who gets the answer.
    HalvesDiffer,
    /// The host has another model for the device than the one that it names.
    OtherModel,
    /// The host has no model for the device now.
    NoModel,
    /// The device's model is another one now.
    ModelReplaced,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownDevice => "the device's name is not the one that it has proved",
            Self::AnswerMismatch { ours } => {
                return write!(
                    f,
                    "the host gives the answer to `{ours}`; start both sides with the same \
                     `--answer`"
                );
            }
            Self::Quota => {
                "the device has had as many sessions today as the host serves it, or the host as \
                 many devices; see --sessions-per-day and --devices of `sharelet host`"
            }
            Self::TooMany { most } => {
                return write!(f, "the host prepares at most {most} sessions at once");
            }
            Self::NotPrepared => "the host has nothing prepared for this; match the stores again",
            Self::NoStore => {
                "the other side has no store that can be used: start a host with --keep, server 1 \
                 with --state; seal the connections by keys, and see its log"
            }
            Self::Backup => {
                "one of the two stores is older than the other, as one from a backup is: delete it \
                 on both sides and prepare anew"
            }
            Self::ShuttingDown => "the host is being stopped; try again later",
            Self::Busy => "the host serves another connection of this device, or too many others",
            Self::TooSlow => "the device took too long",
            Self::Disk => "the host's disk is full or fails; see its log",
            Self::NoHalf => "the other half of the query did not come",
            Self::HalvesDiffer => "the halves of the query disagree on who gets the answer",
            Self::OtherModel => {
                "the host has another model for this device than the one that it asks for: see \
                 `sharelet models` on the host, and --model of the device"
            }
            Self::NoModel => {
                "the host has no model for this device; see `sharelet models assign` on the host"
            }
            Self::ModelReplaced => "the device's model is another one now; connect again",
            Self::Protocol => "the host does not understand; install matching versions",
        })
    }
}

/// What both say of their stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stocked(pub Stock);
