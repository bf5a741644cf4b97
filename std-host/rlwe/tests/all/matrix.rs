//! Triples of matrices.

use sharelet_rlwe::matrix::{self, Shape};
use sharelet_testkit::{Rng, printed_seed, rng};

use crate::keys::KEYS64;

/// `to += x y`.
fn add_product(x: &[u64], y: &[u64], [rows, inner, columns]: [usize; 3], to: &mut [u64]) {
    for row in 0..rows {
        for place in 0..inner {
            for column in 0..columns {
                let product = x[row * inner + place].wrapping_mul(y[place * columns + column]);
                to[row * columns + column] = to[row * columns + column].wrapping_add(product);
            }
        }
    }
}

/// Both parties; shares must add up to the cross terms.
fn check(sizes: [usize; 3], mut word: impl FnMut() -> u64, seed: u64) {
    let [rows, inner, columns] = sizes;
    let mut rng = rng(seed);
    let shape = Shape::new(rows, inner, columns).unwrap();
    let mut words = |count: usize| -> Vec<u64> { (0..count).map(|_| word()).collect() };
    let [a0, a1] = [0; 2].map(|_| words(rows * inner));
    let [b0, b1] = [0; 2].map(|_| words(inner * columns));
    let request = matrix::request(&KEYS64.secret, &shape, &a0, &b0, &mut rng).unwrap();
    assert_eq!(request.len(), shape.request_bytes());
    let (reply, share1) =
        matrix::respond(&KEYS64.public, &shape, &a1, &b1, &request, &mut rng).unwrap();
    assert_eq!(reply.len(), shape.reply_bytes());
    let share0 = matrix::finish(&KEYS64.secret, &shape, &reply).unwrap();
    let found: Vec<u64> = share0.iter().zip(&share1).map(|(x, y)| x.wrapping_add(*y)).collect();
    let mut expected = vec![0; rows * columns];
    add_product(&a0, &b1, sizes, &mut expected);
    add_product(&a1, &b0, sizes, &mut expected);
    assert_eq!(found, expected, "{sizes:?}");
}

#[test]
fn shares_add_up_to_the_cross_terms() {
    let seed = printed_seed();
    let mut random = Rng(seed);
    let shapes = [
        [1, 1, 1],
        [1, 1, 7],
        [7, 1, 1],
        [1, 131, 1],
        [13, 17, 19],
        [3, 8191, 2],
        [2, 8192, 1],
        [1, 8193, 3],
        [1, 20_011, 1],
        [8209, 1, 1],
        [1, 2, 8209],
        [128, 10, 128],
        [127, 257, 31],
    ];
    for sizes in shapes {
        check(sizes, || random.next(), seed);
    }
    for _ in 0..4 {
        let sizes = [0; 3].map(|_| 1 + random.below(60));
        check(sizes, || random.next(), seed);
    }
}

#[test]
fn extreme_words_are_right() {
    let seed = printed_seed();
    let edges = [0, 1, 1 << 63, u64::MAX, (1 << 63) - 1];
    for edge in edges {
        check([9, 300, 8], || edge, seed);
    }
    let mut random = Rng(seed);
    check([20, 500, 9], || edges[random.below(edges.len())], seed);
}

/// Shares of one party are not the words: with all operands zero they are uniform.
#[test]
fn shares_are_masked() {
    let shape = Shape::new(16, 4, 16).unwrap();
    let mut rng = rng(printed_seed());
    let [a, b] = [vec![0; 64], vec![0; 64]];
    let request = matrix::request(&KEYS64.secret, &shape, &a, &b, &mut rng).unwrap();
    let (_, share) = matrix::respond(&KEYS64.public, &shape, &a, &b, &request, &mut rng).unwrap();
    let ones: u32 = share.iter().map(|word| word.count_ones()).sum();
    // 16,384 fair coins; six deviations.
    assert!(ones.abs_diff(8192) < 6 * 64, "{ones}");
}

/// What the documents say of a training step's largest product.
#[test]
fn the_sizes_of_a_large_product_are_as_documented() {
    let shape = Shape::new(128, 784, 128).unwrap();
    assert_eq!([shape.request_bytes(), shape.reply_bytes()], [41_330_720, 18_576_720]);
    assert!((74.0..75.0).contains(&shape.noise_bits()), "{}", shape.noise_bits());
}
