//! Sessions with layers of every shape against changed streams, from a printed seed, for a bounded
//! time. (`tests/fuzz` has every reader as a target, with a small network.)
//!
//! `FUZZ_SECONDS=600 cargo test -p sharelet-tests --release --test all fuzz::` searches longer.

use core::time::Duration;
use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::session::wire::control::Answer;
use sharelet_testkit::model::Model;
use sharelet_testkit::party::Setup;
use sharelet_testkit::pipe::End;
use sharelet_testkit::{frames, printed_seed, rng};

/// Calls `each` until the time is over, and `least` times on a machine that is busy.
fn fuzz(least: u64, mut each: impl FnMut(&mut ChaCha12Rng)) {
    let seconds =
        std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2);
    let mut rng = rng(printed_seed());
    let (start, mut rounds) = (Instant::now(), 0);
    while rounds < least || start.elapsed() < Duration::from_secs(seconds) {
        each(&mut rng);
        rounds += 1;
    }
}

/// A number below `bound`.
pub(super) fn below(rng: &mut ChaCha12Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % bound.max(1) as u64).unwrap()
}

/// Changes a few bytes, and sometimes the length.
fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha12Rng) {
    for _ in 0..=below(rng, 5) {
        let at = below(rng, bytes.len());
        let byte = rng.next_u32().to_le_bytes()[0];
        match rng.next_u32() % 6 {
            _ if bytes.is_empty() => bytes.push(byte),
            0 => bytes.insert(at, byte),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            // Values at the ends of ranges.
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
            4 => bytes[at] ^= 1 << (byte % 8),
            _ => bytes[at] = byte,
        }
    }
}

#[test]
fn both_sides_of_a_session() {
    let mut made = rng(70);
    let models = [Model::random(&[3, 5, 2], true, &mut made), Model::of_every_shape(&mut made)];
    let cases = models.map(|model| {
        let setup = Setup::random(model, Answer::Both, &mut made);
        let input: Vec<u32> = (0..setup.model.network.inputs()).map(|_| made.next_u32()).collect();
        let honest = setup.honest::<ChaCha8>(&input, 1000);
        let corrections = setup.corrections::<ChaCha8>();
        (setup, input, honest, corrections)
    });
    fuzz(100, |rng| {
        let (setup, input, honest, corrections) = &cases[below(rng, 2)];
        let [mut host, mut device] = [honest.host.clone(), honest.device.clone()];
        mutate(&mut host, rng);
        mutate(&mut device, rng);
        // A changed welcome may describe another valid network: what the device sends is then
        // frames of it.
        let run = setup.device_against::<ChaCha8>(&host, End::Closed, input);
        let _ = frames::split(&run.sent);
        let _ = setup.host_against(&device, End::Closed, corrections);
    });
}
