//! One direction of a channel: a key, a count of records, and a new key every so often.

use core::fmt;

use clatter::cipherstate::CipherState;
use clatter::crypto::cipher::ChaChaPoly;

/// Both ends take a new key (Noise revision 34, sections 4.2 and 11.3) after so many records of a
/// direction; the count of nonces goes on. So a key seals at most 512 MB.
pub const REKEY_RECORDS: u32 = 1 << 20;
/// Bytes that sealing adds.
pub const TAG_BYTES: usize = 16;

/// The library refused: a tag is wrong, or there are no nonces left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// The state of a direction; the library wipes its key.
pub(crate) struct Cipher {
    state: CipherState<ChaChaPoly>,
    /// Records until the next key.
    left: u32,
}

impl Cipher {
    pub(crate) fn new(state: CipherState<ChaChaPoly>) -> Self {
        Self { state, left: REKEY_RECORDS }
    }

    /// Seals all of `record` but its last [`TAG_BYTES`], which take the tag.
    #[inline(never)]
    pub(crate) fn seal(&mut self, record: &mut [u8]) -> Result<(), Refused> {
        let plain_bytes = record.len().checked_sub(TAG_BYTES).ok_or(Refused)?;
        let sealed = self.state.encrypt_with_ad_in_place(&[], record, plain_bytes);
        sealed.map_err(|_| Refused)?;
        self.count()
    }

    /// Opens `record`, whose last [`TAG_BYTES`] are the tag. If the tag is wrong, the record stays
    /// as it came.
    #[inline(never)]
    pub(crate) fn open(&mut self, record: &mut [u8]) -> Result<(), Refused> {
        if record.len() < TAG_BYTES {
            return Err(Refused);
        }
        let sealed_bytes = record.len();
        let opened = self.state.decrypt_with_ad_in_place(&[], record, sealed_bytes);
        opened.map_err(|_| Refused)?;
        self.count()
    }

    fn count(&mut self) -> Result<(), Refused> {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.state.rekey().map_err(|_| Refused)?;
            self.left = REKEY_RECORDS;
        }
        Ok(())
    }

    /// As if so many records were left until the next key.
    #[cfg(test)]
    pub(crate) fn set_left(&mut self, left: u32) {
        self.left = left;
    }
}

/// What a handshake is for: a key for each direction. Spent by the channel that is made of it.
pub struct Keys {
    pub(crate) seal: Cipher,
    pub(crate) open: Cipher,
}

impl Keys {
    /// The sealed end of the record that confirms a handshake.
    pub(crate) fn confirm(&mut self) -> Result<[u8; TAG_BYTES], Refused> {
        let mut tag = [0; TAG_BYTES];
        self.seal.seal(&mut tag)?;
        Ok(tag)
    }

    /// Whether this is the peer's.
    pub(crate) fn check_confirmation(&mut self, tag: &[u8; TAG_BYTES]) -> Result<(), Refused> {
        self.open.open(&mut tag.clone())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Cipher, Cipher) {
        let cipher = || Cipher::new(CipherState::new(&[7; 32], 0));
        (cipher(), cipher())
    }

    #[test]
    fn records_go_on_over_a_new_key_and_only_over_the_same() {
        let (mut near, mut far) = pair();
        let (mut late, _) = pair();
        near.set_left(3);
        far.set_left(3);
        late.set_left(4);
        for round in 0..6_u8 {
            let mut record = [round; 20];
            near.seal(&mut record).unwrap();
            let mut copy = record;
            far.open(&mut record).unwrap();
            assert_eq!(record[..4], [round; 4]);
            assert_eq!(late.open(&mut copy).is_ok(), round < 3, "record {round}");
            if round == 2 {
                assert_eq!((near.left, far.left, late.left), (REKEY_RECORDS, REKEY_RECORDS, 1));
            }
        }
    }

    #[test]
    fn what_is_too_short_is_refused() {
        let (mut near, mut far) = pair();
        assert_eq!(near.seal(&mut [0; 15]), Err(Refused));
        assert_eq!(far.open(&mut [0; 15]), Err(Refused));
        assert_eq!(far.open(&mut [0; 16]), Err(Refused));
    }
}
