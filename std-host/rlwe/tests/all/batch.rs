//! Layers of many sessions.

use sharelet_rlwe::Error;
use sharelet_rlwe::batch::{self, MAX_INPUTS, SLOTS, Shape};
use sharelet_testkit::{Rng, printed_seed, rng};

use crate::keys::KEYS32;

fn check([outputs, inputs]: [usize; 2], weights: &[i32], r: &[u32], seed: u64) {
    let mut rng = rng(seed);
    let shape = Shape::new(outputs, inputs).unwrap();
    let request = batch::request(&KEYS32.secret, &shape, r, &mut rng).unwrap();
    assert_eq!(request.len(), shape.request_bytes());
    let (reply, share1) =
        batch::respond(&KEYS32.public, &shape, weights, &request, &mut rng).unwrap();
    assert_eq!(reply.len(), shape.reply_bytes());
    let share0 = batch::finish(&KEYS32.secret, &shape, &reply).unwrap();
    for (row, weights) in weights.chunks(inputs).enumerate() {
        for slot in 0..SLOTS {
            let place = row * SLOTS + slot;
            let terms = weights.iter().zip(r.chunks(SLOTS));
            let terms = terms.map(|(&weight, r)| r[slot].wrapping_mul(weight as u32));
            let expected = terms.fold(0, u32::wrapping_add);
            assert_eq!(share0[place].wrapping_add(share1[place]), expected, "{row} {slot}");
        }
    }
}

#[test]
fn shares_of_all_sessions_add_up() {
    let seed = printed_seed();
    let mut random = Rng(seed);
    // Groups of 8 and 16 inputs, full and not; more outputs than are summed up at once.
    for [outputs, inputs] in [[1, 1], [2, 7], [3, 16], [2, 33], [131, 2]] {
        let r: Vec<u32> = (0..inputs * SLOTS).map(|_| random.next() as u32).collect();
        let mut weights = vec![0; outputs * inputs];
        weights.iter_mut().for_each(|weight| *weight = i32::from(random.next() as i16));
        check([outputs, inputs], &weights, &r, seed);
    }
}

#[test]
fn the_largest_operands_are_right() {
    let seed = printed_seed();
    for (weight, word) in [(-32_768, u32::MAX), (32_767, 1 << 31), (-32_768, 0)] {
        check([1, 784], &[weight; 784], &vec![word; 784 * SLOTS], seed);
    }
    // The largest weight that is taken, all of its noise in one product.
    let shape = Shape::new(1, 1).unwrap();
    let fits = |weight: i32| shape.noise_bits(&[weight]).is_ok();
    let largest = (0..31).map(|bit| 1 << bit).take_while(|&weight| fits(weight)).last().unwrap();
    assert_eq!(largest, 1 << 27);
    check([1, 1], &[largest], &vec![u32::MAX; SLOTS], seed);
}

#[test]
fn weights_whose_noise_cannot_be_hidden_are_refused() {
    let shape = Shape::new(1, 2).unwrap();
    let mut rng = rng(1);
    let request = batch::request(&KEYS32.secret, &shape, &vec![1; 2 * SLOTS], &mut rng).unwrap();
    let refused = batch::respond(&KEYS32.public, &shape, &[0, 1 << 30], &request, &mut rng);
    let error = refused.unwrap_err();
    assert_eq!(error, Error::Noise { noise_bits: 36, room_bits: 32 });
    assert_eq!(error.to_string(), "noise of up to 36 bits, where 32 can be hidden");
    // The sum of the largest products that are taken fits in a word.
    let widest = vec![1 << 20; MAX_INPUTS];
    let shape = Shape::new(1, MAX_INPUTS).unwrap();
    assert!(shape.noise_bits(&widest).is_ok());
    assert!(shape.noise_bits(&vec![1 << 21; MAX_INPUTS]).is_err());
    assert_eq!(Shape::new(1, MAX_INPUTS + 1).unwrap_err(), Error::Sizes);
}
