//! Either party of a session, and of a channel and the session in it, against a peer that sends any
//! bytes. The first byte says how the party is set up.

use std::sync::LazyLock;

use sharelet_core::Answer;
use sharelet_faults::parties::Way;
use sharelet_faults::runs::Runs;

use crate::script::{Script, run};
use crate::seeds::{tagged, untagged};

const ANSWERS: [Answer; 3] = [Answer::Device, Answer::Host, Answer::Both];
const CHANNELS: [Way; 3] = [Way::Static, Way::Resumed, Way::Psk];
const INPUT: [u32; 3] = [300, 5, 70];

static RUNS: LazyLock<Runs> = LazyLock::new(Runs::new);

/// One party alone. Its random numbers are those of the honest session, so that what a peer sent
/// there is not refused at once.
fn against(device: bool, way: Way, answer: Answer, bytes: &[u8]) {
    let (script, [mut near, mut far]) = (Script::new(bytes), Runs::rngs(0));
    if device {
        let _ = run(RUNS.parties().device(way, script, (answer, &INPUT), &mut near));
    } else {
        let _ = run(RUNS.parties().host(way, script, answer, &mut far));
    }
}

/// What a peer sends in honest sessions of these ways.
fn honest(device: bool, ways: &[Way]) -> Vec<Vec<u8>> {
    let setups = ways.iter().flat_map(|way| ANSWERS.map(|answer| (*way, answer)));
    let stream = |(tag, (way, answer))| {
        let [up, down] = RUNS.honest(way, answer);
        tagged(tag, if device { &down } else { &up })
    };
    setups.enumerate().map(stream).collect()
}

fn session(device: bool, bytes: &[u8]) {
    if let Some((tag, bytes)) = untagged(bytes, ANSWERS.len()) {
        against(device, Way::Plain, ANSWERS[tag], bytes);
    }
}

fn channel(device: bool, bytes: &[u8]) {
    if let Some((tag, bytes)) = untagged(bytes, CHANNELS.len() * ANSWERS.len()) {
        let (way, answer) = (CHANNELS[tag / ANSWERS.len()], ANSWERS[tag % ANSWERS.len()]);
        against(device, way, answer, bytes);
    }
}

pub fn device(bytes: &[u8]) {
    session(true, bytes);
}

pub fn host(bytes: &[u8]) {
    session(false, bytes);
}

pub fn connect(bytes: &[u8]) {
    channel(true, bytes);
}

pub fn accept(bytes: &[u8]) {
    channel(false, bytes);
}

pub fn device_seeds() -> Vec<Vec<u8>> {
    honest(true, &[Way::Plain])
}

pub fn host_seeds() -> Vec<Vec<u8>> {
    honest(false, &[Way::Plain])
}

pub fn connect_seeds() -> Vec<Vec<u8>> {
    honest(true, &CHANNELS)
}

pub fn accept_seeds() -> Vec<Vec<u8>> {
    honest(false, &CHANNELS)
}
