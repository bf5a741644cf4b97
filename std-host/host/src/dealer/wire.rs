//! The bytes between host and dealer, or server 1 and dealer: [frames](sharelet_link::frame).
//!
//! The host asks and the dealer answers, one request at a time; server 1 asks for sessions of a
//! training run or a shared model one by one. `docs/wire-format.md` has the table.
//!
//! After `Refuse`, the connection goes on if the refusal concerns what was asked for, and ends if
//! it concerns how ([`Refusal::ends_connection`]).

use serde::{Deserialize, Serialize};
use sharelet_core::binding::{Binding, Order};
use sharelet_core::keystream::{ChaCha12, KeyId, Keystream};
use sharelet_core::session::network::Network;
use sharelet_core::session::wire::control::DeviceId;

use sharelet_link::frame::{self, CONTROL_BYTES, FrameError, NUMBERED_BYTES, Protocol};
use sharelet_link::{Reader, Writer};
use sharelet_model::MAX_LAYERS;
use sharelet_train::config::Arithmetic;
use sharelet_train::course::Sizes;
use sharelet_train::tensor::offline::{Dealt, Plan};

/// Version of this format.
pub const VERSION: u16 = 6;
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

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Host to dealer, first: a greeting.
    Hello = 1,
    /// Dealer to host, first: a greeting.
    Welcome = 2,
    /// Dealer to host, instead of any answer: [`Refusal`].
    Refuse = 3,
    /// Host to dealer: [`Status`].
    Status = 4,
    /// Dealer to host: [`StatusIs`].
    StatusIs = 5,
    /// Host to dealer: [`Offer`].
    Offer = 6,
    /// Dealer to host, empty: `Masked` is to follow.
    Wanted = 7,
    /// Dealer to host, empty: it has the masked model.
    Known = 8,
    /// Host to dealer: [`Deal`].
    Deal = 9,
    /// Dealer to host: [`Dealing`]; a `Correction` per session follows.
    Dealing = 10,
    /// Dealer to server 1, empty: the sessions follow.
    Agreed = 11,
    /// Server 1 to dealer, empty: one more session is wanted.
    Next = 12,
    /// Host to dealer, after `Wanted`: the matrices `A = W - E`.
    Masked = 16,
    /// Dealer to host: the corrections of a session.
    Correction = 17,
    /// Server 1 to dealer: [`Train`], [`Ordered`].
    Train = 18,
    /// Dealer to server 1, once per `Next`: a session of a program.
    Session = 19,
    /// Server 1 to dealer: [`Serve`], [`Ordered`].
    Serve = 20,
}

/// Bytes of an [`Offer`], at most: a network of all layers that there may be, with an exponent for
/// each input.
const MAX_OFFER_BYTES: usize = 1 << 14;

impl Protocol for Kind {
    const MAGIC: [u8; 4] = *b"SLTD";
    const VERSION: u16 = VERSION;
    const PEERS: &'static str = "dealer or host";
    const KINDS: &'static [(Self, usize)] = &[
        (Self::Hello, CONTROL_BYTES),
        (Self::Welcome, CONTROL_BYTES),
        (Self::Refuse, CONTROL_BYTES),
        (Self::Status, CONTROL_BYTES),
        (Self::StatusIs, CONTROL_BYTES),
        (Self::Offer, MAX_OFFER_BYTES),
        (Self::Wanted, 0),
        (Self::Known, 0),
        (Self::Deal, CONTROL_BYTES),
        (Self::Dealing, CONTROL_BYTES),
        (Self::Agreed, 0),
        (Self::Next, 0),
        (Self::Masked, MAX_MASKED_BYTES),
        (Self::Correction, MAX_CORRECTION_BYTES + NUMBERED_BYTES),
        (Self::Train, MAX_REQUEST_BYTES),
        (Self::Session, MAX_SESSION_BYTES + NUMBERED_BYTES),
        (Self::Serve, MAX_REQUEST_BYTES),
    ];
    const REFUSE: Self = Self::Refuse;
    type Refusal = Refusal;

    fn number(self) -> u8 {
        self as u8
    }
}

/// What is wrong with the connection or the bytes on it.
pub type WireError = FrameError<Kind>;

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

/// Sessions that a device has ordered: those that follow its next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The first session's number.
    pub first: u64,
    /// How many sessions.
    pub count: u32,
    /// The device's order for them.
    pub order: Order,
}

impl Window {
    /// The first number beyond.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count.into())
    }

    /// Whether the sessions `first..first + count` are among them.
    #[must_use]
    pub fn holds(&self, first: u64, count: u32) -> bool {
        let before = first.checked_sub(self.first);
        before.is_some_and(|before| before.saturating_add(count.into()) <= self.count.into())
    }
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
    /// What the device has ordered; these sessions are among it.
    pub ordered: Window,
}

/// Dealer to host: the corrections that follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dealing {
    /// Public name of the device's key.
    pub key: KeyId,
    /// Bytes of the corrections of one session.
    pub bytes_each: u32,
}

/// What is dealt to server 1, session by session. Both servers describe it to the last bit: server
/// 0's keystream is bound to it.
pub trait Description: Serialize + Sized {
    /// The frame that asks for it.
    const KIND: Kind;
    /// What it is bound as.
    const NAME: &'static [u8];

    /// The name under which server 0's key is known.
    fn device(&self) -> DeviceId;

    /// The first session's number, and how many there are.
    fn sessions(&self) -> (u64, u32);

    /// The keystream of the sessions under server 0's `key`.
    ///
    /// # Errors
    /// [`WireError::Malformed`] if the description cannot be written.
    fn bind(&self, key: &Keystream<ChaCha12>) -> Result<Binding, WireError> {
        Ok(Binding::new(key, &[Self::NAME, &frame::encode(Self::KIND, self)?]))
    }

    /// Server 0's order for its sessions, which `fetcher` may fetch; see [`Binding::order`].
    fn order(&self, binding: &Binding, fetcher: Option<DeviceId>) -> Order {
        let (first, count) = self.sessions();
        binding.order(&DeviceId::proved(fetcher), first, count)
    }
}

/// Server 1 to dealer: a description that server 0 has ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered<D> {
    /// Public name of server 0's key: under another one nothing is recorded.
    pub key: KeyId,
    /// Server 0's order.
    pub order: Order,
    /// What is ordered.
    pub description: D,
}

/// A training run, of which all sessions are dealt one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Train {
    /// The name under which server 0's key is known.
    pub device: DeviceId,
    /// The first session's number.
    pub first: u64,
    /// How many sessions.
    pub count: u32,
    /// Steps that were made already.
    pub steps: u64,
    /// Sizes of the data.
    pub sizes: Sizes,
    /// The configuration, as TOML.
    pub config: String,
}

impl Description for Train {
    const KIND: Kind = Kind::Train;
    const NAME: &'static [u8] = b"training";

    fn device(&self) -> DeviceId {
        self.device
    }

    fn sessions(&self) -> (u64, u32) {
        (self.first, self.count)
    }
}

/// A shared model that is served. The first session opens it under masks, each of the others is an
/// inference.
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
    /// How many columns are standardised: none, all features, or all features and all targets.
    pub standardised: usize,
}

impl Description for Serve {
    const KIND: Kind = Kind::Serve;
    const NAME: &'static [u8] = b"serving";

    fn device(&self) -> DeviceId {
        self.device
    }

    fn sessions(&self) -> (u64, u32) {
        (self.first, self.count)
    }
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
    /// The dealer does not have the masked model from this host.
    #[error("the dealer does not have the masked model from this host; offer it first")]
    UnknownModel,
    /// A session number was dealt already.
    #[error(
        "sessions below {next} were dealt already; a device or server 0 whose counter is lower has \
         a new one or an old copy: provision it anew"
    )]
    SessionUsed {
        /// The lowest number that was not dealt.
        next: u64,
    },
    /// The sessions were not ordered for this peer.
    #[error(
        "the device or server 0 has not ordered these sessions for this party; pair the two anew, \
         and give both the same model or run"
    )]
    NoOrder,
    /// The device has another key at the dealer.
    #[error("server 0 and the dealer have different keys of that name; provision server 0 anew")]
    OtherKey,
    /// The peer's role does not ask for this.
    #[error(
        "hosts and servers 1 with a model of their own ask for its sessions, and servers 1 for \
         training and shared models; nobody else asks the dealer"
    )]
    WrongRole,
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

/// Sends a masked model; `progress` is told bytes as they leave.
///
/// # Errors
/// [`WireError::WrongLength`] above [`MAX_MASKED_BYTES`], and the connection's.
pub async fn send_masked(
    writer: &mut Writer,
    bytes: &[u8],
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<(), WireError> {
    frame::send_parts(writer, Kind::Masked, &[bytes], progress).await
}

/// Sends the corrections of a session.
///
/// # Errors
/// [`WireError::WrongLength`] above [`MAX_CORRECTION_BYTES`], and the connection's.
pub async fn send_correction(
    writer: &mut Writer,
    session: u64,
    corrections: &[u8],
) -> Result<(), WireError> {
    frame::send_numbered(writer, Kind::Correction, session, [corrections, &[], &[]]).await
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
    frame::receive_numbered(reader, Kind::Correction, session, expected).await
}

/// Sends a session of a program.
///
/// # Errors
/// [`WireError::WrongLength`] above [`MAX_SESSION_BYTES`], and the connection's.
pub async fn send_session(
    writer: &mut Writer,
    session: u64,
    dealt: &Dealt,
) -> Result<(), WireError> {
    let parts = [dealt.seed(), dealt.records(), &dealt.product_bytes()];
    frame::send_numbered(writer, Kind::Session, session, parts).await
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
    let expected = usize::try_from(plan.dealt_bytes()).unwrap_or(usize::MAX);
    let body = frame::receive_numbered(reader, Kind::Session, session, expected).await?;
    Dealt::parse(plan, body).map_err(|_| WireError::Malformed { kind: Kind::Session })
}

#[cfg(test)]
mod tests {
    use sharelet_core::session::network::{Activation, Layer, MAX_COLUMNS, MAX_EXPONENT, Skip};
    use sharelet_core::shape::Shape;

    use super::*;

    /// All layers, each with what another one brings past it, and an exponent for each input.
    #[test]
    fn the_largest_network_can_be_offered() {
        let width = u16::try_from(MAX_COLUMNS).expect("128");
        let shape = Shape::Dense { inputs: width, outputs: width };
        let mut layer = Layer::dense(width, width, 15, 15, Activation::Relu);
        layer.skip = Some(Skip { from: 0, shape, weight_frac_bits: 15 });
        let network = Network::new(12, 1 << 12, &[layer; MAX_LAYERS]).expect("valid");
        let network = network.with_exponents(&[-MAX_EXPONENT; MAX_COLUMNS]).expect("fits");
        let body = frame::encode(Kind::Offer, &Offer { id: [255; 32], network });
        let bytes = body.expect("encodes").len();
        assert!(bytes > CONTROL_BYTES && bytes <= MAX_OFFER_BYTES, "{bytes}");
    }
}
