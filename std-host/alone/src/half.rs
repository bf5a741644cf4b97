//! A party's half of a session: what it spends in one inference, once.

use core::fmt;

use sharelet_core::functions::record::Stored;
use sharelet_core::ring::Ring as _;
use sharelet_core::share::Party;
use sharelet_ot::Block;
use sharelet_ot::hash::Hash;
use sharelet_prepare::Strings;
use sharelet_prepare::strings::HeldStrings;
use sharelet_rlwe::batch::SLOTS;
use zeroize::Zeroizing;

use crate::error::AloneError;
use crate::gate::{Gate, Running};
use crate::layers::Shares;
use crate::network::{Gates, Network};
use crate::rows::Labels;
use crate::task::Task;

/// A party's correlations of one inference. It is spent by value: nothing copies it.
pub struct Half {
    pub(crate) party: Party,
    /// Of the network that it is for.
    pub(crate) digest: [u8; 32],
    /// `P0`'s masks of what each layer takes, and its share of an answer that comes out of a gate;
    /// `P1` has none.
    pub(crate) masks: Shares,
    /// Shares of what the layers make of the masks.
    pub(crate) shares: Shares,
    /// What `P0` said ahead, at `P1`: see [`Half::choices`].
    pub(crate) said: Vec<u8>,
    pub(crate) correlations: Correlations,
}

/// What the gates of a session spend.
pub(crate) struct Correlations {
    pub(crate) records: Zeroizing<Vec<u8>>,
    pub(crate) strings: HeldStrings,
}

impl fmt::Debug for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("party", &self.party).finish_non_exhaustive()
    }
}

/// Elements of the vectors of masks, layer by layer: `P1` has none.
pub(crate) fn mask_elems(party: Party, network: &Network, gates: &Gates) -> Vec<usize> {
    let inputs = || network.layers().iter().map(|layer| layer.inputs().into());
    let answer = gates.answers().then(|| network.layers().last().map(|l| l.outputs().into()));
    match party {
        Party::P0 => inputs().chain(answer.flatten()).collect(),
        Party::P1 => Vec::new(),
    }
}

fn share_elems(network: &Network) -> Vec<usize> {
    network.layers().iter().map(|layer| layer.outputs().into()).collect()
}

/// Bytes of what `P0` says ahead of a session.
pub(crate) fn said_bytes(network: &Network, gates: &Gates) -> usize {
    let next = |layer: usize| network.layers().get(layer + 1);
    let opened = |layer| next(layer).map_or(0, |next| 4 * usize::from(next.inputs()));
    let layers = 0..network.layers().len();
    layers.map(|layer| gates.after(layer).map_or_else(|| opened(layer), |g| g.choice_bytes())).sum()
}

/// Bytes of words, a label and of what comes beside labels.
const WORDS_BYTES: usize = 8;
const LABEL_BYTES: usize = size_of::<Block>();

impl Half {
    /// Bytes of a party's half as a store keeps it.
    #[must_use]
    pub fn bytes(party: Party, task: &Task) -> usize {
        let Task { network, gates, .. } = task;
        let elems = mask_elems(party, network, gates).into_iter().chain(share_elems(network));
        let said = if party == Party::P1 { said_bytes(network, gates) } else { 0 };
        let Strings { words, labels } = gates.strings();
        4 * elems.sum::<usize>()
            + said
            + gates.record_bytes()
            + WORDS_BYTES * words
            + LABEL_BYTES * (labels + 2)
    }

    /// As bytes, for a store: secrets.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let Correlations { records, strings } = &self.correlations;
        let HeldStrings { words, labels, delta, key } = strings;
        let vectors = || self.masks.iter().chain(&*self.shares).flatten();
        let blocks = labels.len() + 2;
        let mut bytes = Zeroizing::new(Vec::with_capacity(
            4 * vectors().count()
                + self.said.len()
                + records.len()
                + WORDS_BYTES * words.len()
                + LABEL_BYTES * blocks,
        ));
        vectors().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(&self.said);
        bytes.extend_from_slice(records);
        words.as_flattened().iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        labels.iter().chain([&**delta, key]).for_each(|block| bytes.extend(block.to_le_bytes()));
        bytes
    }

    /// Reads what [`Half::to_bytes`] wrote of a session of the network; `None` if they are not so
    /// many.
    #[must_use]
    pub fn from_bytes(party: Party, task: &Task, bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::bytes(party, task) {
            return None;
        }
        let Task { network, gates, .. } = task;
        let mut rest = bytes;
        let mut vectors = |elems: Vec<usize>| -> Option<Shares> {
            let vectors: Option<_> =
                elems.into_iter().map(|elems| words(&mut rest, elems)).collect();
            vectors.map(Zeroizing::new)
        };
        let masks = vectors(mask_elems(party, network, gates))?;
        let shares = vectors(share_elems(network))?;
        let said_bytes = if party == Party::P1 { said_bytes(network, gates) } else { 0 };
        let (said, rest) = rest.split_at_checked(said_bytes)?;
        let (records, mut rest) = rest.split_at_checked(gates.record_bytes())?;
        let pairs = Zeroizing::new(words(&mut rest, 2 * gates.strings().words)?);
        let words = Zeroizing::new(pairs.as_chunks().0.to_vec());
        let blocks = rest.as_chunks().0.iter().map(|&bytes| Block::from_le_bytes(bytes));
        let mut labels = Zeroizing::new(blocks.collect::<Vec<_>>());
        let (key, delta) = (labels.pop()?, Zeroizing::new(labels.pop()?));
        let strings = HeldStrings { words, labels, delta, key };
        let correlations = Correlations { records: Zeroizing::new(records.to_vec()), strings };
        let digest = task.digest();
        Some(Self { party, digest, masks, shares, said: said.to_vec(), correlations })
    }

    /// What `P0` says ahead, layer by layer: its digits under the choices of the gate; or, where
    /// there is none, its share of what the next layer takes, under that layer's mask.
    pub(crate) fn choices(&self, task: &Task) -> Vec<u8> {
        let mut said = Vec::with_capacity(said_bytes(&task.network, &task.gates));
        let mut spent = Spending::new(&self.correlations, self.party);
        for (layer, y) in self.shares.iter().enumerate() {
            if let Some(gate) = task.gates.after(layer) {
                if let Some(half) = spent.records(gate) {
                    said.extend(Running::choices(&gate, half, y));
                }
            } else if let Some(mask) = self.masks.get(layer + 1) {
                let mut opened = self.carried(task, layer);
                add(&mut opened, y, u32::wrapping_add);
                add(&mut opened, mask, u32::wrapping_sub);
                opened.iter().for_each(|word| said.extend(word.to_le_bytes()));
            }
        }
        said
    }

    /// What `P0` adds to its results of a layer: the public map of the layer's mask.
    pub(crate) fn carried(&self, task: &Task, layer: usize) -> Zeroizing<Vec<u32>> {
        let elems = self.shares.get(layer).map_or(0, Vec::len);
        let mut sum = Zeroizing::new(vec![0; elems]);
        if let (Some(part), Some(mask)) = (task.network.carried(layer), self.masks.get(layer)) {
            part.shape.add_product(&[], u32::from_u64(part.public), mask, &mut sum);
        }
        sum
    }

    /// Refuses a half of another party or network.
    pub(crate) fn check<E>(&self, party: Party, task: &Task) -> Result<(), AloneError<E>> {
        if self.party == party && self.digest == task.digest() {
            Ok(())
        } else {
            Err(AloneError::Half)
        }
    }
}

/// Hands out what the gates of a half spend, gate by gate.
pub(crate) struct Spending<'h> {
    party: Party,
    records: &'h [u8],
    words: &'h [[u32; 2]],
    labels: &'h [Block],
    before: usize,
    delta: &'h Block,
    hash: Hash,
}

impl<'h> Spending<'h> {
    pub(crate) fn new(Correlations { records, strings }: &'h Correlations, party: Party) -> Self {
        let HeldStrings { words, labels, delta, key } = strings;
        let hash = Hash::new(*key);
        Self { party, records, words, labels, before: 0, delta, hash }
    }

    /// The records of the next gate.
    fn records(&mut self, gate: Gate) -> Option<Stored<'h>> {
        let (own, rest) = self.records.split_at_checked(gate.record_bytes())?;
        self.records = rest;
        gate.stored(self.party, own)
    }

    /// The next gate, with what it spends.
    pub(crate) fn next<'s>(&'s mut self, gate: Gate) -> Option<Running<'s>> {
        let half = self.records(gate)?;
        let wanted = gate.strings();
        let (words, rest) = self.words.split_at_checked(wanted.words)?;
        let (labels, more) = self.labels.split_at_checked(wanted.labels)?;
        let before = self.before;
        (self.words, self.labels, self.before) = (rest, more, before + wanted.labels);
        let labels = Labels { labels, delta: self.delta, hash: &self.hash, before };
        Some(Running::new(gate, half, words, labels))
    }
}

impl Task {
    /// Whether many sessions are prepared in batches of [`SLOTS`]: all private maps are matrices,
    /// and either party holds the batch in memory.
    #[must_use]
    pub fn has_batches(&self) -> bool {
        const MOST_BYTES: usize = 3 << 28;
        let bytes = Half::bytes(Party::P0, self).max(Half::bytes(Party::P1, self));
        self.batches.is_some() && SLOTS.saturating_mul(bytes) <= MOST_BYTES
    }
}

/// `to`, element by element with words.
pub(crate) fn add(to: &mut [u32], words: &[u32], with: impl Fn(u32, u32) -> u32) {
    to.iter_mut().zip(words).for_each(|(to, &word)| *to = with(*to, word));
}

/// Takes words off the beginning of bytes.
pub(crate) fn words(rest: &mut &[u8], elems: usize) -> Option<Vec<u32>> {
    let (own, left) = rest.split_at_checked(4 * elems)?;
    *rest = left;
    Some(own.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect())
}
