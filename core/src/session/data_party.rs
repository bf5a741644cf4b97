//! A data party: it shares its input to two servers, sleeps, and adds up two answers.
//!
//! * Computes: shares of an input `x` for two servers, and the output from their shares of it.
//! * Model: servers that do not collude. Server 0 sees a uniform seed, server 1 uniform words.
//! * Consumes: one number of the party's counter, recorded before a byte is sent; the seed and the
//!   query's number come from the keystream of the party's key at that number, so no random source
//!   is needed and no seed is used twice.
//! * Costs: the input and [`QUERY_OVERHEAD_BYTES`] up, two shares of the output down.
//!
//! ```text
//! to server 0:  s                      h_0 = PRG(s)
//! to server 1:  h_1 = x - PRG(s)
//! from both:    y = y_0 + y_1
//! ```

use core::fmt;

use embedded_io_async::{Error as _, Read, Write};
use zeroize::Zeroize;

use super::p0::Identity;
use super::{SessionCounter, SessionError, flush, write_all};
use crate::keystream::{ChaCha12, Domain, Key, Keystream, Kind, Rounds};
use crate::ring::{Ring, read_le_slice, write_le_slice};
use crate::session::piece::PIECE_ELEMS;
use crate::session::wire::WireError;
use crate::session::wire::query::{
    Half, QUERY_OVERHEAD_BYTES, QueryHeader, QueryId, Reason, Recipient, SEED_BYTES, STATUS_BYTES,
    Status,
};
use crate::session::wire::task::Task;
use crate::share;

/// Bytes of a piece of ring elements: 64 words of 32 bits, or 32 of 64.
const PIECE_BYTES: usize = PIECE_ELEMS * u32::BYTES;
/// An input is shared once under its seed: as session 0.
const SESSION: u64 = 0;

/// Bytes that a query takes upwards, to both servers together.
#[must_use]
pub const fn up_bytes<R: Ring>(inputs: usize) -> usize {
    inputs * R::BYTES + QUERY_OVERHEAD_BYTES
}

/// Bytes of both answers.
#[must_use]
pub const fn down_bytes<R: Ring>(outputs: usize) -> usize {
    2 * outputs * R::BYTES
}

/// `P0`'s share of the input that `seed` stands for.
pub fn expand_seed<C: Rounds, R: Ring>(seed: &Key, share: &mut [R]) {
    share::expand(&Keystream::<C>::new(seed), SESSION, share);
}

/// One question to two servers, in words of the ring that the task names.
pub struct Query<C: Rounds = ChaCha12> {
    seed: Key,
    keystream: Keystream<C>,
    id: QueryId,
    task: Task,
    recipient: Recipient,
}

impl<C: Rounds> Query<C> {
    /// A new question. Its number is recorded as used when this returns, whether or not it is
    /// asked.
    ///
    /// # Errors
    /// [`SessionError::Counter`] if that cannot be promised.
    pub async fn begin(
        identity: &Identity<C>,
        counter: &mut impl SessionCounter,
        task: Task,
        recipient: Recipient,
    ) -> Result<Self, SessionError> {
        let session = counter.next().await?;
        counter.consume(session).await?;
        let block = identity.keystream().block(Domain { session, layer: 0, kind: Kind::Query }, 0);
        let (mut seed, words) = ([0; SEED_BYTES], block.words());
        write_le_slice(words, &mut seed);
        let mut id = [0; 8];
        write_le_slice(words.get(SEED_BYTES / u32::BYTES..).unwrap_or(&[]), &mut id);
        let key = Key::from_bytes(seed);
        seed.zeroize();
        Ok(Self { keystream: Keystream::new(&key), seed: key, id: QueryId(id), task, recipient })
    }

    /// The query's number, which is public.
    #[must_use]
    pub fn id(&self) -> QueryId {
        self.id
    }

    fn header(&self, half: Half) -> QueryHeader {
        QueryHeader { half, recipient: self.recipient, task: self.task.id(), id: self.id }
    }

    /// Server 0's half: the seed.
    ///
    /// # Errors
    /// [`SessionError::Transport`].
    pub async fn send_seed(&self, server_0: &mut impl Write) -> Result<(), SessionError> {
        write_all(server_0, &self.header(Half::Seed).emit()).await?;
        write_all(server_0, self.seed.expose()).await?;
        flush(server_0).await
    }

    /// Server 1's half: `x - PRG(s)` for the input `x`, piece by piece; `input` is replaced by it.
    ///
    /// # Errors
    /// [`SessionError::InputWidth`] before a byte is sent; [`SessionError::Transport`].
    pub async fn send_masked<R: Ring>(
        &self,
        server_1: &mut impl Write,
        input: &mut [R],
    ) -> Result<(), SessionError> {
        let inputs = usize::from(self.task.inputs);
        if input.len() != inputs {
            return Err(SessionError::InputWidth { network: inputs, found: input.len() });
        }
        share::split(&self.keystream, SESSION, input);
        write_all(server_1, &self.header(Half::Masked).emit()).await?;
        let mut bytes = [0; PIECE_BYTES];
        for words in input.chunks(PIECE_BYTES / R::BYTES) {
            let bytes = bytes.get_mut(..size_of_val(words)).unwrap_or(&mut []);
            write_le_slice(words, bytes);
            write_all(server_1, bytes).await?;
        }
        flush(server_1).await
    }

    /// A server's share of the output, added to `answer`: after both servers' it is the output, if
    /// it was zeros before. If the answer goes to the console, the server's word that it waits
    /// there.
    ///
    /// # Errors
    /// [`SessionError::Query`] with the server's reason; [`SessionError::Closed`],
    /// [`SessionError::Transport`]; [`SessionError::AnswerTooWide`] if `answer` has not as many
    /// elements as the task has outputs.
    pub async fn receive<R: Ring>(
        &self,
        server: &mut impl Read,
        answer: &mut [R],
    ) -> Result<(), SessionError> {
        let outputs = usize::from(self.task.outputs);
        if answer.len() != outputs {
            return Err(SessionError::AnswerTooWide { network: outputs, limit: answer.len() });
        }
        let mut bytes = [0; PIECE_BYTES];
        if self.recipient == Recipient::Console {
            let status = bytes.get_mut(..STATUS_BYTES).unwrap_or(&mut []);
            let filled = fill(server, status).await?;
            return match status_of(status, filled) {
                Some(Status::Accepted) => Ok(()),
                Some(Status::Refused(reason)) => Err(SessionError::Query(reason)),
                None if filled < STATUS_BYTES => Err(SessionError::Closed),
                None => Err(WireError::Malformed.into()),
            };
        }
        let mut words = [R::ZERO; PIECE_ELEMS];
        for answer in answer.chunks_mut(PIECE_BYTES / R::BYTES) {
            let bytes = bytes.get_mut(..size_of_val(answer)).unwrap_or(&mut []);
            let filled = fill(server, bytes).await?;
            if filled < bytes.len() {
                return Err(match status_of(bytes, filled) {
                    Some(Status::Refused(reason)) => SessionError::Query(reason),
                    _ => SessionError::Closed,
                });
            }
            let words = words.get_mut(..answer.len()).unwrap_or(&mut []);
            read_le_slice(bytes, words);
            share::open(answer, words);
        }
        Ok(())
    }
}

impl<C: Rounds> Query<C> {
    /// Both servers' replies: the output, added to `answer`, which was zeros before; see
    /// [`Query::receive`].
    ///
    /// # Errors
    /// The server that failed, and why. If server 0 only misses the other one, what that says is
    /// worth more.
    pub async fn receive_both<R: Ring>(
        &self,
        server_0: &mut impl Read,
        server_1: &mut impl Read,
        answer: &mut [R],
    ) -> Result<(), (u8, SessionError)> {
        match self.receive(server_0, answer).await {
            Ok(()) => self.receive(server_1, answer).await.map_err(|error| (1, error)),
            Err(error @ SessionError::Query(Reason::NoPartner | Reason::PeerLost)) => {
                match self.receive(server_1, answer).await {
                    Err(known @ SessionError::Query(reason)) if reason != Reason::NoPartner => {
                        Err((1, known))
                    }
                    _ => Err((0, error)),
                }
            }
            Err(error) => Err((0, error)),
        }
    }
}

/// Reads until `buffer` is full or the server has closed; returns how many bytes came.
async fn fill(server: &mut impl Read, buffer: &mut [u8]) -> Result<usize, SessionError> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match server.read(rest).await.map_err(|error| SessionError::Transport(error.kind()))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// The status that `filled` bytes are, if they are as many.
fn status_of(bytes: &[u8], filled: usize) -> Option<Status> {
    if filled == STATUS_BYTES { Status::parse(*bytes.first_chunk()?) } else { None }
}

impl<C: Rounds> fmt::Debug for Query<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("id", &self.id)
            .field("recipient", &self.recipient)
            .finish_non_exhaustive()
    }
}
