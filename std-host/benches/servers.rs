//! Two servers on one machine, over loopback: inference and training steps of the networks that the field compares with.
//!
//! `cargo bench -p sharelet-host --bench servers [-- NET...]` prints a line per figure, `name value`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss, missing_docs)]

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sharelet_core::engine::Truncation;
use sharelet_host::kernel::{Bilinear, Form, Product};
use sharelet_host::tensor::local::{Local, Outputs, Parts, Taken};
use sharelet_host::train::loss::Wanted;
use sharelet_host::train::model::Model;
use sharelet_host::train::network::Network;
use sharelet_host::train::step::{Evaluate, OpenData, OpenModel, Step};
use sharelet_host::train::update::Rates;

const FRAC_BITS: u32 = 20;
const RUNS: usize = 5;

type Servers = Local<ChaCha20Rng>;

fn report(name: &str, taken: &[Taken]) {
    let online = taken.iter().map(|taken| taken.online).min().unwrap();
    let dealing = taken.iter().map(|taken| taken.dealing).min().unwrap();
    let first = &taken[0];
    println!("{name}/online_ms {:.3}", online.as_secs_f64() * 1e3);
    println!("{name}/dealing_ms {:.3}", dealing.as_secs_f64() * 1e3);
    println!("{name}/bytes_per_party {}", first.sent.bytes);
    println!("{name}/messages {}", first.sent.messages);
    println!("{name}/dealt_bytes {}", first.plan.dealt_bytes());
    println!("{name}/multiply_adds {}", first.plan.multiply_adds);
    assert_eq!(first.sent.bytes, first.plan.usage.online_bytes);
}

fn words(rng: &mut ChaCha20Rng, elems: usize, bits: u32) -> Vec<u64> {
    (0..elems).map(|_| rng.next_u64() >> (64 - bits)).collect()
}

fn small(rng: &mut ChaCha20Rng, elems: usize, bits: u32) -> Vec<u64> {
    words(rng, elems, bits + 1).into_iter().map(|word| word.wrapping_sub(1 << bits)).collect()
}

fn model(network: &Network, rng: &mut ChaCha20Rng) -> Model {
    let mut model = Model::zeros(network, false).unwrap();
    model.words_mut().for_each(|word| *word = small(rng, 1, FRAC_BITS - 4)[0]);
    model
}

fn split(words: &[u64], rng: &mut ChaCha20Rng) -> [Vec<u64>; 2] {
    let share: Vec<u64> = words.iter().map(|_| rng.next_u64()).collect();
    [share.clone(), words.iter().zip(share).map(|(word, share)| word.wrapping_sub(share)).collect()]
}

fn forward(name: &str, network: &Network, batch: usize, servers: &mut Servers) {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    let models = [Model::zeros(network, false).unwrap(), model(network, &mut rng)];
    let zeros = Model::zeros(network, false).unwrap();
    let [open_0, open_1, sizes, dealer] = [&models[0], &models[1], &zeros, &zeros].map(OpenModel);
    let opened = servers.run(Parts { sizes, dealer, parties: [open_0, open_1] }).unwrap().0;
    let mut taken = Vec::new();
    for _ in 0..RUNS {
        let inputs = split(&words(&mut rng, batch * network.input.elems(), FRAC_BITS), &mut rng);
        let evaluate = |model, weights, inputs| Evaluate::new(network, FRAC_BITS, (model, weights), inputs).unwrap();
        let [sizes, dealer] = [(); 2].map(|()| evaluate(&zeros, &opened.dealer, vec![0; inputs[0].len()]));
        let [inputs_0, inputs_1] = inputs;
        let parties = [evaluate(&models[0], &opened.parties[0], inputs_0), evaluate(&models[1], &opened.parties[1], inputs_1)];
        taken.push(servers.run(Parts { sizes, dealer, parties }).unwrap().1);
    }
    report(name, &taken);
}

fn train(name: &str, network: &Network, batch: usize, servers: &mut Servers) {
    let mut rng = ChaCha20Rng::from_seed([3; 32]);
    let outputs = network.shapes().unwrap().last().unwrap().elems();
    let rates = Rates { rate: 1, rate_bits: 12, rounds_first: false, momentum: 0, decay: 0 };
    let mut taken = Vec::new();
    let mut models = [Model::zeros(network, false).unwrap(), model(network, &mut rng)];
    for _ in 0..RUNS {
        let inputs = split(&words(&mut rng, batch * network.input.elems(), FRAC_BITS), &mut rng);
        let nothing = vec![0; batch * outputs];
        let mut targets = nothing.clone();
        targets.chunks_mut(outputs).for_each(|row| row[usize::try_from(rng.next_u32()).unwrap() % outputs] = 1 << FRAC_BITS);
        let [sizes, dealer] = [(); 2].map(|()| OpenData { inputs: vec![0; inputs[0].len()] });
        let parts = Parts { sizes, dealer, parties: inputs.map(|inputs| OpenData { inputs }) };
        let Outputs { parties: [opened_0, opened_1], dealer: masks } = servers.run(parts).unwrap().0;
        let unopened = masks.rows(network.input.elems(), &(0..batch).collect::<Vec<_>>());
        let mut zeros = [(); 2].map(|()| Model::zeros(network, false).unwrap());
        let ([zeros_0, zeros_1], [model_0, model_1]) = (&mut zeros, &mut models);
        let step =
            |model, inputs, targets| Step::new(network, FRAC_BITS, model, (inputs, targets), rates, Wanted::default()).unwrap();
        let [targets_0, targets_1] = split(&targets, &mut rng);
        let parties = [step(model_0, opened_0, targets_0), step(model_1, opened_1, targets_1)];
        let (sizes, dealer) = (step(zeros_0, unopened, nothing.clone()), step(zeros_1, masks, nothing));
        taken.push(servers.run(Parts { sizes, dealer, parties }).unwrap().1);
    }
    report(name, &taken);
}

/// The plaintext network A on one core, 128 inputs: what the table is normalised by.
fn calibration() {
    let mut rng = ChaCha20Rng::from_seed([4; 32]);
    let layers = [(784, 128), (128, 128), (128, 10)];
    let weights = layers.map(|(inner, columns)| (0..inner * columns).map(|_| rng.next_u32()).collect::<Vec<u32>>());
    let input: Vec<u32> = (0..128 * 784).map(|_| rng.next_u32()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut best = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        let mut x = input.clone();
        pool.install(|| {
            for ((inner, columns), weights) in layers.into_iter().zip(&weights) {
                let mut out = vec![0; 128 * columns];
                let map = Bilinear::Product(Product { form: Form::SecondTransposed, rows: 128, inner, columns });
                map.add(&x, weights, &mut out).unwrap();
                out.iter_mut().for_each(|word| *word = word.cast_signed().max(0).cast_unsigned());
                x = out;
            }
        });
        black_box(x);
        best = best.min(start.elapsed());
    }
    println!("calibration/plain_a128_us {:.1}", best.as_secs_f64() * 1e6);
}

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    calibration();
    let mut servers: Servers = Local::new(ChaCha20Rng::from_seed([1; 32]), Truncation::OneUnit);
    for name in ["a", "b", "c", "d"] {
        if !chosen.is_empty() && !chosen.iter().any(|chosen| chosen == name) {
            continue;
        }
        let network = Network::named(name).unwrap();
        forward(&format!("{name}/fwd1"), &network, 1, &mut servers);
        forward(&format!("{name}/fwd128"), &network, 128, &mut servers);
        train(&format!("{name}/train128"), &network, 128, &mut servers);
    }
}
