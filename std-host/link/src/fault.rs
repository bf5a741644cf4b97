//! A transport that wraps a transport and misbehaves, with a seed, so that a failure can be
//! repeated.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What happens to the bytes that are written, counted from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The connection is closed after this many bytes.
    Cut(u64),
    /// The bytes after this many vanish, and the connection stays open.
    Stall(u64),
    /// One bit of this byte is flipped; the seed decides which.
    Flip(u64),
    /// This byte vanishes.
    Drop(u64),
    /// This byte arrives twice.
    Duplicate(u64),
}

impl Fault {
    /// A fault within the first `within` bytes.
    #[must_use]
    pub fn random(seed: u64, within: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let at = rng.next_u64() % within.max(1);
        match rng.next_u32() % 5 {
            0 => Self::Cut(at),
            1 => Self::Stall(at),
            2 => Self::Flip(at),
            3 => Self::Drop(at),
            _ => Self::Duplicate(at),
        }
    }
}

/// Writes with a [`Fault`].
#[derive(Debug)]
pub struct FaultyWriter<W> {
    inner: W,
    fault: Fault,
    bit: u32,
    position: u64,
    pending: Vec<u8>,
    cut: bool,
}

impl<W> FaultyWriter<W> {
    /// Wraps a writer.
    pub fn new(inner: W, fault: Fault, seed: u64) -> Self {
        let bit = ChaCha8Rng::seed_from_u64(seed).next_u32() % 8;
        Self { inner, fault, bit, position: 0, pending: Vec::new(), cut: false }
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let position = self.position;
            self.position += 1;
            match self.fault {
                Fault::Cut(at) if position >= at => self.cut = true,
                Fault::Stall(at) if position >= at => {}
                Fault::Drop(at) if position == at => {}
                Fault::Flip(at) if position == at => self.pending.push(byte ^ 1 << self.bit),
                Fault::Duplicate(at) if position == at => self.pending.extend([byte, byte]),
                _ => self.pending.push(byte),
            }
        }
    }
}

impl<W: AsyncWrite + Unpin> FaultyWriter<W> {
    fn poll_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        if self.cut {
            Pin::new(&mut self.inner).poll_shutdown(context)
        } else {
            Poll::Ready(Ok(()))
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for FaultyWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(context))?;
        self.take(bytes);
        // What cannot leave now leaves before the next write, or at the flush.
        match self.poll_pending(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Reads a few bytes at a time.
#[derive(Debug)]
pub struct ShortReader<R> {
    inner: R,
    rng: ChaCha8Rng,
}

impl<R> ShortReader<R> {
    /// Wraps a reader; a read gives 1 to 7 bytes.
    pub fn new(inner: R, seed: u64) -> Self {
        Self { inner, rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for ShortReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let most = 1 + (self.rng.next_u32() % 7) as usize;
        let mut bytes = [0; 7];
        let mut few =
            ReadBuf::new(bytes.get_mut(..most.min(buffer.remaining())).unwrap_or(&mut []));
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut few))?;
        buffer.put_slice(few.filled());
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn through(fault: Fault) -> Vec<u8> {
        let (near, far) = tokio::io::duplex(3);
        let mut writer = FaultyWriter::new(near, fault, 5);
        let write = async move {
            let _ = writer.write_all(b"0123456789").await;
            let _ = writer.flush().await;
        };
        let mut received = Vec::new();
        let mut reader = ShortReader::new(far, 9);
        let read = async { reader.read_to_end(&mut received).await };
        let (_, read) = tokio::join!(write, read);
        read.expect("reads");
        received
    }

    #[tokio::test]
    async fn every_fault_does_what_it_says() {
        assert_eq!(through(Fault::None).await, b"0123456789");
        assert_eq!(through(Fault::Cut(4)).await, b"0123");
        assert_eq!(through(Fault::Stall(4)).await, b"0123");
        assert_eq!(through(Fault::Drop(4)).await, b"012356789");
        assert_eq!(through(Fault::Duplicate(4)).await, b"01234456789");
        let flipped = through(Fault::Flip(4)).await;
        assert_eq!(
            flipped.iter().zip(b"0123456789").map(|(a, b)| (a ^ b).count_ones()).sum::<u32>(),
            1
        );
        assert_eq!(Fault::random(3, 10), Fault::random(3, 10));
    }
}
