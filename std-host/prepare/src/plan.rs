//! What a program spends, read offline.

use core::convert::Infallible;

use sha2::{Digest as _, Sha256};
use sharelet_core::functions::engine::EngineError;
use sharelet_core::functions::engine::offline::Task;
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::functions::record::Layout;
use sharelet_core::functions::transfer::Transfer;
use sharelet_core::share::Party;

use crate::error::PrepareError;

/// The records of a program, operation by operation. Both parties must have the same.
///
/// It is a task of an offline run: `Offline::new(Plan::default(), Comparison::Ot)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    operations: Vec<Operation>,
    strings: Strings,
    bound: Vec<u8>,
}

/// What a plan asks for beside records: strings of the transfers as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Strings {
    /// Words that `P1` sends and `P0` chooses from, two each.
    pub words: usize,
    /// Labels: of each `P0` has the one that stands for 0, and `P1` that of a random bit.
    pub labels: usize,
}

/// Equal records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) elements: usize,
    pub(crate) record_bytes: usize,
    pub(crate) transfers: Vec<Transfer>,
}

impl Task for Plan {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        let (layout, mut transfers) = (protocol.layout(), Vec::new());
        if layout.bytes() > 0 {
            protocol.transfers(&mut |transfer| transfers.push(transfer))?;
        }
        self.records(elements, layout, transfers);
        Ok(())
    }
}

/// Transfers of an entry: those that its sender sends, those that go the other way, and bytes of
/// corrections, likewise. An entry without a sender is the same both ways.
fn cost(transfer: Transfer) -> (Option<Party>, [u32; 2], [u32; 2]) {
    let word_bytes = |ring_bits: u32| ring_bits.div_ceil(8);
    match transfer {
        Transfer::Leaf { sender, width_bits, .. } => (Some(sender), [width_bits, 0], [0, 0]),
        Transfer::Table { sender, index_bits, .. } => (Some(sender), [index_bits, 0], [0, 0]),
        Transfer::And { .. } => (None, [1, 1], [0, 0]),
        Transfer::Dual { sender, values, ring_bits, .. } => {
            let back = u32::from(values > 0);
            (Some(sender), [1, back], [word_bytes(ring_bits), 0])
        }
        Transfer::Product { square, ring_bits, .. } => {
            let back = u32::from(!square);
            let bytes = ring_bits * word_bytes(ring_bits);
            (Some(Party::P0), [ring_bits, back * ring_bits], [bytes, back * bytes])
        }
    }
}

/// Bytes of a plan's digest.
pub(crate) const DIGEST_BYTES: usize = 32;

impl Plan {
    /// Adds equal records: what each consists of, and its layout.
    pub fn records(&mut self, elements: usize, layout: Layout, transfers: Vec<Transfer>) {
        self.operations.push(Operation { elements, record_bytes: layout.bytes(), transfers });
    }

    /// Adds strings.
    pub fn strings(&mut self, Strings { words, labels }: Strings) {
        self.strings.words += words;
        self.strings.labels += labels;
    }

    pub(crate) const fn wanted_strings(&self) -> Strings {
        self.strings
    }

    /// Adds what both parties must agree on beside the records: it changes the digest alone.
    pub fn bind(&mut self, what: &[u8]) {
        self.bound.extend(what.len().to_le_bytes());
        self.bound.extend(what);
    }

    /// What both parties compare before they prepare: of all records in order, and what is bound.
    pub(crate) fn digest(&self) -> [u8; DIGEST_BYTES] {
        let mut hash = Sha256::new().chain_update("sharelet prepare plan 1");
        for Operation { elements, record_bytes, transfers } in &self.operations {
            // All fields by name: the order of entries and their places are part of it.
            hash.update(format!("{elements} {record_bytes} {transfers:?};"));
        }
        if self.strings != Strings::default() {
            hash.update(format!("{:?}", self.strings));
        }
        hash.update(&self.bound);
        hash.finalize().into()
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// Transfers that `party` sends, and bytes of its corrections.
    fn sent(&self, party: Party) -> [u64; 2] {
        let strings = match party {
            Party::P0 => self.strings.labels,
            Party::P1 => self.strings.words,
        };
        let mut sums = [strings as u64, 0];
        for operation in &self.operations {
            for &transfer in &operation.transfers {
                let (sender, transfers, bytes) = cost(transfer);
                let way = usize::from(sender.is_some_and(|sender| sender != party));
                let each =
                    [transfers, bytes].map(|of| u64::from(of.get(way).copied().unwrap_or(0)));
                for (sum, each) in sums.iter_mut().zip(each) {
                    *sum += each * operation.elements as u64;
                }
            }
        }
        sums
    }

    /// Random transfers in which `party` is the sender.
    #[must_use]
    pub fn transfers(&self, party: Party) -> u64 {
        self.sent(party)[0]
    }

    /// Bytes of either party's half of all records.
    #[must_use]
    pub fn record_bytes(&self) -> u64 {
        let bytes = |operation: &Operation| (operation.elements * operation.record_bytes) as u64;
        self.operations.iter().map(bytes).sum()
    }

    /// Transfers that `party` sends, and bytes of its corrections, as sizes of memory.
    pub(crate) fn sizes(&self, party: Party) -> Result<[usize; 2], PrepareError> {
        let [transfers, bytes] = self.sent(party);
        let fits =
            |size: u64| usize::try_from(size).ok().filter(|&size| size <= isize::MAX as usize / 32);
        match (fits(transfers), fits(bytes)) {
            (Some(transfers), Some(bytes)) => Ok([transfers, bytes]),
            _ => Err(PrepareError::TooMany { transfers }),
        }
    }
}
