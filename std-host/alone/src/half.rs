//! A party's half of a session: what it spends in one inference, once.

use core::fmt;

use sharelet_core::share::Party;
use sharelet_rlwe::batch::SLOTS;
use zeroize::Zeroizing;

use crate::layers::Shares;
use crate::network::Network;
use crate::task::Task;

/// A party's correlations of one inference. It is spent by value: nothing copies it.
pub struct Half {
    pub(crate) party: Party,
    /// `P0`'s masks of what each layer takes; `P1` has none.
    pub(crate) masks: Shares,
    /// Shares of what the layers make of the masks.
    pub(crate) shares: Shares,
    /// Of the gates.
    pub(crate) records: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("party", &self.party).finish_non_exhaustive()
    }
}

/// Elements of the vectors of masks, layer by layer: `P1` has none.
fn mask_elems(party: Party, network: &Network) -> Vec<usize> {
    match party {
        Party::P0 => network.layers().iter().map(|layer| layer.inputs().into()).collect(),
        Party::P1 => Vec::new(),
    }
}

fn share_elems(network: &Network) -> Vec<usize> {
    network.layers().iter().map(|layer| layer.outputs().into()).collect()
}

impl Half {
    /// Bytes of a party's half as a store keeps it.
    #[must_use]
    pub fn bytes(party: Party, task: &Task) -> usize {
        let Task { network, gates, .. } = task;
        let words = mask_elems(party, network).iter().chain(&share_elems(network)).sum::<usize>();
        4 * words + gates.record_bytes()
    }

    /// As bytes, for a store: secrets.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let vectors = || self.masks.iter().chain(&*self.shares).flatten();
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(4 * vectors().count() + self.records.len()));
        vectors().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend_from_slice(&self.records);
        bytes
    }

    /// Reads what [`Half::to_bytes`] wrote of a session of the network; `None` if they are not so
    /// many.
    #[must_use]
    pub fn from_bytes(party: Party, task: &Task, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::bytes(party, task) {
            return None;
        }
        let network = &task.network;
        let mut rest = bytes;
        let mut vectors = |elems: Vec<usize>| -> Option<Shares> {
            let vectors: Option<_> =
                elems.into_iter().map(|elems| words(&mut rest, elems)).collect();
            vectors.map(Zeroizing::new)
        };
        let masks = vectors(mask_elems(party, network))?;
        let shares = vectors(share_elems(network))?;
        Some(Self { party, masks, shares, records: Zeroizing::new(rest.to_vec()) })
    }
}

impl Task {
    /// Whether many sessions are prepared in batches of [`SLOTS`]: all private maps are matrices,
    /// and either party holds the batch in memory.
    #[must_use]
    pub fn has_batches(&self) -> bool {
        const MOST_BYTES: usize = 1 << 29;
        self.batches.is_some() && SLOTS.saturating_mul(Half::bytes(Party::P0, self)) <= MOST_BYTES
    }
}

fn words(rest: &mut &[u8], elems: usize) -> Option<Vec<u32>> {
    let (own, left) = rest.split_at_checked(4 * elems)?;
    *rest = left;
    Some(own.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect())
}
