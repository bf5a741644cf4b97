//! The ratchets of provisioned keys in flash, for channels of the pattern `Psk`.
//!
//! The ratchets of all peers move together, one step for each time that the device connects, and a
//! record of 224 bytes holds where they are: number of steps, key's name, and a key for each place
//! of the page. A step is written before its keys are used, so that no step is used twice. A peer
//! that was not reached is behind by one, and follows.
//!
//! The first record is written at provisioning, as that of a [`crate::counter`] is. A step that
//! cannot be read is left out.
//!
//! Flash keeps what was written until its sector is erased: whoever reads it out gets the steps
//! whose records are left, too, and can read what was recorded since the oldest of them.

use core::fmt;

use embedded_storage_async::nor_flash::NorFlash;
use sharelet_channel::{ConnectionKey, Party, advance_key};
use sharelet_core::Key;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::log::{Log, Sectors, encode, rest};
use crate::page::{KeyPage, MAX_PEERS};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 224;
const KEY_BYTES: usize = 32;
type Keys = Zeroizing<[u8; MAX_PEERS * KEY_BYTES]>;

/// The first record of a page's ratchets, for a flash tool to write at the beginning of the first
/// sector when it writes the page. It erases all sectors before.
#[must_use]
pub fn born(page: &KeyPage) -> Zeroizing<[u8; RECORD_BYTES]> {
    encode(0, &page.key_id(), first_keys(page).as_slice())
}

/// The ratchets of a page's peers.
pub struct Ratchets<F> {
    log: Log<F, RECORD_BYTES>,
    /// The next step, and its keys.
    next: Option<(u64, Keys)>,
}

/// The keys of one step, of which each is spent by one connection.
pub struct Step {
    number: u64,
    keys: [Option<Key>; MAX_PEERS],
}

impl Step {
    /// The key for connecting to a peer of the page; it is there once.
    pub fn take(&mut self, page: &KeyPage, peer: &Party) -> Option<ConnectionKey> {
        let (place, hello) = page.hello_of(peer)?;
        let key = self.keys.get_mut(place)?.take()?;
        Some(ConnectionKey::new(self.number, key, hello))
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Step(<redacted>)")
    }
}

impl<F: NorFlash> Ratchets<F> {
    /// The ratchets of a page. Nothing is read yet.
    pub fn new(flash: F, sectors: Sectors, page: &KeyPage) -> Self {
        Self { log: Log::new(flash, sectors, page.key_id()), next: None }
    }

    /// Begins the ratchets of a page that was never used, in place of another page's: erases the
    /// sectors. After a power cut it may be called again.
    ///
    /// # Errors
    /// [`StoreError::KeyUsed`], and [`StoreError::Begun`] if the page has its ratchets here
    /// already; [`StoreError`] of the flash.
    pub async fn create(flash: F, sectors: Sectors, page: &KeyPage) -> Result<Self, StoreError> {
        if page.used() {
            return Err(StoreError::KeyUsed);
        }
        let mut ratchets = Self::new(flash, sectors, page);
        let keys = first_keys(page);
        ratchets.log.begin(0, keys.as_slice()).await?;
        ratchets.next = Some((0, keys));
        Ok(ratchets)
    }

    /// The next step. When this returns it counts as used, whether or not anybody connects.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn step(&mut self) -> Result<Step, StoreError> {
        let (mut number, mut keys) = match self.next.take() {
            Some(next) => next,
            None => {
                let newest = self.log.newest().await?;
                let mut keys = no_keys();
                keys.iter_mut().zip(rest(&newest.record)).for_each(|(to, from)| *to = *from);
                let mut number = newest.number;
                for _ in 0..newest.lost {
                    (number, keys, _) = advance(number, &keys)?;
                }
                (number, keys)
            }
        };
        let step;
        (number, keys, step) = advance(number, &keys)?;
        let kept = self.log.append(number, keys.as_slice()).await;
        self.next = Some((number, keys));
        kept.map(|()| step)
    }
}

impl<F> fmt::Debug for Ratchets<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ratchets(<redacted>)")
    }
}

fn no_keys() -> Keys {
    Zeroizing::new([0; MAX_PEERS * KEY_BYTES])
}

fn first_keys(page: &KeyPage) -> Keys {
    let mut keys = no_keys();
    let first = page.first_keys();
    let from = first.iter().flat_map(|key| key.expose());
    keys.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    keys
}

/// The keys of a step, and what is left for the next one.
fn advance(number: u64, keys: &Keys) -> Result<(u64, Keys, Step), StoreError> {
    let next = number.checked_add(1).ok_or(StoreError::Exhausted)?;
    let mut left = no_keys();
    let mut step = Step { number, keys: [const { None }; MAX_PEERS] };
    let places = keys.as_chunks::<KEY_BYTES>().0.iter().zip(left.as_chunks_mut::<KEY_BYTES>().0);
    for ((key, left), connection) in places.zip(&mut step.keys) {
        let (next, key) = advance_key(&Key::from_bytes(*key));
        left.clone_from(next.expose());
        *connection = Some(key);
    }
    Ok((next, left, step))
}
