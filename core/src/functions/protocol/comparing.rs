//! What the gates have in common: they open `z = x + r` and compare public words made of `z` with
//! the mask `r`.
//!
//! ```text
//! message 1:   z = x + r                              and words of the gate's own
//! leaves:      shares of ([u < r], [u = r]) per digit, for every public u that the gate compares
//! message 2:   the leaf bits, masked                  at k = 64 they are folded to (c, e, l), and
//! message 3:   (c, e, l), masked                      with the last, words of the gate's own
//! tables:      at the opened bits, shares of [u < r] times what the gate needs
//! ```

use rand_core::CryptoRng;

use super::{BitWriter, Messages, Protocol, get_bits, read, write};
use crate::functions::cut::{Cut, Fold, Folds, Leaves};
use crate::functions::record::{Half, Layout, MAX_TOGETHER, Truth};
use crate::ring::Ring;
use crate::step::StepError;

/// The slices of a gate: compared words, and what stands beside them.
pub trait Slices {
    /// The ring in which `z` is opened.
    type Ring: Ring;
    /// The ring of values that are opened with `z`; of no meaning where there are none.
    type Value: Ring;
    /// Bytes of such a value.
    const VALUE_BYTES: usize = 0;

    /// The compared words: shares before the first message, `z` afterwards.
    fn compared(&mut self) -> &mut [Self::Ring];
    /// Values that are opened with `z`, in their place afterwards.
    fn values(&mut self) -> &mut [Self::Value] {
        &mut []
    }
    /// Elements, after a check of all lengths. A gate says how many words stand `beside` each.
    ///
    /// # Errors
    /// [`StepError::LengthMismatch`] if the slices do not belong together.
    fn count(&self, beside: usize) -> Result<usize, StepError>;
}

/// Words that are compared and replaced.
impl<R: Ring> Slices for &mut [R] {
    type Ring = R;
    type Value = R;

    fn compared(&mut self) -> &mut [R] {
        self
    }

    fn count(&self, _beside: usize) -> Result<usize, StepError> {
        Ok(self.len())
    }
}

/// A protocol of this kind. A type that has these methods is a [`Protocol`].
pub trait Comparing: Sync {
    /// The ring in which `z` is opened.
    type Ring: Ring;
    /// The slices it works on.
    type Data<'d>: Slices<Ring = Self::Ring>;

    /// The record, the cut and the leaves.
    fn frame(&self) -> &Frame;
    /// Words beside each compared one: see [`Slices::count`].
    fn beside(&self) -> usize {
        1
    }
    /// Place of the mask of an element's value `index`: see [`Slices::values`].
    fn value_mask(&self, _index: usize) -> u32 {
        0
    }

    /// Comparisons per element.
    fn folds(&self) -> u32 {
        1
    }
    /// The tables of comparison `index`.
    fn fold(&self, index: u32) -> Fold;
    /// The public word of comparison `index`.
    fn public(&self, _index: u32, z: Self::Ring) -> Self::Ring {
        z
    }
    /// What public words are compared with: the mask, or a part of its bits.
    fn compared_mask(&self, mask: Self::Ring) -> Self::Ring {
        mask
    }

    /// Bytes of own words per element in the last message.
    fn last_bytes(&self) -> usize {
        0
    }
    /// Writes them.
    fn last<H: Half>(&self, _half: &mut H, _element: usize, _z: Self::Ring, _out: &mut [u8]) {}

    /// Leaves a party's share of the result in `data`.
    fn finish<H: Half>(
        &self,
        half: &mut H,
        element: usize,
        data: &mut Self::Data<'_>,
        opened: &Opened<'_>,
    );

    /// The dealer: everything but the leaves and the mask.
    fn deal_rest<G: CryptoRng>(&self, mask: Self::Ring, truth: &mut Truth<'_>, rng: &mut G);

    /// The plaintext twin with roundings decided by `up`: see [`Protocol::twin_rounded`].
    fn plain(&self, data: &mut Self::Data<'_>, up: &mut impl FnMut() -> bool);
}

/// What every gate's record begins with, and how the mask is compared.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The cut of the compared bits.
    pub cut: Cut,
    /// The leaf tables.
    pub leaves: Leaves,
    /// The record.
    pub layout: Layout,
    /// Place of the mask.
    pub mask: u32,
    /// Whether `2^(k-1)` is added before `x` is opened, so that signed order becomes unsigned
    /// order.
    pub offset: bool,
}

impl Frame {
    /// A record with a mask in the ring `R` and `count` comparisons, each with a table of entries
    /// of `words` words of the ring `W`.
    pub(super) fn new<R: Ring, W: Ring>(
        cut: Cut,
        count: u32,
        words: u32,
        offset: bool,
    ) -> (Self, Folds) {
        let mut layout = Layout::default();
        let leaves = Leaves::new(cut, &mut layout);
        let folds = Folds::new(&cut, count, &mut layout);
        let (mask, folds) =
            layout.word_and::<R, W, _>(|layout| folds.with_tables::<W>(&cut, words, layout));
        (Self { cut, leaves, layout, mask, offset }, folds)
    }
}

/// What was opened last.
pub struct Opened<'m> {
    own_words: &'m [u8],
    peer_words: &'m [u8],
    own_bits: &'m [u8],
    peer_bits: &'m [u8],
    bits: u32,
    first_bit: usize,
}

crate::correlation::redacted!(Opened<'_>);

impl Opened<'_> {
    /// The opened bits of comparison `index`.
    #[inline]
    pub(super) fn bits(&self, index: u32) -> u32 {
        let at = self.first_bit + (index * self.bits) as usize;
        get_bits(self.own_bits, at, self.bits) ^ get_bits(self.peer_bits, at, self.bits)
    }

    /// The gate's own word at byte `at`, opened.
    #[inline]
    pub(super) fn word<W: Ring>(&self, at: usize) -> W {
        read::<W>(self.own_words, at).add(read(self.peer_words, at))
    }
}

impl<T: Comparing> Protocol for T {
    type Data<'d> = <T as Comparing>::Data<'d>;

    fn elements(&self, data: &Self::Data<'_>) -> Result<usize, StepError> {
        data.count(self.beside())
    }

    fn layout(&self) -> Layout {
        self.frame().layout
    }

    fn rounds(&self) -> usize {
        2 + usize::from(self.frame().cut.is_staged())
    }

    fn message_bytes(&self, round: usize, elements: usize) -> usize {
        let cut = &self.frame().cut;
        let bits_bytes = |bits: u32| (elements * (self.folds() * bits) as usize).div_ceil(8);
        let last = if round + 1 == self.rounds() { elements * self.last_bytes() } else { 0 };
        match round {
            0 => elements * first_bytes::<T::Data<'_>>(self.beside()),
            1 => last + bits_bytes(cut.leaf_bits()),
            _ => last + bits_bytes(cut.final_bits()),
        }
    }

    fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) {
        let mask = T::Ring::from_u64(rng.next_u64());
        truth.set_word(self.frame().mask, mask);
        self.frame().leaves.deal(truth, self.compared_mask(mask));
        self.deal_rest(mask, truth, rng);
    }

    fn step<H: Half>(
        &self,
        round: usize,
        half: &mut H,
        data: &mut Self::Data<'_>,
        messages: &mut Messages<'_>,
    ) {
        let elements = data.compared().len();
        if round == 0 {
            let frame = (self.frame().mask, self.frame().offset);
            let values = (self.beside(), |index| self.value_mask(index));
            return mask(half, data, messages.own, frame, values);
        }
        if round == 1 {
            unmask(data, messages);
        }
        if round < self.rounds() {
            open_bits(self, round, half, data, messages, elements);
        } else {
            let bits = self.frame().cut.final_bits();
            let words = elements * self.last_bytes();
            let (own_words, own_bits) = messages.own.split_at_checked(words).unwrap_or_default();
            let (peer_words, peer_bits) = messages.peer.split_at_checked(words).unwrap_or_default();
            for element in 0..elements {
                let piece = element * self.last_bytes()..(element + 1) * self.last_bytes();
                let opened = Opened {
                    own_words: own_words.get(piece.clone()).unwrap_or(&[]),
                    peer_words: peer_words.get(piece).unwrap_or(&[]),
                    own_bits,
                    peer_bits,
                    bits,
                    first_bit: element * (self.folds() * bits) as usize,
                };
                self.finish(half, element, data, &opened);
            }
        }
    }

    fn twin_rounded(&self, data: &mut Self::Data<'_>, up: &mut impl FnMut() -> bool) {
        self.plain(data, up);
    }
}

/// Bytes of an element in the first message: `z`, and `values` values.
pub(super) fn first_bytes<D: Slices>(values: usize) -> usize {
    D::Ring::BYTES + values * D::VALUE_BYTES
}

/// The first message: `z`, under the mask that lies at `place`, of all elements; then the values of
/// each, under masks of their own.
pub(super) fn mask<D: Slices, H: Half>(
    half: &mut H,
    data: &mut D,
    own: &mut [u8],
    (place, offset): (u32, bool),
    (values_each, value_mask): (usize, impl Fn(usize) -> u32),
) {
    let offset = if offset { D::Ring::pow2(D::Ring::BITS - 1) } else { D::Ring::ZERO };
    let offset = half.party().constant(offset);
    for (element, x) in data.compared().iter().enumerate() {
        write(own, element * D::Ring::BYTES, x.add(half.word(element, place)).add(offset));
    }
    let mut at = data.compared().len() * D::Ring::BYTES;
    for (element, values) in data.values().chunks_exact(values_each.max(1)).enumerate() {
        for (index, value) in values.iter().enumerate() {
            write(own, at, value.sub(half.word(element, value_mask(index))));
            at += D::Value::BYTES;
        }
    }
}

/// What the first message opened, in place of the shares.
pub(super) fn unmask<D: Slices>(data: &mut D, messages: &Messages<'_>) {
    messages.open(0, data.compared());
    messages.open(data.compared().len() * D::Ring::BYTES, data.values());
}

/// The message of leaf bits.
fn open_leaves<T: Comparing, H: Half>(
    gate: &T,
    half: &mut H,
    data: &mut T::Data<'_>,
    bits: &mut [u8],
) {
    let (frame, leaf_bits) = (gate.frame(), gate.frame().cut.leaf_bits());
    let mut bits = BitWriter::new(bits);
    let mut open = |half: &mut H, first: (usize, u32), words: &[(usize, u64)]| {
        let mut leaves = [0; MAX_TOGETHER];
        let leaves = leaves.get_mut(..words.len()).unwrap_or(&mut []);
        frame.leaves.read(half, words, leaves);
        let folds = (first.1..gate.folds()).chain((0..).flat_map(|_: u32| 0..gate.folds()));
        for ((&(element, _), &mut leaves), index) in words.iter().zip(leaves).zip(folds) {
            bits.push(leaf_bits, gate.fold(index).masked(&frame.cut, half, element, leaves));
        }
    };
    let (mut words, mut held, mut first) = ([(0, 0); MAX_TOGETHER], 0, (0, 0));
    for (element, &mut z) in data.compared().iter_mut().enumerate() {
        for index in 0..gate.folds() {
            if held == 0 {
                first = (element, index);
            }
            if let Some(word) = words.get_mut(held) {
                *word = (element, gate.public(index, z).to_u64());
            }
            held += 1;
            if held == H::TOGETHER {
                open(half, first, words.get(..held).unwrap_or(&[]));
                held = 0;
            }
        }
    }
    open(half, first, words.get(..held).unwrap_or(&[]));
    bits.finish();
}

/// The messages of bits.
fn open_bits<T: Comparing, H: Half>(
    gate: &T,
    round: usize,
    half: &mut H,
    data: &mut T::Data<'_>,
    messages: &mut Messages<'_>,
    elements: usize,
) {
    let (frame, folds) = (gate.frame(), gate.folds());
    let (leaf_bits, final_bits) = (frame.cut.leaf_bits(), frame.cut.final_bits());
    if round == 2 {
        messages.remember(gate.message_bytes(1, elements));
    }
    let last_bytes = if round + 1 == gate.rounds() { gate.last_bytes() } else { 0 };
    let Some((words, bits)) = messages.own.split_at_mut_checked(elements * last_bytes) else {
        return;
    };
    if round == 1 {
        open_leaves(gate, half, data, bits);
    } else {
        let mut bits = BitWriter::new(bits);
        for element in 0..elements {
            if folds == 1 && element % H::TOGETHER == 0 {
                gate.fold(0).bring_stage(half, element..elements.min(element + H::TOGETHER));
            }
            for index in 0..folds {
                let place = element * folds as usize + index as usize;
                let opened = get_bits(messages.opened, place * leaf_bits as usize, leaf_bits);
                bits.push(final_bits, gate.fold(index).staged(&frame.cut, half, element, opened));
            }
        }
        bits.finish();
    }
    if last_bytes > 0 {
        for ((element, &mut z), words) in
            data.compared().iter_mut().enumerate().zip(words.chunks_exact_mut(last_bytes))
        {
            gate.last(half, element, z, words);
        }
    }
}
