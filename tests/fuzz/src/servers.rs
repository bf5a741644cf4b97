//! Either of two servers, against a peer that says any bytes: the other server on a lane, a data
//! party, the console or the dealer, in every state of either, however the servers are set up; and
//! whoever comes to a server that is alone. What is said up to there is what honest ones say.
//!
//! The first byte says how the servers are set up and who the peer is. Behind it are, for a
//! stranger, its bytes; for others a [`Change`].

use std::sync::LazyLock;

use crate::line::Change;
use crate::room::{HURRIED, KINDS, Kind, PATIENT, Played, SPEAKERS, play, stranger};
use crate::seeds::{tagged, untagged};

/// A stranger, and those whose word is changed.
const PEERS: usize = 1 + SPEAKERS.len();
/// States of a conversation that seeds begin with.
const STATES: usize = 6;

/// Where all are honest.
static HONEST: LazyLock<[Played; KINDS.len()]> = LazyLock::new(|| {
    KINDS.map(|kind| {
        let played = play(kind, None, PATIENT);
        // One for the data party, one that waits for the console, and that.
        assert_eq!(played.answers, 3, "{kind:?}");
        played
    })
});

fn run(server: usize, bytes: &[u8]) {
    let Some((tag, bytes)) = untagged(bytes, KINDS.len() * PEERS) else { return };
    let kind = KINDS[tag / PEERS];
    match (tag % PEERS).checked_sub(1) {
        None => drop(stranger(kind, server, bytes)),
        Some(speaker) => {
            let Some(change) = Change::parse(bytes) else { return };
            play(kind, Some((server, SPEAKERS[speaker], change)), HURRIED);
        }
    }
}

fn seeds(server: usize) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (kind, played) in HONEST.iter().enumerate() {
        for (speaker, said) in played.said[server].iter().enumerate() {
            let tag = kind * PEERS;
            seeds.push(tagged(tag, &said.first));
            let mut changes = vec![Change { at: 0, bytes: &[], ends: false }];
            let every = said.ends.len().div_ceil(STATES).max(1);
            let states = said.ends.iter().step_by(every).zip([false, true].into_iter().cycle());
            changes.extend(states.map(|(at, ends)| Change { at: at - 1, bytes: &[0xa5], ends }));
            seeds.extend(changes.iter().map(|change| tagged(tag + 1 + speaker, &change.emit())));
        }
        if server == 1 && [Kind::Dealt, Kind::SharedDealt].contains(&KINDS[kind]) {
            let tag = kind * PEERS + PEERS - 1;
            // Greeting, status, whether the model is there, corrections.
            let change = |at| Change { at, bytes: &[0xa5; 4], ends: at % 2 == 1 };
            seeds.extend([0, 5, 12, 20, 33, 90].map(|at| tagged(tag, &change(at).emit())));
        }
    }
    seeds
}

pub fn zero(bytes: &[u8]) {
    run(0, bytes);
}

pub fn one(bytes: &[u8]) {
    run(1, bytes);
}

pub fn zero_seeds() -> Vec<Vec<u8>> {
    seeds(0)
}

pub fn one_seeds() -> Vec<Vec<u8>> {
    seeds(1)
}
