//! Both sides of every handshake, and records, on secret keys and secret plaintext.

use embassy_futures::block_on;
use embassy_futures::join::join;
use embedded_io_async::{Read as _, Write as _};
use sharelet_channel::{
    Accepted, Connected, Error, Identity, NotStored, PairingKey, Party, Pin, Pins, PublicKey,
    RATCHET_BYTES, Ratchet, Resumption, ResumptionId, Role, StaticKey, accept, connect,
    connect_psk,
};
use sharelet_core::Key;

use crate::line::Line;
use crate::secret::{Secrets, public, secret};

/// Longer than a record.
const MESSAGE_BYTES: usize = 700;

fn device() -> Party {
    Party::new(Role::Device, "pump-07").expect("a name")
}

fn host() -> Party {
    Party::new(Role::Host, "hall-2").expect("a name")
}

/// What the host has of the device.
struct Known {
    public: PublicKey,
    pairing: [u8; 32],
    resumption: Option<Resumption>,
    ratchet: [u8; RATCHET_BYTES],
}

impl Pins for Known {
    fn pin(&mut self, _: &Party) -> Option<Pin> {
        Some(Pin { public: self.public, pairing: PairingKey::from_bytes(self.pairing) })
    }

    fn resumption(&mut self, _: &Party, _: &ResumptionId) -> Option<Resumption> {
        self.resumption.take()
    }

    fn keep(&mut self, _: &Party, resumption: Resumption) {
        let mut bytes = resumption.expose();
        // Its name will be sent in the clear.
        public(bytes.first_chunk_mut::<16>().expect("is longer"));
        self.resumption = Some(Resumption::from_bytes(&bytes));
    }

    fn ratchet(&mut self, _: &Party) -> Option<Ratchet> {
        Some(Ratchet::from_bytes(&self.ratchet))
    }

    fn advanced(&mut self, _: &Party, ratchet: Ratchet) -> Result<(), NotStored> {
        self.ratchet = ratchet.expose();
        Ok(())
    }
}

/// The public half of a key, which is given to the peer.
fn given(key: &StaticKey) -> PublicKey {
    PublicKey::from_bytes(public(*key.public().as_bytes()))
}

/// A device and a host that were paired.
struct World {
    device: Identity,
    host: Identity,
    pin: Pin,
    known: Known,
    resumption: Option<Resumption>,
}

impl World {
    fn new() -> Self {
        let mut secrets = Secrets::new(11);
        let (near, far) = (StaticKey::generate(&mut secrets), StaticKey::generate(&mut secrets));
        let pin = Pin::paired(&near, &device(), &host(), given(&far)).expect("somebody's key");
        let back = Pin::paired(&far, &host(), &device(), given(&near)).expect("somebody's key");
        let known = Known {
            public: back.public,
            pairing: *back.pairing.expose(),
            resumption: None,
            ratchet: ratchet(&mut secrets).expose(),
        };
        let (device, host) = (Identity::new(device(), near), Identity::new(host(), far));
        Self { device, host, pin, known, resumption: None }
    }

    /// A handshake, with the keys at hand.
    fn handshake(&mut self) -> Ends {
        let (mut near, mut far) = Line::pair();
        let resumption = self.resumption.take();
        let (connected, accepted) = block_on(join(
            connect(&mut near, &self.device, &host(), &self.pin, resumption, &mut Secrets::new(12)),
            accept(&mut far, &self.host, &mut self.known, &mut Secrets::new(13)),
        ));
        let mut connected = connected.expect("connects");
        self.resumption = connected.resumption.take();
        ((connected, near), (accepted.expect("accepts"), far))
    }
}

type Ends = ((Connected, Line), (Accepted, Line));

fn ratchet(secrets: &mut Secrets) -> Ratchet {
    Ratchet::new(Key::from_bytes(secrets.key()))
}

pub fn pairing() {
    let world = World::new();
    let both = [*world.pin.pairing.expose(), world.known.pairing];
    // Compared here alone.
    let [near, far] = both.map(public::<u8, [u8; 32]>);
    assert_eq!(near, far);
}

pub fn kk_psk0() {
    talk(World::new().handshake());
}

pub fn nn_psk0() {
    let mut world = World::new();
    talk(world.handshake());
    talk(world.handshake());
}

pub fn psk() {
    let mut world = World::new();
    let (key, _) = ratchet_of(&world).advance();
    let (mut near, mut far) = Line::pair();
    let (own, peer) = (device(), host());
    let (connected, accepted) = block_on(join(
        connect_psk(&mut near, &own, &peer, key, &mut Secrets::new(12)),
        accept(&mut far, &world.host, &mut world.known, &mut Secrets::new(13)),
    ));
    talk(((connected.expect("connects"), near), (accepted.expect("accepts"), far)));
}

fn ratchet_of(world: &World) -> Ratchet {
    Ratchet::from_bytes(&world.known.ratchet)
}

/// Secret messages in both directions.
fn talk(((connected, near), (accepted, far)): Ends) {
    let (mut near, mut far) = (connected.keys.channel(near), accepted.keys.channel(far));
    for side in [true, false] {
        let (from, to) = if side { (&mut near, &mut far) } else { (&mut far, &mut near) };
        let sent = secret([7_u8; MESSAGE_BYTES]);
        let (written, received) = block_on(join(
            async {
                from.write_all(&sent).await?;
                from.close().await
            },
            async {
                let (mut all, mut piece) = (Vec::new(), [0_u8; 64]);
                loop {
                    match to.read(&mut piece).await? {
                        0 => return Ok::<_, Error>(all),
                        read => all.extend(&piece[..read]),
                    }
                }
            },
        ));
        written.expect("writes");
        // Compared here alone.
        assert_eq!(public::<u8, Vec<u8>>(received.expect("reads")), [7; MESSAGE_BYTES]);
    }
}

/// A record that was changed is refused, and that shows: where, does not.
pub fn changed() {
    for at in [2, 20, 40] {
        let ((connected, mut near), (accepted, far)) = World::new().handshake();
        near.change(at);
        let (mut near, mut far) = (connected.keys.channel(near), accepted.keys.channel(far));
        let message = secret([7_u8; 30]);
        let read = block_on(async {
            near.write_all(&message).await?;
            near.flush().await?;
            far.read(&mut [0; 64]).await
        });
        assert_eq!(read, Err(Error::Record));
    }
}
