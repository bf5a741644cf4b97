//! Both parties of a test.

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use sharelet_ot::extension::{FieldBits, Receiver, Sender};
use sharelet_ot::ots::{Received, Sent};
use sharelet_ot::{Block, base};

pub const FIELDS: [FieldBits; 3] = [FieldBits::One, FieldBits::Two, FieldBits::Four];

/// A generator of a seed that is printed; `SHARELET_SEED` repeats one.
pub fn rng() -> ChaCha20Rng {
    let given = std::env::var("SHARELET_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("SHARELET_SEED={seed}");
    ChaCha20Rng::seed_from_u64(seed)
}

/// Base OTs of both.
pub fn base_ots(rng: &mut ChaCha20Rng) -> (base::Pairs, base::Chosen) {
    let (sender, from_sender) = base::Sender::new(rng);
    let (receiver, from_receiver) = base::Receiver::new(rng);
    assert_eq!(from_sender.len(), base::SENDER_BYTES);
    assert_eq!(from_receiver.len(), base::RECEIVER_BYTES);
    (sender.finish(&from_receiver).unwrap(), receiver.finish(&from_sender).unwrap())
}

/// A session that no other has.
pub fn session(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut session = [0; 32];
    rng.fill_bytes(&mut session);
    session
}

/// One call.
pub fn call(receiver: &mut Receiver, sender: &mut Sender, count: usize) -> (Sent, Received) {
    let (message, received) = receiver.extend(count).unwrap();
    let (challenge, sent) = sender.accept(count, &message).unwrap();
    let (proof, received) = received.answer(&challenge).unwrap();
    (sent.verify(&proof).unwrap(), received)
}

/// All pairs, choices and blocks.
pub fn all(sent: &Sent, received: &Received) -> (Vec<[Block; 2]>, Vec<usize>, Vec<Block>) {
    let count = sent.count();
    assert_eq!(received.count(), count);
    let (mut pairs, mut blocks) = (vec![[0; 2]; count], vec![0; count]);
    sent.pairs(0, &mut pairs).unwrap();
    received.blocks(0, &mut blocks).unwrap();
    let bit = |ot: usize| usize::from((received.choices()[ot / 64] >> (ot % 64)) & 1 == 1);
    (pairs, (0..count).map(bit).collect(), blocks)
}

/// Whether each block is that of its pair which the choice names, and not the other.
pub fn hold(sent: &Sent, received: &Received) -> bool {
    let (pairs, choices, blocks) = all(sent, received);
    pairs
        .iter()
        .zip(choices)
        .zip(blocks)
        .all(|((pair, choice), block)| pair[choice] == block && pair[1 - choice] != block)
}
