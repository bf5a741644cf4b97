//! A line between two parties that are there, on which what one of them says is changed from some
//! byte on: so the other hears any bytes in any state, also where what is said depends on
//! randomness of both.

use core::cell::Cell;
use core::time::Duration;

use sharelet_link::Connection;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

/// Bytes that are kept of what was said.
const MOST_FIRST: usize = 256;

/// What is done to what a party says.
#[derive(Clone, Copy, Debug)]
pub struct Change<'b> {
    /// The first byte that is changed.
    pub at: usize,
    /// What stands there instead.
    pub bytes: &'b [u8],
    /// Whether nothing more is said behind it.
    pub ends: bool,
}

impl<'b> Change<'b> {
    /// A byte for how it ends, four for where it begins, and the rest.
    pub fn parse(bytes: &'b [u8]) -> Option<Self> {
        let (ends, rest) = bytes.split_first()?;
        let (at, bytes) = rest.split_first_chunk()?;
        Some(Self { at: u32::from_le_bytes(*at) as usize, bytes, ends: ends % 2 == 1 })
    }

    /// As it is parsed.
    pub fn emit(&self) -> Vec<u8> {
        let at = (self.at as u32).to_le_bytes();
        [&[u8::from(self.ends)][..], &at, self.bytes].concat()
    }

    /// What becomes of `said`, which is said from byte `from` on; whether that is the end.
    fn apply(&self, from: usize, said: &mut Vec<u8>) -> bool {
        let end = self.at.saturating_add(self.bytes.len());
        let changed = said.iter_mut().zip(from..).filter(|(_, at)| (self.at..end).contains(at));
        changed.for_each(|(byte, at)| *byte = self.bytes[at - self.at]);
        // Also where more is said than was ever said.
        let over = self.ends && from + said.len() >= self.at;
        if over {
            said.truncate(self.at.saturating_sub(from));
            let rest = from.saturating_sub(self.at).min(self.bytes.len());
            said.extend_from_slice(&self.bytes[rest..]);
        }
        over
    }
}

/// What one has said, before it was changed.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The first bytes.
    pub first: Vec<u8>,
    /// All bytes.
    pub bytes: usize,
    /// Where its pieces end.
    pub ends: Vec<usize>,
}

impl Said {
    fn add(&mut self, said: &[u8]) {
        let room = MOST_FIRST.saturating_sub(self.first.len()).min(said.len());
        self.first.extend_from_slice(&said[..room]);
        self.bytes += said.len();
        self.ends.push(self.bytes);
    }
}

/// The far end of a connection.
#[derive(Debug)]
pub struct Far {
    hears: DuplexStream,
    tells: DuplexStream,
}

/// A connection whose writer ends what is said when it is dropped, as that of a socket does.
pub fn connection(stall: Duration) -> (Connection, Far) {
    let [(reader, tells), (writer, hears)] = [(); 2].map(|()| tokio::io::duplex(1 << 20));
    (Connection::new(reader, writer, stall), Far { hears, tells })
}

/// What has been said on all lines of a room.
#[derive(Debug, Default)]
pub struct Traffic(Cell<u64>);

impl Traffic {
    /// Waits until nothing was said for so long.
    pub async fn ceases(&self, quiet: Duration) {
        loop {
            let before = self.0.get();
            tokio::time::sleep(quiet).await;
            if self.0.get() == before {
                return;
            }
        }
    }

    /// Carries what one says to the other, perhaps changed, to its end.
    async fn carry(
        &self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
        change: Option<Change<'_>>,
    ) -> Said {
        let (mut all, mut buffer) = (Said::default(), vec![0; 1 << 16]);
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            self.0.set(self.0.get() + 1);
            let mut said = buffer[..length].to_vec();
            let over = change.is_some_and(|change| change.apply(all.bytes, &mut said));
            all.add(&buffer[..length]);
            if to.write_all(&said).await.is_err() || over {
                break;
            }
        }
        // It may be gone.
        let _ = to.shutdown().await;
        all
    }

    /// Carries what two say to each other, each perhaps changed, until both have ended.
    pub async fn between(
        &self,
        one: impl AsyncRead + AsyncWrite + Unpin,
        Far { hears, tells }: Far,
        changes: [Option<Change<'_>>; 2],
    ) -> [Said; 2] {
        let (hears_one, tells_one) = tokio::io::split(one);
        let forth = self.carry(hears_one, tells, changes[0]);
        let back = self.carry(hears, tells_one, changes[1]);
        <[Said; 2]>::from(tokio::join!(forth, back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_changed_where_it_should_be_however_it_is_cut() {
        let changed = |ends, at, pieces: &[&[u8]]| {
            let (change, mut from, mut all) = (Change { at, bytes: b"XY", ends }, 0, Vec::new());
            for piece in pieces {
                let mut said = piece.to_vec();
                let over = change.apply(from, &mut said);
                from += piece.len();
                all.extend_from_slice(&said);
                if over {
                    break;
                }
            }
            all
        };
        assert_eq!(changed(false, 1, &[b"abcd"]), b"aXYd");
        assert_eq!(changed(false, 1, &[b"ab", b"cd"]), b"aXYd");
        assert_eq!(changed(false, 3, &[b"ab", b"cd"]), b"abcX");
        assert_eq!(changed(true, 1, &[b"abcd"]), b"aXY");
        assert_eq!(changed(true, 3, &[b"ab", b"cd", b"e"]), b"abcXY");
        assert_eq!(changed(true, 2, &[b"ab", b"cd"]), b"abXY");
        let change = Change { at: 7, bytes: b"ab", ends: true };
        let parsed = Change::parse(&change.emit()).map(|change| change.emit());
        assert_eq!(parsed, Some(change.emit()));
    }
}
