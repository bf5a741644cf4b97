//! Layers of one session.

use sharelet_rlwe::Error;
use sharelet_rlwe::vector::{self, Shape};
use sharelet_testkit::{Rng, printed_seed, rng};

use crate::keys::KEYS32;

fn check([outputs, inputs]: [usize; 2], weights: &[i32], r: &[u32], seed: u64) {
    let mut rng = rng(seed);
    let shape = Shape::new(outputs, inputs).unwrap();
    let request = vector::request(&KEYS32.secret, &shape, r, &mut rng).unwrap();
    assert_eq!(request.len(), shape.request_bytes());
    let (reply, share1) =
        vector::respond(&KEYS32.public, &shape, weights, &request, &mut rng).unwrap();
    assert_eq!(reply.len(), shape.reply_bytes());
    let share0 = vector::finish(&KEYS32.secret, &shape, &reply).unwrap();
    for (row, (x, y)) in weights.chunks(inputs).zip(share0.iter().zip(&share1)) {
        let terms = row.iter().zip(r).map(|(&weight, &r)| r.wrapping_mul(weight as u32));
        assert_eq!(x.wrapping_add(*y), terms.fold(0, u32::wrapping_add), "{outputs} x {inputs}");
    }
}

#[test]
fn shares_add_up_to_the_layer() {
    let seed = printed_seed();
    let mut random = Rng(seed);
    let shapes = [[1, 1], [1, 4096], [1, 4097], [4099, 1], [37, 113], [128, 784], [10, 128]];
    for [outputs, inputs] in shapes {
        let r: Vec<u32> = (0..inputs).map(|_| random.next() as u32).collect();
        let mut weights = vec![0; outputs * inputs];
        weights.iter_mut().for_each(|weight| *weight = i32::from(random.next() as i16));
        check([outputs, inputs], &weights, &r, seed);
        check([outputs, inputs], &vec![-32_768; outputs * inputs], &vec![u32::MAX; inputs], seed);
        check([outputs, inputs], &vec![32_767; outputs * inputs], &vec![1 << 31; inputs], seed);
    }
    check([2, 2], &[1 << 23, -(1 << 23), 1, 0], &[u32::MAX, 1 << 31], seed);
}

#[test]
fn weights_whose_noise_cannot_be_hidden_are_refused() {
    let shape = Shape::new(2, 3).unwrap();
    let refused = |weight: i32| {
        let mut rng = rng(1);
        let request = vector::request(&KEYS32.secret, &shape, &[1; 3], &mut rng).unwrap();
        let weights = [0, 0, 0, weight, 0, 0];
        let found = vector::respond(&KEYS32.public, &shape, &weights, &request, &mut rng);
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
    let shapes = [[128, 784], [128, 128], [10, 128]].map(|[m, n]| Shape::new(m, n).unwrap());
    let up: usize = shapes.iter().map(Shape::request_bytes).sum();
    let down: usize = shapes.iter().map(Shape::reply_bytes).sum();
    assert!(up < 300_000 && down < 310_000, "{up} {down}");
}
