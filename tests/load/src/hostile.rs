//! Those who connect and do not do what a peer does.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use sharelet_channel::{PairingKey, Pin};
use sharelet_core::DeviceId;
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{self, Policy};
use sharelet_core::session::wire::control::Answer;
use sharelet_host::store::identity::Own;
use sharelet_link::{Keyring, Party, Peers, Role, Route, tcp};
use sharelet_model::MAX_LAYERS;
use sharelet_testkit::Rng;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::honest;
use crate::tally::Tally;

/// Between connections.
const PAUSE: Duration = Duration::from_millis(500);
/// Between two bytes of one that is slow.
const DRIP: Duration = Duration::from_secs(2);
/// How long one that stops stays in the middle of a session.
const STOPPED: Duration = Duration::from_secs(8);
const STALL: Duration = Duration::from_secs(20);

/// What one of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Says nothing.
    Silent,
    /// Says a byte from time to time.
    Slow,
    /// Sends random bytes.
    Noise,
    /// Takes the service for another one.
    Browser,
    /// Shakes hands by a key that nobody knows, under the name of somebody who is known.
    Stranger,
}

/// All of them.
pub(crate) const MANNERS: [Manner; 5] =
    [Manner::Silent, Manner::Slow, Manner::Noise, Manner::Browser, Manner::Stranger];

/// One that connects again and again, to one address, until the run ends.
pub(crate) struct Pest {
    pub(crate) manner: Manner,
    /// Where the service listens.
    pub(crate) address: String,
    /// Whose identity the service has.
    pub(crate) service: PathBuf,
    /// Who it says it is.
    pub(crate) poses_as: Party,
    pub(crate) seed: u64,
}

impl Pest {
    pub(crate) async fn live(self, tally: Arc<Tally>) {
        let mut rng = Rng(self.seed);
        let alone = async {
            loop {
                tally.hostile.fetch_add(1, Ordering::Relaxed);
                // How it ends is the service's business.
                let _ = self.connect(&mut rng).await;
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = tally.stop.cancelled() => {}
            () = alone => {}
        }
    }

    async fn connect(&self, rng: &mut Rng) -> std::io::Result<()> {
        if self.manner == Manner::Stranger {
            let service = Own::load(&self.service).expect("an identity");
            let route = stranger(self.poses_as, &service);
            let role = service.party.role;
            // Refused, as it should be.
            let met = tcp::connect(&self.address, role, &route, STALL, STALL).await;
            assert!(met.is_err(), "a stranger was let in");
            return Ok(());
        }
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut heard = Vec::new();
        match self.manner {
            Manner::Slow => loop {
                stream.write_all(&rng.next().to_le_bytes()[..1]).await?;
                tokio::time::sleep(DRIP).await;
            },
            Manner::Noise => {
                let words = 8 + rng.next() % 500;
                let bytes: Vec<u8> = (0..words).flat_map(|_| rng.next().to_le_bytes()).collect();
                stream.write_all(&bytes).await?;
            }
            Manner::Browser => stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").await?,
            Manner::Silent | Manner::Stranger => {}
        }
        stream.read_to_end(&mut heard).await.map(|_| ())
    }
}

/// The one peer that a stranger says it is paired with.
struct One(Party, Pin);

impl Peers for One {
    fn names(&self, role: Role) -> Vec<DeviceId> {
        if self.0.role == role { vec![self.0.name] } else { Vec::new() }
    }

    fn pin(&self, peer: &Party) -> Option<Pin> {
        let Pin { public, pairing } = &self.1;
        let pairing = || PairingKey::from_bytes(*pairing.expose());
        (self.0 == *peer).then(|| Pin { public: *public, pairing: pairing() })
    }
}

fn stranger(party: Party, service: &Own) -> Route {
    let own = Own::generate(party).expect("randomness");
    let pin = Pin::paired(&own.key, &own.party, &service.party, service.key.public());
    let peers = One(service.party, pin.expect("a key"));
    Route::sealed(Arc::new(Keyring::new(own.identity(), peers)), None)
}

/// A paired device that stops in the middle of a session, and comes back, until the run ends.
pub(crate) async fn stop_midway(path: PathBuf, host: String, tally: Arc<Tally>) {
    let (route, identity, mut counter) = tokio::task::block_in_place(|| honest::open(&path));
    let alone = async {
        loop {
            tally.hostile.fetch_add(1, Ordering::Relaxed);
            let Ok(connection) = tcp::connect(&host, Role::Host, &route, STALL, STALL).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let policy = Policy {
                host: connection.peer().map(|host| host.name),
                answer: Answer::Device,
                inputs: None,
                max_outputs: usize::from(u16::MAX),
                max_blocks: u64::MAX,
            };
            let mut network = Network::<MAX_LAYERS>::default();
            let connected = p0::connect(connection, &identity, policy, &mut network).await;
            if let Ok(connected) = connected {
                let mut answer = vec![0; connected.network().outputs()];
                let prepared = connected.prepare(&mut counter, &mut answer).await;
                tokio::time::sleep(STOPPED).await;
                drop(prepared);
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = tally.stop.cancelled() => {}
        () = alone => {}
    }
}
