//! A peer that answers with random bytes: programs end, and nothing panics (overflow checks are
//! on). The same with corrections that no dealer wrote.

use rand_core::Rng;
use sharelet_core::functions::program::unary::Smooth;
use sharelet_testkit::programs::data::{Data, all_words};
use sharelet_testkit::programs::function::Function;
use sharelet_testkit::programs::link::End;
use sharelet_testkit::programs::run::Runs;
use sharelet_testkit::{printed_seed, rng};

fn functions(f: u32) -> Vec<Function> {
    let mut all = Function::every(60, f);
    let without_tables =
        [Function::ReluShift(f), Function::Select, Function::LeakyRelu(3, f), Function::OneHot(12)];
    all.extend(without_tables.clone().map(Function::on_bits));
    all.extend(without_tables.map(Function::by_ot));
    let exactly = [
        Function::Rescale(f),
        Function::Convert(f),
        Function::Exp(f),
        Function::Smooth { function: Smooth::Gelu, f, other: false },
        Function::Ln(f),
        Function::Divide(f),
        Function::Softmax(10, f),
        Function::LayerNorm(10, f, 3, Some([vec![9; 10], vec![8; 10]])),
    ];
    all.extend(exactly.map(Function::exactly));
    all
}

fn noise<R: Runs>(seed: u64) {
    let mut rng = rng(seed);
    for f in [8, 12, 16, 20] {
        for function in functions(f) {
            let x: Vec<R> = all_words::<R>(60, &mut rng).into_iter().rev().take(60).collect();
            let y = if matches!(function, Function::FixedMatrix(..)) { &x[..9] } else { &x };
            let data: Data<R> = function.data(&x, y);
            let usage = R::count(&function, &data).unwrap();
            let mut dealt = vec![0; usize::try_from(usage.dealt_bytes).unwrap()];
            // What the dealer wrote, as far as a peer can tell; and, against a dealer that is
            // broken, ends of all kinds.
            for fill in 0..3_u8 {
                match fill {
                    0 => rng.fill_bytes(&mut dealt),
                    1 => dealt.fill(0),
                    _ => dealt.fill(0xff),
                }
                let peer = Box::new(sharelet_testkit::rng(rng.next_u64()));
                println!("{function:?}, k = {}, seed {seed}", R::BITS);
                let (end, mut data) = (End::Noise(peer), data.clone());
                let (done, _, left) = R::alone(&function, &mut data, end, &dealt, usage.work_bytes);
                assert_eq!((done, left), (Ok(()), 0), "{function:?}, k = {}, seed {seed}", R::BITS);
            }
        }
    }
}

#[test]
fn random_bytes_from_the_peer_do_no_harm() {
    let seed = printed_seed();
    for round in 0..3 {
        noise::<u32>(seed.wrapping_add(round));
        noise::<u64>(seed.wrapping_add(round));
    }
}
