//! The pattern `Psk`: steps are used once, lost ones are followed.

use sharelet_channel::{
    Error, Identity, Party, Pattern, Ratchet, Reason, Role, STEPS_AT_ONCE, accept, connect_psk,
};

use crate::pipe::{Pipe, run};
use crate::world::{self, Ends, Far, Near, World, both, errors};

fn connect(world: &mut World) -> Ends {
    let (mut near, mut far) = Pipe::pair();
    let key = world.connection_key();
    let (device, host) = (world::device(), world::host());
    let (mut rng, mut far_rng) = (world::fixed(30), world::fixed(31));
    // Each end is dropped when it is through, so that the other does not wait.
    let connect = async {
        let connected = connect_psk(&mut near, &device, &host, key, &mut rng).await;
        connected.map(|connected| Near::new(connected, near))
    };
    let accept = async {
        let accepted = accept(&mut far, &world.host, &mut world.known, &mut far_rng).await;
        accepted.map(|accepted| Far::new(accepted, far))
    };
    run(embassy_futures::join::join(connect, accept))
}

fn step(world: &World) -> u64 {
    Ratchet::from_bytes(&world.known.ratchets[&world::device()]).step()
}

#[test]
fn every_connection_is_a_step() {
    let mut world = World::new(32);
    for made in 1..=3 {
        let (near, far) = connect(&mut world);
        assert_eq!((near.unwrap().pattern, far.unwrap().pattern), (Pattern::Psk, Pattern::Psk));
        assert_eq!(step(&world), made);
    }
}

/// Connects `times` times, and is cut off before its hello is there.
fn cut_off(world: &mut World, times: u64) {
    for _ in 0..times {
        world.connection_key();
    }
}

#[test]
fn a_device_that_is_cut_off_however_often_comes_back() {
    let mut world = World::new(33);
    cut_off(&mut world, STEPS_AT_ONCE);
    both(connect(&mut world));
    let mut next = STEPS_AT_ONCE + 1;
    assert_eq!(step(&world), next);
    // More than are gone at once: each try brings the responder nearer.
    cut_off(&mut world, 2 * STEPS_AT_ONCE + 1);
    let mut offered = next + 2 * STEPS_AT_ONCE + 1;
    for _ in 0..2 {
        next += STEPS_AT_ONCE;
        assert_eq!(
            errors(connect(&mut world)),
            (Some(Error::Refused(Reason::Busy)), Some(Error::Behind { next, offered }))
        );
        assert_eq!(step(&world), next);
        offered += 1;
    }
    both(connect(&mut world));
    assert_eq!(step(&world), offered + 1);
}

/// The hello and the message of a step that the responder has not seen.
fn recorded(world: &mut World) -> Vec<u8> {
    let (mut near, far) = Pipe::pair();
    let tape = near.tap();
    let key = world.connection_key();
    drop(far);
    let own = world::device();
    let _ = run(connect_psk(&mut near, &own, &world::host(), key, &mut world::fixed(36)));
    tape.log()
}

fn play(world: &mut World, tape: &[u8]) -> Option<Error> {
    let mut rng = world::fixed(37);
    let mut script = Pipe::script(tape);
    run(accept(&mut script, &world.host, &mut world.known, &mut rng)).err()
}

#[test]
fn nobody_else_has_a_responder_follow() {
    let mut world = World::new(38);
    cut_off(&mut world, 7);
    let tape = recorded(&mut world);
    // A step that is another one, or a tag.
    for at in [24, 30, 32, 39] {
        let mut forged = tape.clone();
        forged[at] ^= 1;
        assert_eq!(play(&mut world, &forged), Some(Error::Authentication), "byte {at}");
        assert_eq!(step(&world), 0);
    }
    // Whoever plays the device's own hello, with another message, has it follow, and once.
    let mut other = tape.clone();
    other[40] ^= 1;
    let before = world.known.stored;
    assert_eq!(play(&mut world, &other), Some(Error::Authentication));
    assert_eq!((step(&world), world.known.stored), (7, before + 1));
    assert_eq!(play(&mut world, &other), Some(Error::Authentication));
    assert_eq!((step(&world), world.known.stored), (7, before + 1));
    // The device goes on, and what it has said before leads nowhere.
    both(connect(&mut world));
    assert_eq!((step(&world), world.known.stored), (9, before + 2));
    let old = Some(Error::Step { next: 9, offered: 7 });
    assert_eq!((play(&mut world, &tape), step(&world)), (old, 9));
    assert_eq!(world.known.stored, before + 2);
}

/// What is behind is stored once, with the step of the connection, or not at all.
#[test]
fn a_connection_that_is_behind_is_stored_once() {
    let mut world = World::new(39);
    cut_off(&mut world, 3);
    both(connect(&mut world));
    assert_eq!((step(&world), world.known.stored), (4, 1));
    cut_off(&mut world, 3);
    world.known.disk_full = true;
    let refused = (Some(Error::Refused(Reason::Busy)), Some(Error::NotStored));
    assert_eq!(errors(connect(&mut world)), refused);
    assert_eq!((step(&world), world.known.stored), (4, 1));
    cut_off(&mut world, STEPS_AT_ONCE);
    assert_eq!(errors(connect(&mut world)), refused);
    world.known.disk_full = false;
    // A stranger that plays a hello from far ahead has it followed so far, and no further.
    let tape = recorded(&mut world);
    let offered = 4 + 3 + 1 + STEPS_AT_ONCE + 1;
    let next = 4 + STEPS_AT_ONCE;
    assert_eq!(play(&mut world, &tape[..87]), Some(Error::Closed));
    let mut other = tape.clone();
    other[40] ^= 1;
    assert_eq!(play(&mut world, &other), Some(Error::Behind { next, offered }));
    for _ in 0..3 {
        assert_eq!(play(&mut world, &other), Some(Error::Authentication));
        assert_eq!((step(&world), world.known.stored), (offered, 3));
    }
    both(connect(&mut world));
}

/// A hello is for one responder, and of one role and name.
#[test]
fn what_was_said_to_another_is_followed_by_nobody() {
    let mut world = World::new(40);
    cut_off(&mut world, 2);
    let tape = recorded(&mut world);
    let host = core::mem::replace(
        &mut world.host,
        Identity::without_static_key(Party::new(Role::Host, "hall-3").unwrap()),
    );
    assert_eq!(play(&mut world, &tape), Some(Error::Authentication));
    world.host = host;
    // The same key under another role, as no provisioning gives it.
    let ratchet = world.known.ratchets[&world::device()];
    let mut other = tape.clone();
    other[7] = Role::DataParty.byte();
    world.known.ratchets.insert(Party { role: Role::DataParty, ..world::device() }, ratchet);
    assert_eq!(play(&mut world, &other), Some(Error::Authentication));
    assert_eq!((step(&world), world.known.stored), (0, 0));
}

#[test]
fn a_ratchet_that_went_back_is_refused() {
    let mut world = World::new(34);
    let old = world.ratchet.as_ref().unwrap().expose();
    both(connect(&mut world));
    world.ratchet = Some(Ratchet::from_bytes(&old));
    assert_eq!(
        errors(connect(&mut world)),
        (Some(Error::Refused(Reason::Step)), Some(Error::Step { next: 1, offered: 0 }))
    );
}

#[test]
fn what_cannot_be_stored_is_not_begun() {
    let mut world = World::new(35);
    world.known.disk_full = true;
    assert_eq!(
        errors(connect(&mut world)),
        (Some(Error::Refused(Reason::Busy)), Some(Error::NotStored))
    );
    assert_eq!(step(&world), 0);
}
