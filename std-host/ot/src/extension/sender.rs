//! The sender of the extension: it has the base OTs' choices, and of each tree all leaves but one.

use core::iter::once;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::columns::{CHUNK, Columns};
use super::fold::Fold;
use super::session::{Call, Session};
use super::shape::{CHALLENGE_BYTES, FieldBits, PROOF_BYTES, SUM_BYTES, count_fits, message_bytes};
use crate::base::{COUNT, Chosen, Seed};
use crate::block::{BYTES, Block, mask, read};
use crate::error::{OtError, length};
use crate::ots::Sent;
use crate::stream::Stream;
use crate::tree;
use crate::universal::sum_of_bytes;

/// Sends random OTs in one session.
pub struct Sender {
    session: Session,
    trees: Trees,
    delta: Zeroizing<Block>,
    challenges: Zeroizing<Seed>,
    next_block: u64,
    next_call: Call,
    /// Whether a proof was wrong, in this session or another: nothing is used any more then.
    spoilt: Arc<AtomicBool>,
}

/// The trees, before and after the first message.
enum Trees {
    /// Choices and seeds.
    Seeds(Zeroizing<Vec<u8>>, Zeroizing<Vec<Block>>),
    /// The streams of leaves, in the order of [`tree::hold`] from 1 on; and whether the trees are
    /// trees, all ones or zero.
    Streams(Vec<Stream>, Block),
}

/// Waits for the proof.
pub struct PendingSent {
    session: Session,
    call: Call,
    columns: Columns,
    delta: Zeroizing<Block>,
    key: Block,
    trees_hold: Block,
    spoilt: Arc<AtomicBool>,
}

redacted!(Sender, PendingSent);

impl Sender {
    /// Of kept base OTs, for a session: see [`super::Receiver::new`].
    #[must_use]
    pub fn new(chosen: &Chosen, session: [u8; 32], field: FieldBits) -> Self {
        let session = Session::new(session, field);
        let seeds = chosen.seeds().iter().map(|seed| session.seed(seed)).collect();
        let choices = Zeroizing::new(chosen.choices().to_vec());
        // Bit `i` of a tree's path is the choice of level `k - 1 - i`, turned round.
        let bits = choices.chunks(field.bits()).flat_map(|tree| tree.iter().rev());
        let delta = (0..)
            .zip(bits)
            .fold(0, |delta, (place, choice)| delta | (Block::from(1 ^ choice) << place));
        Self {
            session,
            trees: Trees::Seeds(choices, Zeroizing::new(seeds)),
            delta: Zeroizing::new(delta),
            challenges: Zeroizing::new(*chosen.challenges()),
            next_block: 0,
            next_call: 0,
            spoilt: chosen.spoilt(),
        }
    }

    /// Takes the receiver's message for `count` OTs, and gives the challenge, of
    /// [`CHALLENGE_BYTES`]: a fresh one, which nobody could know before.
    ///
    /// # Errors
    /// [`OtError::Count`] over [`super::MOST_OTS`], [`OtError::Length`], [`OtError::Sum`]; the
    /// message may then be taken again if it comes whole. [`OtError::Check`] after a wrong proof
    /// in any session of these base OTs.
    pub fn accept(
        &mut self,
        count: usize,
        message: &[u8],
    ) -> Result<([u8; CHALLENGE_BYTES], PendingSent), OtError> {
        if self.spoilt.load(Ordering::Relaxed) {
            return Err(OtError::Check);
        }
        count_fits(count)?;
        let (field, call) = (self.session.field(), self.next_call);
        let first = matches!(self.trees, Trees::Seeds(..));
        length("the extension's message", message, message_bytes(field, count, first))?;
        let (message, sum) = message.split_at(message.len() - SUM_BYTES);
        if sum_of_bytes(self.session.damage_key(call), message) != read(sum) {
            return Err(OtError::Sum);
        }
        let (trees, corrections) = message.split_at(if first { field.trees_bytes() } else { 0 });
        if let Trees::Seeds(choices, seeds) = &self.trees {
            self.trees = grow(field, choices, seeds, trees);
        }
        let columns = self.columns(count, corrections);
        self.next_call += 1;
        let challenge = self.session.challenge(&self.challenges, call);
        let trees_hold = match &self.trees {
            Trees::Streams(_, hold) => *hold,
            Trees::Seeds(..) => 0,
        };
        let pending = PendingSent {
            session: self.session.clone(),
            call,
            columns,
            delta: self.delta.clone(),
            key: self.session.universal_key(&challenge, call),
            trees_hold,
            spoilt: Arc::clone(&self.spoilt),
        };
        Ok((challenge, pending))
    }

    /// The columns `q`.
    fn columns(&mut self, count: usize, corrections: &[u8]) -> Columns {
        let field = self.session.field();
        let (leaves, bits) = ((1 << field.bits()) - 1, field.bits());
        let mut columns = Columns::new(count);
        let Trees::Streams(streams, _) = &self.trees else { return columns };
        let mut corrections = corrections.chunks(CHUNK * field.correction_bytes());
        let mut fold = Fold::new();
        for chunk in columns.chunks_mut() {
            let len = chunk.len() / COUNT;
            fold.at(self.next_block);
            self.next_block += len as u64;
            // The first tree's sum is the choices: it has no correction.
            let corrections = corrections.next().unwrap_or_default().chunks(len * BYTES);
            let corrections = once(&[][..]).chain(corrections);
            let trees = streams.chunks(leaves).zip(chunk.chunks_mut(bits * len));
            for (tree, ((streams, columns), corrections)) in trees.zip(corrections).enumerate() {
                fold.add((1..).zip(streams), columns, len, None);
                for (bit, column) in columns.chunks_mut(len).enumerate() {
                    let chosen = mask_of(*self.delta, tree * bits + bit);
                    for (q, correction) in column.iter_mut().zip(corrections.chunks(BYTES)) {
                        *q ^= read(correction) & chosen;
                    }
                }
            }
        }
        columns
    }
}

/// All ones if bit `place` is set, zero otherwise.
#[allow(clippy::cast_possible_truncation)]
const fn mask_of(delta: Block, place: usize) -> Block {
    mask((delta >> place) as u8)
}

/// Trees of the first message.
fn grow(field: FieldBits, choices: &[u8], seeds: &[Block], message: &[u8]) -> Trees {
    let mut streams = Vec::new();
    let mut all_hold = Block::MAX;
    let bits = field.bits();
    let each = tree::message_bytes(bits);
    for (tree, (choices, seeds)) in choices.chunks(bits).zip(seeds.chunks(bits)).enumerate() {
        let message = message.get(tree * each..(tree + 1) * each).unwrap_or_default();
        let (leaves, holds) = tree::hold(choices, seeds, message);
        streams.extend(leaves.iter().skip(1).map(|leaf| Stream::new(*leaf)));
        all_hold &= holds;
    }
    Trees::Streams(streams, all_hold)
}

impl PendingSent {
    /// Verifies the receiver's proof, and gives the OTs.
    ///
    /// # Errors
    /// [`OtError::Length`]. [`OtError::Check`] if the receiver cheated: nothing of this session is
    /// of use any more, and the kept base OTs must be deleted.
    pub fn verify(self, proof: &[u8]) -> Result<Sent, OtError> {
        length("the proof", proof, PROOF_BYTES)?;
        let Self { session, call, columns, delta, key, trees_hold, spoilt } = self;
        let (sums, rows) = columns.close(key);
        let (choices, theirs) = proof.split_at(BYTES);
        let choices = read(choices);
        let mut differs = !trees_hold;
        for (place, (own, their)) in sums.iter().zip(theirs.chunks(BYTES)).enumerate() {
            differs |= own ^ read(their) ^ (choices & mask_of(*delta, place));
        }
        caught(differs, &spoilt)?;
        Ok(Sent::new(session.hash_key(call), rows, delta))
    }
}

/// Whether the receiver is caught is public, and nothing else of `differs`: this is the one branch
/// on it, and `tests/constant_time` knows it by its name.
#[inline(never)]
fn caught(differs: Block, spoilt: &AtomicBool) -> Result<(), OtError> {
    if differs != 0 {
        spoilt.store(true, Ordering::Relaxed);
    }
    if spoilt.load(Ordering::Relaxed) { Err(OtError::Check) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base;
    use crate::extension::{PendingReceived, Receiver};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const FIELDS: [FieldBits; 3] = [FieldBits::One, FieldBits::Two, FieldBits::Four];
    const COUNT: usize = 9000;

    fn base_ots() -> (base::Pairs, Chosen) {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (sender, from_sender) = base::Sender::new(&mut rng);
        let (receiver, from_receiver) = base::Receiver::new(&mut rng);
        (sender.finish(&from_receiver).unwrap(), receiver.finish(&from_sender).unwrap())
    }

    /// Messages of a receiver that cheats well, on a copy of the base OTs that no other cheat has
    /// spoilt: `change` has what is before the sum.
    fn cheat(
        (pairs, chosen): &(base::Pairs, Chosen),
        field: FieldBits,
        change: impl Fn(&mut [u8]),
    ) -> ([u8; CHALLENGE_BYTES], PendingSent, PendingReceived) {
        let unspoilt = Chosen::from_bytes(&chosen.to_bytes()).unwrap();
        let mut sender = Sender::new(&unspoilt, [1; 32], field);
        let mut receiver = Receiver::new(pairs, [1; 32], field);
        let (mut message, received) = receiver.extend(COUNT).unwrap();
        let sum = message.len() - SUM_BYTES;
        change(&mut message[..sum]);
        let right = sum_of_bytes(sender.session.damage_key(0), &message[..sum]);
        message[sum..].copy_from_slice(&right.to_le_bytes());
        let (challenge, sent) = sender.accept(COUNT, &message).unwrap();
        (challenge, sent, received)
    }

    /// Rows that are wrong if nobody looks at the proof.
    fn wrong_rows(sent: PendingSent, received: PendingReceived) -> Vec<usize> {
        let PendingSent { session, call, columns, delta, key, .. } = sent;
        let sent = Sent::new(session.hash_key(call), columns.close(key).1, delta);
        let (_, received) = received.answer(&[0; CHALLENGE_BYTES]).unwrap();
        let (mut pairs, mut blocks) = (vec![[0; 2]; COUNT], vec![0; COUNT]);
        sent.pairs(0, &mut pairs).unwrap();
        received.blocks(0, &mut blocks).unwrap();
        let choice =
            |row: usize| usize::from((received.choices()[row / 64] >> (row % 64)) & 1 == 1);
        (0..COUNT).filter(|row| pairs[*row][choice(*row)] != blocks[*row]).collect()
    }

    /// One bit of one column: the receiver guesses that a tree's bits of the secret are all zeros,
    /// and is caught unless they are. Without the check it would learn that from a wrong OT.
    #[test]
    fn a_receiver_that_is_inconsistent_in_one_column_is_caught() {
        let base = base_ots();
        for field in FIELDS {
            let bits = field.bits();
            let delta = *Sender::new(&base.1, [1; 32], field).delta;
            let mut caught = 0;
            for tree in 1..field.trees() {
                // In the second chunk, whose columns are shorter.
                let row = 8900;
                let len = crate::extension::shape::blocks(COUNT) - CHUNK;
                let place = field.trees_bytes()
                    + CHUNK * field.correction_bytes()
                    + (tree - 1) * len * BYTES
                    + (row - CHUNK * 128) / 8;
                let change = |message: &mut [u8]| message[place] ^= 1 << (row % 8);
                let guessed = (delta >> (tree * bits)) & ((1 << bits) - 1) == 0;

                let (challenge, sent, received) = cheat(&base, field, change);
                let (proof, _) = received.answer(&challenge).unwrap();
                let result = sent.verify(&proof).map(|_| ());
                assert_eq!(result, if guessed { Ok(()) } else { Err(OtError::Check) });
                caught += usize::from(!guessed);

                let (_, sent, received) = cheat(&base, field, change);
                let wrong = wrong_rows(sent, received);
                assert_eq!(wrong, if guessed { vec![] } else { vec![row] }, "{field:?} {tree}");
            }
            assert!(caught > field.trees() / 4, "{field:?}: {caught}");
        }
    }

    /// Sums of no tree end with the same error as columns that do not fit, at the same time.
    #[test]
    fn a_receiver_whose_trees_are_none_is_caught() {
        let base = base_ots();
        for field in [FieldBits::Two, FieldBits::Four] {
            let mut caught = 0;
            for place in (0..field.trees_bytes()).step_by(61) {
                let (challenge, sent, received) =
                    cheat(&base, field, |message| message[place] ^= 1);
                let (proof, _) = received.answer(&challenge).unwrap();
                match sent.verify(&proof) {
                    Err(error) => {
                        assert_eq!(error, OtError::Check);
                        caught += 1;
                    }
                    Ok(sent) => drop(sent),
                }
            }
            assert!(caught > 10, "{field:?}: {caught}");
        }
    }
}
