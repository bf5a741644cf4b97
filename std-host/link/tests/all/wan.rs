//! The emulated line, on a clock that moves only when everybody waits: times are exact.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use embedded_io_async::{Read as _, Write as _};
use sharelet_link::service::{self, Limits, Service, Visit};
use sharelet_link::tcp::{self, Listener};
use sharelet_link::wan::{Deliveries, QUEUE_BYTES, UNLIMITED_BYTES, Wan};
use sharelet_link::{Connection, Role, Route};
use sharelet_testkit::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const MS: Duration = Duration::from_millis(1);
const LINE: Wan = Wan { delay: Duration::from_millis(40), bandwidth_bits: Some(100_000_000) };
const LONG: Wan = Wan { delay: Duration::from_millis(40), bandwidth_bits: None };
/// Bytes that leave in a millisecond.
const PER_MS: usize = 12_500;

fn pipe() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(1 << 24)
}

fn bytes(count: usize) -> Vec<u8> {
    let mut rng = Rng(sharelet_testkit::seed());
    (0..count).map(|_| rng.byte()).collect()
}

/// Bytes and the clock at the end of the stream.
async fn read_all(mut far: DuplexStream, start: Instant) -> (Vec<u8>, Duration) {
    let mut received = Vec::new();
    far.read_to_end(&mut received).await.expect("reads");
    (received, start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_byte_arrives_the_delay_later_and_its_writer_does_not_wait() {
    let (near, mut far) = pipe();
    let mut writer = LONG.wrap(near, &Deliveries::default());
    for round in 1..=3 {
        let start = Instant::now();
        writer.write_all(&[round; 10]).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO, "the writer waits");
        assert!(timeout(39 * MS, far.read_u8()).await.is_err(), "early");
        let mut received = [0; 10];
        far.read_exact(&mut received).await.unwrap();
        assert_eq!((received, start.elapsed()), ([round; 10], 40 * MS));
    }
}

#[tokio::test(start_paused = true)]
async fn a_transfer_takes_its_size_over_the_bandwidth_and_the_delay() {
    for milliseconds in [1, 10, 400] {
        let sent = bytes(milliseconds * PER_MS);
        let (near, far) = pipe();
        let mut writer = LINE.wrap(near, &Deliveries::default());
        let start = Instant::now();
        let write = async {
            writer.write_all(&sent).await.unwrap();
            let written = start.elapsed();
            writer.shutdown().await.unwrap();
            (written, start.elapsed())
        };
        let ((written, shut), (received, took)) = tokio::join!(write, read_all(far, start));
        assert!(received == sent, "{milliseconds} ms: other bytes");
        let all = MS * u32::try_from(milliseconds).unwrap() + LINE.delay;
        assert_eq!((took, shut), (all, all), "{milliseconds} ms of bytes");
        // The writer is done when the rest fits the line and the queue.
        let beyond = sent.len().saturating_sub(LINE.capacity_bytes());
        assert_eq!(LINE.capacity_bytes(), 40 * PER_MS + QUEUE_BYTES);
        let least = if beyond == 0 {
            Duration::ZERO
        } else {
            LINE.delay + MS * u32::try_from(beyond / PER_MS).unwrap()
        };
        assert!(written >= least && written <= least + 6 * MS, "{written:?} for {least:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_are_not_saved_up() {
    let (near, far) = pipe();
    let mut writer = LINE.wrap(near, &Deliveries::default());
    let start = Instant::now();
    let write = async {
        writer.write_all(&[1; PER_MS]).await.unwrap();
        sleep(100 * MS).await;
        writer.write_all(&[2; 10 * PER_MS]).await.unwrap();
        drop(writer);
    };
    let ((), (received, took)) = tokio::join!(write, read_all(far, start));
    assert_eq!((received.len(), took), (11 * PER_MS, 150 * MS));
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_whatever_the_pieces() {
    let mut rng = Rng(sharelet_testkit::seed());
    let sent = bytes(300_000);
    let (near, mut far) = pipe();
    let mut writer =
        Wan { delay: 7 * MS, bandwidth_bits: Some(3_000_000) }.wrap(near, &Deliveries::default());
    let mut pauses = Rng(rng.next());
    let write = async {
        let mut rest = sent.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(pauses.below(20_000).min(rest.len()));
            writer.write_all(piece).await.unwrap();
            sleep(MS * u32::from(pauses.byte() % 8)).await;
            rest = after;
        }
        writer.shutdown().await.unwrap();
    };
    let read = async {
        let mut received = Vec::new();
        loop {
            let mut piece = vec![0; 1 + rng.below(9000)];
            let count = far.read(&mut piece).await.unwrap();
            if count == 0 {
                return received;
            }
            received.extend_from_slice(&piece[..count]);
        }
    };
    let ((), received) = tokio::join!(write, read);
    assert!(received == sent, "other bytes, or in another order");
}

fn connections(left: Option<Wan>, right: Option<Wan>) -> (Connection, Connection) {
    let (near, far) = pipe();
    let connect = |stream, wan| {
        let (reader, writer) = tokio::io::split(stream);
        Route::insecure_plaintext(wan).plaintext(reader, writer, Duration::from_secs(60))
    };
    (connect(near, left), connect(far, right))
}

/// Clock after `rounds` questions of 100 bytes and their answers.
async fn questions(left: Option<Wan>, right: Option<Wan>, rounds: usize) -> Duration {
    let (mut asks, mut answers) = connections(left, right);
    let start = Instant::now();
    let ask = async {
        for _ in 0..rounds {
            asks.write_all(&[1; 100]).await.unwrap();
            asks.flush().await.unwrap();
            asks.read_exact(&mut [0; 100]).await.unwrap();
        }
    };
    let answer = async {
        for _ in 0..rounds {
            answers.read_exact(&mut [0; 100]).await.unwrap();
            answers.write_all(&[2; 100]).await.unwrap();
            answers.flush().await.unwrap();
        }
    };
    tokio::join!(ask, answer);
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn each_end_delays_its_own_sends() {
    assert_eq!(questions(Some(LONG), Some(LONG), 5).await, 10 * LONG.delay);
    assert_eq!(questions(Some(LONG), None, 5).await, 5 * LONG.delay);
    assert_eq!(questions(None, Some(LONG), 5).await, 5 * LONG.delay);
    assert_eq!(questions(None, None, 5).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn directions_do_not_share_the_bandwidth() {
    let (left, right) = connections(Some(LINE), Some(LINE));
    let (to_right, to_left) = (bytes(100 * PER_MS), bytes(50 * PER_MS));
    let start = Instant::now();
    let (
        Connection { reader: mut left_reads, writer: mut left_writes, .. },
        Connection { reader: mut right_reads, writer: mut right_writes, .. },
    ) = (left, right);
    let (mut at_right, mut at_left) = (vec![0; to_right.len()], vec![0; to_left.len()]);
    let send_right = async {
        left_writes.write_all(&to_right).await.unwrap();
        left_writes.flush().await.unwrap();
    };
    let send_left = async {
        right_writes.write_all(&to_left).await.unwrap();
        right_writes.flush().await.unwrap();
    };
    let receive_right = async {
        right_reads.read_exact(&mut at_right).await.unwrap();
        start.elapsed()
    };
    let receive_left = async {
        left_reads.read_exact(&mut at_left).await.unwrap();
        start.elapsed()
    };
    let ((), (), right_took, left_took) =
        tokio::join!(send_right, send_left, receive_right, receive_left);
    assert_eq!((right_took, left_took), (140 * MS, 90 * MS));
    assert!(at_right == to_right && at_left == to_left, "other bytes");
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_arrives_after_the_writer_is_gone() {
    let (near, far) = pipe();
    let deliveries = Deliveries::default();
    let mut writer = LINE.wrap(near, &deliveries);
    let start = Instant::now();
    writer.write_all(&[7; 2 * PER_MS]).await.unwrap();
    drop(writer);
    let done = async {
        deliveries.done(LINE).await;
        start.elapsed()
    };
    let (done, (received, took)) = tokio::join!(done, read_all(far, start));
    assert_eq!((received, took, done), (vec![7; 2 * PER_MS], 42 * MS, 42 * MS));
}

#[tokio::test(start_paused = true)]
async fn an_idle_line_holds_nobody_up() {
    let (near, mut far) = pipe();
    let deliveries = Deliveries::default();
    let mut writer = LONG.wrap(near, &deliveries);
    let start = Instant::now();
    deliveries.done(LONG).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    writer.write_all(&[]).await.unwrap();
    writer.write_all(b"word").await.unwrap();
    deliveries.done(LONG).await;
    assert_eq!(start.elapsed(), LONG.delay, "the writer is still there");
    let mut word = [0; 4];
    far.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"word");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_stops_the_writer_and_is_given_up() {
    let (near, far) = tokio::io::duplex(10);
    let deliveries = Deliveries::default();
    let mut writer = LINE.wrap(near, &deliveries);
    let most = LINE.capacity_bytes();
    let mut written = 0;
    while let Ok(count) = timeout(Duration::from_secs(5), writer.write(&[1; 50_000])).await {
        written += count.unwrap();
    }
    assert_eq!(written, most, "bytes that are held in memory");
    drop(writer);
    let start = Instant::now();
    deliveries.done(LINE).await;
    let waited = start.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(11), "{waited:?}");
    drop(far);
    assert_eq!(LONG.capacity_bytes(), UNLIMITED_BYTES);
}

/// Takes some bytes, then fails.
struct Failing(usize);

impl AsyncWrite for Failing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the cable is cut",
            )));
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn failures_pass_through() {
    let deliveries = Deliveries::default();
    let mut writer = LONG.wrap(Failing(3), &deliveries);
    writer.write_all(b"12345").await.expect("nothing is known yet");
    sleep(LONG.delay + MS).await;
    let error = writer.write_all(b"6").await.expect_err("known by now");
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (io::ErrorKind::ConnectionReset, "the cable is cut")
    );
    for error in [writer.flush().await, writer.shutdown().await, writer.write_all(b"7").await] {
        assert_eq!(error.expect_err("stays").kind(), io::ErrorKind::ConnectionReset);
    }
    deliveries.done(LONG).await;

    // A shutdown waits for arrivals, and so finds out at once; as does a writer that waits for
    // room.
    let mut writer = LONG.wrap(Failing(3), &deliveries);
    writer.write_all(b"12345").await.unwrap();
    assert_eq!(
        writer.shutdown().await.expect_err("arrivals fail").kind(),
        io::ErrorKind::ConnectionReset
    );
    let mut writer = LINE.wrap(Failing(3), &deliveries);
    let written = writer.write_all(&vec![0; LINE.capacity_bytes() + 1]).await;
    assert_eq!(written.expect_err("arrivals fail").kind(), io::ErrorKind::ConnectionReset);

    // Nothing is written after the end.
    let (near, _far) = pipe();
    let mut writer = LONG.wrap(near, &deliveries);
    writer.shutdown().await.unwrap();
    writer.shutdown().await.expect("twice does no harm");
    assert_eq!(
        writer.write_all(b"1").await.expect_err("has ended").kind(),
        io::ErrorKind::BrokenPipe
    );
}

/// Gives one answer, and stops.
struct Words;

impl Service for Words {
    type Error = io::Error;

    fn roles(&self) -> &[Role] {
        &[Role::Device]
    }

    async fn converse(self: Arc<Self>, mut connection: Connection, visit: Visit) -> io::Result<()> {
        connection.read_exact(&mut [0; 5]).await.expect("a question");
        connection.write_all(b"words").await?;
        connection.flush().await?;
        visit.stop().cancel();
        Ok(())
    }
}

/// Over sockets, with the clock on the wall: connecting and listening have the line, and a server
/// that stops waits for it.
#[tokio::test]
async fn a_server_that_stops_has_sent_its_last_words() {
    let route = Route::insecure_plaintext(Some(LINE));
    let listener = Listener::bind("127.0.0.1:0", route.clone()).await.expect("listens");
    let address = listener.local_address().unwrap().to_string();
    let (stop, limit) = (CancellationToken::new(), Duration::from_secs(20));
    let limits = Limits { stall: limit, grace: limit, ..Limits::default() };
    let serve = service::serve(Arc::new(Words), listener, limits, stop);
    let start = Instant::now();
    let ask = async {
        let mut connection =
            tcp::connect(&address, Role::Host, &route, limit, limit).await.expect("connects");
        connection.write_all(b"hello").await.unwrap();
        connection.flush().await.unwrap();
        let mut words = [0; 5];
        connection.read_exact(&mut words).await.expect("an answer");
        (words, start.elapsed(), connection.read(&mut [0]).await.expect("the end"))
    };
    let stopped = async {
        serve.await;
        start.elapsed()
    };
    let ((words, took, end), stopped) = tokio::join!(ask, stopped);
    assert_eq!((&words, end), (b"words", 0));
    assert!(took >= 2 * LINE.delay && stopped >= 2 * LINE.delay, "{took:?}, {stopped:?}");
}
