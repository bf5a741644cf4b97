//! Greetings between two servers, and between a server and a console.
//!
//! Server 0 opens a connection with its [`ServerHello`], server 1 answers with its own if both
//! belong together; then both go on as device and host do ([`super::p0`], [`super::p1`]). Ahead of
//! the input of a session goes [`Evaluate`], in the same flight.

use embedded_io_async::{Read, Write};

use super::{
    SessionError, check_refusal, expect_control, first_frame, read_control, read_control_body,
    read_exact, refuse, write_all, write_bulk_header, write_control_body,
};
use crate::ring::Ring;
use crate::session::wire::WireError;
use crate::session::wire::control::{self, MAX_CONTROL_BYTES, Refusal};
use crate::session::wire::frame::{HEADER_BYTES, Header, Kind};
use crate::session::wire::query::QueryId;
use crate::session::wire::servers::{
    ConsoleHello, Evaluate, ServerHello, parse_console_hello, parse_server_hello,
};

/// Bytes of a query's number.
const ID_BYTES: usize = 8;

/// Sends a greeting.
///
/// # Errors
/// [`SessionError`].
pub async fn greet(io: &mut impl Write, hello: &ServerHello) -> Result<(), SessionError> {
    send_greeting(io, Kind::Server, hello).await
}

/// Sends a console's greeting.
///
/// # Errors
/// [`SessionError`].
pub async fn greet_as_console(
    io: &mut impl Write,
    hello: &ConsoleHello,
) -> Result<(), SessionError> {
    send_greeting(io, Kind::Console, hello).await
}

async fn send_greeting<T: serde::Serialize>(
    io: &mut impl Write,
    kind: Kind,
    hello: &T,
) -> Result<(), SessionError> {
    let mut buffer = [0; MAX_CONTROL_BYTES];
    let used = control::emit_handshake(hello, &mut buffer).ok_or(WireError::Malformed)?;
    write_control_body(io, kind, buffer.get(..used).unwrap_or(&[])).await
}

/// Reads a server's greeting.
///
/// # Errors
/// [`SessionError`], also the server's refusal.
pub async fn receive_server_hello(io: &mut impl Read) -> Result<ServerHello, SessionError> {
    let mut buffer = [0; MAX_CONTROL_BYTES];
    Ok(parse_server_hello(read_control(io, Kind::Server, &mut buffer).await.map_err(first_frame)?)?)
}

/// What a connection that is no data party's wants of a server.
#[derive(Debug)]
pub enum Opening {
    /// It comes from a server.
    Server(ServerHello),
    /// It comes from a console.
    Console(ConsoleHello),
}

/// Reads the first message of a connection, whose header was read already.
///
/// # Errors
/// [`SessionError`], also the peer's refusal.
pub async fn receive_opening(
    io: &mut impl Read,
    header: [u8; HEADER_BYTES],
) -> Result<Opening, SessionError> {
    let header = Header::parse(header).map_err(|_| WireError::NotSharelet)?;
    let header = check_refusal(io, header).await?;
    let mut buffer = [0; MAX_CONTROL_BYTES];
    if header.kind == Kind::Console {
        expect_control(header, Kind::Console)?;
        return Ok(Opening::Console(parse_console_hello(
            read_control_body(io, header, &mut buffer).await?,
        )?));
    }
    expect_control(header, Kind::Server)?;
    Ok(Opening::Server(parse_server_hello(read_control_body(io, header, &mut buffer).await?)?))
}

/// Why two servers do not belong together, said by the one that compares.
#[must_use]
pub fn objection(ours: &ServerHello, theirs: &ServerHello) -> Option<Refusal> {
    if ours.party == theirs.party {
        return Some(Refusal::SameParty { ours: ours.party });
    }
    ours.task.difference(&theirs.task).map(|field| Refusal::TaskMismatch { field })
}

/// Server 0's side of the greeting. Both sides compare, and either tells the other.
///
/// # Errors
/// [`SessionError::Refused`] names what differs.
pub async fn connect<T: Read + Write>(
    io: &mut T,
    ours: &ServerHello,
) -> Result<ServerHello, SessionError> {
    greet(io, ours).await?;
    let theirs = receive_server_hello(io).await?;
    if let Some(refusal) = objection(ours, &theirs) {
        // The reason matters more than whether it still reaches the other server.
        let _ = refuse(io, refusal).await;
        return Err(SessionError::Refused(refusal));
    }
    Ok(theirs)
}

/// Server 0, ahead of a session's input: which query it belongs to. Leaves with the input.
///
/// # Errors
/// [`SessionError`].
pub async fn evaluate(io: &mut impl Write, query: &Evaluate) -> Result<(), SessionError> {
    let mut buffer = [0; MAX_CONTROL_BYTES];
    let used = control::emit(query, &mut buffer).ok_or(WireError::Malformed)?;
    write_bulk_header(io, Kind::Evaluate, 0, used).await?;
    write_all(io, buffer.get(..used).unwrap_or(&[])).await
}

/// Server 1: which query the next input belongs to; `None` if server 0 closed the connection
/// instead.
///
/// # Errors
/// [`SessionError`].
pub async fn receive_evaluate(io: &mut impl Read) -> Result<Option<Evaluate>, SessionError> {
    let mut header = [0; HEADER_BYTES];
    let (first, rest) = header.split_at_mut(1);
    match read_exact(io, first).await {
        Err(SessionError::Closed) => return Ok(None),
        other => other?,
    }
    read_exact(io, rest).await?;
    let header = check_refusal(io, Header::parse(header)?).await?;
    expect_control(header, Kind::Evaluate)?;
    let mut buffer = [0; MAX_CONTROL_BYTES];
    Ok(Some(control::parse(read_control_body(io, header, &mut buffer).await?)?))
}

/// Server to console: a share of an answer.
///
/// # Errors
/// [`SessionError`].
pub async fn deliver<R: Ring>(
    io: &mut impl Write,
    id: QueryId,
    share: &[R],
) -> Result<(), SessionError> {
    write_bulk_header(io, Kind::Deliver, 0, ID_BYTES + size_of_val(share)).await?;
    write_all(io, &id.0).await?;
    super::p1::send_words(io, share).await?;
    super::flush(io).await
}

/// Console: the next share, as long as `share`; the server may be silent for long.
///
/// # Errors
/// [`SessionError`], also the server's refusal.
pub async fn receive_delivery<R: Ring>(
    io: &mut impl Read,
    share: &mut [R],
) -> Result<QueryId, SessionError> {
    super::expect_bulk(io, Kind::Deliver, 0, ID_BYTES + size_of_val(share)).await?;
    let mut id = [0; ID_BYTES];
    read_exact(io, &mut id).await?;
    super::p1::receive_words(io, share).await?;
    Ok(QueryId(id))
}

/// Console to server: the share of this query need not be kept.
///
/// # Errors
/// [`SessionError`].
pub async fn confirm(io: &mut impl Write, id: QueryId) -> Result<(), SessionError> {
    write_bulk_header(io, Kind::Delivered, 0, ID_BYTES).await?;
    write_all(io, &id.0).await?;
    super::flush(io).await
}

/// Server: the query whose share the console has.
///
/// # Errors
/// [`SessionError`].
pub async fn receive_confirmation(io: &mut impl Read) -> Result<QueryId, SessionError> {
    super::expect_bulk(io, Kind::Delivered, 0, ID_BYTES).await?;
    let mut id = [0; ID_BYTES];
    read_exact(io, &mut id).await?;
    Ok(QueryId(id))
}

/// A share of an answer as a data party gets it: its bytes and nothing else.
///
/// # Errors
/// [`SessionError`].
pub async fn answer<R: Ring>(io: &mut impl Write, share: &[R]) -> Result<(), SessionError> {
    super::p1::send_words(io, share).await?;
    super::flush(io).await
}
