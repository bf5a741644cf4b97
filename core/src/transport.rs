//! A transport that wraps a transport and counts what passes.

use embedded_io_async::{ErrorType, Read, Write};

/// Bytes that went through a transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Bytes written.
    pub sent_bytes: u64,
    /// Bytes read.
    pub received_bytes: u64,
    /// Round trips begun here: times that a reply was read after a message was finished, that is,
    /// flushed.
    pub round_trips: u32,
}

/// How far the message is that is being written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Message {
    #[default]
    None,
    Begun,
    Finished,
}

/// Counts the bytes and round trips of the transport inside.
#[derive(Debug)]
pub struct Counting<T> {
    inner: T,
    counts: Counts,
    message: Message,
}

impl<T> Counting<T> {
    /// Wraps a transport.
    pub fn new(inner: T) -> Self {
        Self { inner, counts: Counts::default(), message: Message::None }
    }

    /// What was counted since the start or the last call.
    pub fn take(&mut self) -> Counts {
        core::mem::take(&mut self.counts)
    }
}

impl<T: ErrorType> ErrorType for Counting<T> {
    type Error = T::Error;
}

impl<T: Read> Read for Counting<T> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        if self.message == Message::Finished {
            self.message = Message::None;
            self.counts.round_trips += 1;
        }
        let read = self.inner.read(buffer).await?;
        self.counts.received_bytes += read as u64;
        Ok(read)
    }
}

impl<T: Write> Write for Counting<T> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.message = Message::Begun;
        let written = self.inner.write(bytes).await?;
        self.counts.sent_bytes += written as u64;
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        if self.message == Message::Begun {
            self.message = Message::Finished;
        }
        self.inner.flush().await
    }
}
