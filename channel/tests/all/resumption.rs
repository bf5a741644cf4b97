//! Resumptions: used once, and what happens when the responder has none.

use sharelet_channel::{Error, Pattern, Resumption};

use crate::pipe::Fault;
use crate::world::{self, Way, World, both, errors};

#[test]
fn an_unknown_resumption_falls_back_to_static_keys() {
    let mut world = World::new(20);
    both(world.connect(Way::Static));
    world.known.resumptions.clear();
    let (near, far) = world.connect(Way::Resumed);
    assert_eq!((near.unwrap().pattern, far.unwrap().pattern), (Pattern::KkPsk0, Pattern::KkPsk0));
    let (near, far) = world.connect(Way::Resumed);
    assert_eq!((near.unwrap().pattern, far.unwrap().pattern), (Pattern::NnPsk0, Pattern::NnPsk0));
}

#[test]
fn a_resumption_that_is_used_twice_is_unknown() {
    let mut world = World::new(21);
    both(world.connect(Way::Static));
    let copy = world.resumption.as_ref().unwrap().expose();
    let (near, far) = world.connect(Way::Resumed);
    assert_eq!((near.unwrap().pattern, far.unwrap().pattern), (Pattern::NnPsk0, Pattern::NnPsk0));
    world.resumption = Some(Resumption::from_bytes(&copy));
    let (near, far) = world.connect(Way::Resumed);
    assert_eq!((near.unwrap().pattern, far.unwrap().pattern), (Pattern::KkPsk0, Pattern::KkPsk0));
}

#[test]
fn one_of_another_name_stays() {
    let mut world = World::new(22);
    both(world.connect(Way::Static));
    let own = world.resumption.take().unwrap().expose();
    world.resumption = Some(Resumption::from_bytes(&[5; 48]));
    // A stranger who guesses a name: the fall-back needs the static key.
    world.device = sharelet_channel::Identity::without_static_key(world::device());
    assert_eq!(world.connect(Way::Resumed).0.err(), Some(Error::NoStaticKey));
    assert_eq!(world.known.resumptions[&world::device()].expose(), own);
}

#[test]
fn a_lost_answer_costs_one_handshake_with_static_keys() {
    let mut world = World::new(23);
    both(world.connect(Way::Static));
    let (near, far) = errors(world.connect_over(Way::Resumed, Fault::None, Fault::Cut(1)));
    assert_eq!((near, far), (Some(Error::Closed), Some(Error::Closed)));
    for expected in [Pattern::KkPsk0, Pattern::NnPsk0] {
        let way = if expected == Pattern::KkPsk0 { Way::Static } else { Way::Resumed };
        assert_eq!(world.connect(way).0.unwrap().pattern, expected);
    }
}
