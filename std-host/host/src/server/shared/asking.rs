//! How a query is named without a message of its own: in front of the first message of its session.
//!
//! ```text
//! server 0:  recipient, u8 | query, 8 bytes         then its first message
//! server 1:  0 | query, 8 bytes                     then its first message
//!            128 + recipient, u8 | query, 8 bytes   instead, before it was asked: its guess, and
//!                                                   its first message
//!            reason, u8 | query, 8 bytes            instead: there is no half of it; the session
//!                                                   is spent
//! ```
//!
//! A guess saves the time that server 0's header is under way. If it is wrong, either side sees it
//! in the other's header, and drops the session: what was sent in it is masked by masks that are
//! spent.

use std::io;

use embedded_io_async::Write as _;
use sharelet_core::functions::engine::Link;
use sharelet_core::session::wire::query::{QueryId, Reason, Recipient};

use sharelet_link::exchange::Exchange;
use sharelet_link::frame::read_exact;
use sharelet_link::{Reader, Writer};

/// A guess may wait this long for server 0.
const IDLE: core::time::Duration = core::time::Duration::from_secs(365 * 24 * 3600);
/// Bytes in front of a session's first message.
pub const HEADER_BYTES: usize = 9;

/// A query, as server 0 names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The query.
    pub id: QueryId,
    /// Who gets the answer.
    pub recipient: Recipient,
}

impl Asked {
    fn emit(self) -> [u8; HEADER_BYTES] {
        header(u8::from(self.recipient == Recipient::Console), self.id)
    }

    /// The query that server 0 names.
    ///
    /// # Errors
    /// Bytes that name none.
    pub fn parse(bytes: [u8; HEADER_BYTES]) -> io::Result<Self> {
        let [kind, id @ ..] = bytes;
        let recipient = match kind {
            0 => Recipient::DataParty,
            1 => Recipient::Console,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(Self { id: QueryId(id), recipient })
    }
}

/// Why there was no exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Server 1 has no half of the query; the next session can be used.
    #[error("{0}")]
    Refused(Reason),
    /// Server 1 has guessed another query; the session is spent, the next can be used.
    #[error("the servers began with different queries")]
    Other,
}

/// An exchange whose first message has a header in front.
pub struct Asking<'l> {
    link: &'l mut Exchange<Reader, Writer>,
    first: Option<First<'l>>,
}

impl core::fmt::Debug for Asking<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Asking").field("link", &self.link).finish_non_exhaustive()
    }
}

enum First<'l> {
    /// Server 0: the query is named, and server 1 says whether it has a half. The first byte of
    /// that may be here.
    Ask(Asked, Option<u8>),
    /// Server 1: its half is there.
    Confirm(QueryId),
    /// Server 1: its half is there, and server 0 may ask for it. Called if it does.
    Guess(Asked, &'l mut dyn FnMut()),
}

/// Added to the recipient in a guess.
const GUESS: u8 = 128;

impl<'l> Asking<'l> {
    /// Server 0's link for a query; `early` is the first byte of a guess that has arrived.
    pub const fn ask(
        link: &'l mut Exchange<Reader, Writer>,
        asked: Asked,
        early: Option<u8>,
    ) -> Self {
        Self { link, first: Some(First::Ask(asked, early)) }
    }

    /// Server 1's link for a query that server 0 may ask for; `right` is called if it does.
    pub const fn guess(
        link: &'l mut Exchange<Reader, Writer>,
        asked: Asked,
        right: &'l mut dyn FnMut(),
    ) -> Self {
        Self { link, first: Some(First::Guess(asked, right)) }
    }

    /// Server 1's link for a query that server 0 has named.
    pub const fn confirm(link: &'l mut Exchange<Reader, Writer>, id: QueryId) -> Self {
        Self { link, first: Some(First::Confirm(id)) }
    }
}

const fn header(kind: u8, id: QueryId) -> [u8; HEADER_BYTES] {
    let [a, b, c, d, e, f, g, h] = id.0;
    [kind, a, b, c, d, e, f, g, h]
}

/// Server 1: reads which query the next session is for.
///
/// # Errors
/// The connection's; bytes that name no query.
pub async fn receive(reader: &mut Reader) -> io::Result<Asked> {
    let mut bytes = [0; HEADER_BYTES];
    read_exact(reader, &mut bytes).await?;
    Asked::parse(bytes)
}

/// Server 1: refuses a query, and passes over the first message of `bytes` bytes that came with it.
///
/// # Errors
/// The connection's.
pub async fn refuse(
    link: &mut Exchange<Reader, Writer>,
    id: QueryId,
    reason: Reason,
    mut bytes: usize,
) -> io::Result<()> {
    let (reader, writer) = link.halves();
    writer.write_all(&header(reason as u8, id)).await?;
    writer.flush().await?;
    let mut buffer = [0; 4096];
    while bytes > 0 {
        let part = buffer.get_mut(..bytes.min(4096)).unwrap_or_default();
        read_exact(reader, part).await?;
        bytes -= part.len();
    }
    Ok(())
}

impl Link for Asking<'_> {
    type Error = AskError;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), AskError> {
        let Some(first) = self.first.take() else {
            return Ok(self.link.exchange(own, peer).await?);
        };
        let in_front = match &first {
            First::Ask(asked, _) => asked.emit(),
            First::Confirm(id) => header(0, *id),
            First::Guess(asked, _) => {
                let [recipient, ..] = asked.emit();
                header(GUESS + recipient, asked.id)
            }
        };
        let (reader, writer) =
            self.link.counted(own.iter().map(|part| part.len()).sum::<usize>() + HEADER_BYTES);
        let send = async {
            for part in [in_front.as_slice()].into_iter().chain(own) {
                writer.write_all(part).await?;
            }
            writer.flush().await?;
            Ok::<_, AskError>(())
        };
        let receive = async {
            let agreed = match first {
                First::Ask(asked, early) => answered(reader, asked, early).await?,
                First::Confirm(_) => true,
                First::Guess(guessed, right) => {
                    // Server 0 may have nothing to ask for long.
                    reader.await_message(IDLE);
                    let mut bytes = [0; HEADER_BYTES];
                    read_exact(reader, &mut bytes).await?;
                    let agreed = Asked::parse(bytes)? == guessed;
                    if agreed {
                        right();
                    }
                    agreed
                }
            };
            for part in peer {
                read_exact(reader, part).await?;
            }
            if agreed { Ok(()) } else { Err(AskError::Other) }
        };
        // A refusal must not leave half a message behind: what is sent is sent to its end.
        let (sent, received) = tokio::join!(send, receive);
        sent.and(received)
    }
}

/// Server 0: whether server 1 has begun with the same query.
async fn answered(reader: &mut Reader, asked: Asked, early: Option<u8>) -> Result<bool, AskError> {
    let mut reply = [0; HEADER_BYTES];
    let (first, rest) = reply.split_at_mut(1);
    match early {
        Some(early) => first.fill(early),
        None => read_exact(reader, first).await?,
    }
    read_exact(reader, rest).await?;
    let [kind, id @ ..] = reply;
    let (same, [recipient, ..]) = (QueryId(id) == asked.id, asked.emit());
    match kind {
        GUESS.. => Ok(same && kind == GUESS + recipient),
        0 if same => Ok(true),
        _ => {
            let invalid = || AskError::Io(io::ErrorKind::InvalidData.into());
            Err(Reason::from_number(kind).filter(|_| same).map_or_else(invalid, AskError::Refused))
        }
    }
}
