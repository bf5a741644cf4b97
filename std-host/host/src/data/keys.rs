//! Keys by which rows of several owners are joined: servers see them hashed under a secret that
//! only the owners have.
//!
//! ```text
//! hash = first 16 bytes of HMAC-SHA-256(secret, text)
//! text = "sharelet key 1" | 0 | length of the dataset's name, u64 | name | key
//! ```
//!
//! Without the secret nobody tries keys out. The dataset's name is hashed along, so that rows of
//! different datasets cannot be recognised in one another.

use std::collections::HashMap;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::DataError;
use super::name::Name;
use super::select::read;

/// Bytes of a hashed key.
pub const KEY_HASH_BYTES: usize = 16;
/// Fewest bytes of a secret.
pub const MIN_SECRET_BYTES: usize = 16;

/// A key, hashed.
pub type KeyHash = [u8; KEY_HASH_BYTES];

/// What the owners of a dataset share, and servers do not know.
pub struct KeySecret(Zeroizing<Vec<u8>>);

impl core::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("KeySecret(<redacted>)")
    }
}

impl KeySecret {
    /// The bytes of a file, all of them.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::KeySecret`] if there are fewer than [`MIN_SECRET_BYTES`].
    pub fn load(path: &Path) -> Result<Self, DataError> {
        let bytes = Zeroizing::new(read(path)?);
        let found = bytes.len();
        Self::new(bytes).ok_or(DataError::KeySecret {
            path: path.to_owned(),
            found,
            least: MIN_SECRET_BYTES,
        })
    }

    /// A secret of at least [`MIN_SECRET_BYTES`].
    #[must_use]
    pub fn new(bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        (bytes.len() >= MIN_SECRET_BYTES).then_some(Self(bytes))
    }

    /// Keys as servers see them.
    #[must_use]
    pub fn hash(&self, dataset: &Name, keys: &[String]) -> Vec<KeyHash> {
        // HMAC takes secrets of any length.
        let Ok(mut prefix) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Vec::new() };
        let name = dataset.as_str().as_bytes();
        prefix.update(b"sharelet key 1\0");
        prefix.update(&(name.len() as u64).to_le_bytes());
        prefix.update(name);
        let hash = |key: &String| {
            let mut mac = prefix.clone();
            mac.update(key.as_bytes());
            let digest: [u8; 32] = mac.finalize().into_bytes().into();
            digest.first_chunk().copied().unwrap_or_default()
        };
        keys.iter().map(hash).collect()
    }
}

/// Refuses keys that occur twice.
pub(super) fn distinct(path: &Path, keys: &[String]) -> Result<(), DataError> {
    let mut seen = HashMap::with_capacity(keys.len());
    for (key, row) in keys.iter().zip(1..) {
        if let Some(first) = seen.insert(key, row) {
            return Err(DataError::KeyTwice { path: path.to_owned(), first, second: row });
        }
    }
    Ok(())
}
