//! What honest parties have at the end.

use rand_core::Rng;
use sharelet_ot::extension::{FieldBits, MOST_OTS, Receiver, Sender, message_bytes};
use sharelet_ot::{OtError, base};

use crate::parties::{FIELDS, all, base_ots, call, hold, rng, session};

#[test]
fn every_pair_holds() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let name = session(&mut rng);
    for field in FIELDS {
        let mut receiver = Receiver::new(&pairs, name, field);
        let mut sender = Sender::new(&chosen, name, field);
        let (sent, received) = call(&mut receiver, &mut sender, 1_000_000);
        assert!(hold(&sent, &received), "{field:?}");

        // A uniform source exceeds this chi-square with probability 1e-9 (one degree of freedom).
        let ones: u32 = received.choices().iter().map(|word| word.count_ones()).sum();
        let off = f64::from(ones) - 500_000.0;
        assert!(off * off / 250_000.0 < 37.4, "{field:?}: {ones} ones");
        // The same for the bytes of choices (255 degrees) and for a bit of the blocks.
        let mut seen = [0_u32; 256];
        let bytes = received.choices().iter().flat_map(|word| word.to_le_bytes());
        bytes.for_each(|byte| seen[usize::from(byte)] += 1);
        let mean = f64::from(seen.iter().sum::<u32>()) / 256.0;
        let chi: f64 = seen.iter().map(|seen| (f64::from(*seen) - mean).powi(2) / mean).sum();
        assert!(chi < 411.0, "{field:?}: {chi}");
        let (pairs, ..) = all(&sent, &received);
        for bit in [0, 77, 127] {
            let ones = pairs.iter().filter(|pair| ((pair[0] ^ pair[1]) >> bit) & 1 == 1).count();
            let off = ones as f64 - 500_000.0;
            assert!(off * off / 250_000.0 < 37.4, "{field:?} {bit}: {ones} ones");
        }
    }
}

#[test]
fn any_count_in_many_calls() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let name = session(&mut rng);
    for field in FIELDS {
        let mut receiver = Receiver::new(&pairs, name, field);
        let mut sender = Sender::new(&chosen, name, field);
        let mut seen = Vec::new();
        for (call_number, count) in
            [0, 1, 127, 128, 129, 0, 1920, 2048, 2049, 5000].into_iter().enumerate()
        {
            let (message, _) = Receiver::new(&pairs, name, field).extend(count).unwrap();
            assert_eq!(message.len(), message_bytes(field, count, true));
            let (sent, received) = call(&mut receiver, &mut sender, count);
            assert!(hold(&sent, &received), "{field:?} {call_number} {count}");
            assert_eq!(received.choices().len(), count.div_ceil(64));
            if let (Some(last), rest @ 1..) = (received.choices().last(), count % 64) {
                assert_eq!(last >> rest, 0);
            }
            seen.extend(all(&sent, &received).2);
        }
        let calls = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), calls, "no block twice");
    }
}

/// The next call may begin before the last one has ended.
#[test]
fn calls_overlap() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let mut receiver = Receiver::new(&pairs, [1; 32], FieldBits::Four);
    let mut sender = Sender::new(&chosen, [1; 32], FieldBits::Four);
    let (first, first_received) = receiver.extend(300).unwrap();
    let (second, second_received) = receiver.extend(500).unwrap();
    let (first_challenge, first_sent) = sender.accept(300, &first).unwrap();
    let (second_challenge, second_sent) = sender.accept(500, &second).unwrap();
    assert_ne!(first_challenge, second_challenge);
    let (second, second_received) = second_received.answer(&second_challenge).unwrap();
    let (first, first_received) = first_received.answer(&first_challenge).unwrap();
    assert!(hold(&second_sent.verify(&second).unwrap(), &second_received));
    assert!(hold(&first_sent.verify(&first).unwrap(), &first_received));
}

#[test]
fn parts_are_parts_of_the_whole() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let mut receiver = Receiver::new(&pairs, [1; 32], FieldBits::Two);
    let mut sender = Sender::new(&chosen, [1; 32], FieldBits::Two);
    let (sent, received) = call(&mut receiver, &mut sender, 3000);
    let (pairs, _, blocks) = all(&sent, &received);
    for _ in 0..100 {
        let first = (rng.next_u32() % 3001) as usize;
        let len = (rng.next_u32() as usize) % (3001 - first);
        let (mut some_pairs, mut some_blocks) = (vec![[0; 2]; len], vec![0; len]);
        sent.pairs(first, &mut some_pairs).unwrap();
        received.blocks(first, &mut some_blocks).unwrap();
        assert_eq!(some_pairs, pairs[first..first + len]);
        assert_eq!(some_blocks, blocks[first..first + len]);
    }
    for first in [2999, 3001, usize::MAX] {
        let error = OtError::Range { first, len: 2, count: 3000 };
        assert_eq!(sent.pairs(first, &mut [[0; 2]; 2]), Err(error));
        assert_eq!(received.blocks(first, &mut [0; 2]), Err(error));
    }
}

#[test]
fn sessions_of_one_base_have_nothing_in_common() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    for field in FIELDS {
        let [first, second] = [0, 1].map(|_| {
            let name = session(&mut rng);
            let mut receiver = Receiver::new(&pairs, name, field);
            let mut sender = Sender::new(&chosen, name, field);
            let (sent, received) = call(&mut receiver, &mut sender, 256);
            all(&sent, &received)
        });
        assert_ne!(first.1, second.1);
        let mut seen: Vec<_> = [first.0, second.0].concat().into_iter().flatten().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 4 * 256);
    }
}

#[test]
fn kept_base_ots_go_on() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let (kept_pairs, kept_chosen) = (pairs.to_bytes(), chosen.to_bytes());
    let pairs = base::Pairs::from_bytes(&kept_pairs).unwrap();
    let chosen = base::Chosen::from_bytes(&kept_chosen).unwrap();
    assert_eq!((pairs.to_bytes(), chosen.to_bytes()), (kept_pairs.clone(), kept_chosen.clone()));
    let mut receiver = Receiver::new(&pairs, [5; 32], FieldBits::Two);
    let mut sender = Sender::new(&chosen, [5; 32], FieldBits::Two);
    let (sent, received) = call(&mut receiver, &mut sender, 1000);
    assert!(hold(&sent, &received));
    for len in [0, kept_pairs.len() - 1] {
        let error = base::Pairs::from_bytes(&kept_pairs[..len]).unwrap_err();
        assert!(matches!(error, OtError::Length { found, .. } if found == len));
    }
    for len in [0, kept_chosen.len() - 1] {
        let error = base::Chosen::from_bytes(&kept_chosen[..len]).unwrap_err();
        assert!(matches!(error, OtError::Length { found, .. } if found == len));
    }
}

#[test]
fn a_call_has_a_limit() {
    let mut rng = rng();
    let (pairs, chosen) = base_ots(&mut rng);
    let error = OtError::Count { asked: MOST_OTS + 1, most: MOST_OTS };
    let mut receiver = Receiver::new(&pairs, [1; 32], FieldBits::Two);
    assert_eq!(receiver.extend(MOST_OTS + 1).unwrap_err(), error);
    let mut sender = Sender::new(&chosen, [1; 32], FieldBits::Two);
    assert_eq!(sender.accept(MOST_OTS + 1, &[]).unwrap_err(), error);
}
