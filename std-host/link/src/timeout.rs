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
/// message more. [`Timeout::begin_message`] bounds the total time of a message, too. A message that
/// is written, up to its flush, may be held up by the peer for the stall limit and the time that
/// its bytes take at [`SLOWEST`]; our own time between writes does not count. A time-out is an
/// [`io::ErrorKind::TimedOut`].
pub struct Timeout<T> {
    inner: T,
    stall: Duration,
    idle: Option<Duration>,
    /// When the message that is being read must be complete.
    due: Option<Instant>,
    /// How long the peer may still hold up the message that is being written.
    patience: Option<Duration>,
}

impl<T> Timeout<T> {
    /// Wraps a transport.
    pub fn new(inner: T, stall: Duration) -> Self {
        Self { inner, stall, idle: None, due: None, patience: None }
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

    /// As [`Timeout::begin_message`], unless a message has begun already.
    pub fn continue_message(&mut self, total: Duration) {
        self.due.get_or_insert_with(|| Instant::now() + total);
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

/// The time that so many bytes take at [`SLOWEST`].
fn slowly(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64) / SLOWEST
}

impl<T: Read + ErrorType<Error = io::Error>> Read for Timeout<T> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let silence = self.idle.take().unwrap_or(self.stall);
        let left = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        let read = within(left.unwrap_or(silence).min(silence), self.inner.read(buffer)).await?;
        self.due = self.due.map(|due| due + slowly(read));
        Ok(read)
    }
}

impl<T: Write + ErrorType<Error = io::Error>> Write for Timeout<T> {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (patience, start) = (self.patience.unwrap_or(self.stall), Instant::now());
        let written = within(patience.min(self.stall), self.inner.write(bytes)).await?;
        self.patience = Some(patience.saturating_sub(start.elapsed()) + slowly(written));
        Ok(written)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let patience = self.patience.take().unwrap_or(self.stall);
        within(patience.min(self.stall), self.inner.flush()).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::Connection;
    use crate::frame::read_exact;

    const STALL: Duration = Duration::from_secs(30);
    const SECOND: Duration = Duration::from_secs(1);

    /// A peer that sends so many bytes at a time, with a pause before each.
    fn peer(bytes: usize, pause: Duration) -> Connection {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                if far.write_all(&vec![0; bytes]).await.is_err() {
                    break;
                }
            }
        });
        Connection::over(near, STALL)
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_ends_and_a_slow_line_does_not() {
        let start = Instant::now();
        let mut trickle = peer(1, 8 * SECOND).reader;
        trickle.begin_message(STALL);
        trickle.continue_message(1000 * SECOND);
        let error = read_exact(&mut trickle, &mut [0; 1000]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let waited = start.elapsed();
        assert!(waited >= STALL && waited < STALL + SECOND, "{waited:?}");
        // As slow as may be, and longer than the stall limit.
        let mut slow = peer(SLOWEST as usize, SECOND).reader;
        slow.begin_message(STALL);
        read_exact(&mut slow, &mut vec![0; 100 * SLOWEST as usize]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn silence_in_front_of_a_message_is_not_its_own() {
        let mut patient = peer(100, 1000 * SECOND).reader;
        for _ in 0..3 {
            assert!(patient.begins(2000 * SECOND).await.unwrap());
            patient.begin_message(SECOND);
            read_exact(&mut patient, &mut [0; 100]).await.unwrap();
            patient.end_message();
        }
        let error = read_exact(&mut patient, &mut [0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_hardly_reads_ends() {
        let (near, mut far) = tokio::io::duplex(16);
        let mut writer = Connection::over(near, STALL).writer;
        tokio::spawn(async move {
            while far.read_u8().await.is_ok() {
                tokio::time::sleep(8 * SECOND).await;
            }
        });
        let start = Instant::now();
        let write = async {
            writer.write_all(&[0; 100_000]).await?;
            writer.flush().await
        };
        assert_eq!(write.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < 3 * STALL);
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_time_between_writes_does_not_count() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut writer = Connection::over(near, STALL).writer;
        for _ in 0..10 {
            writer.write_all(&[0; 40_000]).await.unwrap();
            tokio::time::sleep(20 * SECOND).await;
        }
        writer.flush().await.unwrap();
        far.read_exact(&mut vec![0; 400_000]).await.unwrap();
    }
}
