//! Oblivious transfers, both roles: base transfers, and an extension from kept ones. Messages are
//! public.

use core::hint::black_box;

use rand_chacha::ChaCha12Rng;
use rand_core::{CryptoRng, SeedableRng as _};
use sharelet_ot::base::{self, Chosen, Pairs};
use sharelet_ot::extension::{FieldBits, Receiver, Sender};

use crate::secret::{Secrets, public, secret};

fn base_of(rngs: [&mut impl CryptoRng; 2]) -> (Pairs, Chosen) {
    let [rng_0, rng_1] = rngs;
    let (sender, from_sender) = base::Sender::new(rng_0);
    let (receiver, from_receiver) = base::Receiver::new(rng_1);
    let pairs = sender.finish(&public::<u8, Vec<u8>>(from_receiver)).unwrap();
    (pairs, receiver.finish(&public::<u8, Vec<u8>>(from_sender)).unwrap())
}

pub fn base_transfers() {
    let (pairs, chosen) = base_of([&mut Secrets::new(41), &mut Secrets::new(42)]);
    black_box([pairs.to_bytes(), chosen.to_bytes()]);
}

/// Seeds, choices, and so the secret of the extension, and the key of challenges.
fn kept() -> (Pairs, Chosen) {
    let [mut rng_0, mut rng_1] = [43, 44].map(ChaCha12Rng::seed_from_u64);
    let (pairs, chosen) = base_of([&mut rng_0, &mut rng_1]);
    let [pairs, chosen] =
        [pairs.to_bytes(), chosen.to_bytes()].map(|bytes| secret::<u8, Vec<u8>>(bytes.to_vec()));
    (Pairs::from_bytes(&pairs).unwrap(), Chosen::from_bytes(&chosen).unwrap())
}

/// Two calls of a session, the second longer than what is worked on at once.
pub fn extension() {
    for field in [FieldBits::One, FieldBits::Two, FieldBits::Four] {
        let (pairs, chosen) = kept();
        let mut receiver = Receiver::new(&pairs, [7; 32], field);
        let mut sender = Sender::new(&chosen, [7; 32], field);
        for count in [200, 9000] {
            let (message, received) = receiver.extend(count).unwrap();
            let message = public::<u8, Vec<u8>>(message);
            let (challenge, sent) = sender.accept(count, &message).unwrap();
            let challenge = public::<u8, [u8; 32]>(challenge);
            let (proof, received) = received.answer(&challenge).unwrap();
            let sent = sent.verify(&public::<u8, Vec<u8>>(proof)).unwrap();
            let (mut pairs, mut blocks) = (vec![[0_u128; 2]; count], vec![0_u128; count]);
            sent.pairs(0, &mut pairs).unwrap();
            received.blocks(0, &mut blocks).unwrap();
            // Compared here alone.
            let (pairs, blocks) = (public(pairs), public(blocks));
            let choices: Vec<u64> = public(received.choices().to_vec());
            for (at, (pair, block)) in pairs.iter().zip(&blocks).enumerate() {
                let choice = choices[at / 64] >> (at % 64) & 1;
                assert_eq!(pair[usize::from(choice == 1)], *block);
            }
        }
    }
}
