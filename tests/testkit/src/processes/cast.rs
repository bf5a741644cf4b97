//! The identities of the programs that play together in a folder.

use std::path::Path;

use sharelet_channel::Pin;
use sharelet_host::store::identity::Own;
use sharelet_host::store::peers::{Paired, folder_of};
use sharelet_link::{Party, Role};

/// Those who are always there: file, role, and the files of those that they meet.
const CAST: [(&str, Role, &[&str]); 5] = [
    ("dealer", Role::Dealer, &[]),
    ("host", Role::Host, &["dealer"]),
    ("server-1", Role::Server1, &["dealer"]),
    ("server-0", Role::Server0, &["server-1"]),
    ("control-room", Role::Console, &["server-0", "server-1"]),
];

/// Makes an identity, if it is not there, and pairs it.
fn make(folder: &Path, name: &str, role: Role, peers: &[&str]) {
    let file = |name: &str| folder.join(format!("{name}.id"));
    if file(name).exists() {
        return;
    }
    let own = Own::generate(Party::new(role, name).expect("a name")).expect("randomness");
    own.save(&file(name)).expect("saves");
    for peer in peers {
        let peer = (file(peer), Own::load(&file(peer)).expect("was made before"));
        let pin = |one: &Own, other: &Own| {
            Pin::paired(&one.key, &one.party, &other.party, other.key.public()).expect("a key")
        };
        for (path, one, other) in [(&file(name), &own, &peer.1), (&peer.0, &peer.1, &own)] {
            let paired = Paired::Static(pin(one, other));
            folder_of(path).put(&other.party, &paired).expect("saves");
        }
    }
}

/// The arguments that give a command line its keys.
pub(super) fn keys(folder: &Path, line: &str) -> String {
    let after = |option: &str| line.split_whitespace().skip_while(|word| *word != option).nth(1);
    let has = |option: &str| line.split_whitespace().any(|word| word == option);
    if ["--id", "--peer-id", "--insecure-plaintext", "--help"].into_iter().any(has) {
        return String::new();
    }
    CAST.iter().for_each(|(name, role, peers)| make(folder, name, *role, peers));
    let id = |name: &str| format!("--id {name}.id");
    match line.split_whitespace().next() {
        Some("provision") => match after("--role") {
            _ if has("--peer") => String::new(),
            None => "--peer host.id".to_owned(),
            Some("data-party") => "--peer server-0.id --peer server-1.id".to_owned(),
            Some(_) => String::new(),
        },
        Some(name @ ("dealer" | "host")) => id(name),
        Some("console") => id("control-room"),
        Some("server" | "collect" | "train") => {
            after("--party").map_or_else(String::new, |party| id(&format!("server-{party}")))
        }
        // Without a dealer there is no key: the device is named after its state.
        Some("device" | "prepare") if has("--state") => {
            after("--state").map_or_else(String::new, |state| {
                make(folder, state, Role::Device, &["host"]);
                id(state)
            })
        }
        Some("device") => {
            after("--key").map_or_else(String::new, |key| id(key.trim_end_matches(".key")))
        }
        Some("share") => after("--owner").map_or_else(String::new, |owner| {
            make(folder, owner, Role::Owner, &["server-0", "server-1"]);
            id(owner)
        }),
        _ => String::new(),
    }
}
