//! The store against a real server: what it promises hosts and dealers, and what is wrong with one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::std_instead_of_core)]

mod promises;
mod wrong;

use std::path::Path;

use sharelet_core::DeviceId;
use sharelet_host::store::identity::Own;
use sharelet_link::{Party, Role};
use sharelet_nats::{Access, Made, Nats, Room, make};
use sharelet_testkit::nats::NatsServer;

fn own(role: Role, name: &str) -> Own {
    Own::generate(Party::new(role, name).unwrap()).unwrap()
}

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

fn access(server: &NatsServer) -> Access {
    Access::new(&server.url()).unwrap()
}

/// A server with the store of a host, or of a dealer.
fn made(role: Role) -> Option<(NatsServer, Own)> {
    let server = NatsServer::start(false)?;
    let own = own(role, "a.b");
    assert_eq!(make(&access(&server), &own, room(64)).unwrap(), Made::Made);
    Some((server, own))
}

fn room(megabytes: u64) -> Room {
    Room { max_bytes: Some(megabytes << 20), replicas: None }
}

fn open(server: &NatsServer, own: &Own, state: &Path) -> Nats {
    Nats::open(&access(server), own, Some(state)).unwrap()
}
