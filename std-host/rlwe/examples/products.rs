//! Times and bytes of each use, both parties one after the other on this machine's cores.
//!
//! `cargo run --release -p sharelet-rlwe --example products`

use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_rlwe::{Error, Public, Secret, Words32, Words64, batch, matrix, weights};

/// Products of a training step of network A, 784-128-128-10, with batches of 128.
const STEP: [(&str, [usize; 3]); 8] = [
    ("forward 1", [128, 784, 128]),
    ("forward 2", [128, 128, 128]),
    ("forward 3", [128, 128, 10]),
    ("gradient 3", [128, 128, 10]),
    ("error 2", [128, 10, 128]),
    ("gradient 2", [128, 128, 128]),
    ("error 1", [128, 128, 128]),
    ("gradient 1", [784, 128, 128]),
];
/// Layers of network A: outputs and inputs.
const LAYERS: [[usize; 2]; 3] = [[128, 784], [128, 128], [10, 128]];

/// Milliseconds of a call, and what it gives.
fn timed<T>(call: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = call();
    (start.elapsed().as_secs_f64() * 1e3, result)
}

/// A line of figures; the sum of the three times, and that of the bytes.
#[allow(clippy::cast_precision_loss)]
fn line(name: &str, times: [f64; 3], bytes: [usize; 2], noise_bits: f64) -> (f64, usize) {
    let [request, respond, finish] = times;
    let [up, down] = bytes.map(|bytes| bytes as f64 / 1e6);
    let times_and_bytes = format!("{request:8.1} {respond:8.1} {finish:8.1} ms  {up:8.3} MB up");
    println!("{name:<12} {times_and_bytes} {down:8.3} MB down  noise {noise_bits:.1} bits");
    (times.iter().sum(), bytes.iter().sum())
}

/// The sum of lines.
#[allow(clippy::cast_precision_loss)]
fn total(lines: &[(f64, usize)]) {
    let time: f64 = lines.iter().map(|line| line.0).sum();
    let bytes: usize = lines.iter().map(|line| line.1).sum();
    println!("{:<12} {time:.1} ms, {:.3} MB\n", "in total", bytes as f64 / 1e6);
}

fn main() -> Result<(), Error> {
    println!("             request  respond   finish");
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    matrices(&mut rng)?;
    let secret = Secret::<Words32>::new(&mut rng);
    let public = Public::read(&secret.public(&mut rng))?;

    let mut lines = Vec::new();
    for [outputs, inputs] in LAYERS {
        let shape = weights::Shape::new(outputs, inputs, 1)?;
        let w = weights_of(&mut rng, outputs * inputs);
        let r: Vec<u32> = (0..inputs).map(|_| rng.next_u32()).collect();
        let (request_ms, request) = timed(|| weights::request(&secret, &shape, &r, &mut rng));
        let request = request?;
        let (respond_ms, replied) =
            timed(|| weights::respond(&public, &shape, &w, &request, &mut rng));
        let (reply, _) = replied?;
        let (finish_ms, share) = timed(|| weights::finish(&secret, &shape, &reply));
        let _ = share?;
        let times = [request_ms, respond_ms, finish_ms];
        let name = format!("{outputs} x {inputs}");
        lines.push(line(&name, times, [request.len(), reply.len()], shape.noise_bits(&w)?));
    }
    println!("one session of network A, weights of 16 bits:");
    total(&lines);

    let mut lines = Vec::new();
    for [outputs, inputs] in LAYERS {
        let shape = batch::Shape::new(outputs, inputs)?;
        let w = weights_of(&mut rng, outputs * inputs);
        let r: Vec<u32> = (0..inputs * batch::SLOTS).map(|_| rng.next_u32()).collect();
        let (request_ms, request) = timed(|| batch::request(&secret, &shape, &r, &mut rng));
        let request = request?;
        let (respond_ms, replied) =
            timed(|| batch::respond(&public, &shape, &w, &request, &mut rng));
        let (reply, _) = replied?;
        let (finish_ms, share) = timed(|| batch::finish(&secret, &shape, &reply));
        let _ = share?;
        let times = [request_ms, respond_ms, finish_ms];
        let name = format!("{outputs} x {inputs}");
        lines.push(line(&name, times, [request.len(), reply.len()], shape.noise_bits(&w)?));
    }
    println!("{} sessions of network A, weights of 16 bits:", batch::SLOTS);
    total(&lines);
    Ok(())
}

/// All weights of 16 bits.
fn weights_of(rng: &mut ChaCha20Rng, count: usize) -> Vec<i32> {
    (0..count).map(|_| rng.next_u32().cast_signed() >> 16).collect()
}

fn matrices(rng: &mut ChaCha20Rng) -> Result<(), Error> {
    let secret = Secret::<Words64>::new(rng);
    let public = Public::read(&secret.public(rng))?;
    let mut lines = Vec::new();
    for (name, [rows, inner, columns]) in STEP {
        let shape = matrix::Shape::new(rows, inner, columns)?;
        let mut words = |count: usize| -> Vec<u64> { (0..count).map(|_| rng.next_u64()).collect() };
        let [a0, a1] = [0; 2].map(|_| words(rows * inner));
        let [b0, b1] = [0; 2].map(|_| words(inner * columns));
        let (request_ms, request) = timed(|| matrix::request(&secret, &shape, &a0, &b0, rng));
        let request = request?;
        let (respond_ms, replied) =
            timed(|| matrix::respond(&public, &shape, &a1, &b1, &request, rng));
        let (reply, _) = replied?;
        let (finish_ms, share) = timed(|| matrix::finish(&secret, &shape, &reply));
        let _ = share?;
        let times = [request_ms, respond_ms, finish_ms];
        lines.push(line(name, times, [request.len(), reply.len()], shape.noise_bits()));
    }
    println!("a training step of network A, batches of 128:");
    total(&lines);
    Ok(())
}
