//! Parties that are all paired with each other: their keys are made of their names.

use std::sync::Arc;

use sharelet_channel::{Identity, Pin, StaticKey};
use sharelet_core::DeviceId;
use sharelet_link::{Keyring, Party, Peers, Role, Route};

/// A party.
pub fn party(role: Role, name: &str) -> Party {
    Party::new(role, name).expect("a name")
}

fn key(party: &Party) -> StaticKey {
    let mut bytes = [party.role.byte(); 32];
    bytes[..16].copy_from_slice(party.name.as_bytes());
    StaticKey::from_bytes(bytes)
}

/// The names of those who listen, the dealer apart.
const NAMES: [&str; 2] = ["hall-1", "hall-2"];

/// Whom a party is paired with, by the key that it has: everybody.
struct Everybody {
    says: Party,
    is: Party,
}

impl Peers for Everybody {
    fn names(&self, role: Role) -> Vec<DeviceId> {
        let names: &[&str] = if role == Role::Dealer { &["dealer"] } else { &NAMES };
        names.iter().filter_map(|name| DeviceId::new(name)).collect()
    }

    fn pin(&self, peer: &Party) -> Option<Pin> {
        Pin::paired(&key(&self.is), &self.says, peer, key(peer).public()).ok()
    }
}

/// How a party's connections are made.
pub fn route(own: Party) -> Route {
    posing(own, own)
}

/// How the connections are made of one that says it is another, and has its own key.
pub fn posing(says: Party, is: Party) -> Route {
    let keyring = Keyring::new(Identity::new(says, key(&is)), Everybody { says, is });
    Route::sealed(Arc::new(keyring), None)
}
