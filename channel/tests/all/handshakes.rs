//! Handshakes: who gets in, and who does not.

use core::cell::Cell;
use core::convert::Infallible;

use embedded_io_async::{Read as _, Write as _};
use rand_core::{TryCryptoRng, TryRng};
use sharelet_channel::{
    Error, Identity, PairingKey, Party, Pattern, Pin, Reason, Role, StaticKey, accept, connect,
    refuse,
};

use crate::pipe::{Fault, Pipe, run};
use crate::world::{self, WAYS, Way, World, both, errors};

/// Bytes of hello and first message; of the answer.
const UP: usize = 88;
const DOWN: usize = 49;

#[test]
fn every_pattern_connects_and_carries_bytes_both_ways() {
    for (way, pattern) in WAYS.into_iter().zip([Pattern::KkPsk0, Pattern::NnPsk0, Pattern::Psk]) {
        let mut world = World::new(1);
        let (near, far) = world.connect(way);
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        assert_eq!((near.pattern, far.pattern, far.peer), (pattern, pattern, world::device()));
        assert_eq!(world.resumption.is_some(), way != Way::Psk);
        assert_eq!(world.known.resumptions.len(), usize::from(way != Way::Psk));
        run(async {
            let mut read = [0; 64];
            near.channel.write(b"up").await.unwrap();
            near.channel.flush().await.unwrap();
            assert_eq!(far.channel.read(&mut read).await, Ok(2));
            far.channel.write(b"down").await.unwrap();
            far.channel.close().await.unwrap();
            assert_eq!(near.channel.read(&mut read).await, Ok(4));
            assert_eq!(read[..4], *b"down");
            assert_eq!(near.channel.read(&mut read).await, Ok(0));
            assert_eq!(far.channel.write(b"late").await, Err(Error::Finished));
        });
    }
}

#[test]
fn both_sides_keep_the_same_resumption_and_another_one_each_time() {
    let mut world = World::new(2);
    let mut seen = Vec::new();
    for way in [Way::Static, Way::Resumed, Way::Resumed, Way::Static] {
        both(world.connect(way));
        let kept = world.known.resumptions[&world::device()].expose();
        assert_eq!(world.resumption.as_ref().unwrap().expose(), kept);
        assert!(!seen.contains(&kept));
        seen.push(kept);
    }
}

#[test]
fn the_fingerprint_does_not_change() {
    let key = StaticKey::from_bytes([7; 32]);
    assert_eq!(
        format!("{}", key.public().fingerprint(&Party::new(Role::Host, "hall-2").unwrap())),
        "nycf-lcdi-jlmz-polz-ox3q"
    );
}

#[test]
fn whoever_lacks_a_key_is_refused() {
    let refused = (Some(Error::Refused(Reason::Unknown)), Some(Error::Authentication));
    // The device has another static key than the one pinned, or another pairing.
    let mut world = World::new(3);
    world.device = Identity::new(world::device(), StaticKey::from_bytes([9; 32]));
    assert_eq!(errors(world.connect(Way::Static)), refused);
    let mut world = World::new(3);
    world.pin.pairing = PairingKey::from_bytes([9; 32]);
    assert_eq!(errors(world.connect(Way::Static)), refused);
    // The host has.
    let mut world = World::new(3);
    world.host = Identity::new(world::host(), StaticKey::from_bytes([9; 32]));
    assert_eq!(errors(world.connect(Way::Static)), refused);
    // Another provisioned key, another resumption of the same name.
    let mut world = World::new(3);
    world.known.ratchets.get_mut(&world::device()).unwrap()[20] ^= 1;
    assert_eq!(errors(world.connect(Way::Psk)), refused);
    let mut world = World::new(3);
    both(world.connect(Way::Static));
    let mut bytes = world.resumption.take().unwrap().expose();
    bytes[40] ^= 1;
    world.resumption = Some(sharelet_channel::Resumption::from_bytes(&bytes));
    assert_eq!(errors(world.connect(Way::Resumed)), refused);
    assert!(world.known.resumptions.is_empty(), "a resumption is used once");
}

#[test]
fn a_host_without_the_pinned_key_does_not_get_the_device() {
    // Somebody who knows everything but the host's static secret answers, as if he knew the device.
    let mut world = World::new(4);
    let other = StaticKey::from_bytes([9; 32]);
    let mut known = core::mem::take(&mut world.known);
    let (mut near, mut far) = Pipe::pair();
    let pin = Pin {
        public: world.pin.public,
        pairing: PairingKey::from_bytes(*world.pin.pairing.expose()),
    };
    let posing = Identity::new(world::host(), other);
    let (mut rng, mut far_rng) = (world::fixed(40), world::fixed(41));
    let ends = run(embassy_futures::join::join(
        connect(&mut near, &world.device, &world::host(), &pin, None, &mut rng),
        accept(&mut far, &posing, &mut known, &mut far_rng),
    ));
    assert_eq!(errors(ends), (Some(Error::Refused(Reason::Unknown)), Some(Error::Authentication)));
    // An answer that he makes up.
    let (mut near, mut far) = Pipe::pair();
    run(far.write(&[0; DOWN])).unwrap();
    let connected = run(connect(&mut near, &world.device, &world::host(), &pin, None, &mut rng));
    assert_eq!(connected.err(), Some(Error::Authentication));
}

#[test]
fn roles_and_names_are_bound() {
    // The responder is another party than the one the initiator wants.
    for party in [Party::new(Role::Dealer, "hall-2"), Party::new(Role::Host, "hall-3")] {
        for way in WAYS {
            let mut world = World::new(5);
            if way == Way::Resumed {
                both(world.connect(Way::Static));
            }
            let key = StaticKey::from_bytes([1; 32]);
            let public = key.public();
            world.host = Identity::new(party.unwrap(), key);
            world.pin.public = public;
            assert_eq!(
                errors(world.connect(way)),
                (Some(Error::Refused(Reason::Unknown)), Some(Error::Authentication)),
                "{way:?}"
            );
        }
    }
    // The initiator says another name or role: nobody is pinned to it.
    for party in [Party::new(Role::DataParty, "pump-07"), Party::new(Role::Device, "pump-08")] {
        let mut world = World::new(5);
        world.device = Identity::new(party.unwrap(), StaticKey::from_bytes([9; 32]));
        assert_eq!(
            errors(world.connect(Way::Static)),
            (Some(Error::Refused(Reason::Unknown)), Some(Error::Unknown(party.unwrap())))
        );
    }
    // Somebody is pinned to it, with the very same keys: the name on the wire is changed.
    let mut world = World::new(5);
    let twin = Party::new(Role::Device, "qump-07").unwrap();
    let pinned = world.known.pins[&world::device()];
    world.known.pins.insert(twin, pinned);
    let flip = Fault::Flip(8, b'p' ^ b'q');
    assert_eq!(
        errors(world.connect_over(Way::Static, flip, Fault::None)),
        (Some(Error::Refused(Reason::Unknown)), Some(Error::Authentication))
    );
    assert_eq!(world.known.asked, [twin]);
}

#[test]
fn another_version_is_refused() {
    let mut world = World::new(6);
    for way in WAYS {
        let ends = world.connect_over(way, Fault::Flip(4, 3), Fault::None);
        assert_eq!(
            errors(ends),
            (Some(Error::Refused(Reason::Version)), Some(Error::Version { theirs: 1 }))
        );
    }
}

#[test]
fn another_pattern_than_the_one_offered_fails() {
    for (way, bits) in [(Way::Static, 3), (Way::Resumed, 3), (Way::Psk, 1), (Way::Psk, 2)] {
        let mut world = World::new(7);
        let (near, far) = errors(world.connect_over(way, Fault::Flip(6, bits), Fault::None));
        assert!(near.is_some() && far.is_some(), "{way:?}: {near:?}, {far:?}");
    }
}

#[test]
fn a_flipped_bit_anywhere_in_a_handshake_is_noticed() {
    for way in WAYS {
        for at in 0..UP + 18 {
            let mut world = World::new(8);
            let ends = world.connect_over(way, Fault::Flip(at, 1 << (at % 8)), Fault::None);
            if way == Way::Resumed && matches!(&ends, (Ok(_), Ok(_))) {
                // Another name of a resumption or of its peer is one that is not kept.
                assert_eq!(ends.1.unwrap().pattern, Pattern::KkPsk0);
                assert!((8..40).contains(&at), "byte {at} up");
                continue;
            }
            let (near, far) = errors(ends);
            // The confirmation comes when the initiator is through.
            assert!(far.is_some(), "{way:?}, byte {at} up");
            assert_eq!(near.is_some(), at < UP, "{way:?}, byte {at} up");
            assert!(world.known.resumptions.is_empty() || at < UP, "{way:?}, byte {at} up");
        }
        for at in 0..DOWN {
            let mut world = World::new(9);
            let ends = world.connect_over(way, Fault::None, Fault::Flip(at, 1 << (at % 8)));
            let (near, far) = errors(ends);
            assert!(near.is_some() && far.is_some(), "{way:?}, byte {at} down");
        }
    }
}

#[test]
fn a_handshake_that_is_cut_is_noticed() {
    for way in WAYS {
        for at in 0..UP {
            let mut world = World::new(10);
            let (near, far) = errors(world.connect_over(way, Fault::Cut(at), Fault::None));
            assert_eq!(far, Some(Error::Closed), "{way:?}, byte {at} up");
            assert!(near.is_some());
        }
        for at in 0..DOWN {
            let mut world = World::new(10);
            let (near, far) = errors(world.connect_over(way, Fault::None, Fault::Cut(at)));
            assert_eq!((near, far.is_some()), (Some(Error::Closed), true), "{way:?}, byte {at}");
        }
    }
}

#[test]
fn a_recorded_session_opens_nothing_again() {
    for way in WAYS {
        let mut world = World::new(11);
        let (near, far) = world.connect(way);
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        run(async {
            near.channel.write(b"open the valve").await.unwrap();
            near.channel.close().await.unwrap();
            assert_eq!(far.channel.read(&mut [0; 64]).await, Ok(14));
        });
        let tape = near.channel.transport().tap().log();
        let kept = world.known.resumptions.get(&world::device()).map(|kept| kept.expose());
        let mut rng = world::fixed(12);
        let mut script = Pipe::script(&tape);
        let accepted = run(accept(&mut script, &world.host, &mut world.known, &mut rng));
        let expected = match way {
            // The keys differ, since the responder's ephemeral key does.
            Way::Static => Error::Authentication,
            // What follows the unknown resumption is no hello.
            Way::Resumed => Error::NotAChannel,
            Way::Psk => Error::Step { next: 1, offered: 0 },
        };
        assert_eq!(accepted.err(), Some(expected), "{way:?}");
        let now = world.known.resumptions.get(&world::device()).map(|kept| kept.expose());
        assert_eq!(kept, now, "a replay takes nothing from the peer");
    }
}

/// A generator that is not to be asked.
struct Unasked<'a>(&'a Cell<usize>);

impl TryRng for Unasked<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.set(self.0.get() + 1);
        Ok(4)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.set(self.0.get() + 1);
        Ok(4)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.set(self.0.get() + 1);
        bytes.fill(4);
        Ok(())
    }
}

impl TryCryptoRng for Unasked<'_> {}

/// A key pair is what a handshake begins with: without random bytes there was none.
#[test]
fn a_stranger_costs_no_computation() {
    let mut world = World::new(13);
    world.known = world::Known::default();
    for way in WAYS {
        let (mut near, _far) = Pipe::pair();
        let tap = near.tap();
        let mut rng = world::fixed(14);
        let key = world.connection_key();
        let (party, host) = (world::device(), world::host());
        match way {
            Way::Psk => {
                let psk = sharelet_channel::connect_psk(&mut near, &party, &host, key, &mut rng);
                run(psk).unwrap_err();
            }
            _ => {
                let resumption = (way == Way::Resumed)
                    .then(|| sharelet_channel::Resumption::from_bytes(&[3; 48]));
                let pin = &world.pin;
                run(connect(&mut near, &world.device, &host, pin, resumption, &mut rng))
                    .unwrap_err();
            }
        }
        let asked = Cell::new(0);
        let (mut told, mut far) = Pipe::pair();
        run(told.write(&tap.log())).unwrap();
        run(told.flush()).unwrap();
        let accepted = run(accept(&mut far, &world.host, &mut world.known, &mut Unasked(&asked)));
        assert!(accepted.is_err(), "{way:?}");
        assert_eq!(asked.get(), 0, "{way:?}");
        let mut reason = [0];
        run(told.read(&mut reason)).unwrap();
        let expected =
            if way == Way::Resumed { Reason::ResumptionUnknown } else { Reason::Unknown };
        assert_eq!(Reason::from_byte(reason[0]), Some(expected));
    }
}

#[test]
fn an_initiator_is_told_why_it_is_refused() {
    for reason in [Reason::Busy, Reason::ShuttingDown, Reason::TooSlow] {
        let world = World::new(15);
        let (mut near, mut far) = Pipe::pair();
        run(refuse(&mut far, reason)).unwrap();
        let mut rng = world::fixed(16);
        let connected =
            run(connect(&mut near, &world.device, &world::host(), &world.pin, None, &mut rng));
        assert_eq!(connected.err(), Some(Error::Refused(reason)));
    }
}

#[test]
fn an_initiator_that_says_nothing_is_told() {
    let mut world = World::new(18);
    let (mut near, mut far) = Pipe::pair();
    let mut rng = world::fixed(19);
    let accepted = run(accept(&mut far, &world.host, &mut world.known, &mut rng));
    assert_eq!(accepted.err().map(|error| error.name()), Some("Timeout"));
    let mut reason = [0];
    assert_eq!(run(near.read(&mut reason)), Ok(1));
    assert_eq!(Reason::from_byte(reason[0]), Some(Reason::TooSlow));
}

#[test]
fn a_party_without_a_static_key_says_so() {
    let mut world = World::new(17);
    world.device = Identity::without_static_key(world::device());
    assert_eq!(world.connect(Way::Static).0.err(), Some(Error::NoStaticKey));
    let mut world = World::new(17);
    world.host = Identity::without_static_key(world::host());
    assert_eq!(
        errors(world.connect(Way::Static)),
        (Some(Error::Refused(Reason::Unknown)), Some(Error::NoStaticKey))
    );
}
