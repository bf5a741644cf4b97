//! The pattern `Psk`: steps are used once, lost ones are followed.

use sharelet_channel::{Error, MAX_STEPS_AHEAD, Pattern, Reason, accept, connect_psk};

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
    sharelet_channel::Ratchet::from_bytes(&world.known.ratchets[&world::device()]).step()
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

#[test]
fn lost_steps_are_followed_up_to_the_bound() {
    let mut world = World::new(33);
    for _ in 0..MAX_STEPS_AHEAD {
        world.connection_key();
    }
    both(connect(&mut world));
    for _ in 0..=MAX_STEPS_AHEAD {
        world.connection_key();
    }
    let next = MAX_STEPS_AHEAD + 1;
    let offered = next + MAX_STEPS_AHEAD + 1;
    assert_eq!(
        errors(connect(&mut world)),
        (Some(Error::Refused(Reason::Step)), Some(Error::Step { next, offered }))
    );
    assert_eq!(step(&world), next);
}

#[test]
fn a_ratchet_that_went_back_is_refused() {
    let mut world = World::new(34);
    let old = world.ratchet.as_ref().unwrap().expose();
    both(connect(&mut world));
    world.ratchet = Some(sharelet_channel::Ratchet::from_bytes(&old));
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
