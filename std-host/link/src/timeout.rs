//! Time-outs around a transport: a peer that stops in the middle is told apart from one that has
//! nothing to say yet.

use core::fmt;
use core::time::Duration;
use std::io;

use embedded_io_async::{ErrorType, Read, Write};

/// Bounds how long a read or write may take.
///
/// Normally that is the *stall* limit: the longest silence within a message. Between messages a
/// peer may be silent for longer; [`Timeout::await_message`] grants the first read of the next
/// message more. A time-out is an [`io::ErrorKind::TimedOut`].
pub struct Timeout<T> {
    inner: T,
    stall: Duration,
    idle: Option<Duration>,
}

impl<T> Timeout<T> {
    /// Wraps a transport.
    pub fn new(inner: T, stall: Duration) -> Self {
        Self { inner, stall, idle: None }
    }

    /// The next read, and only that, may take as long as `idle`.
    pub fn await_message(&mut self, idle: Duration) {
        self.idle = Some(idle);
    }

    /// The longest silence within a message.
    pub fn stall(&self) -> Duration {
        self.stall
    }
}

impl<T> fmt::Debug for Timeout<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("stall", &self.stall)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl<T: ErrorType<Error = io::Error>> ErrorType for Timeout<T> {
    type Error = io::Error;
}

async fn within<V>(limit: Duration, step: impl Future<Output = io::Result<V>>) -> io::Result<V> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

impl<T: Read + ErrorType<Error = io::Error>> Read for Timeout<T> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = self.idle.take().unwrap_or(self.stall);
        within(limit, self.inner.read(buffer)).await
    }
}

impl<T: Write + ErrorType<Error = io::Error>> Write for Timeout<T> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        within(self.stall, self.inner.write(bytes)).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        within(self.stall, self.inner.flush()).await
    }
}
