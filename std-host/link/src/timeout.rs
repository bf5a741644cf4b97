//! Time-outs around a transport: a peer that stops in the middle is told apart from one that has
//! nothing to say yet, and from one that says it a byte at a time.

use core::fmt;
use core::time::Duration;
use std::io;

use embedded_io_async::{BufRead, ErrorType, Read, Write};
use tokio::time::Instant;

/// Bytes per second that a peer must manage over a long message.
pub const SLOWEST: u32 = 16 * 1024;

/// Bounds how long a read or write may take.
///
/// Normally that is the *stall* limit: the longest silence within a message. Between messages a
/// peer may be silent for longer; [`Timeout::await_message`] grants the first read of the next
/// message more. [`Timeout::begin_message`] bounds the total time of a message, too. A time-out is
/// an [`io::ErrorKind::TimedOut`].
pub struct Timeout<T> {
    inner: T,
    stall: Duration,
    idle: Option<Duration>,
    /// When the message that is being read must be complete.
    due: Option<Instant>,
}

impl<T> Timeout<T> {
    /// Wraps a transport.
    pub fn new(inner: T, stall: Duration) -> Self {
        Self { inner, stall, idle: None, due: None }
    }

    /// The next read, and only that, may take as long as `idle`; the message that it begins has no
    /// total time.
    pub fn await_message(&mut self, idle: Duration) {
        self.idle = Some(idle);
        self.due = None;
    }

    /// What is read from here on must be there after `total`, and the time that its bytes take at
    /// [`SLOWEST`]; until [`Timeout::end_message`].
    pub fn begin_message(&mut self, total: Duration) {
        self.due = Some(Instant::now() + total);
    }

    /// What is read from here on has no total time.
    pub fn end_message(&mut self) {
        self.due = None;
    }

    /// The longest silence within a message.
    pub fn stall(&self) -> Duration {
        self.stall
    }
}

impl<T: BufRead + ErrorType<Error = io::Error>> Timeout<T> {
    /// Waits at most `idle` for the first byte of a message, and leaves it there; `false` if the
    /// peer ends the connection instead.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after a longer silence, and what the connection says.
    pub async fn begins(&mut self, idle: Duration) -> io::Result<bool> {
        let begun = tokio::time::timeout(idle, self.inner.fill_buf()).await;
        begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map(|bytes| !bytes.is_empty())
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
        let silence = self.idle.take().unwrap_or(self.stall);
        let left = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        let read = within(left.unwrap_or(silence).min(silence), self.inner.read(buffer)).await?;
        let bytes = u32::try_from(read).unwrap_or(u32::MAX);
        self.due = self.due.map(|due| due + Duration::from_secs(bytes.into()) / SLOWEST);
        Ok(read)
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
