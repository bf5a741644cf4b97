//! The receiver of the extension: it has the base OTs' pairs, and owns the trees.

use core::iter::once;

use zeroize::{Zeroize, Zeroizing};

use super::columns::{CHUNK, Columns, sum_of};
use super::fold::Fold;
use super::session::{Call, Session};
use super::shape::{CHALLENGE_BYTES, FieldBits, PROOF_BYTES, blocks, count_fits, message_bytes};
use crate::base::Pairs;
use crate::block::{Block, write};
use crate::error::{OtError, length};
use crate::ots::Received;
use crate::stream::Stream;
use crate::tree;
use crate::universal::sum_of_bytes;

/// Receives random OTs in one session.
pub struct Receiver {
    session: Session,
    streams: Vec<Stream>,
    /// The trees' messages, until the first call sends them.
    trees: Vec<u8>,
    next_block: u64,
    next_call: Call,
}

/// Waits for the challenge.
pub struct PendingReceived {
    session: Session,
    call: Call,
    columns: Columns,
    choices: Zeroizing<Vec<Block>>,
}

redacted!(Receiver, PendingReceived);

impl Receiver {
    /// Of kept base OTs, for a session. Both parties give the same name and field, and no name
    /// twice for the same base OTs: streams, challenges and OTs would repeat. A name to which both
    /// parties add random bytes never does.
    #[must_use]
    pub fn new(pairs: &Pairs, session: [u8; 32], field: FieldBits) -> Self {
        let session = Session::new(session, field);
        let (mut streams, mut trees) = (Vec::new(), Vec::new());
        for pairs in pairs.seeds().chunks(field.bits()) {
            let seeds: Zeroizing<Vec<_>> = Zeroizing::new(
                pairs.iter().map(|[a, b]| [session.seed(a), session.seed(b)]).collect(),
            );
            let (leaves, message) = tree::own(&seeds);
            streams.extend(leaves.iter().map(|leaf| Stream::new(*leaf)));
            trees.extend(message);
        }
        Self { session, streams, trees, next_block: 0, next_call: 0 }
    }

    /// Begins `count` OTs: the message for the sender, of [`message_bytes`]. Calls may begin before
    /// earlier ones have ended, if the sender accepts them in the same order.
    ///
    /// # Errors
    /// [`OtError::Count`] over [`super::MOST_OTS`].
    pub fn extend(&mut self, count: usize) -> Result<(Vec<u8>, PendingReceived), OtError> {
        count_fits(count)?;
        let field = self.session.field();
        let call = self.next_call;
        let mut message = core::mem::take(&mut self.trees);
        message.reserve_exact(message_bytes(field, count, false));
        let mut columns = Columns::new(count);
        let mut choices = Zeroizing::new(vec![0; blocks(count)]);
        let (leaves, bits) = (1 << field.bits(), field.bits());
        let mut fold = Fold::new();
        let mut own = [0; CHUNK];
        for (chunk, choices) in columns.chunks_mut().zip(choices.chunks_mut(CHUNK)) {
            let len = choices.len();
            fold.at(self.next_block);
            self.next_block += len as u64;
            let mut trees = self.streams.chunks(leaves).zip(chunk.chunks_mut(bits * len));
            if let Some((streams, columns)) = trees.next() {
                fold.add(streams.iter().enumerate(), columns, len, Some(choices));
            }
            for (streams, columns) in trees {
                let own = &mut own[..len];
                own.copy_from_slice(choices);
                fold.add(streams.iter().enumerate(), columns, len, Some(own));
                own.iter().for_each(|block| message.extend(block.to_le_bytes()));
            }
        }
        own.zeroize();
        self.next_call += 1;
        let sum = sum_of_bytes(self.session.damage_key(call), &message);
        message.extend(sum.to_le_bytes());
        debug_assert_eq!(message.len(), message_bytes(field, count, call == 0));
        Ok((message, PendingReceived { session: self.session.clone(), call, columns, choices }))
    }
}

impl PendingReceived {
    /// Answers the challenge: the proof for the sender, of [`super::PROOF_BYTES`], and the OTs.
    /// They are worth something once the sender has verified the proof.
    ///
    /// # Errors
    /// [`OtError::Length`] unless the challenge has [`CHALLENGE_BYTES`].
    pub fn answer(self, challenge: &[u8]) -> Result<(Vec<u8>, Received), OtError> {
        length("the challenge", challenge, CHALLENGE_BYTES)?;
        let Self { session, call, columns, choices } = self;
        let key = session.universal_key(challenge, call);
        let (sums, rows) = columns.close(key);
        let mut proof = vec![0; PROOF_BYTES];
        write(&mut proof, once(sum_of(key, &choices)).chain(sums));
        let choices = words(&choices, rows.len());
        Ok((proof, Received::new(session.hash_key(call), rows, choices)))
    }
}

/// The first `count` bits as words, the rest of the last word zeros.
#[allow(clippy::cast_possible_truncation)]
fn words(choices: &[Block], count: usize) -> Zeroizing<Vec<u64>> {
    let halves = choices.iter().flat_map(|block| [*block as u64, (block >> 64) as u64]);
    let mut words = Zeroizing::new(Vec::with_capacity(count.div_ceil(64)));
    words.extend(halves.take(count.div_ceil(64)));
    if let (Some(last), rest @ 1..) = (words.last_mut(), count % 64) {
        *last &= (1 << rest) - 1;
    }
    words
}
