//! Server 0's lanes: connections to server 1, on each of which a session is prepared and waits for
//! a query. What fails is tried again, after a pause that grows.

use core::time::Duration;
use std::sync::Arc;

use embedded_io_async::{ErrorKind, Read as _};
use sharelet_core::session::SessionError;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::peer::{PeerError, Settings};
use super::pool::Pool;
use sharelet_link::Reader;

/// A prepared session may wait this long for a query.
const IDLE: Duration = Duration::from_secs(365 * 24 * 3600);

/// A server 0, which keeps lanes.
pub trait Lanes {
    /// Words of the model's ring.
    type Word;

    /// Where server 1 is.
    fn settings(&self) -> &Settings;

    /// The prepared sessions.
    fn pool(&self) -> &Pool<Self::Word>;

    /// One connection: greetings, then session after session until `stop`; counts them in
    /// `sessions`.
    ///
    /// # Errors
    /// [`PeerError`] of whatever ends it.
    fn lane(
        &self,
        number: usize,
        sessions: &mut u64,
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<(), PeerError>>;
}

/// Lane `number` for ever, with pauses after failures; returns when no further attempt can help, or
/// after `stop`.
///
/// # Errors
/// [`PeerError`] that does not pass.
pub async fn keep<L: Lanes>(
    server: &L,
    number: usize,
    stop: &CancellationToken,
) -> Result<(), PeerError> {
    let pauses = server.settings().pauses;
    let mut attempts = pauses.attempts(None);
    loop {
        let mut sessions = 0;
        let error = match server.lane(number, &mut sessions, stop).await {
            Ok(()) => return Ok(()),
            Err(error) if !error.is_passing() => return Err(error),
            Err(error) => error,
        };
        server.pool().note(Some(error.reason()));
        if sessions > 0 {
            attempts.worked();
        }
        let pause = attempts.failed().unwrap_or(pauses.longest);
        // One log of what concerns all is enough.
        if number == 0 {
            tracing::warn!("{error}; next attempt in {} ms", pause.as_millis());
        } else {
            tracing::debug!("lane {number}: {error}");
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Keeps all lanes until all have ended, or one cannot go on. They compute for long, so they have
/// threads of their own; they end when this future is dropped.
///
/// # Errors
/// [`PeerError`] of the first that cannot.
pub async fn on_threads<L: Lanes + Send + Sync + 'static>(
    server: &Arc<L>,
    stop: &CancellationToken,
) -> Result<(), PeerError> {
    let (mut lanes, runtime) = (JoinSet::new(), Handle::current());
    let stop = stop.child_token();
    let _ends = stop.clone().drop_guard();
    for number in 0..server.settings().lanes.max(1) {
        let (server, stop, runtime) = (server.clone(), stop.clone(), runtime.clone());
        lanes.spawn_blocking(move || runtime.block_on(keep(&*server, number, &stop)));
    }
    all(lanes).await
}

/// Waits until all lanes have ended, or one cannot go on.
///
/// # Errors
/// [`PeerError`] of the first that cannot.
pub async fn all(mut lanes: JoinSet<Result<(), PeerError>>) -> Result<(), PeerError> {
    while let Some(ended) = lanes.join_next().await {
        ended.unwrap_or_else(|_| Err(SessionError::Transport(ErrorKind::Other).into()))?;
    }
    Ok(())
}

/// Waits for the first byte that the other server says while a session waits for a query; `None` if
/// it ends the connection.
pub async fn said(reader: &mut Reader) -> Option<u8> {
    let mut first = [0; 1];
    reader.await_message(IDLE);
    matches!(reader.read(&mut first).await, Ok(1)).then_some(first[0])
}
