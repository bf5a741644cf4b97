//! Silent OTs.

use rand_core::Rng;
use sharelet_ot::OtError;
use sharelet_ot::extension::{self, FieldBits};
use sharelet_ot::ots::{Received, Sent};
use sharelet_ot::silent::{
    CHALLENGE_BYTES, MESSAGE_BYTES, OTS, PROOF_BYTES, Receiver, SEED_OTS, Sender,
};

use crate::parties::{all, base_ots, call, hold, rng, session};

fn parties(seed_ots: usize) -> (Sent, Received) {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let name = session(&mut rng);
    let mut receiver = extension::Receiver::new(&pairs, name, FieldBits::Four);
    let mut sender = extension::Sender::new(&chosen, name, FieldBits::Four);
    call(&mut receiver, &mut sender, seed_ots)
}

#[test]
fn every_pair_holds_call_after_call() {
    let (sent, received) = parties(SEED_OTS + 5);
    let (mut sender, mut receiver) = (Sender::new(sent).unwrap(), Receiver::new(received).unwrap());
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (message, sent) = sender.extend();
        let (challenge, received) = receiver.accept(&message).unwrap();
        let (proof, next_sender, sent) = sent.answer(&challenge).unwrap();
        let (next_receiver, received) = received.verify(&proof).unwrap();
        assert_eq!(message.len(), MESSAGE_BYTES);
        assert_eq!((challenge.len(), proof.len()), (CHALLENGE_BYTES, PROOF_BYTES));
        assert_eq!(sent.count(), OTS);
        assert!(hold(&sent, &received));
        // A uniform source exceeds this chi-square with probability 1e-9.
        let ones: u32 = received.choices().iter().map(|word| word.count_ones()).sum();
        let off = f64::from(ones) - OTS as f64 / 2.0;
        assert!(off * off / (OTS as f64 / 4.0) < 37.4, "{ones} ones");
        seen.extend(all(&sent, &received).0.into_iter().flatten());
        (sender, receiver) = (next_sender, next_receiver);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 4 * OTS, "no block twice");
}

/// A bit of the message that reaches the receiver's tree, the last block of a tree, a bit of the
/// challenge or of the proof.
#[test]
fn a_sender_that_cheats_is_caught() {
    let mut rng = rng();
    let mut reached = 0;
    for turn in 0..14 {
        let (sent, received) = parties(SEED_OTS);
        let (message, sent) = Sender::new(sent).unwrap().extend();
        let mut bad = message.clone();
        if turn < 8 {
            let place = rng.next_u64() as usize % MESSAGE_BYTES;
            bad[place] ^= 1 << (rng.next_u32() % 8);
        } else if turn < 10 {
            bad[MESSAGE_BYTES - 1] ^= 1;
        }
        let (mut challenge, received) = Receiver::new(received).unwrap().accept(&bad).unwrap();
        if turn == 10 {
            challenge[0] ^= 1;
        } else if turn == 11 {
            challenge[CHALLENGE_BYTES - 1] ^= 1;
        }
        let (mut proof, _, sent) = sent.answer(&challenge).unwrap();
        if turn >= 12 {
            proof[turn - 12] ^= 1;
        }
        match received.verify(&proof) {
            Err(error) => {
                assert_eq!(error, OtError::Check);
                reached += usize::from(turn < 8);
            }
            // A sum of the side that the receiver does not need: its tree is whole.
            Ok((_, received)) => assert!(turn < 8 && hold(&sent, &received)),
        }
    }
    assert!(reached > 0, "none of 8 was caught");
}

#[test]
fn lengths_and_counts_have_an_error() {
    let (sent, received) = parties(SEED_OTS - 1);
    let error = OtError::Range { first: 0, len: SEED_OTS, count: SEED_OTS - 1 };
    assert_eq!(Sender::new(sent).unwrap_err(), error);
    assert_eq!(Receiver::new(received).unwrap_err(), error);

    let (sent, received) = parties(SEED_OTS);
    let (message, pending) = Sender::new(sent).unwrap().extend();
    let (challenge, received) = Receiver::new(received).unwrap().accept(&message).unwrap();
    let error = received.verify(&[0; PROOF_BYTES - 1]).unwrap_err();
    assert!(matches!(error, OtError::Length { expected: PROOF_BYTES, .. }));
    let error = pending.answer(&challenge[1..]).unwrap_err();
    assert!(matches!(error, OtError::Length { expected: CHALLENGE_BYTES, .. }));
    let (_, received) = parties(SEED_OTS);
    let error = Receiver::new(received).unwrap().accept(&message[1..]).unwrap_err();
    assert!(matches!(error, OtError::Length { expected: MESSAGE_BYTES, .. }));
}
