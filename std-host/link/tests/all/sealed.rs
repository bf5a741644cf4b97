//! Sealed connections over TCP: who gets in, who does not, and what is shown to whom.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use embedded_io_async::{Read as _, Write as _};
use sharelet_channel::Identity;
use sharelet_channel::{Error, Pattern, Pin, PublicKey, Reason, StaticKey};
use sharelet_core::DeviceId;
use sharelet_link::service::{self, Limits, Service, Visit};
use sharelet_link::tcp::{self, Listener};
use sharelet_link::{Connection, Keyring, LinkError, Party, Peers, Role, Route};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(20);

/// Somebody's key, and whom it has pinned.
#[derive(Clone)]
struct Somebody {
    party: Party,
    secret: [u8; 32],
    pinned: Arc<Mutex<HashMap<Party, PublicKey>>>,
}

impl Somebody {
    fn new(role: Role, name: &str, seed: u8) -> Self {
        let party = Party::new(role, name).unwrap();
        Self { party, secret: [seed; 32], pinned: Arc::default() }
    }

    fn key(&self) -> StaticKey {
        StaticKey::from_bytes(self.secret)
    }

    fn pins(&self, peer: &Self) {
        self.pinned.lock().unwrap().insert(peer.party, peer.key().public());
    }

    fn route(&self) -> Route {
        Route::sealed(
            Arc::new(Keyring::new(Identity::new(self.party, self.key()), self.clone())),
            None,
        )
    }
}

impl Peers for Somebody {
    fn names(&self, role: Role) -> Vec<DeviceId> {
        let pinned = self.pinned.lock().unwrap();
        let mut names: Vec<_> =
            pinned.keys().filter(|peer| peer.role == role).map(|peer| peer.name).collect();
        names.sort_unstable();
        names
    }

    fn pin(&self, peer: &Party) -> Option<Pin> {
        let public = *self.pinned.lock().unwrap().get(peer)?;
        Pin::paired(&self.key(), &self.party, peer, public).ok()
    }
}

/// Says who is there, and gives back what it gets.
struct Echo;

impl Service for Echo {
    type Error = io::Error;

    fn roles(&self) -> &[Role] {
        &[Role::Device, Role::Owner]
    }

    async fn converse(self: Arc<Self>, mut connection: Connection, _: Visit) -> io::Result<()> {
        let name = connection.peer().expect("is sealed").name;
        connection.write_all(name.as_bytes()).await?;
        connection.flush().await?;
        let mut long = vec![0; 100_000];
        connection.read_exact(&mut long).await.map_err(io::Error::other)?;
        connection.write_all(&long).await?;
        connection.flush().await
    }
}

async fn listen(host: &Somebody, limits: Limits) -> String {
    let listener = Listener::bind("127.0.0.1:0", host.route()).await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    tokio::spawn(service::serve(Arc::new(Echo), listener, limits, CancellationToken::new()));
    address
}

async fn connect(route: &Route, address: &str) -> Result<Connection, LinkError> {
    tcp::connect(address, Role::Host, route, SOON, SOON).await
}

/// Both directions, many records; the pattern.
async fn talks(route: &Route, address: &str, name: &str) -> Option<Pattern> {
    let mut connection = connect(route, address).await.unwrap();
    let long: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let mut said = [0; 16];
    connection.read_exact(&mut said).await.unwrap();
    assert_eq!(DeviceId::from_bytes(said), DeviceId::new(name));
    connection.write_all(&long).await.unwrap();
    connection.flush().await.unwrap();
    let mut back = vec![0; long.len()];
    connection.read_exact(&mut back).await.unwrap();
    assert!(back == long);
    // The peer has gone in peace.
    assert_eq!(connection.read(&mut [0]).await.unwrap(), 0);
    connection.pattern()
}

fn refused(connected: Result<Connection, LinkError>) -> Error {
    match connected {
        Err(LinkError::Channel { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

fn two() -> (Somebody, Somebody) {
    let host = Somebody::new(Role::Host, "hall-2", 1);
    let device = Somebody::new(Role::Device, "pump-07", 2);
    host.pins(&device);
    device.pins(&host);
    (host, device)
}

#[tokio::test(flavor = "multi_thread")]
async fn static_keys_are_asked_for_once() {
    let (host, device) = two();
    let (address, route) = (listen(&host, Limits::default()).await, device.route());
    let patterns = [Some(Pattern::KkPsk0), Some(Pattern::NnPsk0), Some(Pattern::NnPsk0)];
    for expected in patterns {
        assert_eq!(talks(&route, &address, "pump-07").await, expected);
    }
    // A host that was started again has no resumption; the device does not notice.
    let again = listen(&host, Limits::default()).await;
    assert_eq!(talks(&route, &again, "pump-07").await, Some(Pattern::KkPsk0));
    // Nor does a device that was started again.
    assert_eq!(talks(&device.route(), &again, "pump-07").await, Some(Pattern::KkPsk0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_paired_is_refused_by_name() {
    let (host, device) = two();
    let address = listen(&host, Limits::default()).await;
    let route = device.route();
    assert!(talks(&route, &address, "pump-07").await.is_some());

    // The right name and another key; the right key and another name or role.
    let stranger = Somebody { secret: [9; 32], ..device.clone() };
    let unknown = Error::Refused(Reason::Unknown);
    assert_eq!(refused(connect(&stranger.route(), &address).await), unknown);
    for (role, name) in
        [(Role::Device, "pump-08"), (Role::Owner, "pump-07"), (Role::Dealer, "pump-07")]
    {
        let other = Somebody { party: Party::new(role, name).unwrap(), ..device.clone() };
        assert_eq!(refused(connect(&other.route(), &address).await), unknown);
    }
    // A peer of a role that this port is not for, although it is paired.
    let dealer = Somebody::new(Role::Dealer, "deal-1", 3);
    host.pins(&dealer);
    dealer.pins(&host);
    assert_eq!(refused(connect(&dealer.route(), &address).await), unknown);

    // Whoever poses as the host does not have its key; nor, with a resumption, its memory.
    let posing = Somebody { secret: [8; 32], ..host.clone() };
    let elsewhere = listen(&posing, Limits::default()).await;
    let error = refused(connect(&device.route(), &elsewhere).await);
    assert!(matches!(error, Error::Authentication | Error::Refused(Reason::Unknown)), "{error:?}");
    let error = refused(connect(&route, &elsewhere).await);
    assert!(matches!(error, Error::Authentication | Error::Refused(Reason::Unknown)), "{error:?}");

    // Forgotten while the host runs, with what the last connection left; or with another key.
    assert!(talks(&device.route(), &address, "pump-07").await.is_some());
    host.pinned.lock().unwrap().clear();
    assert_eq!(refused(connect(&route, &address).await), unknown);
    host.pins(&stranger);
    assert_eq!(refused(connect(&route, &address).await), unknown);
    let renewed = stranger.route();
    assert_eq!(talks(&renewed, &address, "pump-07").await, Some(Pattern::KkPsk0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_is_named_where_there_are_several() {
    let (host, device) = two();
    let address = listen(&host, Limits::default()).await;
    let nobody = Somebody::new(Role::Device, "pump-09", 4).route();
    assert!(matches!(connect(&nobody, &address).await, Err(LinkError::NotPaired { .. })));
    device.pins(&Somebody::new(Role::Host, "hall-3", 5));
    let route = device.route();
    match connect(&route, &address).await {
        Err(LinkError::WhichPeer { names, .. }) => assert_eq!(names, "hall-2, hall-3"),
        other => panic!("{other:?}"),
    }
    assert!(talks(&route, &format!("hall-2@{address}"), "pump-07").await.is_some());
    let error = refused(connect(&route, &format!("hall-3@{address}")).await);
    assert!(matches!(error, Error::Authentication | Error::Refused(Reason::Unknown)), "{error:?}");
    let missing = connect(&route, &format!("hall-4@{address}")).await;
    assert!(matches!(missing, Err(LinkError::NotPaired { .. })), "{missing:?}");
}

/// A stranger that says nothing, noise, or half a handshake is told why it goes, and in time.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_so_in_time() {
    let (host, device) = two();
    let limits = Limits { connections: 1, hello: Duration::from_millis(300), ..Limits::default() };
    let address = listen(&host, limits).await;
    for (bytes, reason) in [
        (&b""[..], Some(Reason::TooSlow)),
        (b"SLTC\x02\x00\x01", Some(Reason::TooSlow)),
        (b"SLTC\x09\x00", Some(Reason::Version)),
        (b"GET / HTTP/1.0\r\n\r\n", None),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut told = Vec::new();
        let read = tokio::time::timeout(SOON, stream.read_to_end(&mut told)).await;
        // Bytes that nobody reads may cost the refusal.
        let _ = read.expect("in time");
        assert!(told.len() <= 1, "{told:?}");
        if let Some(reason) = reason {
            assert_eq!(told, [reason.byte()], "{bytes:?}");
        }
    }
    // Silent ones that stay do not hold up the device.
    let mut silent = Vec::new();
    for _ in 0..5 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    assert!(talks(&device.route(), &address, "pump-07").await.is_some());
}

/// A line that passes bytes on, and flips a bit of the device's once it is told to.
async fn line(to: String, flips: Arc<AtomicBool>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&to).await.unwrap();
            let (mut from, mut back) = near.into_split();
            let (mut answers, mut on) = far.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
            let flips = flips.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = from.read(&mut buffer).await {
                    buffer[read - 1] ^= u8::from(flips.load(Ordering::Relaxed));
                    if on.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_that_is_changed_on_the_way_ends_the_connection() {
    let (host, device) = two();
    let flips = Arc::new(AtomicBool::new(false));
    let through = line(listen(&host, Limits::default()).await, flips.clone()).await;
    let route = device.route();
    assert!(talks(&route, &through, "pump-07").await.is_some());
    let mut connection = connect(&route, &through).await.unwrap();
    connection.read_exact(&mut [0; 16]).await.unwrap();
    flips.store(true, Ordering::Relaxed);
    // The host may be gone before everything is written.
    let _ = connection.write_all(&vec![7; 100_000]).await;
    let _ = connection.flush().await;
    let read = connection.read(&mut [0]).await;
    assert!(!matches!(read, Ok(1..)), "{read:?}");
}
