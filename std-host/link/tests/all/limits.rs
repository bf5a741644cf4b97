//! Every limit of a service, run into.

use core::fmt;
use core::time::Duration;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use embedded_io_async::{Read as _, Write as _};
use sharelet_link::service::{self, Leave, Limits, Service, Visit};
use sharelet_link::tcp::Listener;
use sharelet_link::{Connection, Reader, Role, Route, Writer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const MS: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits {
    connections: 2,
    hello: Duration::from_millis(300),
    first: Duration::from_millis(300),
    idle: SOON,
    message: Duration::from_millis(400),
    stall: Duration::from_millis(200),
    grace: Duration::from_millis(300),
};

/// Greets with `hello`, then gives messages of three bytes back; a refusal is one letter.
struct Echo;

#[derive(Debug)]
enum Ended {
    Leave(Leave),
    Io(io::ErrorKind),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<Leave> for Ended {
    fn from(leave: Leave) -> Self {
        Self::Leave(leave)
    }
}

async fn read(reader: &mut Reader, bytes: &mut [u8]) -> Result<(), Ended> {
    use embedded_io_async::ReadExactError;
    reader.read_exact(bytes).await.map_err(|error| match error {
        ReadExactError::UnexpectedEof => Ended::Io(io::ErrorKind::UnexpectedEof),
        ReadExactError::Other(error) => Ended::Io(error.kind()),
    })
}

async fn say(writer: &mut Writer, bytes: &[u8]) {
    let _ = writer.write_all(bytes).await;
    let _ = writer.flush().await;
}

impl Echo {
    async fn speak(
        &self,
        reader: &mut Reader,
        writer: &mut Writer,
        visit: &mut Visit,
    ) -> Result<(), Ended> {
        let mut hello = [0; 5];
        visit.greeting(read(reader, &mut hello)).await?;
        if &hello != b"hello" {
            return Err(Ended::Io(io::ErrorKind::InvalidData));
        }
        visit.enter()?;
        say(writer, b"w").await;
        while visit.next(reader).await? {
            let mut message = [0; 3];
            read(reader, &mut message).await?;
            say(writer, &message).await;
        }
        Ok(())
    }
}

impl Service for Echo {
    type Error = Ended;

    fn roles(&self) -> &[Role] {
        &[Role::Device]
    }

    async fn converse(
        self: Arc<Self>,
        connection: Connection,
        mut visit: Visit,
    ) -> Result<(), Ended> {
        let Connection { mut reader, mut writer, .. } = connection;
        let ended = self.speak(&mut reader, &mut writer, &mut visit).await;
        let refusal = match &ended {
            Ok(()) => return ended,
            Err(Ended::Leave(Leave::Stopping)) => b"S",
            Err(Ended::Leave(Leave::Full)) => b"F",
            Err(Ended::Leave(Leave::TooSlow) | Ended::Io(io::ErrorKind::TimedOut)) => b"T",
            Err(Ended::Io(_)) => b"P",
        };
        say(&mut writer, refusal).await;
        ended
    }
}

struct Port {
    address: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Port {
    async fn open(limits: Limits) -> Self {
        let listener =
            Listener::bind("127.0.0.1:0", Route::insecure_plaintext(None)).await.expect("listens");
        let address = listener.local_address().expect("has an address").to_string();
        let stop = CancellationToken::new();
        let task = tokio::spawn(service::serve(Arc::new(Echo), listener, limits, stop.clone()));
        Self { address, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("connects")
    }

    /// A peer that has greeted.
    async fn peer(&self) -> TcpStream {
        let mut peer = self.connect().await;
        peer.write_all(b"hello").await.expect("greets");
        assert_eq!(hears(&mut peer, 1).await, b"w");
        peer
    }

    /// Time until the service has stopped.
    async fn stop(self) -> Duration {
        let start = Instant::now();
        self.stop.cancel();
        timeout(SOON, self.task).await.expect("stops").expect("does not panic");
        start.elapsed()
    }
}

async fn hears(peer: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut heard = vec![0; bytes];
    timeout(SOON, peer.read_exact(&mut heard)).await.expect("in time").expect("hears");
    heard
}

/// What comes until the end, and when.
async fn end(peer: &mut TcpStream) -> (String, Duration) {
    let (start, mut heard) = (Instant::now(), String::new());
    let _ = timeout(SOON, peer.read_to_string(&mut heard)).await.expect("ends in time");
    (heard, start.elapsed())
}

async fn echoes(peer: &mut TcpStream) {
    peer.write_all(b"abc").await.expect("asks");
    assert_eq!(hears(peer, 3).await, b"abc");
}

/// A byte after the other, each well within the longest silence.
async fn dribbles(peer: &mut TcpStream, bytes: &[u8]) {
    for byte in bytes {
        if peer.write_all(&[*byte]).await.is_err() {
            return;
        }
        sleep(150 * MS).await;
    }
}

#[tokio::test]
async fn a_greeting_has_a_time() {
    let port = Port::open(LIMITS).await;
    let mut silent = port.connect().await;
    let (said, after) = end(&mut silent).await;
    assert!(said == "T" && after >= 150 * MS && after < SOON / 4, "{said} {after:?}");

    let mut slow = port.connect().await;
    dribbles(&mut slow, b"hello").await;
    assert_eq!(end(&mut slow).await.0, "T");

    let mut probe = port.connect().await;
    probe.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(end(&mut probe).await.0, "P");
    echoes(&mut port.peer().await).await;
}

#[tokio::test]
async fn a_message_has_a_time() {
    let port = Port::open(LIMITS).await;
    // Nothing after the greeting.
    let (said, after) = end(&mut port.peer().await).await;
    assert!(said == "T" && after >= LIMITS.first / 2 && after < SOON / 4, "{said} {after:?}");

    // After a first message, silence may be long.
    let mut peer = port.peer().await;
    echoes(&mut peer).await;
    sleep(2 * LIMITS.first).await;
    echoes(&mut peer).await;

    // Silence in the middle.
    peer.write_all(b"a").await.unwrap();
    assert_eq!(end(&mut peer).await.0, "T");

    // A byte after the other.
    let port = Port::open(Limits { message: 200 * MS, ..LIMITS }).await;
    let mut peer = port.peer().await;
    dribbles(&mut peer, b"abc").await;
    assert_eq!(end(&mut peer).await.0, "T");
}

#[tokio::test]
async fn silence_between_messages_has_a_time() {
    let port = Port::open(Limits { idle: 300 * MS, ..LIMITS }).await;
    let mut peer = port.peer().await;
    echoes(&mut peer).await;
    let (said, after) = end(&mut peer).await;
    assert!(said == "T" && after >= 200 * MS, "{said} {after:?}");
}

#[tokio::test]
async fn who_waits_gives_way_and_who_is_in_the_middle_stays() {
    let patient = Duration::from_secs(5);
    let limits = Limits { stall: patient, message: patient, first: patient, ..LIMITS };
    let port = Port::open(limits).await;
    let (mut first, mut second) = (port.peer().await, port.peer().await);
    echoes(&mut second).await;
    echoes(&mut first).await;
    let mut third = port.peer().await;
    assert_eq!(end(&mut second).await.0, "F", "it has waited for longest");
    // It comes back.
    let mut second = port.peer().await;
    assert_eq!(end(&mut first).await.0, "F");
    // Both are in the middle of something.
    second.write_all(b"a").await.unwrap();
    third.write_all(b"a").await.unwrap();
    sleep(100 * MS).await;
    let mut fourth = port.connect().await;
    fourth.write_all(b"hello").await.unwrap();
    assert_eq!(end(&mut fourth).await.0, "F");
    for peer in [&mut second, &mut third] {
        peer.write_all(b"bc").await.unwrap();
        assert_eq!(hears(peer, 3).await, b"abc");
    }
}

/// Many times as many as are served, all silent: who has something to say is served at once.
#[tokio::test]
async fn silent_strangers_hold_up_nobody() {
    let port = Port::open(Limits { hello: SOON, stall: SOON, ..LIMITS }).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(port.connect().await);
        let start = Instant::now();
        echoes(&mut port.peer().await).await;
        assert!(start.elapsed() < SOON / 4, "{:?}", start.elapsed());
    }
    assert_eq!(end(&mut silent[0]).await.0, "F", "the first gave way");
}

/// However many come in one moment, who comes right behind them is heard.
#[tokio::test]
async fn a_flood_sends_nobody_away_unheard() {
    let port = Port::open(Limits { hello: SOON, stall: SOON, ..LIMITS }).await;
    for _ in 0..50 {
        let flood: Vec<_> = (0..40)
            .map(|_| std::net::TcpStream::connect(&port.address).expect("connects"))
            .collect();
        echoes(&mut port.peer().await).await;
        drop(flood);
    }
}

#[tokio::test]
async fn what_stops_says_so_and_drains() {
    let port = Port::open(LIMITS).await;
    let (mut waits, mut greets) = (port.peer().await, port.connect().await);
    sleep(50 * MS).await;
    let took = port.stop().await;
    assert_eq!(end(&mut waits).await.0, "S");
    assert_eq!(end(&mut greets).await.0, "S");
    assert!(took < LIMITS.grace, "{took:?}");

    // What is in the middle of something is cut after a while.
    let port = Port::open(Limits { stall: SOON, message: SOON, ..LIMITS }).await;
    let mut peer = port.peer().await;
    peer.write_all(b"a").await.unwrap();
    sleep(50 * MS).await;
    let took = port.stop().await;
    assert!(took >= LIMITS.grace && took < SOON / 4, "{took:?}");
    assert_eq!(end(&mut peer).await.0, "");
}

/// As many silent strangers as the system has room for: newcomers, and files, find some.
#[cfg(unix)]
#[test]
fn few_descriptors_are_not_used_up() {
    let script = "ulimit -n 100 && exec \"$0\" --ignored --exact limits::with_few_descriptors";
    let test = std::env::current_exe().unwrap();
    let ended = std::process::Command::new("sh").args(["-c", script]).arg(test).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "needs few descriptors, see above"]
async fn with_few_descriptors() {
    let limits = Limits { connections: 1024, hello: SOON, stall: SOON, ..LIMITS };
    let port = Port::open(limits).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(port.connect().await);
    }
    echoes(&mut port.peer().await).await;
    std::fs::read_dir(".").expect("there is room for a file");
}
