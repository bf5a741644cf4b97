//! An emulated wide-area link: what is written leaves at a bandwidth and arrives a delay later.
//!
//! The link is on the sending side: it shapes what the program that has it *sends*, for every
//! connection on its own, and leaves what it receives alone. Where both ends have it, either
//! direction is shaped once, as on a real line; where one end has it, that end's sends are, and the
//! answers come back at once.
//!
//! A writer does not wait for the delay. It waits when more is under way than the line and
//! [`QUEUE_BYTES`] of queue hold. Opening a connection takes no time, and nothing is lost or
//! reordered. Timers count milliseconds: a byte arrives up to one late, never early, and these do
//! not add up along a stream.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

/// Bytes that wait to leave before writers wait, beyond what is on the line.
pub const QUEUE_BYTES: usize = 256 * 1024;
/// Bytes on a line without a bandwidth before writers wait.
pub const UNLIMITED_BYTES: usize = 64 * 1024 * 1024;
/// The longest delay; a longer one counts as this.
pub const MAX_DELAY: Duration = Duration::from_secs(60);
/// The most bytes under way, whatever delay and bandwidth say: they are in memory.
pub const MAX_BYTES: usize = 1 << 30;

/// Bytes that arrive together, once the last of them has.
const PIECE_BYTES: usize = 4096;
/// Bytes that are handed on at a time.
const BATCH_BYTES: usize = 64 * 1024;
/// How long bytes wait for a peer that takes none of them, after the writer is gone.
const LINGER: Duration = Duration::from_secs(10);

/// One direction of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wan {
    /// From the last bit's departure to its arrival; at most [`MAX_DELAY`].
    pub delay: Duration,
    /// Bits per second; `None` for any number.
    pub bandwidth_bits: Option<u64>,
}

impl fmt::Display for Wan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} one way, ", self.delay)?;
        match self.bandwidth_bits {
            Some(bits) if bits.is_multiple_of(1_000_000) => {
                write!(f, "{} Mbit/s", bits / 1_000_000)
            }
            Some(bits) => write!(f, "{bits} bit/s"),
            None => f.write_str("any bandwidth"),
        }
    }
}

impl Wan {
    fn delay(self) -> Duration {
        self.delay.min(MAX_DELAY)
    }

    /// How long `bytes` take to leave, rounded up.
    fn departure(self, bytes: usize) -> Duration {
        let Some(bits) = self.bandwidth_bits else { return Duration::ZERO };
        let nanoseconds = (bytes as u128 * 8 * 1_000_000_000).div_ceil(u128::from(bits.max(1)));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// Bytes under way before writers wait.
    #[must_use]
    pub fn capacity_bytes(self) -> usize {
        let Some(bits) = self.bandwidth_bits else { return UNLIMITED_BYTES };
        let line = u128::from(bits) * self.delay().as_nanos() / 8_000_000_000;
        usize::try_from(line).unwrap_or(usize::MAX).saturating_add(QUEUE_BYTES).min(MAX_BYTES)
    }

    /// A writer whose bytes pass the line before they reach `inner`. A task carries them; it goes
    /// on after the writer was dropped until everything has arrived, as a socket does.
    ///
    /// A failure of `inner` is told at the next write, flush or shutdown. A flush does not wait for
    /// arrivals, a shutdown does. Like a socket this needs a `tokio` runtime around it.
    pub fn wrap<W: AsyncWrite + Send + Unpin + 'static>(
        self,
        inner: W,
        deliveries: &Deliveries,
    ) -> WanWriter {
        let state = Mutex::new(State::new(deliveries.clone()));
        let line = Arc::new(Line {
            wan: self,
            state,
            more: Notify::new(),
            dropped: CancellationToken::new(),
        });
        tokio::spawn(carry(line.clone(), inner));
        WanWriter { line }
    }
}

/// What is on the lines of a program. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Deliveries(Arc<watch::Sender<()>>);

impl Deliveries {
    /// Waits until nothing is under way, or until a peer of a line like `wan` has taken nothing for
    /// too long.
    pub async fn done(&self, wan: Wan) {
        let longest =
            wan.departure(wan.capacity_bytes()).saturating_add(wan.delay()).saturating_add(LINGER);
        if timeout(longest, self.0.closed()).await.is_err() {
            tracing::warn!(
                "a peer does not take what is on the emulated link, and does not get it"
            );
        }
    }
}

struct Piece {
    bytes: Vec<u8>,
    arrives: Instant,
}

struct State {
    pieces: VecDeque<Piece>,
    /// Bytes that were written and have not been handed on.
    under_way: usize,
    /// When the last byte so far has left.
    free: Instant,
    end: Option<End>,
    outcome: Outcome,
    waiting: Option<Waker>,
    deliveries: Deliveries,
    /// Held while something is under way.
    busy: Option<watch::Receiver<()>>,
}

/// The end of the stream travels like a byte.
#[derive(Clone, Copy)]
struct End {
    arrives: Instant,
    shutdown: bool,
}

enum Outcome {
    Open,
    Closed,
    Failed(io::ErrorKind, Option<io::Error>),
}

impl State {
    fn new(deliveries: Deliveries) -> Self {
        Self {
            pieces: VecDeque::new(),
            under_way: 0,
            free: Instant::now(),
            end: None,
            outcome: Outcome::Open,
            waiting: None,
            deliveries,
            busy: None,
        }
    }

    /// Takes note that `bytes` were handed on.
    fn handed_on(&mut self, bytes: usize) {
        self.under_way = self.under_way.saturating_sub(bytes);
        if self.under_way == 0 && self.end.is_none() {
            self.busy = None;
        }
        self.wake();
    }

    fn begin(&mut self) {
        if self.busy.is_none() && matches!(self.outcome, Outcome::Open) {
            self.busy = Some(self.deliveries.0.subscribe());
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// The failure, in full the first time it is asked for.
    fn failure(&mut self) -> Option<io::Error> {
        match &mut self.outcome {
            Outcome::Failed(kind, error) => Some(error.take().unwrap_or_else(|| (*kind).into())),
            Outcome::Open | Outcome::Closed => None,
        }
    }

    fn send(&mut self, wan: Wan, bytes: &[u8]) {
        let mut leaves = self.free.max(Instant::now());
        for piece in bytes.chunks(PIECE_BYTES) {
            leaves = later(leaves, wan.departure(piece.len()));
            self.pieces
                .push_back(Piece { bytes: piece.to_vec(), arrives: later(leaves, wan.delay()) });
        }
        self.free = leaves;
        self.under_way += bytes.len();
        self.begin();
    }

    fn finish(&mut self, wan: Wan, shutdown: bool) {
        let arrives = later(self.free.max(Instant::now()), wan.delay());
        self.end.get_or_insert(End { arrives, shutdown });
        self.begin();
    }
}

/// A time that no clock shows is as good as the last one that it does.
fn later(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or(instant)
}

/// A line between a writer and the task that carries.
struct Line {
    wan: Wan,
    state: Mutex<State>,
    more: Notify,
    dropped: CancellationToken,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When something arrives next, or `None` if nothing is under way.
    fn next(&self) -> Option<Instant> {
        let state = self.state();
        state.pieces.front().map(|piece| piece.arrives).or(state.end.map(|end| end.arrives))
    }

    /// Appends what has arrived to `ready`. Returns how the stream ends, if nothing else is left of
    /// it.
    fn arrived(&self, ready: &mut Vec<u8>) -> Option<End> {
        let (now, mut state) = (Instant::now(), self.state());
        while ready.len() < BATCH_BYTES {
            if state.pieces.front().is_none_or(|piece| piece.arrives > now) {
                break;
            }
            ready.extend(state.pieces.pop_front().into_iter().flat_map(|piece| piece.bytes));
        }
        state.end.filter(|end| state.pieces.is_empty() && end.arrives <= now)
    }
}

async fn carry<W: AsyncWrite + Unpin>(line: Arc<Line>, mut inner: W) {
    let abandoned = async {
        line.dropped.cancelled().await;
        // What is still on the line has its time.
        let end = line.state().end.map(|end| end.arrives);
        if let Some(end) = end {
            sleep_until(end).await;
        }
        loop {
            let before = line.state().under_way;
            sleep(LINGER).await;
            if line.state().under_way == before {
                break;
            }
        }
    };
    let carried = tokio::select! {
        carried = carry_all(&line, &mut inner) => carried,
        () = abandoned => Err(io::ErrorKind::TimedOut.into()),
    };
    let mut state = line.state();
    state.outcome = match carried {
        Ok(()) => Outcome::Closed,
        Err(error) => Outcome::Failed(error.kind(), Some(error)),
    };
    state.pieces.clear();
    state.busy = None;
    state.wake();
}

async fn carry_all<W: AsyncWrite + Unpin>(line: &Line, inner: &mut W) -> io::Result<()> {
    let mut ready = Vec::new();
    loop {
        match line.next() {
            Some(arrives) => sleep_until(arrives).await,
            None => {
                line.more.notified().await;
                continue;
            }
        }
        ready.clear();
        let end = line.arrived(&mut ready);
        if !ready.is_empty() {
            inner.write_all(&ready).await?;
            inner.flush().await?;
            line.state().handed_on(ready.len());
        }
        match end {
            Some(End { shutdown: true, .. }) => return inner.shutdown().await,
            Some(_) => return Ok(()),
            None => {}
        }
    }
}

/// The sending end of an emulated line; see [`Wan::wrap`].
pub struct WanWriter {
    line: Arc<Line>,
}

impl fmt::Debug for WanWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WanWriter").field("wan", &self.line.wan).finish_non_exhaustive()
    }
}

impl Drop for WanWriter {
    fn drop(&mut self) {
        self.line.state().finish(self.line.wan, false);
        self.line.more.notify_one();
        self.line.dropped.cancel();
    }
}

impl AsyncWrite for WanWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let (line, mut state) = (&self.line, self.line.state());
        if let Some(error) = state.failure() {
            return Poll::Ready(Err(error));
        }
        if state.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let room = line.wan.capacity_bytes().saturating_sub(state.under_way);
        if room == 0 {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        let taken = bytes.get(..room).unwrap_or(bytes);
        state.send(line.wan, taken);
        line.more.notify_one();
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.line.state().failure().map_or(Ok(()), Err))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.line.state();
        if let Some(error) = state.failure() {
            return Poll::Ready(Err(error));
        }
        if matches!(state.outcome, Outcome::Closed) {
            return Poll::Ready(Ok(()));
        }
        state.finish(self.line.wan, true);
        state.waiting = Some(context.waker().clone());
        self.line.more.notify_one();
        Poll::Pending
    }
}
