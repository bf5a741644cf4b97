//! A device and a host that know one another.

use std::collections::HashMap;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_channel::{
    Accepted, Channel, Connected, ConnectionKey, Error, Identity, NotStored, Party, Pattern, Pins,
    RATCHET_BYTES, Ratchet, Role,
};
#[cfg(feature = "x25519")]
use sharelet_channel::{PairingKey, Pin, PublicKey, Resumption, ResumptionId, StaticKey};
use sharelet_core::Key;

use crate::pipe::Pipe;
#[cfg(feature = "x25519")]
use crate::pipe::{Fault, run};

/// The generator that `SHARELET_SEED` or the test's own seed stands for, which is printed.
pub fn rng(seed: u64) -> ChaCha12Rng {
    let given = std::env::var("SHARELET_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(seed);
    println!("SHARELET_SEED={seed}");
    fixed(seed)
}

/// The generator that `seed` stands for, in tests whose course does not depend on it.
pub fn fixed(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

pub fn device() -> Party {
    Party::new(Role::Device, "pump-07").unwrap()
}

pub fn host() -> Party {
    Party::new(Role::Host, "hall-2").unwrap()
}

/// Whom the host knows.
#[derive(Default)]
pub struct Known {
    #[cfg(feature = "x25519")]
    pub pins: HashMap<Party, (PublicKey, [u8; 32])>,
    #[cfg(feature = "x25519")]
    pub resumptions: HashMap<Party, Resumption>,
    pub ratchets: HashMap<Party, [u8; RATCHET_BYTES]>,
    pub disk_full: bool,
    /// How often a ratchet was stored.
    pub stored: usize,
    /// Names that were looked up.
    pub asked: Vec<Party>,
}

impl Pins for Known {
    #[cfg(feature = "x25519")]
    fn pin(&mut self, peer: &Party) -> Option<Pin> {
        self.asked.push(*peer);
        let (public, pairing) = self.pins.get(peer)?;
        Some(Pin { public: *public, pairing: PairingKey::from_bytes(*pairing) })
    }

    #[cfg(feature = "x25519")]
    fn resumption(&mut self, peer: &Party, id: &ResumptionId) -> Option<Resumption> {
        self.asked.push(*peer);
        self.resumptions.get(peer).filter(|resumption| resumption.id() == id)?;
        self.resumptions.remove(peer)
    }

    #[cfg(feature = "x25519")]
    fn keep(&mut self, peer: &Party, resumption: Resumption) {
        self.resumptions.insert(*peer, resumption);
    }

    fn ratchet(&mut self, peer: &Party) -> Option<Ratchet> {
        self.asked.push(*peer);
        self.ratchets.get(peer).map(Ratchet::from_bytes)
    }

    fn advanced(&mut self, peer: &Party, ratchet: Ratchet) -> Result<(), NotStored> {
        if self.disk_full {
            return Err(NotStored);
        }
        self.ratchets.insert(*peer, ratchet.expose());
        self.stored += 1;
        Ok(())
    }
}

/// Both parties, and what they hold.
pub struct World {
    pub rng: ChaCha12Rng,
    pub device: Identity,
    pub host: Identity,
    pub known: Known,
    pub ratchet: Option<Ratchet>,
    #[cfg(feature = "x25519")]
    pub pin: Pin,
    #[cfg(feature = "x25519")]
    pub resumption: Option<Resumption>,
}

impl World {
    /// A device and a host that were paired, and provisioned with a key.
    pub fn new(seed: u64) -> Self {
        let mut rng = fixed(seed);
        let mut known = Known::default();
        let mut provisioned = [0; 32];
        rng.fill_bytes(&mut provisioned);
        let ratchet = || Ratchet::new(Key::from_bytes(provisioned));
        known.ratchets.insert(device(), ratchet().expose());
        #[cfg(feature = "x25519")]
        {
            let (device_key, host_key) =
                (StaticKey::generate(&mut rng), StaticKey::generate(&mut rng));
            let pairing = PairingKey::generate(&mut rng);
            known.pins.insert(device(), (device_key.public(), *pairing.expose()));
            let pin = Pin { public: host_key.public(), pairing };
            Self {
                rng,
                device: Identity::new(device(), device_key),
                host: Identity::new(host(), host_key),
                known,
                ratchet: Some(ratchet()),
                pin,
                resumption: None,
            }
        }
        #[cfg(not(feature = "x25519"))]
        Self {
            rng,
            device: Identity::without_static_key(device()),
            host: Identity::without_static_key(host()),
            known,
            ratchet: Some(ratchet()),
        }
    }

    /// The device's next connection key; what is left is stored.
    pub fn connection_key(&mut self) -> ConnectionKey {
        let (key, left) = self.ratchet.take().unwrap().advance();
        self.ratchet = Some(left);
        key
    }
}

/// How a device connects.
#[cfg(feature = "x25519")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Static,
    Resumed,
    Psk,
}

#[cfg(feature = "x25519")]
pub const WAYS: [Way; 3] = [Way::Static, Way::Resumed, Way::Psk];

#[cfg(feature = "x25519")]
impl World {
    /// Connects over a link with faults. [`Way::Resumed`] first makes a session to resume, if there
    /// is none.
    pub fn connect_over(&mut self, way: Way, up: Fault, down: Fault) -> Ends {
        if way == Way::Resumed && self.resumption.is_none() {
            both(self.connect(Way::Static));
        }
        let (mut near, mut far) = Pipe::faulty(up, down);
        let mut far_rng = ChaCha12Rng::from_rng(&mut self.rng);
        let resumption = self.resumption.take().filter(|_| way == Way::Resumed);
        let key = (way == Way::Psk).then(|| self.connection_key());
        let (own, peer) = (device(), host());
        let connect = async {
            let (device, pin, rng) = (&self.device, &self.pin, &mut self.rng);
            let connected = match key {
                Some(key) => sharelet_channel::connect_psk(&mut near, &own, &peer, key, rng).await,
                None => {
                    sharelet_channel::connect(&mut near, device, &peer, pin, resumption, rng).await
                }
            };
            connected.map(|connected| Near::new(connected, near))
        };
        let accept = async {
            let (own, known, rng) = (&self.host, &mut self.known, &mut far_rng);
            let accepted = sharelet_channel::accept(&mut far, own, known, rng).await;
            accepted.map(|accepted| Far::new(accepted, far))
        };
        let (mut near, far) = run(embassy_futures::join::join(connect, accept));
        if let Ok(near) = &mut near {
            self.resumption = near.resumption.take();
        }
        (near, far)
    }

    pub fn connect(&mut self, way: Way) -> Ends {
        self.connect_over(way, Fault::None, Fault::None)
    }
}

/// The initiator's end.
#[derive(Debug)]
pub struct Near {
    pub channel: Channel<Pipe>,
    pub pattern: Pattern,
    #[cfg(feature = "x25519")]
    pub resumption: Option<Resumption>,
}

impl Near {
    pub fn new(connected: Connected, pipe: Pipe) -> Self {
        Self {
            channel: connected.keys.channel(pipe),
            pattern: connected.pattern,
            #[cfg(feature = "x25519")]
            resumption: connected.resumption,
        }
    }
}

/// The responder's end.
#[derive(Debug)]
pub struct Far {
    pub channel: Channel<Pipe>,
    pub pattern: Pattern,
    pub peer: Party,
}

impl Far {
    pub fn new(accepted: Accepted, pipe: Pipe) -> Self {
        let Accepted { keys, peer, pattern, .. } = accepted;
        Self { channel: keys.channel(pipe), pattern, peer }
    }
}

/// What either side has of an attempt to connect.
pub type Ends = (Result<Near, Error>, Result<Far, Error>);

/// What went wrong on either side; `None` where nothing did.
pub fn errors<N, F>(
    (near, far): (Result<N, Error>, Result<F, Error>),
) -> (Option<Error>, Option<Error>) {
    (near.err(), far.err())
}

/// Nothing did.
pub fn both((near, far): Ends) -> (Near, Far) {
    (near.unwrap(), far.unwrap())
}
