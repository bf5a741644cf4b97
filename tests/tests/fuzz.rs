//! A small fuzzer without tools: random and mutated bytes for every reader, from a printed seed, for a bounded time.
//!
//! `FUZZ_SECONDS=600 cargo test -p sharelet-tests --release --test fuzz` searches longer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use core::time::Duration;
use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::network::Network;
use sharelet_core::wire::control::{self, Answer, Grant, Hello, Refusal, Request};
use sharelet_core::wire::frame::Header;
use sharelet_tests::model::Model;
use sharelet_tests::party::Setup;
use sharelet_tests::pipe::End;
use sharelet_tests::{frames, printed_seed, rng};

/// Calls `each` until the time is over; returns how often.
fn fuzz(mut each: impl FnMut(&mut ChaCha12Rng)) -> u64 {
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2);
    let mut rng = rng(printed_seed());
    let (start, mut rounds) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        each(&mut rng);
        rounds += 1;
    }
    rounds
}

fn below(rng: &mut ChaCha12Rng, bound: usize) -> usize {
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
fn readers_of_messages() {
    let rounds = fuzz(|rng| {
        let mut bytes = vec![0; below(rng, 130)];
        rng.fill_bytes(&mut bytes);
        if let Some(header) = bytes.first_chunk() {
            let _ = Header::parse(*header).map(|header| assert_eq!(&header.emit(), bytes.first_chunk().unwrap()));
        }
        let model = Model::random(&[3, 2, 2], rng.next_u32() % 2 == 0, rng);
        let mut buffer = [0; 256];
        let used = control::emit_welcome(&model.network, &[3; 32], &mut buffer).unwrap();
        let mut welcome = buffer[..used].to_vec();
        mutate(&mut welcome, rng);
        for bytes in [&bytes, &welcome] {
            let _ = control::parse_hello(bytes);
            let mut network = Network::<8>::default();
            if control::parse_welcome(bytes, &mut network).is_ok() {
                assert_eq!(network.validate(), Ok(()));
            }
            let _ = control::parse::<Hello>(bytes);
            let _ = control::parse::<Request>(bytes);
            let _ = control::parse::<Grant>(bytes);
            let _ = control::parse::<Refusal>(bytes);
            let _ = control::parse::<Network<8>>(bytes);
        }
    });
    assert!(rounds > 1000);
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
    let rounds = fuzz(|rng| {
        let (setup, input, honest, corrections) = &cases[below(rng, 2)];
        let [mut host, mut device] = [honest.host.clone(), honest.device.clone()];
        mutate(&mut host, rng);
        mutate(&mut device, rng);
        // A changed welcome may describe another valid network: what the device sends is then frames of it.
        let run = setup.device_against::<ChaCha8>(&host, End::Closed, input);
        let _ = frames::split(&run.sent);
        let _ = setup.host_against(&device, End::Closed, corrections);
    });
    assert!(rounds > 100);
}
