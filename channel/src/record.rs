//! Records: what a channel carries, one direction at a time, apart from any transport.
//!
//! ```text
//! record:  length of the plaintext, u16 | sealed: plaintext and tag of 16 bytes
//! ```
//!
//! A record of no plaintext closes its direction. (The initiator's first record has none, either:
//! it ends the handshake, and does not come here.)

use zeroize::Zeroize as _;

use crate::cipher::{Cipher, TAG_BYTES};
use crate::error::Error;

/// Most plaintext of a record, in bytes. So much the reader of either side holds.
pub const MAX_RECORD_BYTES: usize = 512;
/// What comes before a sealed record without plaintext.
pub(crate) const NO_PLAINTEXT: [u8; HEADER_BYTES] = [0; HEADER_BYTES];
/// Bytes before what is sealed.
const HEADER_BYTES: usize = 2;
/// Most bytes of a record on the wire.
const RECORD_BYTES: usize = HEADER_BYTES + MAX_RECORD_BYTES + TAG_BYTES;

/// A record on the wire. What is sealed begins at a word, as ciphers like it.
#[repr(C, align(4))]
struct Record {
    _before: [u8; 4 - HEADER_BYTES],
    bytes: [u8; RECORD_BYTES],
}

impl Record {
    #[inline]
    const fn new() -> Self {
        Self { _before: [0; 4 - HEADER_BYTES], bytes: [0; RECORD_BYTES] }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.bytes.iter_mut().zeroize();
    }
}

/// Copies as much as there is room for; returns how much that is, in bytes.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    from.len().min(to.len())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The peer has closed this direction.
    Ended,
    /// For good: whatever comes now, nothing is handed out.
    Failed(Error),
}

/// The direction in which this side receives.
pub(crate) struct Opening {
    cipher: Cipher,
    record: Record,
    /// Bytes of the record that have come.
    filled: usize,
    /// The opened bytes that have not been handed out.
    ready: (usize, usize),
    state: State,
}

impl Opening {
    #[inline]
    pub(crate) fn new(cipher: Cipher) -> Self {
        Self { cipher, record: Record::new(), filled: 0, ready: (0, 0), state: State::Open }
    }

    /// The opened bytes that were not handed out.
    pub(crate) fn opened(&self) -> &[u8] {
        let (start, end) = self.ready;
        self.record.bytes.get(start..end).unwrap_or_default()
    }

    /// So many of them are handed out.
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.ready.0 = self.ready.0.saturating_add(bytes).min(self.ready.1);
    }

    /// Hands out opened bytes; 0 if there are none.
    pub(crate) fn take(&mut self, out: &mut [u8]) -> usize {
        let taken = copy(self.opened(), out);
        self.consume(taken);
        taken
    }

    /// The bytes that the record is long, as far as that is known.
    fn due_bytes(&self) -> usize {
        if self.filled < HEADER_BYTES {
            HEADER_BYTES
        } else {
            HEADER_BYTES + usize::from(self.plain_bytes()) + TAG_BYTES
        }
    }

    fn plain_bytes(&self) -> u16 {
        let [low, high, ..] = self.record.bytes;
        u16::from_le_bytes([low, high])
    }

    /// Where the next bytes from the peer belong; `None` after its close record.
    ///
    /// Bytes that were handed out before are overwritten: first take them.
    pub(crate) fn room(&mut self) -> Result<Option<&mut [u8]>, Error> {
        match self.state {
            State::Failed(error) => Err(error),
            State::Ended => Ok(None),
            State::Open => {
                let due_bytes = self.due_bytes();
                Ok(Some(self.record.bytes.get_mut(self.filled..due_bytes).unwrap_or_default()))
            }
        }
    }

    /// So many bytes have come to where they belong; none if the connection has ended.
    #[inline(never)]
    pub(crate) fn received(&mut self, bytes: usize) -> Result<(), Error> {
        if bytes == 0 {
            return self.fail(Error::Truncated);
        }
        self.filled = self.filled.saturating_add(bytes).min(self.due_bytes());
        if self.filled < HEADER_BYTES {
            return Ok(());
        }
        let bytes = self.plain_bytes();
        if usize::from(bytes) > MAX_RECORD_BYTES {
            return self.fail(Error::RecordLength { bytes });
        }
        if self.filled == self.due_bytes() { self.open(usize::from(bytes)) } else { Ok(()) }
    }

    fn open(&mut self, plain_bytes: usize) -> Result<(), Error> {
        let sealed = self.record.bytes.get_mut(HEADER_BYTES..self.filled).unwrap_or_default();
        let opened = self.cipher.open(sealed);
        self.filled = 0;
        match (opened, plain_bytes) {
            (Err(_), _) => return self.fail(Error::Record),
            (Ok(()), 0) => self.state = State::Ended,
            (Ok(()), _) => self.ready = (HEADER_BYTES, HEADER_BYTES + plain_bytes),
        }
        Ok(())
    }

    fn fail(&mut self, error: Error) -> Result<(), Error> {
        self.state = State::Failed(error);
        Err(error)
    }

    #[cfg(test)]
    pub(crate) fn cipher(&mut self) -> &mut Cipher {
        &mut self.cipher
    }
}

/// The direction in which this side sends.
pub(crate) struct Sealing {
    cipher: Cipher,
    record: Record,
    /// Bytes of plaintext that wait to be sealed.
    collected: usize,
    /// The sealed bytes that have not been sent.
    unsent: (usize, usize),
    closed: bool,
}

impl Sealing {
    #[inline]
    pub(crate) fn new(cipher: Cipher) -> Self {
        let record = Record::new();
        Self { cipher, record, collected: 0, unsent: (0, 0), closed: false }
    }

    /// Takes as many bytes as there is room for in a record: none as long as a sealed one is
    /// unsent.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        if self.closed {
            return Err(Error::Finished);
        }
        if !self.unsent().is_empty() {
            return Ok(0);
        }
        let end = HEADER_BYTES + MAX_RECORD_BYTES;
        let start = HEADER_BYTES.saturating_add(self.collected);
        let put = copy(bytes, self.record.bytes.get_mut(start..end).unwrap_or_default());
        self.collected = self.collected.saturating_add(put);
        Ok(put)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.collected >= MAX_RECORD_BYTES
    }

    /// Seals what was collected, if anything was.
    pub(crate) fn seal(&mut self) -> Result<(), Error> {
        if self.collected == 0 { Ok(()) } else { self.seal_record() }
    }

    /// Seals the record that closes this direction, once, when everything else was sealed and sent.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        if !self.closed && self.collected == 0 && self.unsent().is_empty() {
            self.seal_record()?;
            self.closed = true;
        }
        Ok(())
    }

    #[inline(never)]
    fn seal_record(&mut self) -> Result<(), Error> {
        let end = HEADER_BYTES.saturating_add(self.collected).saturating_add(TAG_BYTES);
        let sealed = self.record.bytes.get_mut(HEADER_BYTES..end).unwrap_or_default();
        self.cipher.seal(sealed).map_err(|_| Error::Exhausted)?;
        let plain_bytes = u16::try_from(self.collected).unwrap_or(u16::MAX);
        copy(&plain_bytes.to_le_bytes(), &mut self.record.bytes);
        self.collected = 0;
        self.unsent = (0, end);
        Ok(())
    }

    /// The sealed bytes that are to be sent.
    pub(crate) fn unsent(&self) -> &[u8] {
        let (start, end) = self.unsent;
        self.record.bytes.get(start..end).unwrap_or_default()
    }

    /// So many of them were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.unsent.0 = self.unsent.0.saturating_add(bytes);
    }

    #[cfg(test)]
    pub(crate) fn cipher(&mut self) -> &mut Cipher {
        &mut self.cipher
    }
}
