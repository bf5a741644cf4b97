//! How many multiplications, each with an addition, the kernels do per second: on one core, and on
//! all.
//!
//! ```text
//! cargo bench -p sharelet-host --bench kernel -- [--json FILE] [WORD OF A CASE]
//! ```
//!
//! The first line is a fixed product in the clear, measured in the same run, so that machines can
//! be compared: 128 inputs through 784-128-128-10, `u32`, with the kernel of the host.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::cast_precision_loss)]

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use rayon::{ThreadPool, ThreadPoolBuilder};
use sharelet_core::ring::Ring;
use sharelet_host::host::kernel::add_matrix_vector;
use sharelet_train::kernel::{Bilinear, Convolution, Form, Product, Word};
use sharelet_train::network::Window;

const ROUNDS: usize = 60;
const ROUND: Duration = Duration::from_millis(4);
const BATCH: usize = 128;

const fn product(form: Form, rows: usize, inner: usize, columns: usize) -> Bilinear {
    Bilinear::Product(Product { form, rows, inner, columns })
}

/// A convolution of windows of 5 x 5 on square images.
const fn convolution(channels: usize, size: usize, filters: usize) -> Convolution {
    let window = Window { kernel: (5, 5), stride: (1, 1), padding: (0, 0) };
    Convolution { batch: BATCH, channels, height: size, width: size, filters, window }
}

fn cases() -> Vec<(String, Bilinear)> {
    use Form::{FirstTransposed, Plain, SecondTransposed};
    let mut cases = vec![
        ("product 128x784x128".to_owned(), product(Plain, 128, 784, 128)),
        (
            "product 784x128x128 first transposed".to_owned(),
            product(FirstTransposed, 784, 128, 128),
        ),
        (
            "product 128x128x784 second transposed".to_owned(),
            product(SecondTransposed, 128, 128, 784),
        ),
        ("product 128x128x128".to_owned(), product(Plain, 128, 128, 128)),
        ("product 128x128x10".to_owned(), product(Plain, 128, 128, 10)),
        ("product 128x128x10 first transposed".to_owned(), product(FirstTransposed, 128, 128, 10)),
        (
            "product 128x10x128 second transposed".to_owned(),
            product(SecondTransposed, 128, 10, 128),
        ),
        ("product 1x784x128".to_owned(), product(Plain, 1, 784, 128)),
        ("product 1x784x128 second transposed".to_owned(), product(SecondTransposed, 1, 784, 128)),
        ("product 1024x1024x1024".to_owned(), product(Plain, 1024, 1024, 1024)),
    ];
    for (name, shape) in [
        ("b1 1->16 on 28x28", convolution(1, 28, 16)),
        ("b2 16->16 on 12x12", convolution(16, 12, 16)),
        ("c1 1->20 on 28x28", convolution(1, 28, 20)),
        ("c2 20->50 on 12x12", convolution(20, 12, 50)),
    ] {
        cases.push((format!("convolution {name}"), Bilinear::Convolution(shape)));
        cases.push((format!("by kernels {name}"), Bilinear::ByKernels(shape)));
        cases.push((format!("by images {name}"), Bilinear::ByImages(shape)));
    }
    cases
}

fn words<R: Ring>(rng: &mut ChaCha8Rng, count: usize) -> Vec<R> {
    (0..count).map(|_| R::from_u64(rng.next_u64())).collect()
}

/// Seconds of a call: the best of many short rounds, because other programs may have the core for
/// some of them.
fn seconds(mut work: impl FnMut()) -> f64 {
    work();
    let times = (0..ROUNDS).map(|_| {
        let (start, mut calls) = (Instant::now(), 0);
        while start.elapsed() < ROUND {
            work();
            calls += 1;
        }
        start.elapsed().as_secs_f64() / f64::from(calls)
    });
    times.fold(f64::INFINITY, f64::min)
}

fn measure<R: Ring + Word>(map: &Bilinear, pool: &ThreadPool) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (x, y) = (words::<R>(&mut rng, map.x_elems()), words::<R>(&mut rng, map.y_elems()));
    let mut out = vec![R::default(); map.out_elems()];
    pool.install(|| seconds(|| map.add(black_box(&x), black_box(&y), black_box(&mut out)).unwrap()))
}

/// 128 inputs through 784-128-128-10 in the clear, as in the bench `throughput`.
fn plain_product() -> f64 {
    const WIDTHS: [usize; 4] = [784, 128, 128, 10];
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let layers: Vec<Vec<u32>> =
        WIDTHS.windows(2).map(|pair| words(&mut rng, pair[0] * pair[1])).collect();
    let inputs = words::<u32>(&mut rng, WIDTHS[0] * BATCH);
    seconds(|| {
        for input in inputs.chunks_exact(WIDTHS[0]) {
            let mut hidden = input.to_vec();
            for weights in &layers {
                let mut out = vec![0; weights.len() / hidden.len()];
                add_matrix_vector(weights, &hidden, &mut out);
                hidden = out;
            }
            black_box(hidden);
        }
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut wanted, mut json) = (String::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--json" => json = arguments.next(),
            word => word.clone_into(&mut wanted),
        }
    }
    let pool = |threads| ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let (one, all) = (pool(1), pool(0));
    let plain = 1e6 * plain_product();
    println!("plain product, 128 x 784-128-128-10, u32, one core: {plain:.0} us");
    println!(
        "{:<40} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "G/s", "u64 core", "u64 all", "u32 core", "u32 all", "us u64"
    );
    let mut rows = vec![format!(
        "  {{\"name\": \"kernel/plain_product_microseconds\", \"value\": {plain:.1}, \"unit\": \
         \"us\"}}"
    )];
    for (name, map) in cases().into_iter().filter(|(name, _)| name.contains(&wanted)) {
        let work = map.multiply_adds() as f64 / 1e9;
        let times = [
            measure::<u64>(&map, &one),
            measure::<u64>(&map, &all),
            measure::<u32>(&map, &one),
            measure::<u32>(&map, &all),
        ];
        let [u64_core, u64_all, u32_core, u32_all] = times.map(|time| work / time);
        println!(
            "{name:<40} {u64_core:>10.1} {u64_all:>10.1} {u32_core:>10.1} {u32_all:>10.1} {:>10.0}",
            1e6 * times[0]
        );
        for (word, value) in [("u64", u64_core), ("u32", u32_core)] {
            rows.push(format!(
                "  {{\"name\": \"kernel/{name}/{word}_core\", \"value\": {value:.2}, \"unit\": \
                 \"G/s\"}}"
            ));
        }
    }
    if let Some(path) = json {
        std::fs::write(&path, format!("[\n{}\n]\n", rows.join(",\n"))).expect("writes");
    }
}
