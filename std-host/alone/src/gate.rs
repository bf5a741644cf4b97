//! A gate whose one share is known before the input is: `P0`'s, of what a layer makes of masks.
//!
//! `P0` knows its share `y_0` when it prepares, and chooses its share `o` of the result, too: it is
//! the mask of what the next layer takes, so that `P1` ends with just what that layer multiplies.
//! `P1`'s share `y_1` comes with the input. The parties ask for carries of `y_0 + y_1` as
//! [`millionaire`] does, but all pairs come from `P1`, and they take turns:
//!
//! ```text
//! prepared  P0 -> P1   its digits, under random choices
//! online    P1 -> P0   pairs for every digit that P0 may have; level 1; a word for L_1
//!           P0 -> P1   level 1, level 2
//!           P1 -> P0   level 2, level 3; corrections of labels
//!           P0 -> P1   level 3; a row for every share that P1 may have, under labels
//! ```
//!
//! With `w` and `s` the gate's width and shift, `L = (y mod 2^(w-1)) >> s` of a share, `m` its
//! topmost bit, and the carries `c_s` into bit `s` and `c` into bit `w - 1`:
//!
//! ```text
//! p = [y >= 0] = 1 xor m_0 xor m_1 xor c        max(y, 0) >> s = p (L_0 + L_1 + c_s - 2^(w-1-s) c)
//! ```
//!
//! What depends on `P0`'s share and on bits that are shared is a row, a word for each value that
//! `P1`'s shares of `p`, `m_1` and `c_s` may have. `P1` reads that of its own: each bit has a
//! [label](sharelet_prepare::strings), and a row is hidden by the labels of its bits. `p L_1` is
//! opened for `P1` under a bit `q` that `P0` chooses: with `e = p xor q` it is
//! `e L_1 + (1 - 2 e) q L_1`, and `q L_1` was shared by one transfer in the first message.
//!
//! The truncation has a row for the carries into bits `s` and `w`, of `y + 2^(w-1)`.
//!
//! * Model: semi-honest parties. `P0` sees what pairs and openings show, which are one-time padded;
//!   `P1` openings, a bit under `q`, and rows, of which the others are hidden from it.
//! * Reference: leaves and tree as in [`millionaire`]; the last step is that of Mishra, Lehmkuhl,
//!   Srinivasan, Zheng, Popa, "Delphi", USENIX Security '20: the result is the next layer's input,
//!   masked. Labels in place of its circuit.
//! * Costs at `w = 32`: two messages each way, 70 bytes an element, for three levels. `levels / 2
//!   + 1` messages each way, rounded down.
//! * Exact, for every `y`.
//!
//! [`millionaire`]: sharelet_core::functions::protocol::millionaire

use sharelet_core::functions::carries::{Carries, Carry, Nodes, Wanted};
use sharelet_core::functions::protocol::{BitReader, BitWriter};
use sharelet_core::functions::record::{Layout, Stored};
use sharelet_core::gate::{GateBits, GateKind};
use sharelet_core::share::Party;
use sharelet_prepare::{Plan, Strings};
use zeroize::Zeroizing;

use crate::rows::{self, Labels};

/// The gate of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    is_relu: bool,
    bits: GateBits,
    carries: Carries,
    layout: Layout,
    elems: usize,
}

/// A bit that both share, and that a row depends on.
#[derive(Clone, Copy)]
enum Bit {
    Carry(Carry),
    /// The topmost bit of `P1`'s share.
    Top,
}

/// A party in the middle of a gate.
pub struct Running<'h> {
    gate: Gate,
    half: Stored<'h>,
    words: &'h [[u32; 2]],
    labels: Labels<'h>,
    nodes: Zeroizing<Vec<Nodes>>,
    /// What it opened, and has not merged yet.
    own: Zeroizing<Vec<u32>>,
    /// Its share of `q L_1`.
    product: Zeroizing<Vec<u32>>,
}

/// Bytes of a message of so many bits for each element.
const fn bytes(elems: usize, bits: u32) -> usize {
    (elems * bits as usize).div_ceil(8)
}

impl Gate {
    /// Of so many elements.
    pub fn new(kind: GateKind, bits: GateBits, elems: usize) -> Self {
        let is_relu = kind == GateKind::Relu;
        let compared_bits = bits.width_bits - u32::from(is_relu);
        let (split, mut layout) = ((bits.shift > 0).then_some(bits.shift), Layout::default());
        let carries = Carries::new(compared_bits, split, false, Wanted::Carry).sent_by(Party::P1);
        let carries = carries.placed(&mut layout);
        Self { is_relu, bits, carries, layout, elems }
    }

    /// Adds what it spends.
    pub fn plan(&self, plan: &mut Plan) {
        let mut transfers = Vec::new();
        self.carries.transfers(&mut |transfer| transfers.push(transfer));
        plan.records(self.elems, self.layout, transfers);
        plan.strings(self.strings());
    }

    /// Bytes of a party's records.
    pub const fn record_bytes(&self) -> usize {
        self.elems * self.layout.bytes()
    }

    /// A party's records.
    pub fn stored(self, party: Party, bytes: &[u8]) -> Option<Stored<'_>> {
        Stored::made(party, self.layout, self.elems, bytes).ok()
    }

    /// Strings that it spends.
    pub fn strings(&self) -> Strings {
        let words = if self.is_relu { self.elems } else { 0 };
        Strings { words, labels: self.elems * self.labels_each() }
    }

    /// Messages each way.
    pub fn rounds(&self) -> u32 {
        self.levels() / 2 + 1
    }

    /// Levels of merges.
    fn levels(&self) -> u32 {
        self.row_bits().map(|bit| self.level(bit)).max().unwrap_or(0)
    }

    fn level(&self, bit: Bit) -> u32 {
        match bit {
            Bit::Carry(of) => self.carries.level(of),
            Bit::Top => 0,
        }
    }

    /// Levels that `P1` has merged when it sends its last message.
    fn merged(&self) -> u32 {
        2 * (self.rounds() - 1)
    }

    /// What a row depends on, from the lowest bit of its number on.
    fn row_bits(&self) -> impl Iterator<Item = Bit> + use<> {
        let top = self.is_relu.then_some(Bit::Top);
        let split = (self.bits.shift > 0).then_some(Bit::Carry(Carry::Split));
        [Some(Bit::Carry(Carry::All)), top, split].into_iter().flatten()
    }

    /// Terms of `P1`'s share of such a bit when it sends its last message.
    fn terms(&self, bit: Bit) -> usize {
        if self.level(bit) > self.merged() { 3 } else { 1 }
    }

    fn labels_each(&self) -> usize {
        self.row_bits().map(|bit| self.terms(bit)).sum()
    }

    fn rows(&self) -> usize {
        1 << self.row_bits().count()
    }

    /// Bits of an element that `P0` sends when it prepares.
    fn choice_bits(&self) -> u32 {
        let [choices, _] = self.carries.leaf_bits();
        choices
    }

    /// Bytes of the choices that `P0` sends when it prepares.
    pub fn choice_bytes(&self) -> usize {
        bytes(self.elems, self.choice_bits())
    }

    fn is_last(&self, round: u32) -> bool {
        round + 1 == self.rounds()
    }

    /// Bits of an element in `P1`'s message of a round.
    #[allow(clippy::cast_possible_truncation)]
    fn bits_of_p1(&self, round: u32) -> u32 {
        let [_, pairs] = self.carries.leaf_bits();
        let first = pairs + if self.is_relu { u32::BITS } else { 0 };
        let before = if round == 0 { first } else { self.carries.opened_bits(2 * round) };
        let last = if self.is_last(round) { self.labels_each() as u32 } else { 0 };
        before + self.carries.opened_bits(2 * round + 1) + last
    }

    /// Bits of an element in `P0`'s message of a round.
    #[allow(clippy::cast_possible_truncation)]
    fn bits_of_p0(&self, round: u32) -> u32 {
        let rows = u32::from(self.is_relu) + u32::BITS * self.rows() as u32;
        let next = self.carries.opened_bits(2 * round + 2);
        self.carries.opened_bits(2 * round + 1) + if self.is_last(round) { rows } else { next }
    }

    /// Bytes of the message that `party` sends in a round; `P1` begins.
    pub fn message_bytes(&self, party: Party, round: u32) -> usize {
        bytes(
            self.elems,
            match party {
                Party::P0 => self.bits_of_p0(round),
                Party::P1 => self.bits_of_p1(round),
            },
        )
    }

    /// What is compared of a share.
    fn word(&self, party: Party, y: u32) -> u32 {
        let offset = party.constant(1_u32 << (self.bits.width_bits - 1));
        let y = if self.is_relu { y } else { y.wrapping_add(offset) };
        y & (u32::MAX >> (u32::BITS - self.bits.width_bits))
    }

    /// `m` and `L` of a share: its topmost bit, and what lies below and is kept.
    fn cut(&self, word: u32) -> (u32, u32) {
        let GateBits { width_bits, shift } = self.bits;
        if self.is_relu {
            let top = word >> (width_bits - 1);
            (top, (word ^ top << (width_bits - 1)) >> shift)
        } else {
            (0, word >> shift)
        }
    }

    /// What `P0` adds to `L_1` for carries `c` and `c_s`.
    fn summand(&self, low: u32, [carry, split]: [u32; 2]) -> u32 {
        let GateBits { width_bits, shift } = self.bits;
        let sum = low.wrapping_add(split);
        if self.is_relu {
            return sum.wrapping_sub(carry << (width_bits - 1 - shift));
        }
        let wrapped = 1_u32.checked_shl(width_bits - shift).unwrap_or(0).wrapping_mul(carry);
        sum.wrapping_sub(wrapped).wrapping_sub(1 << (width_bits - 1 - shift))
    }
}

/// An array's length is that of a gate, or its missing elements are zeros.
fn at<T: Copy + Default>(values: &[T], place: usize) -> T {
    values.get(place).copied().unwrap_or_default()
}

impl<'h> Running<'h> {
    /// A party with what a gate spends. `labels` are all of the half's, `before` those of gates
    /// before this one.
    pub fn new(gate: Gate, half: Stored<'h>, words: &'h [[u32; 2]], labels: Labels<'h>) -> Self {
        Self {
            gate,
            half,
            words,
            labels,
            nodes: Zeroizing::new(vec![Nodes::default(); gate.elems]),
            own: Zeroizing::new(vec![0; gate.elems]),
            product: Zeroizing::new(vec![0; words.len()]),
        }
    }

    /// `P0`'s digits under its choices: sent when it prepares.
    pub fn choices(gate: &Gate, mut half: Stored<'_>, y: &[u32]) -> Vec<u8> {
        let mut message = vec![0; gate.choice_bytes()];
        let mut writer = BitWriter::new(&mut message);
        for (element, &y) in y.iter().enumerate() {
            let word = gate.word(Party::P0, y).into();
            gate.carries.choose(&mut half, element, word, |count, bits| writer.push(count, bits));
        }
        writer.finish();
        message
    }

    /// Opens the merges of a level: writes one's own bits, and keeps them.
    fn open(&mut self, level: u32, element: usize, writer: &mut BitWriter<'_>) {
        let (mut own, mut place) = (0, 0);
        let write = |count, bits: u32| {
            writer.push(count, bits);
            own |= (bits & 1) << place;
            place += count;
        };
        let nodes = at(&self.nodes, element);
        self.gate.carries.open(level, &mut self.half, element, nodes, write);
        if let Some(kept) = self.own.get_mut(element) {
            *kept = own;
        }
    }

    /// Merges a level that the peer has opened, too; what is opened.
    fn merge(&mut self, level: u32, element: usize, reader: &mut BitReader<'_>) -> u32 {
        let opened = at(&self.own, element) ^ reader.pop(self.gate.carries.opened_bits(level));
        if let Some(nodes) = self.nodes.get_mut(element) {
            let mut rest = opened;
            let read = |_| {
                let bit = rest & 1;
                rest >>= 1;
                bit
            };
            self.gate.carries.merge(level, &mut self.half, element, nodes, read);
        }
        opened
    }

    /// `P0`'s message after `P1`'s of a round; `out` is its share of the result.
    pub fn answer(&mut self, round: u32, message: &[u8], y: &[u32], out: &[u32]) -> Vec<u8> {
        let gate = self.gate;
        let mut own = vec![0; gate.message_bytes(Party::P0, round)];
        let (mut reader, mut writer) = (BitReader::new(message), BitWriter::new(&mut own));
        for (element, (&y, &out)) in y.iter().zip(out).enumerate() {
            if round > 0 {
                self.merge(2 * round, element, &mut reader);
            } else if let Some(nodes) = self.nodes.get_mut(element) {
                gate.carries.take(&mut self.half, element, nodes, |count| reader.pop(count));
                if let Some(product) = self.product.get_mut(element) {
                    let [choice, word] = at(self.words, element);
                    *product = word.wrapping_add(choice.wrapping_mul(reader.pop(u32::BITS)));
                }
            }
            self.open(2 * round + 1, element, &mut writer);
            let opened = self.merge(2 * round + 1, element, &mut reader);
            if gate.is_last(round) {
                self.say(element, opened, [y, out], &mut reader, &mut writer);
            } else {
                self.open(2 * round + 2, element, &mut writer);
            }
        }
        writer.finish();
        own
    }

    /// The rows of an element.
    fn say(
        &mut self,
        element: usize,
        opened: u32,
        [y, out]: [u32; 2],
        reader: &mut BitReader<'_>,
        writer: &mut BitWriter<'_>,
    ) {
        let gate = self.gate;
        let mut pads = rows::Pads::new(element * gate.labels_each(), gate.row_bits().count());
        let mut carries = [0; 2];
        for (number, bit) in gate.row_bits().enumerate() {
            let corrections = reader.pop(if gate.terms(bit) == 3 { 3 } else { 1 });
            let [x, y] = self.opened(bit, opened);
            pads.label(number, &self.labels, gate.terms(bit), corrections, [x, y]);
            if let Bit::Carry(of) = bit {
                let nodes = at(&self.nodes, element);
                let [share, ..] =
                    gate.carries.terms((of, gate.levels()), &mut self.half, element, nodes);
                carries[usize::from(of == Carry::Split)] = share;
            }
        }
        let (top, low) = gate.cut(gate.word(Party::P0, y));
        let ([choice, _], product) = (at(self.words, element), at(&self.product, element));
        let [carry, split] = carries;
        let value = |row: u32| {
            let bit = |number: u32| row >> number & 1;
            if gate.is_relu {
                let positive = 1 ^ carry ^ top ^ bit(0);
                let sum = gate.summand(low, [carry ^ bit(0) ^ bit(1), split ^ bit(2)]);
                let sign = 1_u32.wrapping_sub((positive ^ choice).wrapping_mul(2));
                positive.wrapping_mul(sum).wrapping_add(sign.wrapping_mul(product))
            } else {
                gate.summand(low, [carry ^ bit(0), split ^ bit(1)])
            }
        };
        if gate.is_relu {
            writer.push(1, 1 ^ carry ^ top ^ choice);
        }
        pads.hide(&self.labels, |row| value(row).wrapping_sub(out), |word| writer.push(32, word));
    }

    /// The two opened bits that a carry's own merge takes.
    fn opened(&self, bit: Bit, opened: u32) -> [u32; 2] {
        let place = match bit {
            Bit::Carry(of) if self.gate.terms(bit) == 3 => self.gate.carries.opened_at(of),
            _ => return [0, 0],
        };
        [opened >> place & 1, opened >> (place + 1) & 1]
    }

    /// `P1`'s message of a round, after `P0`'s of the round before; in the first round after its
    /// choices.
    pub fn ask(&mut self, round: u32, message: &[u8], y: &[u32]) -> Vec<u8> {
        let gate = self.gate;
        let mut own = vec![0; gate.message_bytes(Party::P1, round)];
        let (mut reader, mut writer) = (BitReader::new(message), BitWriter::new(&mut own));
        for (element, &y) in y.iter().enumerate() {
            let word = gate.word(Party::P1, y);
            if round > 0 {
                self.merge(2 * round - 1, element, &mut reader);
                self.open(2 * round, element, &mut writer);
                self.merge(2 * round, element, &mut reader);
            } else if let Some(nodes) = self.nodes.get_mut(element) {
                let read = |count| reader.pop(count);
                let write = |count, bits| writer.push(count, bits);
                gate.carries.offer(&mut self.half, element, word.into(), nodes, read, write);
                if let Some(product) = self.product.get_mut(element) {
                    let ([zero, one], (_, low)) = (at(self.words, element), gate.cut(word));
                    *product = zero.wrapping_neg();
                    writer.push(32, low.wrapping_add(zero).wrapping_sub(one));
                }
            }
            self.open(2 * round + 1, element, &mut writer);
            if gate.is_last(round) {
                let mut place = element * gate.labels_each();
                for bit in gate.row_bits() {
                    let terms = self.share(bit, element, word);
                    for term in terms.into_iter().take(gate.terms(bit)) {
                        writer.push(1, term ^ self.labels.bit(place));
                        place += 1;
                    }
                }
            }
        }
        writer.finish();
        own
    }

    /// The terms of `P1`'s share of a bit.
    fn share(&mut self, bit: Bit, element: usize, word: u32) -> [u32; 3] {
        let (top, _) = self.gate.cut(word);
        let Bit::Carry(of) = bit else { return [top, 0, 0] };
        let (merged, nodes) = (self.gate.merged(), at(&self.nodes, element));
        let mut terms = self.gate.carries.terms((of, merged), &mut self.half, element, nodes);
        if of == Carry::All {
            // That of `p`, in place of that of `c`.
            terms[0] ^= top;
        }
        terms
    }

    /// `P1`'s share of the result, in place, of `P0`'s last message.
    pub fn finish(mut self, message: &[u8], y: &mut [u32]) {
        let gate = self.gate;
        let level = gate.merged() + 1;
        let mut reader = BitReader::new(message);
        for (element, y) in y.iter_mut().enumerate() {
            let peers = reader.pop(gate.carries.opened_bits(level));
            let opened = at(&self.own, element) ^ peers;
            let word = gate.word(Party::P1, *y);
            let (_, low) = gate.cut(word);
            let mut pads = rows::Pads::new(element * gate.labels_each(), gate.row_bits().count());
            let mut row = 0;
            for (number, bit) in gate.row_bits().enumerate() {
                let [x, y] = self.opened(bit, opened);
                let [t, u, v] = self.share(bit, element, word);
                row |= (t ^ x & u ^ y & v ^ x & y) << number;
                pads.label(number, &self.labels, gate.terms(bit), 0, [x, y]);
            }
            let masked = if gate.is_relu { reader.pop(1) ^ row & 1 } else { 1 };
            let said = pads.read(&self.labels, row, || reader.pop(32));
            let sign = 1_u32.wrapping_sub(2 * masked);
            let product = at(&self.product, element);
            *y = said
                .wrapping_add(masked.wrapping_mul(low))
                .wrapping_add(sign.wrapping_mul(product));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the documentation says of a ReLU of 32 bits that drops 12: of both parties together.
    #[test]
    fn costs_are_as_said() {
        let gate = Gate::new(GateKind::Relu, GateBits { width_bits: 32, shift: 12 }, 8);
        let mut plan = Plan::default();
        gate.plan(&mut plan);
        let transfers = [Party::P0, Party::P1].map(|party| plan.transfers(party));
        let online: usize = (0..gate.rounds())
            .flat_map(|round| [Party::P0, Party::P1].map(|party| gate.message_bytes(party, round)))
            .sum();
        assert_eq!(gate.rounds(), 2);
        assert_eq!((transfers[0] + transfers[1], gate.choice_bytes(), online), (8 * 53, 31, 558));
    }
}
