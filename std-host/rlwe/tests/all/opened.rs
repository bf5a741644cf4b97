//! A million results of every use, opened: each is exact.

use sharelet_rlwe::{batch, matrix, weights};
use sharelet_testkit::{Rng, printed_seed, rng};

use crate::keys::{KEYS32, KEYS64};

const MANY: usize = 1_000_000;

/// `left` times `right`, modulo `2^64`.
fn product(left: &[u64], right: &[u64], inner: usize) -> Vec<u64> {
    let columns = right.len() / inner;
    let mut out = vec![0_u64; left.len() / inner * columns];
    for (out, row) in out.chunks_mut(columns).zip(left.chunks(inner)) {
        for (factor, words) in row.iter().zip(right.chunks(columns)) {
            for (out, word) in out.iter_mut().zip(words) {
                *out = out.wrapping_add(factor.wrapping_mul(*word));
            }
        }
    }
    out
}

/// Tall and wide matrices, and square ones: blocks of many shapes.
#[test]
fn products_of_matrices() {
    let seed = printed_seed();
    let (mut rng, mut random) = (rng(seed), Rng(seed));
    let mut opened = 0;
    for [rows, inner, columns] in [[620, 9, 660], [20_000, 2, 10], [5, 40, 40_000], [600, 3, 400]] {
        let shape = matrix::Shape::new(rows, inner, columns).unwrap();
        let mut words = |count| -> Vec<u64> { (0..count).map(|_| random.next()).collect() };
        let [a0, a1] = [0; 2].map(|_| words(rows * inner));
        let [b0, b1] = [0; 2].map(|_| words(inner * columns));
        let request = matrix::request(&KEYS64.secret, &shape, &a0, &b0, &mut rng).unwrap();
        let (reply, share1) =
            matrix::respond(&KEYS64.public, &shape, &a1, &b1, &request, &mut rng).unwrap();
        let share0 = matrix::finish(&KEYS64.secret, &shape, &reply).unwrap();
        let terms = [product(&a0, &b1, inner), product(&a1, &b0, inner)];
        assert_eq!([share0.len(), share1.len()], [rows * columns; 2]);
        for (place, (x, y)) in share0.iter().zip(&share1).enumerate() {
            let expected = terms[0][place].wrapping_add(terms[1][place]);
            assert_eq!(x.wrapping_add(*y), expected, "{rows} x {inner} x {columns}, {place}");
        }
        opened += share0.len();
    }
    assert!(opened >= MANY, "{opened}");
}

/// `W r` of weights and words modulo `2^32`, as words.
fn layer(weights: &[i32], r: &[u32], inputs: usize) -> Vec<u32> {
    let weights: Vec<u64> = weights.iter().map(|&weight| i64::from(weight) as u64).collect();
    let r: Vec<u64> = r.iter().map(|&word| word.into()).collect();
    product(&weights, &r, inputs).into_iter().map(|word| word as u32).collect()
}

#[test]
fn layers_of_a_session() {
    let seed = printed_seed();
    let (mut rng, mut random) = (rng(seed), Rng(seed));
    let mut opened = 0;
    for [outputs, inputs, columns] in [[64, 25, 8000], [400_000, 1, 1], [3, 300, 40_000]] {
        let shape = weights::Shape::new(outputs, inputs, columns).unwrap();
        let r: Vec<u32> = (0..inputs * columns).map(|_| random.next() as u32).collect();
        let own = (0..outputs * inputs).map(|_| i32::from(random.next() as i16));
        let own: Vec<i32> = own.collect();
        let request = weights::request(&KEYS32.secret, &shape, &r, &mut rng).unwrap();
        let (reply, share1) =
            weights::respond(&KEYS32.public, &shape, &own, &request, &mut rng).unwrap();
        let share0 = weights::finish(&KEYS32.secret, &shape, &reply).unwrap();
        let found: Vec<u32> = share0.iter().zip(&share1).map(|(x, y)| x.wrapping_add(*y)).collect();
        assert!(found == layer(&own, &r, inputs), "{outputs} x {inputs} x {columns}");
        opened += found.len();
    }
    assert!(opened >= MANY, "{opened}");
}

#[test]
fn layers_of_many_sessions() {
    let seed = printed_seed();
    let (mut rng, mut random) = (rng(seed), Rng(seed));
    let [outputs, inputs] = [250, 60];
    let shape = batch::Shape::new(outputs, inputs).unwrap();
    let r: Vec<u32> = (0..inputs * batch::SLOTS).map(|_| random.next() as u32).collect();
    let own: Vec<i32> = (0..outputs * inputs).map(|_| i32::from(random.next() as i16)).collect();
    let request = batch::request(&KEYS32.secret, &shape, &r, &mut rng).unwrap();
    let (reply, share1) = batch::respond(&KEYS32.public, &shape, &own, &request, &mut rng).unwrap();
    let share0 = batch::finish(&KEYS32.secret, &shape, &reply).unwrap();
    let found: Vec<u32> = share0.iter().zip(&share1).map(|(x, y)| x.wrapping_add(*y)).collect();
    assert!(found == layer(&own, &r, inputs));
    assert!(found.len() >= MANY, "{}", found.len());
}
