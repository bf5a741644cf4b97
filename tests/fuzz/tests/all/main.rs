//! Every target, for a second at least: its seeds and the corpus as they are, and then changed.
//!
//! `FUZZ_SECONDS=60 cargo test -p sharelet-fuzz` searches longer; `cargo xtask bench fuzz` searches
//! with coverage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::std_instead_of_core)]

use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_fuzz::seeds::{files, folder};
use sharelet_fuzz::{TARGETS, Target};

const LEAST_RUNS: u64 = 1000;
const THREADS: usize = 4;

fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    rng.next_u32() as usize % bound.max(1)
}

/// Changes a few bytes, and sometimes the length.
fn change(bytes: &mut Vec<u8>, rng: &mut ChaCha8Rng) {
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

fn run(target: &Target, bytes: &[u8]) {
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(ended.is_ok(), "target {} panics at {hex}", target.name);
}

/// What the fuzzer found interesting is kept for every target.
#[test]
fn every_target_has_a_corpus() {
    for target in &TARGETS {
        let kept = files(&folder("fuzz/corpus").join(target.name));
        assert!(!kept.is_empty(), "fuzz/corpus/{} is empty", target.name);
    }
}

#[test]
fn every_target_takes_any_bytes() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = given("SHARELET_SEED").unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("SHARELET_SEED={seed}");
    let time = Duration::from_secs(given("FUZZ_SECONDS").unwrap_or(1));
    // Some wait for each other's words, and leave the machine to the rest.
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(target) = TARGETS.get(next.fetch_add(1, Ordering::Relaxed)) {
            search(target, seed, time);
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
}

/// Runs a target on what it begins with, and then on that changed.
fn search(target: &Target, seed: u64, time: Duration) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = files(&folder("fuzz/corpus").join(target.name));
    all.extend((target.seeds)());
    assert!(!all.is_empty(), "{} begins with nothing", target.name);
    all.iter().for_each(|bytes| run(target, bytes));
    run(target, &[]);
    let (begin, mut runs) = (Instant::now(), 0);
    // A thousand, unless the target or the machine is slow.
    while begin.elapsed() < time || runs < LEAST_RUNS && begin.elapsed() < 4 * time {
        let mut bytes = all[below(&mut rng, all.len())].clone();
        change(&mut bytes, &mut rng);
        run(target, &bytes);
        runs += 1;
    }
    println!("{}: {} seeds, {runs} runs", target.name, all.len());
}
