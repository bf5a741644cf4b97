//! Messages between two servers: both send, then both receive, at the same time.

use std::io;

use embedded_io_async::{Read, Write};
use sharelet_core::functions::engine::Link;

use super::frame::read_exact;

/// Messages and bytes that one side sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Exchanges messages over a reader and a writer, and counts them.
#[derive(Debug)]
pub struct Exchange<R, W> {
    reader: R,
    writer: W,
    sent: Sent,
}

impl<R, W> Exchange<R, W> {
    /// An exchange over two halves. The peer's is the other end of both.
    pub const fn new(reader: R, writer: W) -> Self {
        Self { reader, writer, sent: Sent { messages: 0, bytes: 0 } }
    }

    /// What was sent since the start or the last call.
    pub fn take(&mut self) -> Sent {
        core::mem::take(&mut self.sent)
    }

    /// Both halves, for an exchange of a message of so many bytes that is made on them.
    pub const fn counted(&mut self, bytes: usize) -> (&mut R, &mut W) {
        self.sent.messages += 1;
        self.sent.bytes += bytes as u64;
        self.halves()
    }

    /// The halves back.
    pub fn into_halves(self) -> (R, W) {
        (self.reader, self.writer)
    }

    /// Both halves, for messages of another kind in between.
    pub const fn halves(&mut self) -> (&mut R, &mut W) {
        (&mut self.reader, &mut self.writer)
    }
}

impl<R: Read<Error = io::Error>, W: Write<Error = io::Error>> Link for Exchange<R, W> {
    type Error = io::Error;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), io::Error> {
        let Self { reader, writer, sent } = self;
        sent.messages += 1;
        sent.bytes += own.iter().map(|part| part.len() as u64).sum::<u64>();
        let send = async {
            for part in own {
                writer.write_all(part).await?;
            }
            writer.flush().await
        };
        let receive = async {
            for part in peer {
                read_exact(reader, part).await?;
            }
            Ok(())
        };
        tokio::try_join!(send, receive).map(|((), ())| ())
    }
}
