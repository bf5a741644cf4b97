//! The provisioned key page: what the host's `sharelet` writes to a file and a flash tool writes to
//! the device.
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | `SLTK` |
//! | 4 | version, 1 |
//! | 5..8 | zero |
//! | 8..24 | device name, ASCII, padded with zeros |
//! | 24..56 | key |
//! | 56..60 | CRC-32 (IEEE) of bytes 0..56, little-endian |
//! | 60..64 | zero |

use core::fmt;

use sharelet_core::keystream::Key;
use sharelet_core::session::wire::checksum::crc32;
use sharelet_core::session::wire::control::DeviceId;

use crate::board::{Identity, KeyError, KeyStore};

/// Length of a key page.
pub const PAGE_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"SLTK";
const VERSION: u8 = 1;
const CHECKED_BYTES: usize = 56;

/// Reads a key page.
///
/// # Errors
/// [`KeyError`] says what to do.
pub fn read_page(page: &[u8; PAGE_BYTES]) -> Result<Identity, KeyError> {
    let (checked, rest) = page.split_at(CHECKED_BYTES);
    if !checked.starts_with(&MAGIC) {
        return Err(KeyError::Missing);
    }
    if checked.get(MAGIC.len()) != Some(&VERSION) {
        return Err(KeyError::UnknownVersion);
    }
    if rest.first_chunk() != Some(&crc32(checked).to_le_bytes()) {
        return Err(KeyError::Damaged);
    }
    let (Some(id), Some(key)) =
        (checked.get(8..).and_then(<[u8]>::first_chunk), checked.last_chunk())
    else {
        return Err(KeyError::Damaged);
    };
    let id = DeviceId::from_bytes(*id).ok_or(KeyError::BadName)?;
    Ok(Identity::new(id, &Key::from_bytes(*key)))
}

/// A key page as a board read it at start.
pub struct Page(pub [u8; PAGE_BYTES]);

impl KeyStore for Page {
    fn identity(&mut self) -> Result<Identity, KeyError> {
        read_page(&self.0)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        page[..5].copy_from_slice(b"SLTK\x01");
        page[8..12].copy_from_slice(b"dev0");
        page[24..56].copy_from_slice(&[7; 32]);
        let crc = crc32(&page[..56]);
        page[56..60].copy_from_slice(&crc.to_le_bytes());
        page
    }

    #[test]
    fn a_page_is_read() {
        let identity = read_page(&page()).ok();
        assert_eq!(identity.map(|identity| identity.id()), DeviceId::new("dev0"));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        for bit in 0..60 * 8 {
            let mut page = page();
            page[bit / 8] ^= 1 << (bit % 8);
            assert!(read_page(&page).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn an_erased_page_is_missing() {
        assert_eq!(read_page(&[0xFF; PAGE_BYTES]).err(), Some(KeyError::Missing));
    }
}
