//! A peer that says what it is to say, and hears what it is to hear.

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};

/// What is left of both.
pub struct Script {
    to_say: &'static [u8],
    to_hear: &'static [u8],
}

impl Script {
    /// From the beginning.
    pub fn new(to_say: &'static [u8], to_hear: &'static [u8]) -> Self {
        Self { to_say, to_hear }
    }

    /// Whether all was said and heard.
    pub fn is_complete(&self) -> bool {
        self.to_say.is_empty() && self.to_hear.is_empty()
    }
}

impl ErrorType for Script {
    type Error = ErrorKind;
}

impl Read for Script {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let len = buffer.len().min(self.to_say.len());
        let (said, rest) = self.to_say.split_at(len);
        buffer[..len].copy_from_slice(said);
        self.to_say = rest;
        Ok(len)
    }
}

impl Write for Script {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.to_hear = self.to_hear.strip_prefix(bytes).ok_or(ErrorKind::InvalidData)?;
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
