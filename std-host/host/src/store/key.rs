//! The key file of a device: 64 bytes, the same as its flash page.
//!
//! ```text
//! "SLTK" | version 1 | 3 zeros | device's name, 16 bytes, zero-padded | key, 32 bytes
//!        | CRC-32 (IEEE) of the 56 bytes before, little-endian | 1 once it was used, 3 zeros
//! ```

use std::fs;
use std::path::Path;

use sharelet_core::keystream::{ChaCha12, Key, KeyId, Keystream};
use sharelet_core::session::wire::control::DeviceId;
use zeroize::Zeroizing;

use super::error::{KeyError, StoreError};
use sharelet_link::files::{FileError, write_file};

/// Bytes of a key file.
pub const KEY_FILE_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"SLTK";
const VERSION: u8 = 1;
const CHECKED_BYTES: usize = 56;

/// A fresh key from the operating system.
///
/// # Errors
/// [`StoreError::Randomness`].
pub fn random_key() -> Result<Key, StoreError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(StoreError::Randomness)?;
    let key = Key::from_bytes(bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(key)
}

/// A device's name and key.
#[derive(Debug)]
pub struct DeviceKey {
    /// The name.
    pub device: DeviceId,
    /// The key that the device shares with the dealer.
    pub key: Key,
    /// Whether a number was used under it. A key without its counter is of no use from then on.
    pub used: bool,
}

impl DeviceKey {
    /// A fresh key from the operating system.
    ///
    /// # Errors
    /// [`StoreError::Randomness`].
    pub fn generate(device: DeviceId) -> Result<Self, StoreError> {
        Ok(Self { device, key: random_key()?, used: false })
    }

    /// The bytes of the file.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<[u8; KEY_FILE_BYTES]> {
        let mut bytes = Zeroizing::new([0; KEY_FILE_BYTES]);
        let (checked, rest) = bytes.split_at_mut(CHECKED_BYTES);
        let fields = [&MAGIC[..], &[VERSION, 0, 0, 0], self.device.as_bytes(), self.key.expose()];
        for (to, from) in checked.iter_mut().zip(fields.into_iter().flatten()) {
            *to = *from;
        }
        let checksum = crc32fast::hash(checked).to_le_bytes();
        let rest_of_page = checksum.into_iter().chain([u8::from(self.used)]);
        rest.iter_mut().zip(rest_of_page).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let bytes: &[u8; KEY_FILE_BYTES] =
            bytes.try_into().map_err(|_| KeyError::Length { found: bytes.len() })?;
        let (checked, rest) = bytes.split_at(CHECKED_BYTES);
        let Some(body) = checked.strip_prefix(&MAGIC) else { return Err(KeyError::NotAKey) };
        if rest.first_chunk() != Some(&crc32fast::hash(checked).to_le_bytes()) {
            return Err(KeyError::Checksum);
        }
        let (version, body) = body.split_first_chunk::<4>().ok_or(KeyError::NotAKey)?;
        if *version != [VERSION, 0, 0, 0] {
            return Err(KeyError::Version { found: version[0] });
        }
        let (device, key) = body.split_first_chunk::<16>().ok_or(KeyError::NotAKey)?;
        let device = DeviceId::from_bytes(*device).ok_or(KeyError::Name)?;
        let key = key.first_chunk::<32>().ok_or(KeyError::NotAKey)?;
        // Whatever is not the mark of a fresh key is the mark of a used one.
        let used = rest.get(4..) != Some(&[0; 4]);
        Ok(Self { device, key: Key::from_bytes(*key), used })
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// [`StoreError::File`] and [`StoreError::Key`].
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let bytes = Zeroizing::new(fs::read(path).map_err(FileError::at(path))?);
        Self::from_bytes(&bytes).map_err(|source| StoreError::Key { path: path.to_owned(), source })
    }

    /// Writes the key file, readable by its owner alone.
    ///
    /// # Errors
    /// [`StoreError::File`].
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        Ok(write_file(path, &[&*self.to_bytes()])?)
    }

    /// The key's public name, the one that the device greets with.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        Keystream::<ChaCha12>::new(&self.key).key_id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DeviceKey {
        DeviceKey {
            device: DeviceId::new("pump-07").expect("a name"),
            key: Key::from_bytes([7; 32]),
            used: false,
        }
    }

    #[test]
    fn a_key_survives_its_file_and_nothing_else_does() {
        let bytes = key().to_bytes();
        let read = DeviceKey::from_bytes(&*bytes).expect("valid");
        assert_eq!(
            (read.device, read.key.expose(), read.key_id()),
            (key().device, &[7; 32], key().key_id())
        );
        let used = DeviceKey { used: true, ..key() }.to_bytes();
        assert_eq!((bytes[..60] == used[..60], used[60..].to_vec()), (true, vec![1, 0, 0, 0]));
        for bit in 60 * 8..64 * 8 {
            let mut marked = *bytes;
            marked[bit / 8] ^= 1 << (bit % 8);
            assert!(DeviceKey::from_bytes(&marked).expect("valid").used, "bit {bit}");
        }
        assert!(!read.used);
        for bit in 0..60 * 8 {
            let mut damaged = *bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 32 { KeyError::NotAKey } else { KeyError::Checksum };
            assert_eq!(DeviceKey::from_bytes(&damaged).err(), Some(expected), "bit {bit}");
        }
        assert_eq!(DeviceKey::from_bytes(&bytes[..63]).err(), Some(KeyError::Length { found: 63 }));
    }

    #[test]
    fn keys_print_redacted() {
        assert_eq!(
            format!("{:?}", key()),
            "DeviceKey { device: DeviceId(pump-07), key: Key(<redacted>), used: false }"
        );
    }
}
