//! Messages that are cut, damaged, or of somebody else: an error of a name, and never a panic.

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use sharelet_ot::extension::{CHALLENGE_BYTES, FieldBits, PROOF_BYTES, Receiver, Sender};
use sharelet_ot::{OtError, base};

use crate::parties::{FIELDS, base_ots, hold, rng};

const COUNT: usize = 300;

fn parties((pairs, chosen): &(base::Pairs, base::Chosen), field: FieldBits) -> (Receiver, Sender) {
    (Receiver::new(pairs, [3; 32], field), Sender::new(&unspoilt(chosen), [3; 32], field))
}

/// A copy that no other session has spoilt.
fn unspoilt(chosen: &base::Chosen) -> base::Chosen {
    base::Chosen::from_bytes(&chosen.to_bytes()).unwrap()
}

/// Turns one bit round.
fn flip(bytes: &mut [u8], rng: &mut ChaCha20Rng) {
    let bit = rng.next_u64() as usize % (8 * bytes.len());
    bytes[bit / 8] ^= 1 << (bit % 8);
}

#[test]
fn a_flipped_bit_is_found() {
    let mut rng = rng();
    let base = base_ots(&mut rng);
    for field in FIELDS {
        for _ in 0..100 {
            let chosen = unspoilt(&base.1);
            let (mut receiver, mut sender) =
                (Receiver::new(&base.0, [3; 32], field), Sender::new(&chosen, [3; 32], field));
            let (message, received) = receiver.extend(COUNT).unwrap();
            let mut damaged = message.clone();
            flip(&mut damaged, &mut rng);
            assert_eq!(sender.accept(COUNT, &damaged).unwrap_err(), OtError::Sum);
            // The message itself is still welcome.
            let (mut challenge, sent) = sender.accept(COUNT, &message).unwrap();
            let (mut proof, received) = if rng.next_u32() & 1 == 0 {
                flip(&mut challenge, &mut rng);
                received.answer(&challenge).unwrap()
            } else {
                let (mut proof, received) = received.answer(&challenge).unwrap();
                flip(&mut proof, &mut rng);
                (proof, received)
            };
            assert_eq!(sent.verify(&proof).unwrap_err(), OtError::Check);
            // And then nothing more in this session.
            proof.clear();
            drop(received);
            let (message, _) = receiver.extend(COUNT).unwrap();
            assert_eq!(sender.accept(COUNT, &message).unwrap_err(), OtError::Check);
            // Nor in any other of these base OTs, or of a copy of them.
            assert!(chosen.is_spoilt() && chosen.clone().is_spoilt());
            let (message, _) = Receiver::new(&base.0, [4; 32], field).extend(COUNT).unwrap();
            let mut sender = Sender::new(&chosen, [4; 32], field);
            assert_eq!(sender.accept(COUNT, &message).unwrap_err(), OtError::Check);
        }
    }
}

#[test]
fn lengths_have_an_error() {
    let mut rng = rng();
    let base = base_ots(&mut rng);
    for field in FIELDS {
        let (mut receiver, mut sender) = parties(&base, field);
        let (message, received) = receiver.extend(COUNT).unwrap();
        let longer = [message.as_slice(), &[0]].concat();
        let whole = message.len();
        for bad in [&[][..], &message[..1], &message[..whole - 16], &message[..whole - 1], &longer]
        {
            let error = sender.accept(COUNT, bad).unwrap_err();
            let is = |error| {
                matches!(error, OtError::Length { expected, found, .. }
                    if expected == whole && found == bad.len())
            };
            assert!(is(error), "{error}");
        }
        // Another count is another length.
        let error = sender.accept(COUNT + 128, &message).unwrap_err();
        assert!(matches!(error, OtError::Length { .. }));
        let (challenge, sent) = sender.accept(COUNT, &message).unwrap();
        let error = received.answer(&challenge[1..]).unwrap_err();
        let expected = CHALLENGE_BYTES;
        assert_eq!(error, OtError::Length { what: "the challenge", expected, found: 31 });
        let error = sent.verify(&[0; PROOF_BYTES + 1]).unwrap_err();
        let (expected, found) = (PROOF_BYTES, PROOF_BYTES + 1);
        assert_eq!(error, OtError::Length { what: "the proof", expected, found });
    }
}

#[test]
fn messages_of_other_sessions_and_calls_are_found() {
    let mut rng = rng();
    let base = base_ots(&mut rng);
    let (mut receiver, mut sender) = parties(&base, FieldBits::Two);
    let (other, _) = Receiver::new(&base.0, [4; 32], FieldBits::Two).extend(COUNT).unwrap();
    assert_eq!(sender.accept(COUNT, &other).unwrap_err(), OtError::Sum);
    let (first, first_received) = receiver.extend(COUNT).unwrap();
    let (second, _) = receiver.extend(COUNT).unwrap();
    let (third, _) = receiver.extend(COUNT).unwrap();
    let (challenge, sent) = sender.accept(COUNT, &first).unwrap();
    assert_eq!(sender.accept(COUNT, &third).unwrap_err(), OtError::Sum);
    sender.accept(COUNT, &second).unwrap();
    let (proof, received) = first_received.answer(&challenge).unwrap();
    assert!(hold(&sent.verify(&proof).unwrap(), &received));
}

#[test]
fn base_ots_of_two_runs_do_not_pass() {
    let mut rng = rng();
    let [(pairs, _), (_, chosen)] = [(); 2].map(|()| base_ots(&mut rng));
    for field in FIELDS {
        let mut receiver = Receiver::new(&pairs, [3; 32], field);
        let mut sender = Sender::new(&unspoilt(&chosen), [3; 32], field);
        let (message, received) = receiver.extend(COUNT).unwrap();
        let (challenge, sent) = sender.accept(COUNT, &message).unwrap();
        let (proof, _) = received.answer(&challenge).unwrap();
        assert_eq!(sent.verify(&proof).unwrap_err(), OtError::Check);
    }
}

#[test]
fn bytes_of_a_stranger_do_no_harm() {
    let mut rng = rng();
    let base = base_ots(&mut rng);
    for _ in 0..200 {
        let (_, mut sender) = parties(&base, FieldBits::Four);
        let mut bytes = vec![0; rng.next_u32() as usize % 30_000];
        rng.fill_bytes(&mut bytes);
        assert!(sender.accept(rng.next_u32() as usize % 3000, &bytes).is_err());
    }
}
