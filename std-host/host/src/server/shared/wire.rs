//! What two servers of a shared model say to each other beside the sessions' messages.
//!
//! ```text
//! both:          Server                     the frame of any two servers
//! both:          Greeting                   of which model they hold shares
//! both:          Turn                       whether they go on
//! then for every chunk of sessions:
//!   server 0:    Begin                      the chunk, recorded as used, and the order for it
//!   server 1:    Turn                       the dealer has agreed
//!   both:        without a dealer, what prepares each session before it
//!   both:        the session that opens the weights
//!   then for every query:
//!     server 1:  Turn                       its half of the session is ready
//!     server 0:  the query, and the session's first message; see `asking`
//! ```
//!
//! A message is its length as `u32`, little-endian, and `postcard`.

use serde::{Deserialize, Serialize};
use sharelet_core::binding::Order;
use sharelet_core::keystream::KeyId;
use sharelet_core::session::servers;
use sharelet_core::session::wire::control::{DeviceId, Refusal};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::session::wire::task::Field;

use crate::server::peer::PeerError;
use crate::server::training::wire;
use sharelet_link::{Reader, Writer};
use sharelet_model::readings::columns::Columns;

/// Version of these messages.
pub const VERSION: u16 = 6;

/// Of which model a server holds a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// [`VERSION`].
    pub version: u16,
    /// The training run.
    pub run: [u8; 16],
    /// Its steps.
    pub step: u64,
    /// The configuration's fields.
    pub config: Vec<(String, String)>,
    /// Names of the columns that it was trained on.
    pub columns: Columns,
    /// From server 0: the lane.
    pub lane: Option<Lane>,
}

/// A lane of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Its number.
    pub number: u16,
    /// The name under which the dealer knows server 0's key, and the key's public name; nothing if
    /// the two servers prepare together.
    pub key: Option<(DeviceId, KeyId)>,
}

/// Sessions that server 0 has recorded as used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The first, which opens the weights.
    pub first: u64,
    /// How many there are, that one included.
    pub count: u32,
    /// What lets server 1 fetch them; nothing without a dealer, where numbers mean nothing.
    pub order: Option<Order>,
}

/// Whether a server goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// It does.
    Go,
    /// There are no correlations for now, and why.
    NoCorrelations(String),
    /// It does not, and no later attempt can help.
    Stop(String),
}

impl Turn {
    /// Whether it does.
    ///
    /// # Errors
    /// [`PeerError::Correlations`] and [`PeerError::Differ`].
    pub fn go(self) -> Result<(), PeerError> {
        match self {
            Self::Go => Ok(()),
            Self::NoCorrelations(reason) => Err(PeerError::Correlations(wire::printable(&reason))),
            Self::Stop(reason) => Err(PeerError::Differ(format!(
                "the other server refuses: {}",
                wire::printable(&reason)
            ))),
        }
    }
}

/// Reads whether the other server goes on.
///
/// # Errors
/// [`PeerError`].
pub async fn receive_turn(reader: &mut Reader) -> Result<(), PeerError> {
    wire::receive::<Turn>(reader).await?.go()
}

/// Why two servers do not belong together, as far as greetings of any two servers tell. That the
/// models differ is left to [`Greeting`], which says in what.
#[must_use]
pub fn objection(ours: &ServerHello, theirs: &ServerHello) -> Option<Refusal> {
    servers::objection(ours, theirs)
        .filter(|refusal| *refusal != Refusal::TaskMismatch { field: Field::Model })
}

/// Exchanges greetings; both sides compare, and either tells the other. Leaves the other server's.
///
/// # Errors
/// [`PeerError::Differ`] names what differs.
pub async fn agree(
    reader: &mut Reader,
    writer: &mut Writer,
    ours: &Greeting,
    difference: impl Fn(&Greeting) -> Option<String>,
) -> Result<Greeting, PeerError> {
    wire::send(writer, ours).await?;
    let theirs: Greeting = wire::receive(reader).await?;
    if let Some(reason) = difference(&theirs) {
        // The reason matters more than whether it still reaches the other server.
        let _ = wire::send(writer, &Turn::Stop(reason.clone())).await;
        return Err(PeerError::Differ(reason));
    }
    wire::send(writer, &Turn::Go).await?;
    receive_turn(reader).await?;
    Ok(theirs)
}
