//! Base OTs alone.

use sharelet_ot::OtError;
use sharelet_ot::base::{Chosen, Receiver, SENDER_BYTES, Sender};

use crate::parties::{base_ots, rng};

const SEED: usize = 32;

#[test]
fn the_receiver_has_one_seed_of_each_pair() {
    let mut rng = rng();
    let mut ones = 0;
    for _ in 0..4 {
        let (pairs, chosen) = base_ots(&mut rng);
        let (pairs, chosen) = (pairs.to_bytes(), chosen.to_bytes());
        let seeds = chosen[16..][..128 * SEED].chunks(SEED);
        for (index, (pair, seed)) in pairs.chunks(2 * SEED).zip(seeds).enumerate() {
            let choice = usize::from((chosen[index / 8] >> (index % 8)) & 1);
            assert_eq!(&pair[choice * SEED..][..SEED], seed);
            assert_ne!(&pair[(1 - choice) * SEED..][..SEED], seed);
            ones += choice;
        }
    }
    assert!((128..384).contains(&ones), "{ones} of 512 choices are ones");
}

#[test]
fn bytes_that_are_no_points_have_an_error() {
    let mut rng = rng();
    // The identity, and a number that is not below the field's prime.
    for bad in [[0; 32], [0xff; 32]] {
        for index in [0, 1, 127] {
            let (receiver, _) = Receiver::new(&mut rng);
            let (sender, mut message) = Sender::new(&mut rng);
            message[index * 32..][..32].copy_from_slice(&bad);
            assert_eq!(receiver.finish(&message).unwrap_err(), OtError::Point { index });
            for side in 0..2 {
                let (sender_again, _) = Sender::new(&mut rng);
                let (_, mut message) = Receiver::new(&mut rng);
                message[(2 * index + side) * 32..][..32].copy_from_slice(&bad);
                assert_eq!(sender_again.finish(&message).unwrap_err(), OtError::Point { index });
            }
            drop(sender);
        }
    }
}

#[test]
fn lengths_have_an_error() {
    let mut rng = rng();
    for len in [0, SENDER_BYTES - 1, SENDER_BYTES + 1] {
        let (receiver, _) = Receiver::new(&mut rng);
        let error = receiver.finish(&vec![1; len]).unwrap_err();
        assert!(matches!(error, OtError::Length { found, .. } if found == len));
    }
    let (sender, message) = Sender::new(&mut rng);
    let error = sender.finish(&message).unwrap_err();
    assert!(matches!(error, OtError::Length { expected: 8192, found: 4096, .. }));
}

/// A point of another OT is a point, but gives a seed of no pair.
#[test]
fn a_message_of_another_run_agrees_on_nothing() {
    let mut rng = rng();
    let (sender, _) = Sender::new(&mut rng);
    let (_, of_another) = Sender::new(&mut rng);
    let (receiver, from_receiver) = Receiver::new(&mut rng);
    let pairs = sender.finish(&from_receiver).unwrap().to_bytes();
    let chosen = receiver.finish(&of_another).unwrap().to_bytes();
    assert_eq!(chosen.len(), Chosen::BYTES);
    let seeds: Vec<_> = chosen[16..][..128 * SEED].chunks(SEED).collect();
    assert!(pairs.chunks(SEED).all(|seed| !seeds.contains(&seed)));
}
