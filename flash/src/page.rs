//! The key page: what a device or data party is provisioned with, the same bytes in a file on a PC
//! and in flash.
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | `SLTK` |
//! | 4 | version, 3 |
//! | 5 | own role |
//! | 6 | how channels are made: 1 by static keys, 2 by provisioned ones |
//! | 7 | zero |
//! | 8..24 | own name, ASCII, padded with zeros |
//! | 24..56 | the key of sessions: a device shares it with the dealer, a data party with nobody |
//! | 56..88 | own static X25519 secret; zeros if channels are made by provisioned keys |
//! | 88..96 | where the counter starts, little-endian |
//! | 96..360 | three peers of 88 bytes each, or zeros where there is none |
//! | 360..380 | zeros |
//! | 380..384 | CRC-32 (IEEE) of bytes 0..380, little-endian |
//! | 384..416 | zeros until the key's first number was used, and then anything else |
//!
//! A peer is role, 7 zeros, name (16 bytes), and 64 bytes: its public key and the pairing's secret,
//! or, for channels by provisioned keys, the ratchet's first key and its hellos' key.
//!
//! The last 32 bytes are a program's on a PC, which says there that the page was used. A device
//! writes nothing into its page: it has a counter.

use core::fmt;

use sharelet_channel::{HelloKey, Party, RATCHET_BYTES, Ratchet, Role};
#[cfg(feature = "x25519")]
use sharelet_channel::{Identity, PairingKey, Pin, PublicKey, StaticKey};
use sharelet_core::keystream::{ChaCha12, KeyId, Keystream};
use sharelet_core::session::wire::checksum::crc32;
use sharelet_core::{DeviceId, Key};
use zeroize::Zeroizing;

/// Bytes of a key page: 13 words of the widest flash.
pub const PAGE_BYTES: usize = 416;
/// Peers that a page has room for.
pub const MAX_PEERS: usize = 3;

const MAGIC: [u8; 4] = *b"SLTK";
const VERSION: u8 = 3;
/// Bytes before the check sum.
const CHECKED_BYTES: usize = 380;
const PEER_BYTES: usize = 88;

/// Why a key page is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PageError {
    /// No page was written.
    Missing,
    /// The page is of a version that this program does not know.
    Version {
        /// The page's.
        found: u8,
    },
    /// The check sum does not fit.
    Damaged,
    /// The check sum fits, but a role, a name or a key is none.
    Malformed,
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no key page; provision the device",
            Self::Version { found } => {
                return write!(
                    f,
                    "the key page is of version {found}, this program reads {VERSION}; provision \
                     the device with matching tools"
                );
            }
            Self::Damaged => "the key page is damaged; write it again",
            Self::Malformed => "the key page has fields that make no sense; provision the device",
        })
    }
}

impl core::error::Error for PageError {}

/// Why a peer does not go into a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PeerError {
    /// The page has [`MAX_PEERS`] others.
    Full,
    /// The page's channels are made by keys of the other sort.
    Channels,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the key page has no room for one more peer; remove another one first",
            Self::Channels => {
                "the key page's channels are made by other keys than this peer's; provision the \
                 device for these"
            }
        })
    }
}

impl core::error::Error for PeerError {}

/// How a page's channels are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Channels {
    /// By static keys: `KKpsk0`, and `NNpsk0` for connecting again.
    Static = 1,
    /// By provisioned keys: the pattern `Psk`.
    Provisioned = 2,
}

/// A peer as it lies in the page. What `first` and `second` are, the page's [`Channels`] say.
#[derive(Debug)]
struct Peer {
    party: Party,
    /// The public key, or the ratchet's first key.
    first: Key,
    /// The pairing's secret, or the key of hellos.
    second: Key,
}

/// A key page. Secrets are wiped when it is dropped, and print as `<redacted>`.
#[derive(Debug)]
pub struct KeyPage {
    party: Party,
    channels: Channels,
    key: Key,
    own: Key,
    counter_start: u64,
    peers: [Option<Peer>; MAX_PEERS],
    used: bool,
}

impl KeyPage {
    /// A page without peers, whose channels are made by static keys.
    #[cfg(feature = "x25519")]
    #[must_use]
    pub fn new(party: Party, key: Key, own: &StaticKey, counter_start: u64) -> Self {
        let own = Key::from_bytes(*own.expose());
        Self::of(party, Channels::Static, key, own, counter_start)
    }

    /// A page without peers, whose channels are made by provisioned keys.
    #[must_use]
    pub fn provisioned(party: Party, key: Key, counter_start: u64) -> Self {
        Self::of(party, Channels::Provisioned, key, no_key(), counter_start)
    }

    fn of(party: Party, channels: Channels, key: Key, own: Key, counter_start: u64) -> Self {
        let peers = [const { None }; MAX_PEERS];
        Self { party, channels, key, own, counter_start, peers, used: false }
    }

    /// Role and name.
    #[must_use]
    pub fn party(&self) -> &Party {
        &self.party
    }

    /// How channels are made.
    #[must_use]
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The key of sessions.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The public name of the key of sessions, for which a counter counts.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        Keystream::<ChaCha12>::new(&self.key).key_id()
    }

    /// The first number that the counter of this key gives.
    #[must_use]
    pub fn counter_start(&self) -> u64 {
        self.counter_start
    }

    /// Whether a program on a PC used a number under the key.
    #[must_use]
    pub fn used(&self) -> bool {
        self.used
    }

    /// Says that a number was used, for good.
    pub fn mark_used(&mut self) {
        self.used = true;
    }

    /// The peers.
    pub fn peers(&self) -> impl Iterator<Item = &Party> {
        self.peers.iter().flatten().map(|peer| &peer.party)
    }

    /// The first peer of a role.
    #[must_use]
    pub fn peer_of(&self, role: Role) -> Option<&Party> {
        self.peers().find(|party| party.role == role)
    }

    /// Role, name and static key, as handshakes take them; `None` if channels are made by
    /// provisioned keys. Computes the public key.
    #[cfg(feature = "x25519")]
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        Some(Identity::new(self.party, self.static_key()?))
    }

    /// The own static key, if there is one. Computes the public key.
    #[cfg(feature = "x25519")]
    #[must_use]
    pub fn static_key(&self) -> Option<StaticKey> {
        let own = || StaticKey::from_bytes(*self.own.expose());
        (self.channels == Channels::Static).then(own)
    }

    /// The pin of a peer; `None` if it is not paired, or channels are made by provisioned keys.
    #[cfg(feature = "x25519")]
    #[must_use]
    pub fn pin(&self, party: &Party) -> Option<Pin> {
        let Peer { first, second, .. } = self.find(party, Channels::Static)?;
        Some(Pin {
            public: PublicKey::from_bytes(*first.expose()),
            pairing: PairingKey::from_bytes(*second.expose()),
        })
    }

    /// The ratchet of a peer as it was provisioned, at step 0; `None` if there is none, or channels
    /// are made by static keys.
    #[must_use]
    pub fn ratchet(&self, party: &Party) -> Option<Ratchet> {
        let Peer { first, second, .. } = self.find(party, Channels::Provisioned)?;
        let mut bytes = Zeroizing::new([0; RATCHET_BYTES]);
        let from = [0; 8].iter().chain(first.expose()).chain(second.expose());
        bytes.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Some(Ratchet::from_bytes(&bytes))
    }

    /// The place of a peer among those with provisioned keys, and the key of its hellos.
    pub(crate) fn hello_of(&self, party: &Party) -> Option<(usize, HelloKey)> {
        let mut places = self.peers.iter().enumerate();
        let (place, peer) = places.find_map(|(place, peer)| {
            let peer = peer.as_ref().filter(|peer| peer.party == *party)?;
            Some((place, peer))
        })?;
        let key = HelloKey::from_bytes(*peer.second.expose());
        (self.channels == Channels::Provisioned).then_some((place, key))
    }

    /// What the provisioned keys of the peers are, place by place; zeros where there is none.
    #[inline(never)]
    pub(crate) fn first_keys(&self) -> [Key; MAX_PEERS] {
        let provisioned = self.channels == Channels::Provisioned;
        self.peers.each_ref().map(|peer| match peer {
            Some(peer) if provisioned => Key::from_bytes(*peer.first.expose()),
            _ => no_key(),
        })
    }

    fn find(&self, party: &Party, channels: Channels) -> Option<&Peer> {
        self.peers.iter().flatten().find(|peer| peer.party == *party && self.channels == channels)
    }

    /// Pins a peer, in place of what was known of it.
    ///
    /// # Errors
    /// [`PeerError`].
    #[cfg(feature = "x25519")]
    pub fn pair(&mut self, party: Party, pin: &Pin) -> Result<(), PeerError> {
        let [first, second] = [*pin.public.as_bytes(), *pin.pairing.expose()].map(Key::from_bytes);
        self.put(Channels::Static, Peer { party, first, second })
    }

    /// Gives a peer a provisioned key, in place of what was known of it.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn provision(&mut self, party: Party, key: Key) -> Result<(), PeerError> {
        let second = Key::from_bytes(*HelloKey::of(&key).expose());
        self.put(Channels::Provisioned, Peer { party, first: key, second })
    }

    fn put(&mut self, channels: Channels, peer: Peer) -> Result<(), PeerError> {
        if self.channels != channels {
            return Err(PeerError::Channels);
        }
        self.remove(&peer.party);
        let free = self.peers.iter_mut().find(|place| place.is_none());
        *free.ok_or(PeerError::Full)? = Some(peer);
        Ok(())
    }

    /// Forgets a peer.
    pub fn remove(&mut self, party: &Party) {
        for place in &mut self.peers {
            place.take_if(|peer| peer.party == *party);
        }
    }

    /// The bytes of the page.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; PAGE_BYTES]> {
        let mut bytes = Zeroizing::new([0; PAGE_BYTES]);
        let mut rest = bytes.iter_mut();
        let mut put = |field: &[u8]| {
            field.iter().zip(rest.by_ref()).for_each(|(from, to)| *to = *from);
        };
        put(&MAGIC);
        put(&[VERSION, self.party.role.byte(), self.channels as u8, 0]);
        put(self.party.name.as_bytes());
        put(self.key.expose());
        put(self.own.expose());
        put(&self.counter_start.to_le_bytes());
        for peer in &self.peers {
            let Some(Peer { party, first, second }) = peer else {
                put(&[0; PEER_BYTES]);
                continue;
            };
            put(&[party.role.byte(), 0, 0, 0, 0, 0, 0, 0]);
            put(party.name.as_bytes());
            put(first.expose());
            put(second.expose());
        }
        let checksum = crc32(bytes.get(..CHECKED_BYTES).unwrap_or_default()).to_le_bytes();
        let end = checksum.into_iter().chain([u8::from(self.used)]);
        bytes.iter_mut().skip(CHECKED_BYTES).zip(end).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the bytes of a page.
    ///
    /// # Errors
    /// [`PageError`] says what to do.
    #[inline(never)]
    pub fn parse(bytes: &[u8; PAGE_BYTES]) -> Result<Self, PageError> {
        let body = bytes.strip_prefix(&MAGIC).ok_or(PageError::Missing)?;
        let found = *body.first().ok_or(PageError::Missing)?;
        if found != VERSION {
            return Err(PageError::Version { found });
        }
        let (checked, rest) = bytes.split_at_checked(CHECKED_BYTES).ok_or(PageError::Damaged)?;
        let (checksum, mark) = rest.split_first_chunk().ok_or(PageError::Damaged)?;
        if *checksum != crc32(checked).to_le_bytes() {
            return Err(PageError::Damaged);
        }
        let mut page = Self::of_fields(Fields(checked)).ok_or(PageError::Malformed)?;
        // Whatever is not the mark of a fresh key is the mark of a used one.
        page.used = !all_zero(mark);
        Ok(page)
    }

    #[inline(never)]
    fn of_fields(mut fields: Fields<'_>) -> Option<Self> {
        let [_, _, _, _, _, role, channels, 0] = *fields.next()? else { return None };
        let channels = match channels {
            1 => Channels::Static,
            2 => Channels::Provisioned,
            _ => return None,
        };
        let party = fields.party(role)?;
        let (key, own) = (fields.key()?, fields.key()?);
        let mut page = Self::of(party, channels, key, own, u64::from_le_bytes(*fields.next()?));
        if (channels == Channels::Static) == all_zero(page.own.expose()) {
            return None;
        }
        for index in 0..MAX_PEERS {
            let mut fields = Fields(fields.next::<PEER_BYTES>()?);
            if all_zero(fields.0) {
                continue;
            }
            let [role, 0, 0, 0, 0, 0, 0, 0] = *fields.next()? else { return None };
            let party = fields.party(role)?;
            let peer = Peer { party, first: fields.key()?, second: fields.key()? };
            let known = page.peers().any(|known| *known == party);
            if known || all_zero(peer.second.expose()) {
                return None;
            }
            *page.peers.get_mut(index)? = Some(peer);
        }
        all_zero(fields.0).then_some(page)
    }
}

/// What is not there, as it lies in a page.
fn no_key() -> Key {
    Key::from_bytes([0; 32])
}

/// Tells whether there is a key, and nothing of one.
fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |bits, byte| bits | byte) == 0
}

/// What is left of a page.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(field)
    }

    fn party(&mut self, role: u8) -> Option<Party> {
        let role = Role::from_byte(role)?;
        Some(Party { role, name: DeviceId::from_bytes(*self.next()?)? })
    }

    fn key(&mut self) -> Option<Key> {
        Some(Key::from_bytes(*self.next()?))
    }
}
