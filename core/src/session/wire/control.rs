//! Control messages: `postcard` bodies; the handshake's first message each way starts with magic
//! and version.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::task::Field;
use super::{VERSION, WireError};
use crate::binding::Order;
use crate::keystream::KeyId;
use crate::session::network::{MAX_COLUMNS, Network, NetworkError};

/// Most bytes that a control message without a network takes.
pub const MAX_CONTROL_BYTES: usize = 64;

/// The first four bytes of a handshake message.
const MAGIC: [u8; 4] = *b"SLET";
/// Magic and version.
const PREFIX_BYTES: usize = 6;

/// A device's name: up to 16 letters, digits, `.`, `-` and `_`, padded with zeros.
///
/// A name that was received is checked like any other: programs make file names and log lines of
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "[u8; 16]")]
pub struct DeviceId([u8; 16]);

impl TryFrom<[u8; 16]> for DeviceId {
    type Error = WireError;

    fn try_from(bytes: [u8; 16]) -> Result<Self, WireError> {
        Self::from_bytes(bytes).ok_or(WireError::Malformed)
    }
}

impl DeviceId {
    /// A device's name.
    ///
    /// # Errors
    /// `None` if it is empty, longer than 16 bytes, or has anything but letters, digits, `.`, `-`
    /// and `_`.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        bytes.get_mut(..name.len())?.copy_from_slice(name.as_bytes());
        Self::from_bytes(bytes)
    }

    /// A device's name from its padded bytes; `None` if they are not one.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let len = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        let (name, padding) = bytes.split_at_checked(len)?;
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_".contains(byte);
        (len > 0 && name.iter().all(allowed) && padding.iter().all(|&byte| byte == 0))
            .then_some(Self(bytes))
    }

    /// The padded bytes of the name that a party has proved; zeros, which are no name, where links
    /// are plaintext.
    #[must_use]
    pub fn proved(name: Option<Self>) -> [u8; 16] {
        name.map_or([0; 16], |name| name.0)
    }

    /// The padded bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&byte| byte == 0).unwrap_or(self.0.len());
        self.0.get(..len).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("")
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceId({})", self.as_str())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for DeviceId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}", self.as_str());
    }
}

/// Who learns the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer {
    /// The device alone.
    #[default]
    Device,
    /// The host alone.
    Host,
    /// Both.
    Both,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device",
            Self::Host => "host",
            Self::Both => "both",
        })
    }
}

impl Answer {
    /// Whether the host learns the answer.
    #[must_use]
    pub fn to_host(self) -> bool {
        matches!(self, Self::Host | Self::Both)
    }

    /// Whether the device learns the answer.
    #[must_use]
    pub fn to_device(self) -> bool {
        matches!(self, Self::Device | Self::Both)
    }
}

/// Device to host, first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The device's name.
    pub device: DeviceId,
    /// The public name of its key; corrections that were dealt under another key are of no use.
    pub key: KeyId,
    /// Who is to learn the answer; the host must have been started with the same.
    pub answer: Answer,
    /// Rounds of the keystream.
    pub rounds: u8,
}

/// Host to device, in answer to [`Hello`]; the network follows.
#[derive(Serialize, Deserialize)]
pub struct Welcome {
    /// Layers of the network that follows, to be checked before it is decoded.
    pub layers: u8,
    /// The seed of the weight mask `E`.
    pub model_seed: [u8; 32],
    /// The id of the masked model `A`, under which the dealer knows it.
    pub masked_id: [u8; 32],
}

impl Drop for Welcome {
    fn drop(&mut self) {
        self.model_seed.zeroize();
    }
}

impl fmt::Debug for Welcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Welcome")
            .field("layers", &self.layers)
            .field("model_seed", &"<redacted>")
            .field("masked_id", &self.masked_id)
            .finish()
    }
}

/// Device to host: a session is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The lowest session number that the device has not used.
    pub next_session: u64,
    /// What lets the host fetch the corrections of this session and those that follow, as many as
    /// [`ORDER_SESSIONS`](crate::session::ORDER_SESSIONS).
    pub order: Order,
}

/// Host to device: the session to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Not below [`Request::next_session`].
    pub session: u64,
}

/// Why a peer ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Refusal {
    /// The sender speaks another version of the wire format.
    Version {
        /// The sender's version.
        ours: u16,
    },
    /// The dealer has no key for the device.
    UnknownDevice,
    /// Host and device disagree on who learns the answer.
    AnswerMismatch {
        /// What the sender is set to.
        ours: Answer,
    },
    /// Host and device disagree on the rounds of the keystream.
    RoundsMismatch {
        /// What the sender is set to.
        ours: u8,
    },
    /// The network has more layers than the device has room for.
    TooManyLayers {
        /// The device's bound.
        limit: u8,
    },
    /// The answer is wider than the device's buffer.
    AnswerTooWide {
        /// The device's bound, in elements.
        limit: u16,
    },
    /// The network takes another number of inputs than the sensor gives.
    InputWidth {
        /// What the sensor gives, in elements.
        sensor: u16,
    },
    /// The description of the network contradicts itself.
    BadNetwork,
    /// The session number was used already, or is too far ahead.
    SessionNumber,
    /// No correlations: the dealer is gone or behind; try again later.
    NoCorrelations,
    /// The sender got bytes that it did not understand.
    Protocol,
    /// The sender is being stopped; try again later.
    ShuttingDown,
    /// Another connection of the same device is being served.
    Busy,
    /// A session with the network takes the device longer than it allows.
    TooMuchWork {
        /// The device's bound, in keystream blocks.
        limit: u64,
    },
    /// The host would learn a public map of the input without the dealer's doing.
    PublicAnswer,
    /// Two servers have the same party number.
    SameParty {
        /// The sender's.
        ours: u8,
    },
    /// Two servers were set up for different tasks.
    TaskMismatch {
        /// The first part in which they differ.
        field: Field,
    },
    /// The sender does not know the half of a query that the receiver wants evaluated.
    NoHalf,
    /// The two halves of a query disagree on who gets the answer.
    HalvesDiffer,
    /// The console's name or token is not one that the sender was given.
    UnknownConsole,
    /// The receiver said nothing, or took longer over a message than the sender waits.
    TooSlow,
    /// The dealer does not take the device's order.
    NoOrder,
    /// The device has had as many sessions today as it may, or the model as many devices.
    Quota,
    /// The host has no model for the device now.
    NoModel,
    /// The host has another model for the device than this connection began with: connect again.
    ModelReplaced,
    /// Each input of the network has a scale of its own, and the device has no room for so many.
    TooManyColumns,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { ours } => {
                write!(
                    f,
                    "the peer speaks wire version {ours}, this program {VERSION}; install \
                     matching versions"
                )
            }
            Self::UnknownDevice => {
                write!(
                    f,
                    "the dealer has no key for this device, or it was revoked; run `sharelet \
                     provision` on the dealer's machine"
                )
            }
            Self::AnswerMismatch { ours } => {
                write!(
                    f,
                    "the peer gives the answer to `{ours}`; start both sides with the same \
                     `--answer`"
                )
            }
            Self::RoundsMismatch { ours } => {
                write!(f, "the peer's keystream has {ours} rounds; build both sides alike")
            }
            Self::TooManyLayers { limit } => {
                write!(
                    f,
                    "the device has room for {limit} layers; raise its bound or use a shallower \
                     model"
                )
            }
            Self::AnswerTooWide { limit } => {
                write!(
                    f,
                    "the device has room for answers of {limit} elements; raise its bound or use \
                     another model"
                )
            }
            Self::InputWidth { sensor } => {
                write!(
                    f,
                    "the device's sensor gives {sensor} values; use a model that takes as many"
                )
            }
            Self::BadNetwork => {
                write!(f, "the network's description contradicts itself; import the model again")
            }
            Self::SessionNumber => write!(
                f,
                "the session number was used already or is too far ahead: the counter was restored \
                 from a backup, or another device has a copy of the key; provision the device anew"
            ),
            Self::NoCorrelations => write!(
                f,
                "the host has no correlations for this device; check that the dealer runs"
            ),
            Self::Protocol => write!(f, "the peer got bytes that it did not understand"),
            Self::ShuttingDown => write!(f, "the peer is being stopped; try again later"),
            Self::TooMuchWork { limit } => {
                write!(
                    f,
                    "the device spends at most {limit} keystream blocks on a session; raise its \
                     bound or use a smaller model"
                )
            }
            Self::PublicAnswer => write!(
                f,
                "the network's last layer has neither weights nor an activation, and the host is \
                 to learn its answer; give the answer to the device, or end the network in a \
                 layer with weights"
            ),
            Self::SameParty { ours } => {
                write!(
                    f,
                    "party: both servers were started as --party {ours}; one must be 0 and the \
                     other 1"
                )
            }
            Self::TaskMismatch { field } => {
                write!(
                    f,
                    "{field}: the two servers were set up with different values; give both the \
                     model and the task file made from it"
                )
            }
            Self::NoHalf => write!(
                f,
                "the other server has no half of the query; the data party must reach both servers"
            ),
            Self::HalvesDiffer => write!(
                f,
                "the two halves of the query disagree on who gets the answer; update the data \
                 party"
            ),
            Self::UnknownConsole => {
                write!(
                    f,
                    "the server does not know this console; start it with --console and the \
                     console's name"
                )
            }
            Self::TooSlow => write!(
                f,
                "the peer waited too long for a message; check the network and try again later"
            ),
            Self::Quota => write!(
                f,
                "the device has had as many sessions today as the host allows, or the model as \
                 many devices; ask its operator"
            ),
            Self::NoModel => write!(
                f,
                "the host has no model for this device; see `sharelet models` on the host's machine"
            ),
            Self::ModelReplaced => {
                write!(f, "the host has another model for this device now; connect again")
            }
            Self::TooManyColumns => write!(
                f,
                "each input of the model has a scale of its own, and the device has no room for \
                 so many; build it with the feature `column-scales`, or import the model with \
                 `--input-scale one`"
            ),
            Self::NoOrder => write!(
                f,
                "the dealer does not take the device's order: it is for a host of another name; \
                 pair device and host anew"
            ),
            Self::Busy => {
                write!(f, "the peer serves another connection of this device; try again later")
            }
        }
    }
}

impl core::error::Error for Refusal {}

/// A shape is its kind, five varints of up to 3 bytes and eight single bytes; of them a layer has
/// two, with six single bytes and the word whether there is a second.
const LAYER_BYTES: usize = 2 * (1 + 5 * 3 + 8) + 7;

/// Exponents of inputs, and how many there are.
const EXPONENTS_BYTES: usize = MAX_COLUMNS + if MAX_COLUMNS < 128 { 1 } else { 2 };

/// Room for a [`Welcome`] with a network of `layers` layers, in bytes: what `postcard` takes at
/// most.
#[must_use]
pub const fn max_welcome_bytes(layers: usize) -> usize {
    // Magic, version, seed, id, counts and scales; then layers.
    PREFIX_BYTES + 33 + 32 + 12 + layers * LAYER_BYTES + EXPONENTS_BYTES
}

/// Writes `message` behind magic and version; returns the bytes used, or `None` if `buffer` is too
/// small.
pub fn emit_handshake<T: Serialize>(message: &T, buffer: &mut [u8]) -> Option<usize> {
    let (prefix, body) = buffer.split_at_mut_checked(PREFIX_BYTES)?;
    let (magic, version) = prefix.split_at_mut_checked(MAGIC.len())?;
    magic.copy_from_slice(&MAGIC);
    version.copy_from_slice(&VERSION.to_le_bytes());
    Some(PREFIX_BYTES + emit(message, body)?)
}

/// Writes `message`; returns the bytes used, or `None` if `buffer` is too small.
pub fn emit<T: Serialize>(message: &T, buffer: &mut [u8]) -> Option<usize> {
    Some(postcard::to_slice(message, buffer).ok()?.len())
}

/// Reads a control message that fills `bytes`.
///
/// # Errors
/// [`WireError::Malformed`].
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, WireError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        _ => Err(WireError::Malformed),
    }
}

/// Checks magic and version; returns what follows.
pub(super) fn strip_prefix(bytes: &[u8]) -> Result<&[u8], WireError> {
    let body = bytes.strip_prefix(&MAGIC).ok_or(WireError::NotSharelet)?;
    let (version, body) = body.split_first_chunk().ok_or(WireError::Malformed)?;
    match u16::from_le_bytes(*version) {
        VERSION => Ok(body),
        theirs => Err(WireError::Version { theirs }),
    }
}

/// Reads a [`Hello`].
///
/// # Errors
/// [`WireError::NotSharelet`], [`WireError::Version`] or [`WireError::Malformed`].
pub fn parse_hello(bytes: &[u8]) -> Result<Hello, WireError> {
    parse(strip_prefix(bytes)?)
}

/// Writes a [`Welcome`] and the network; returns the bytes used, or `None` if `buffer` is too
/// small.
pub fn emit_welcome<const L: usize>(
    network: &Network<L>,
    model_seed: &[u8; 32],
    masked_id: &[u8; 32],
    buffer: &mut [u8],
) -> Option<usize> {
    let layers = u8::try_from(network.layers().len()).ok()?;
    let welcome = Welcome { layers, model_seed: *model_seed, masked_id: *masked_id };
    emit_handshake(&(welcome, network), buffer)
}

/// Why a [`Welcome`] is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WelcomeError {
    /// The bytes are wrong.
    Wire(WireError),
    /// The network is.
    Network(NetworkError),
}

/// Reads a [`Welcome`] and the network behind it, against the bound of `L` layers; the network goes
/// to where it is to stay. Leaves its description, too: the bytes that sessions are bound to.
///
/// # Errors
/// [`WelcomeError`]; a network of too many layers is told apart from bytes that do not decode.
pub fn parse_welcome<'b, const L: usize>(
    bytes: &'b [u8],
    network: &mut Network<L>,
) -> Result<(Welcome, &'b [u8]), WelcomeError> {
    let body = strip_prefix(bytes).map_err(WelcomeError::Wire)?;
    let malformed = WelcomeError::Wire(WireError::Malformed);
    let (welcome, description) =
        postcard::take_from_bytes::<Welcome>(body).map_err(|_| malformed)?;
    if usize::from(welcome.layers) > L {
        return Err(WelcomeError::Network(NetworkError::TooManyLayers { limit: L }));
    }
    // As the description is encoded, but layer by layer: a device's stack has no room for a second
    // one.
    let ((ring_bits, input_frac_bits, input_limit, layers), mut rest) =
        postcard::take_from_bytes::<(u8, u8, u32, u32)>(description).map_err(|_| malformed)?;
    if layers != u32::from(welcome.layers) {
        return Err(malformed);
    }
    network.begin(ring_bits, input_frac_bits, input_limit);
    for _ in 0..layers {
        let (layer, left) = postcard::take_from_bytes(rest).map_err(|_| malformed)?;
        network.push(layer).map_err(WelcomeError::Network)?;
        rest = left;
    }
    if has_exponents(rest, MAX_COLUMNS)? {
        exponents(rest, network)?;
    }
    network.validate().map_err(WelcomeError::Network)?;
    Ok((welcome, description))
}

/// Whether a description goes on with exponents, for a device that has room for so many.
fn has_exponents(rest: &[u8], room: usize) -> Result<bool, WelcomeError> {
    match rest {
        [0] => Ok(false),
        [] => Err(WelcomeError::Wire(WireError::Malformed)),
        // Without room for any, it takes no code to read them.
        _ if room == 0 => Err(WelcomeError::Network(NetworkError::TooManyColumns { limit: 0 })),
        _ => Ok(true),
    }
}

/// Reads the exponents of a network's inputs, which end its description.
fn exponents<const L: usize>(bytes: &[u8], network: &mut Network<L>) -> Result<(), WelcomeError> {
    let malformed = WelcomeError::Wire(WireError::Malformed);
    let (columns, exponents) = postcard::take_from_bytes::<u32>(bytes).map_err(|_| malformed)?;
    if exponents.len() != usize::try_from(columns).unwrap_or(usize::MAX) {
        return Err(malformed);
    }
    let exponents = exponents.iter().map(|exponent| exponent.cast_signed());
    network.set_exponents(exponents).map_err(WelcomeError::Network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::network::{Activation, Layer, Skip};
    use crate::shape::{Shape, Window};

    fn network<const L: usize>(layers: usize) -> Network<L> {
        let layer = Layer::dense(4, 4, 10, 10, Activation::Relu);
        Network::new(8, 1000, &[layer; 8][..layers]).expect("valid")
    }

    #[test]
    fn names_are_checked() {
        assert_eq!(DeviceId::new("pump-07").map(|id| id.0[7]), Some(0));
        for bad in ["", "seventeen-letters", "a b", "a\0b", "\u{e9}"] {
            assert!(DeviceId::new(bad).is_none(), "{bad:?}");
        }
        assert!(DeviceId::from_bytes(*b"a\0b\0\0\0\0\0\0\0\0\0\0\0\0\0").is_none());
        assert!(DeviceId::new("sixteen-letters.").is_some());
        assert_eq!(parse::<DeviceId>(b"../../etc/passwd"), Err(WireError::Malformed));
        assert_eq!(
            parse::<DeviceId>(b"pump-07\0\0\0\0\0\0\0\0\0"),
            Ok(DeviceId(*b"pump-07\0\0\0\0\0\0\0\0\0"))
        );
    }

    #[test]
    fn a_hello_survives_the_wire_and_everything_else_is_refused() {
        let hello = Hello {
            device: DeviceId::new("pump-07").expect("valid"),
            key: [7; 8],
            answer: Answer::Device,
            rounds: 12,
        };
        let mut buffer = [0; MAX_CONTROL_BYTES];
        let used = emit_handshake(&hello, &mut buffer).expect("fits");
        assert_eq!(parse_hello(&buffer[..used]), Ok(hello));
        for cut in 0..used {
            assert!(parse_hello(&buffer[..cut]).is_err());
        }
        assert_eq!(parse_hello(&buffer[..=used]), Err(WireError::Malformed));
        let mut other = buffer;
        other[4] = 9;
        assert_eq!(parse_hello(&other[..used]), Err(WireError::Version { theirs: 9 }));
        other[0] = b'G';
        assert_eq!(parse_hello(&other[..used]), Err(WireError::NotSharelet));
    }

    #[test]
    fn a_network_too_deep_for_the_device_is_named() {
        let mut buffer = [0; max_welcome_bytes(8)];
        let used = emit_welcome(&network::<8>(5), &[7; 32], &[9; 32], &mut buffer).expect("fits");
        let mut read = Network::<8>::default();
        let (welcome, described) = parse_welcome(&buffer[..used], &mut read).expect("valid");
        assert_eq!((welcome.model_seed, welcome.masked_id), ([7; 32], [9; 32]));
        assert_eq!(read.clone(), network::<8>(5));
        assert_eq!(parse(described), Ok(network::<8>(5)));
        let too_deep = WelcomeError::Network(NetworkError::TooManyLayers { limit: 4 });
        assert_eq!(
            parse_welcome(&buffer[..used], &mut Network::<4>::default()).map(|_| ()),
            Err(too_deep)
        );
        for cut in 0..used {
            assert!(parse_welcome(&buffer[..cut], &mut read).is_err());
        }
    }

    #[test]
    #[cfg(feature = "column-scales")]
    fn exponents_of_inputs_survive_the_wire_and_are_bounded() {
        let network = network::<8>(5).with_exponents(&[-3, 0, 7, 60]).expect("valid");
        let mut buffer = [0; max_welcome_bytes(8)];
        let used = emit_welcome(&network, &[7; 32], &[9; 32], &mut buffer).expect("fits");
        // What was there before does not stay.
        let mut read = network.clone().with_exponents(&[1, 2, 3, 4]).expect("valid");
        parse_welcome(&buffer[..used], &mut read).expect("valid");
        assert_eq!(read, network);
        for cut in 0..used {
            assert!(parse_welcome(&buffer[..cut], &mut read).is_err());
        }
        let mut bad = |at: usize, byte: u8| {
            let mut bytes = buffer;
            bytes[used - at] = byte;
            parse_welcome(&bytes[..used], &mut read).map(|_| ())
        };
        // One less, one more, none at all, and one beyond the bound.
        let malformed = Err(WelcomeError::Wire(WireError::Malformed));
        assert_eq!((bad(5, 3), bad(5, 5), bad(5, 0)), (malformed, malformed, malformed));
        let refused = |error| Err(WelcomeError::Network(error));
        assert_eq!(bad(1, 61), refused(NetworkError::BadExponents));
        let message = (Welcome { layers: 5, model_seed: [0; 32], masked_id: [0; 32] }, &network);
        let used = emit_handshake(&message, &mut buffer).expect("fits");
        let mut long = [0; max_welcome_bytes(8) + 200];
        long[..used].copy_from_slice(&buffer[..used]);
        for (count, error) in
            [(129, NetworkError::TooManyColumns { limit: 128 }), (5, NetworkError::BadExponents)]
        {
            let varint = if count < 128 { [count, 0] } else { [0x81, 1] };
            long[used - 5..used - 3].copy_from_slice(&varint);
            let end = used - 4 + usize::from(count) + usize::from(count > 127);
            assert_eq!(parse_welcome(&long[..end], &mut read).map(|_| ()), refused(error));
        }
    }

    #[test]
    fn exponents_are_refused_where_there_is_no_room() {
        let refused = WelcomeError::Network(NetworkError::TooManyColumns { limit: 0 });
        assert_eq!(has_exponents(&[4, 0, 0, 0, 0], 0), Err(refused));
        assert_eq!(has_exponents(&[0], 0), Ok(false));
        assert_eq!(has_exponents(&[0], 128), Ok(false));
        assert_eq!(has_exponents(&[4, 0, 0, 0, 0], 128), Ok(true));
        assert_eq!(has_exponents(&[], 128), Err(WelcomeError::Wire(WireError::Malformed)));
    }

    #[test]
    #[cfg(not(feature = "column-scales"))]
    fn exponents_of_inputs_are_refused_where_there_is_no_room() {
        let mut buffer = [0; max_welcome_bytes(8) + 4];
        let used = emit_welcome(&network::<8>(5), &[7; 32], &[9; 32], &mut buffer).expect("fits");
        buffer[used - 1] = 4;
        let refused = WelcomeError::Network(NetworkError::TooManyColumns { limit: 0 });
        assert_eq!(
            parse_welcome(&buffer[..used + 4], &mut Network::<8>::default()).map(|_| ()),
            Err(refused)
        );
    }

    #[test]
    fn a_welcome_that_miscounts_its_layers_is_refused() {
        let mut buffer = [0; max_welcome_bytes(8)];
        let message =
            (Welcome { layers: 3, model_seed: [0; 32], masked_id: [0; 32] }, network::<8>(5));
        let used = emit_handshake(&message, &mut buffer).expect("fits");
        let malformed = WelcomeError::Wire(WireError::Malformed);
        assert_eq!(
            parse_welcome(&buffer[..used], &mut Network::<8>::default()).map(|_| ()),
            Err(malformed)
        );
    }

    #[test]
    fn the_largest_welcome_fits() {
        let window = Window {
            channels: 65535,
            height: 1,
            width: 1,
            filters: 65535,
            groups: 65535,
            kernel: (129, 1),
            stride: (255, 1),
            before: (128, 0),
            after: (128, 0),
        };
        let shape = Shape::Convolution(window);
        let skip = Some(Skip { from: 0, shape, weight_frac_bits: 15 });
        let layer = Layer {
            shape,
            weight_frac_bits: 15,
            skip,
            shift: 15,
            gate_bits: 32,
            activation: Activation::Relu,
        };
        let network: Network<8> = Network::new(8, (1 << 31) - 1, &[layer; 8]).expect("valid");
        // Layers of so few inputs that they can have exponents are smaller.
        assert_eq!(EXPONENTS_BYTES, MAX_COLUMNS + if MAX_COLUMNS < 128 { 1 } else { 2 });
        assert!(
            emit_welcome(&network, &[255; 32], &[255; 32], &mut [0; max_welcome_bytes(8)])
                .is_some()
        );
    }

    #[test]
    fn seeds_print_redacted() {
        extern crate std;
        let shown =
            std::format!("{:?}", Welcome { layers: 1, model_seed: [77; 32], masked_id: [1; 32] });
        assert!(!shown.contains("77") && shown.contains("redacted"));
    }
}
