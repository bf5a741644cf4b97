//! Strings of transfers as they are, for who makes something else of them than records.
//!
//! A *label* is a row of a correlated transfer: `P0` has `L` and a secret `D`, `P1` a random bit
//! `b` and `L xor b D`. The lowest bit of `D` is 1, and that of a label tells `P1` its bit. The
//! exclusive or of labels is a label of that of the bits: with a hash of it `P0` can say something
//! to `P1` that depends on a bit which `P0` does not know. That is free XOR (Kolesnikov, Schneider,
//! ICALP '08) with oblivious transfer's own secret as the difference.

use core::fmt;

use sha2::{Digest as _, Sha256};
use sharelet_core::share::Party;
use sharelet_ot::{Block, OtError};
use zeroize::Zeroizing;

use crate::cursor::{Labels, Receiving, Sending};
use crate::plan::Strings;

/// A party's half of the strings of a plan.
#[derive(Default)]
pub struct HeldStrings {
    /// `P1`'s pairs of words; `P0`'s choice, 0 or 1, and the word that it names.
    pub words: Zeroizing<Vec<[u32; 2]>>,
    /// `P0`'s labels of 0, or `P1`'s of its bits, which are the lowest of each.
    pub labels: Zeroizing<Vec<Block>>,
    /// What `P0`'s labels of a bit differ by; `P1` has zero.
    pub delta: Zeroizing<Block>,
    /// A public key for hashes of these labels, which no others of the pair have.
    pub key: Block,
}

impl fmt::Debug for HeldStrings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeldStrings(<redacted>)")
    }
}

impl HeldStrings {
    /// Takes them of what is left of the transfers.
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn take(
        party: Party,
        wanted: Strings,
        sending: &mut Sending,
        receiving: &mut Receiving,
    ) -> Result<Self, OtError> {
        let mut words = Zeroizing::new(Vec::with_capacity(wanted.words));
        for _ in 0..wanted.words {
            words.push(match party {
                Party::P0 => receiving.next().map(|(choice, block)| [choice, block as u32])?,
                Party::P1 => sending.next()?.map(|block| block as u32),
            });
        }
        let Labels { labels, delta, name } = match party {
            Party::P0 => sending.labels(wanted.labels)?,
            Party::P1 => receiving.labels(wanted.labels)?,
        };
        Ok(Self { words, labels, delta, key: name.map_or(0, key) })
    }
}

impl HeldStrings {
    /// Parts of so many each, with a key for each; without end where a part is empty.
    pub fn split(self, each: Strings) -> impl Iterator<Item = Self> {
        (0..).map_while(move |part: usize| {
            let words = self.words.get(part * each.words..(part + 1) * each.words)?;
            let labels = self.labels.get(part * each.labels..(part + 1) * each.labels)?;
            Some(Self {
                words: Zeroizing::new(words.to_vec()),
                labels: Zeroizing::new(labels.to_vec()),
                delta: self.delta.clone(),
                key: key((self.key, part as u64)),
            })
        })
    }
}

/// The key of labels that begin at a place of a call.
fn key((call, place): (Block, u64)) -> Block {
    let digest = Sha256::new()
        .chain_update("sharelet prepare labels")
        .chain_update(call.to_le_bytes())
        .chain_update(place.to_le_bytes())
        .finalize();
    digest.first_chunk().map_or(0, |bytes| Block::from_le_bytes(*bytes))
}
