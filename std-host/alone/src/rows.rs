//! What `P0` says to `P1` by bits that both share: a word for each value of `P1`'s shares, hidden
//! by labels. `P1` reads one.
//!
//! A row's word is added to a word of the hash of each of its labels. A hash has 128 bits: a word
//! for each of the four rows that its label belongs to. Of every other row `P1` misses a label, and
//! so a word that is random to it (circular correlation robustness of the hash).

use core::hint::black_box;

use sharelet_ot::Block;
use sharelet_ot::hash::Hash;

/// Shared bits that a row depends on, at most.
const MAX_BITS: usize = 3;

/// A party's labels of a gate.
pub struct Labels<'h> {
    pub labels: &'h [Block],
    /// What the labels of a bit differ by; zero at `P1`.
    pub delta: &'h Block,
    pub hash: &'h Hash,
    /// Labels of the half before these: no two hashes have the same tweak.
    pub before: usize,
}

impl Labels<'_> {
    /// The bit that `P1` has a label of.
    pub fn bit(&self, place: usize) -> u32 {
        let label = self.labels.get(place).copied().unwrap_or(0);
        u32::from(label & 1 == 1)
    }
}

/// `block` if a bit is set, else zero.
fn times(bit: u32, block: Block) -> Block {
    // What the compiler knows of a mask it may turn into a branch.
    black_box(Block::from(bit & 1).wrapping_neg()) & block
}

/// The labels of the bits of an element's rows, and their hashes.
pub struct Pads {
    /// The element's first label.
    place: usize,
    bits: usize,
    labels: [Block; MAX_BITS],
}

impl Pads {
    /// Of an element with labels from `place` on, and rows that depend on so many bits.
    pub const fn new(place: usize, bits: usize) -> Self {
        Self { place, bits, labels: [0; MAX_BITS] }
    }

    /// Makes the label of bit `number` of those of its terms, corrected: `P0`'s of zero.
    pub fn label(
        &mut self,
        number: usize,
        labels: &Labels<'_>,
        terms: usize,
        corrections: u32,
        [x, y]: [u32; 2],
    ) {
        let factors = [1, x, y];
        // `x y` is a constant: `P1`'s label stands for the other bit.
        let mut label = times(x & y, *labels.delta);
        for (term, factor) in factors.into_iter().enumerate().take(terms) {
            let own = labels.labels.get(self.place + term).copied().unwrap_or(0);
            label ^= times(factor, own ^ times(corrections >> term, *labels.delta));
        }
        self.place += terms;
        if let Some(to) = self.labels.get_mut(number) {
            *to = label;
        }
    }

    /// The hash of each label; with `each` 2 also of the other of its bit.
    fn hashes(&self, labels: &Labels<'_>, each: usize) -> [[Block; 2]; MAX_BITS] {
        let mut hashes = [[0; 2]; MAX_BITS];
        // All labels of the element are made: the last one's place is no other's.
        let tweak = (labels.before + self.place) * MAX_BITS;
        let to = hashes.as_flattened_mut();
        labels.hash.apply(
            each * self.bits,
            |lane| {
                let label = self.labels.get(lane / each).copied().unwrap_or(0);
                label ^ if lane % each == 1 { *labels.delta } else { 0 }
            },
            |lane| (tweak + lane / each) as Block,
            |lane, hash| {
                if let Some(to) = to.get_mut(lane / each * 2 + lane % each) {
                    *to = hash;
                }
            },
        );
        hashes
    }

    /// The word that hides a row, of hashes that `of` picks for a bit and its value.
    #[allow(clippy::cast_possible_truncation)]
    fn pad(&self, row: u32, mut of: impl FnMut(usize, u32) -> Block) -> u32 {
        (0..self.bits).fold(0, |pad: u32, number| {
            let others = row & ((1 << number) - 1) | row >> (number + 1) << number;
            pad.wrapping_add((of(number, row >> number & 1) >> (32 * others)) as u32)
        })
    }

    /// `P0`'s rows, in order.
    pub fn hide(
        &self,
        labels: &Labels<'_>,
        value: impl Fn(u32) -> u32,
        mut write: impl FnMut(u32),
    ) {
        let hashes = self.hashes(labels, 2);
        for row in 0..1 << self.bits {
            let pad = self.pad(row, |number, bit| {
                let pair = hashes.get(number).copied().unwrap_or_default();
                if bit == 1 { pair[1] } else { pair[0] }
            });
            write(value(row).wrapping_add(pad));
        }
    }

    /// `P1`'s row. All are read, so that no address tells which.
    pub fn read(&self, labels: &Labels<'_>, own: u32, mut read: impl FnMut() -> u32) -> u32 {
        let hashes = self.hashes(labels, 1);
        (0..1 << self.bits).fold(0, |found, row: u32| {
            let pad = self.pad(row, |number, _| hashes.get(number).copied().unwrap_or_default()[0]);
            let word = read().wrapping_sub(pad);
            let differs = row ^ own;
            let other = (differs | differs.wrapping_neg()) >> 31;
            found | word & other.wrapping_sub(1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `P1` reads its row, and of no other row anything: with its labels these are random.
    #[test]
    fn one_row_is_read() {
        let delta = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        let hash = Hash::new(5);
        for bits in 1..=MAX_BITS {
            let mut differing = 0;
            for own in 0..1 << bits {
                for corrections in 0..1 << bits {
                    let zeros: [Block; MAX_BITS] = [3, 5, 9].map(|label: Block| (label << 77) & !1);
                    // `P1`'s labels are of its bits under the corrections.
                    let held: Vec<_> = (0..bits)
                        .map(|place| zeros[place] ^ times((own ^ corrections) >> place, delta))
                        .collect();
                    let sides = [(&delta, &zeros[..bits]), (&0, &held)];
                    let [p0, p1] = sides.map(|(delta, labels)| Labels {
                        labels,
                        delta,
                        hash: &hash,
                        before: 7,
                    });
                    let (mut pads_0, mut pads_1) = (Pads::new(0, bits), Pads::new(0, bits));
                    for number in 0..bits {
                        pads_0.label(number, &p0, 1, corrections >> number, [0; 2]);
                        pads_1.label(number, &p1, 1, 0, [0; 2]);
                    }
                    let mut said = Vec::new();
                    pads_0.hide(&p0, |row| 1000 + row, |word| said.push(word));
                    for row in 0..1 << bits {
                        let mut rest = said.iter().copied();
                        let found = pads_1.read(&p1, row, || rest.next().unwrap_or(0));
                        if row == own {
                            assert_eq!(found, 1000 + row);
                        } else {
                            assert!(!(1000..1010).contains(&found), "{found}");
                            differing += 1;
                        }
                    }
                }
            }
            assert_eq!(differing, ((1 << bits) - 1) << (2 * bits));
        }
    }

    /// The label of a bit of three terms is that of `t xor x u xor y v xor x y`.
    #[test]
    fn terms_make_a_label() {
        let delta: Block = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
        let (zeros, hash) = ([3, 5, 9].map(|label: Block| label << 77), Hash::new(5));
        for all in 0..1_u32 << 8 {
            let bit = |place: u32| all >> place & 1;
            let [x, y, corrections] = [bit(0), bit(1), all >> 2 & 7];
            // `P1` has labels of `held`, and its terms are these under the corrections.
            let held = all >> 5;
            let labels: Vec<_> =
                (0..3).map(|place| zeros[place] ^ times(held >> place, delta)).collect();
            let side = |labels, delta| Labels { labels, delta, hash: &hash, before: 0 };
            let (mut pads_0, mut pads_1) = (Pads::new(0, 1), Pads::new(0, 1));
            pads_0.label(0, &side(&zeros, &delta), 3, corrections, [x, y]);
            pads_1.label(0, &side(&labels, &0), 3, 0, [x, y]);
            let terms = held ^ corrections;
            let own = terms ^ x & terms >> 1 ^ y & terms >> 2 ^ x & y;
            assert_eq!(pads_1.labels[0] ^ pads_0.labels[0], times(own, delta), "{all}");
        }
    }

    /// Every word of every hash hides one row.
    #[test]
    fn no_word_hides_two_rows() {
        for bits in 1..=MAX_BITS {
            let pads = Pads::new(0, bits);
            let mut used = std::collections::HashSet::new();
            for row in 0..1 << bits {
                pads.pad(row, |number, bit| {
                    let others = row & ((1 << number) - 1) | row >> (number + 1) << number;
                    assert!(used.insert((number, bit, others)) && others < 4);
                    0
                });
            }
            assert_eq!(used.len(), bits << bits);
        }
    }
}
