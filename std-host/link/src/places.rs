//! Who is served, and who gives his place to a newcomer.
//!
//! There are as many places for peers that still greet as for peers that are served. When the ones
//! are taken, the peer goes that has greeted for longest; when the others are, the one that has
//! waited for longest without having asked for anything. Whoever is in the middle of something
//! stays. Of several addresses the one with the most candidates gives way first.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sharelet_channel::Party;
use tokio_util::sync::CancellationToken;

/// The places of a service.
#[derive(Debug)]
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// In the order of arrival.
    visits: BTreeMap<u64, Taker>,
}

#[derive(Debug)]
struct Taker {
    address: IpAddr,
    /// Who has proved to be there, once it is served.
    party: Option<Party>,
    stage: Stage,
    leave: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Greets,
    Waits(Instant),
    Works,
}

impl Taken {
    fn count(&self, greets: bool) -> usize {
        self.visits.values().filter(|taker| (taker.stage == Stage::Greets) == greets).count()
    }

    /// Asks one of those to leave who can; `false` if there is none.
    fn make_room(&mut self, can: impl Fn(Option<Party>, Stage) -> bool) -> bool {
        let candidates = || self.visits.iter().filter(|(_, taker)| can(taker.party, taker.stage));
        let mut of_address = HashMap::<IpAddr, usize>::new();
        candidates().for_each(|(_, taker)| *of_address.entry(taker.address).or_default() += 1);
        let first = candidates().min_by_key(|(number, taker)| {
            let many = of_address.get(&taker.address).copied().unwrap_or(0);
            (core::cmp::Reverse(many), taker.stage, **number)
        });
        let Some(number) = first.map(|(number, _)| *number) else { return false };
        if let Some(taker) = self.visits.remove(&number) {
            taker.leave.cancel();
        }
        true
    }
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place to greet at: its number, and what is cancelled when somebody else gets it.
    pub(super) fn arrive(&self, address: IpAddr) -> (u64, CancellationToken) {
        let mut taken = self.taken();
        if taken.count(true) >= self.most {
            taken.make_room(|_, stage| stage == Stage::Greets);
        }
        let (number, leave) = (taken.next, CancellationToken::new());
        taken.next += 1;
        let (party, stage) = (None, Stage::Greets);
        taken.visits.insert(number, Taker { address, party, stage, leave: leave.clone() });
        (number, leave)
    }

    /// A place to be served at, for one that has greeted; `false` if it has none any more, or there
    /// is none. One that has a place keeps it.
    ///
    /// One that has proved who it is has its own places, at most so many.
    pub(super) fn enter(&self, number: u64, proved: Option<(Party, usize)>) -> bool {
        let mut taken = self.taken();
        match taken.visits.get(&number).map(|taker| taker.stage) {
            None => return false,
            Some(Stage::Greets) => {}
            Some(Stage::Waits(_) | Stage::Works) => return taken.set(number, Stage::Works),
        }
        if let Some((party, most)) = proved {
            let of_party = |taker: &&Taker| taker.party == Some(party);
            let has = taken.visits.values().filter(of_party).count();
            let one_of_its_own =
                |party_of, stage| party_of == Some(party) && matches!(stage, Stage::Waits(_));
            if has >= most && !taken.make_room(one_of_its_own) {
                return false;
            }
            if let Some(taker) = taken.visits.get_mut(&number) {
                taker.party = Some(party);
            }
        }
        if taken.count(false) >= self.most
            && !taken.make_room(|_, stage| matches!(stage, Stage::Waits(_)))
        {
            return false;
        }
        taken.set(number, Stage::Works)
    }

    /// Its place may be given away from here on; `false` if it was.
    pub(super) fn wait(&self, number: u64) -> bool {
        self.taken().set(number, Stage::Waits(Instant::now()))
    }

    /// Its place may no longer be given away; `false` if it was.
    pub(super) fn work(&self, number: u64) -> bool {
        self.taken().set(number, Stage::Works)
    }

    pub(super) fn leave(&self, number: u64) {
        self.taken().visits.remove(&number);
    }
}

impl Taken {
    fn set(&mut self, number: u64, stage: Stage) -> bool {
        self.visits.get_mut(&number).map(|taker| taker.stage = stage).is_some()
    }
}

/// The place of a visit, for who may have to take it away.
#[derive(Clone, Debug)]
pub struct Place {
    pub(super) places: Arc<Places>,
    pub(super) number: u64,
    pub(super) taken: CancellationToken,
}

impl Place {
    /// A place for who arrives.
    pub(super) fn new(places: Arc<Places>, peer: IpAddr) -> Self {
        let (number, taken) = places.arrive(peer);
        Self { places, number, taken }
    }

    /// Its number, which no other place of the service has.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// Takes it away: there is room for another at once, and the visit ends.
    pub fn take_away(&self) {
        self.places.leave(self.number);
        self.taken.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(127, 0, 0, 1));
    const RIGHT: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(127, 0, 0, 2));

    #[test]
    fn the_longest_greeting_gives_way_of_the_address_with_the_most() {
        let places = Places::new(3);
        let visits = [RIGHT, LEFT, LEFT].map(|address| places.arrive(address));
        let (late, _) = places.arrive(RIGHT);
        let gone = visits.clone().map(|(_, leave)| leave.is_cancelled());
        assert_eq!(gone, [false, true, false]);
        assert!(!places.enter(visits[1].0, None), "it is gone");
        assert!(places.enter(late, None));
    }

    #[test]
    fn who_waits_gives_way_and_who_works_stays() {
        let places = Places::new(2);
        let served = [(); 2].map(|()| places.arrive(LEFT));
        served.iter().for_each(|(number, _)| assert!(places.enter(*number, None)));
        let (late, told) = places.arrive(LEFT);
        assert!(!places.enter(late, None), "both work");
        assert!(places.wait(served[1].0) && places.wait(served[0].0));
        assert!(places.enter(late, None) && !told.is_cancelled());
        assert!(served[1].1.is_cancelled(), "it has waited for longer");
        assert!(!places.work(served[1].0));
        assert!(places.work(served[0].0));
        places.leave(late);
        let (next, _) = places.arrive(RIGHT);
        assert!(places.enter(next, None));
    }

    #[test]
    fn one_that_has_a_place_keeps_it_and_takes_no_other() {
        let places = Places::new(2);
        let party = Some((Party::new(sharelet_channel::Role::DataParty, "pump").unwrap(), 2));
        let served = [(); 2].map(|()| places.arrive(LEFT));
        for _ in 0..2 {
            served.iter().for_each(|(number, _)| assert!(places.enter(*number, party)));
        }
        assert!(places.wait(served[0].0) && places.enter(served[1].0, party));
        assert!(!served[0].1.is_cancelled(), "nobody needs its place");
    }

    #[test]
    fn a_party_has_its_own_places_and_no_more() {
        let places = Places::new(9);
        let party = |name| Some((Party::new(sharelet_channel::Role::Host, name).unwrap(), 2));
        let enter = |who| {
            let (number, leave) = places.arrive(LEFT);
            (places.enter(number, who), number, leave)
        };
        let [first, second] = [(); 2].map(|()| enter(party("hall-2")));
        assert!(first.0 && second.0);
        assert!(!enter(party("hall-2")).0, "both work");
        assert!(enter(party("hall-3")).0 && enter(None).0);
        assert!(places.wait(second.1));
        assert!(enter(party("hall-2")).0);
        assert!(second.2.is_cancelled() && !first.2.is_cancelled(), "its own gives way");
    }
}
