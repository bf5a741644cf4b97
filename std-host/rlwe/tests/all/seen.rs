//! What `P0` decrypts is uniform, whatever was multiplied: under the words that `P1` keeps as its
//! share. What it sees of noise is in `reply.rs`, what `P1` sees of requests and of a public key,
//! which is one of zeros, in `fresh.rs`; their seeds are public randomness.

use sharelet_rlwe::{batch, matrix, weights};
use sharelet_testkit::chi_square::{BYTES_BOUND, Histogram};
use sharelet_testkit::{printed_seed, rng};

use crate::keys::{KEYS32, KEYS64};

/// Shares of `P0` are uniform; without the mask, which is the other's share, they are not.
fn is_masked<const BYTES: usize>(what: &str, words: impl Iterator<Item = [[u8; BYTES]; 2]>) {
    let mut histograms = [Histogram::default(), Histogram::default()];
    for [masked, bare] in words {
        histograms[0].extend(&masked);
        histograms[1].extend(&bare);
    }
    let [masked, bare] = histograms.map(|histogram| histogram.against_uniform());
    assert!(masked < BYTES_BOUND && bare > 10.0 * BYTES_BOUND, "{what}: {masked} {bare}");
}

fn are_masked_32(what: &str, share0: &[u32], share1: &[u32]) {
    let both =
        |(own, other): (&u32, &u32)| [own.to_le_bytes(), own.wrapping_add(*other).to_le_bytes()];
    is_masked(what, share0.iter().zip(share1).map(both));
}

#[test]
fn shares_of_matrices_are_masked() {
    let mut rng = rng(printed_seed());
    let shape = matrix::Shape::new(50, 3, 40).unwrap();
    for word in [0, 1, 1 << 63, u64::MAX] {
        let (a, b) = (vec![word; 150], vec![word; 120]);
        let request = matrix::request(&KEYS64.secret, &shape, &a, &b, &mut rng).unwrap();
        let (reply, share1) =
            matrix::respond(&KEYS64.public, &shape, &a, &b, &request, &mut rng).unwrap();
        let share0 = matrix::finish(&KEYS64.secret, &shape, &reply).unwrap();
        let both = |(own, other): (&u64, &u64)| {
            [own.to_le_bytes(), own.wrapping_add(*other).to_le_bytes()]
        };
        is_masked("a triple", share0.iter().zip(&share1).map(both));
    }
}

#[test]
fn shares_of_layers_are_masked() {
    let mut rng = rng(printed_seed());
    for (weight, word) in [(0, 7), (-32_768, u32::MAX), (1, 0x8000_0001)] {
        let (w, shape) = (vec![weight; 400 * 5], weights::Shape::new(400, 5, 4).unwrap());
        let r = vec![word; 5 * 4];
        let request = weights::request(&KEYS32.secret, &shape, &r, &mut rng).unwrap();
        let (reply, share1) =
            weights::respond(&KEYS32.public, &shape, &w, &request, &mut rng).unwrap();
        let share0 = weights::finish(&KEYS32.secret, &shape, &reply).unwrap();
        are_masked_32("a layer", &share0, &share1);

        let shape = batch::Shape::new(2, 3).unwrap();
        let (w, r) = ([weight; 6], vec![word; 3 * batch::SLOTS]);
        let request = batch::request(&KEYS32.secret, &shape, &r, &mut rng).unwrap();
        let (reply, share1) =
            batch::respond(&KEYS32.public, &shape, &w, &request, &mut rng).unwrap();
        let share0 = batch::finish(&KEYS32.secret, &shape, &reply).unwrap();
        are_masked_32("a batch", &share0, &share1);
    }
}
