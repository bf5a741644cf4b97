//! Layers of one session.

use sharelet_rlwe::Error;
use sharelet_rlwe::weights::{self, Shape};
use sharelet_testkit::{Rng, printed_seed, rng};

use crate::keys::KEYS32;

fn check([outputs, inputs, columns]: [usize; 3], weights: &[i32], r: &[u32], seed: u64) {
    let mut rng = rng(seed);
    let shape = Shape::new(outputs, inputs, columns).unwrap();
    let request = weights::request(&KEYS32.secret, &shape, r, &mut rng).unwrap();
    assert_eq!(request.len(), shape.request_bytes());
    let (reply, share1) =
        weights::respond(&KEYS32.public, &shape, weights, &request, &mut rng).unwrap();
    assert_eq!(reply.len(), shape.reply_bytes());
    let share0 = weights::finish(&KEYS32.secret, &shape, &reply).unwrap();
    assert_eq!([share0.len(), share1.len()], [outputs * columns; 2]);
    for (place, (x, y)) in share0.iter().zip(&share1).enumerate() {
        let row = &weights[place / columns * inputs..][..inputs];
        let column = r.iter().skip(place % columns).step_by(columns);
        let terms = row.iter().zip(column).map(|(&weight, &r)| r.wrapping_mul(weight as u32));
        let expected = terms.fold(0, u32::wrapping_add);
        assert_eq!(x.wrapping_add(*y), expected, "{outputs} x {inputs} x {columns}, {place}");
    }
}

#[test]
fn shares_add_up_to_the_layer() {
    let seed = printed_seed();
    let mut random = Rng(seed);
    let shapes = [
        [1, 1, 1],
        [1, 4096, 1],
        [1, 4097, 1],
        [4099, 1, 1],
        [37, 113, 1],
        [128, 784, 1],
        [10, 128, 1],
        [1, 1, 4097],
        [3, 70, 33],
        [16, 25, 576],
    ];
    for sizes in shapes {
        let [outputs, inputs, columns] = sizes;
        let words = inputs * columns;
        let r: Vec<u32> = (0..words).map(|_| random.next() as u32).collect();
        let mut weights = vec![0; outputs * inputs];
        weights.iter_mut().for_each(|weight| *weight = i32::from(random.next() as i16));
        check(sizes, &weights, &r, seed);
        check(sizes, &vec![-32_768; outputs * inputs], &vec![u32::MAX; words], seed);
        check(sizes, &vec![32_767; outputs * inputs], &vec![1 << 31; words], seed);
    }
    check([2, 2, 1], &[1 << 23, -(1 << 23), 1, 0], &[u32::MAX, 1 << 31], seed);
}

#[test]
fn weights_whose_noise_cannot_be_hidden_are_refused() {
    let shape = Shape::new(2, 3, 1).unwrap();
    let refused = |weight: i32| {
        let mut rng = rng(1);
        let request = weights::request(&KEYS32.secret, &shape, &[1; 3], &mut rng).unwrap();
        let weights = [0, 0, 0, weight, 0, 0];
        let found = weights::respond(&KEYS32.public, &shape, &weights, &request, &mut rng);
        assert_eq!(found.as_ref().err().copied(), shape.noise_bits(&weights).err());
        found.err()
    };
    assert_eq!(refused(1 << 27), None);
    assert_eq!(refused(1 << 29), Some(Error::Noise { noise_bits: 35, room_bits: 32 }));
    assert_eq!(refused(i32::MIN), Some(Error::Noise { noise_bits: 37, room_bits: 32 }));
}

/// What the documents say of a session of network A.
#[test]
fn a_sessions_bytes_are_as_documented() {
    let shapes = [[128, 784], [128, 128], [10, 128]].map(|[m, n]| Shape::new(m, n, 1).unwrap());
    let up: usize = shapes.iter().map(Shape::request_bytes).sum();
    let down: usize = shapes.iter().map(Shape::reply_bytes).sum();
    assert!(up < 300_000 && down < 310_000, "{up} {down}");
}
