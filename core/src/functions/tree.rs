//! Comparing a public word with a secret mask of which the bits are shared: a tree of multi-fan-in
//! ANDs, and no table.
//!
//! Of a mask `r` the dealer shares the bits. A public bit `u` against a shared bit `r` costs
//! nothing: `l = (1 - u) r` says that `u` is less, `e = 1 xor u xor r` that they are equal. Up to
//! four neighbours merge into one:
//!
//! ```text
//! l = l_3 xor e_3 l_2 xor e_3 e_2 l_1 xor e_3 e_2 e_1 l_0,      e = e_3 e_2 e_1 e_0
//! ```
//!
//! For such a group the dealer shares bits `m_i` and the products of those that occur together.
//! What is multiplied is opened under them, `delta_i = x_i xor m_i`, all groups of a level in one
//! message; then a product of opened inputs is known: `x_1 x_2 .. = xor over subsets S of (product
//! of delta_i outside S) (product of m_i in S)`.
//!
//! The root is turned into a number with a bit that is shared both ways:
//! `b = delta + rho - 2 delta rho`. All this two parties can also make alone, by oblivious
//! transfer.

use rand_core::CryptoRng;

use super::record::{Half, Layout, Truth, low_bits};
use crate::share::Party;

/// Digits that merge into one.
const FAN_IN: u32 = 4;
/// The most levels: of 64 bits.
pub const MAX_LEVELS: usize = 3;
/// The most inputs of a group.
const MAX_INPUTS: u32 = 7;

/// What a tree finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// `[u < r]`.
    Less,
    /// `[u = r]`.
    Equal,
}

/// The tree over the lowest bits of a word, with its places in a record.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    question: Question,
    bits: u32,
    groups: u32,
    rho: u32,
}

/// Shares of `(l, e)` of the digits of a level, lowest first.
#[derive(Clone, Copy, Default)]
pub struct Digits {
    /// The `l` of every digit, one bit each.
    pub less: u64,
    /// The `e` of every digit.
    pub equal: u64,
}

impl core::fmt::Debug for Digits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Digits(<redacted>)")
    }
}

/// Sets of inputs, one bit each.
struct Subsets {
    sets: [u8; 32],
    count: usize,
}

/// Neighbours that merge.
#[derive(Clone, Copy, Debug)]
struct Group {
    question: Question,
    size: u32,
    /// Whether `e` is wanted: not of the lowest group, where nothing lies below.
    equal: bool,
}

impl Group {
    /// Inputs that are opened: the `e` of all digits but the lowest, the `l` of all but the
    /// topmost, and the lowest `e`.
    const fn inputs(self) -> u32 {
        match self.question {
            Question::Less if self.size == 1 => 0,
            Question::Less => 2 * (self.size - 1) + self.equal as u32,
            Question::Equal if self.size == 1 => 0,
            Question::Equal => self.size,
        }
    }

    /// The inputs of digits that begin at the lowest bits, one bit each.
    fn gather(self, digits: Digits) -> u32 {
        #[allow(clippy::cast_possible_truncation)]
        let (less, equal) =
            (low_bits(digits.less as u32, FAN_IN), low_bits(digits.equal as u32, FAN_IN));
        let upper = self.size - 1;
        match self.question {
            Question::Less => {
                low_bits(equal >> 1, upper)
                    | low_bits(less, upper) << upper
                    | (equal & 1) << (2 * upper)
            }
            Question::Equal => equal,
        }
    }

    /// How many products make `l`.
    const fn less_terms(self) -> u32 {
        match self.question {
            Question::Less => self.size - 1,
            Question::Equal => 0,
        }
    }

    /// The product of `l_j` and the `e` of all digits above, as a set of inputs.
    const fn less_term(self, j: u32) -> u32 {
        let upper = self.size - 1;
        low_bits(u32::MAX << j, upper) | 1 << (upper + j)
    }

    /// The product that makes `e`; empty if it is not wanted.
    const fn equal_term(self) -> u32 {
        let upper = self.size - 1;
        match self.question {
            Question::Equal => (1 << self.size) - 1,
            Question::Less if self.equal => ((1 << upper) - 1) | 1 << (2 * upper),
            Question::Less => 0,
        }
    }

    /// Whether a set of inputs is part of a term.
    const fn has(self, set: u32) -> bool {
        let mut within = set & !self.equal_term() == 0;
        let mut j = 0;
        while j < self.less_terms() {
            within |= set & !self.less_term(j) == 0;
            j += 1;
        }
        within
    }

    /// The sets of inputs whose products of masks are shared: all subsets of the terms, in order.
    const fn list_subsets(self) -> Subsets {
        let mut subsets = Subsets { sets: [0; 32], count: 0 };
        let mut set = 1;
        while set < 1 << self.inputs() {
            if self.has(set) {
                #[allow(clippy::indexing_slicing, clippy::cast_possible_truncation)]
                {
                    subsets.sets[subsets.count] = set as u8;
                }
                subsets.count += 1;
            }
            set += 1;
        }
        subsets
    }

    /// The same, from a table.
    fn subsets(self) -> impl Iterator<Item = u32> {
        const fn tables(question: Question, equal: bool) -> [Subsets; 4] {
            const fn of(question: Question, size: u32, equal: bool) -> Subsets {
                Group { question, size, equal }.list_subsets()
            }
            [
                of(question, 1, equal),
                of(question, 2, equal),
                of(question, 3, equal),
                of(question, 4, equal),
            ]
        }
        static TABLES: [[Subsets; 4]; 3] = [
            tables(Question::Less, false),
            tables(Question::Less, true),
            tables(Question::Equal, true),
        ];
        let kind = match self.question {
            Question::Less => usize::from(self.equal),
            Question::Equal => 2,
        };
        let found = TABLES.get(kind).and_then(|tables| tables.get(self.size as usize - 1));
        found
            .and_then(|subsets| subsets.sets.get(..subsets.count))
            .unwrap_or_default()
            .iter()
            .map(|&set| u32::from(set))
    }

    /// The shares of the masks, from those of all products.
    fn masks(self, products: u32) -> u32 {
        let mut masks = 0;
        for (place, set) in self.subsets().enumerate() {
            if set.is_power_of_two() {
                masks |= (products >> place & 1) << set.trailing_zeros();
            }
        }
        masks
    }

    /// A party's share of a product of inputs. `opened` is public.
    fn product(self, term: u32, party: Party, opened: u32, products: u32) -> u32 {
        let public = u32::from(opened & term == term) & u32::from(party == Party::P0);
        self.subsets().enumerate().filter(|(_, set)| set & !term == 0).fold(
            public,
            |share, (place, set)| {
                let factor = u32::from(opened & (term & !set) == term & !set);
                share ^ (factor & products >> place)
            },
        ) & 1
    }

    /// The digit that the group merges into. `top` is the share of the topmost `l`.
    fn merge(self, party: Party, opened: u32, products: u32, top: u32) -> (u32, u32) {
        let less = (0..self.less_terms())
            .fold(top, |less, j| less ^ self.product(self.less_term(j), party, opened, products));
        let wanted = self.equal_term();
        (less, if wanted == 0 { 0 } else { self.product(wanted, party, opened, products) })
    }

    /// The dealer: masks, and their products.
    fn deal(self, rng: &mut impl CryptoRng) -> u32 {
        let masks = rng.next_u32();
        self.subsets()
            .enumerate()
            .fold(0, |bits, (place, set)| bits | u32::from(masks & set == set) << place)
    }
}

impl Tree {
    /// Adds the tree over the lowest `bits` bits to a record; `bits <= 64`.
    pub fn new(question: Question, bits: u32, layout: &mut Layout) -> Self {
        let mut tree = Self { question, bits, groups: 0, rho: 0 };
        // One word of 32 bits per group.
        let words: u32 = (0..tree.levels()).map(|level| tree.digits(level).div_ceil(FAN_IN)).sum();
        tree.groups = layout.bits(32 * words);
        tree.rho = layout.bits(1);
        tree
    }

    /// The same tree, `index` places further, where trees lie one after the other.
    #[must_use]
    pub(crate) fn nth(self, index: u32) -> Self {
        let size = self.rho + 32 - self.groups;
        Self { groups: self.groups + index * size, rho: self.rho + index * size, ..self }
    }

    /// Levels, each of which takes a message.
    #[must_use]
    pub fn levels(&self) -> u32 {
        (0..).take_while(|&level| self.digits(level) > 1).count().try_into().unwrap_or(0)
    }

    /// Digits that a level merges.
    #[must_use]
    pub fn digits(&self, level: u32) -> u32 {
        (0..level).fold(self.bits, |digits, _| digits.div_ceil(FAN_IN))
    }

    /// The groups of a level, with the number of each within the record.
    fn groups(&self, level: u32) -> impl Iterator<Item = (u32, Group)> {
        let before: u32 = (0..level).map(|level| self.digits(level).div_ceil(FAN_IN)).sum();
        let (digits, question) = (self.digits(level), self.question);
        (0..digits.div_ceil(FAN_IN)).map(move |group| {
            let size = FAN_IN.min(digits - group * FAN_IN);
            (
                before + group,
                Group { question, size, equal: group > 0 || question == Question::Equal },
            )
        })
    }

    /// Bits that a level opens.
    #[must_use]
    pub fn opened_bits(&self, level: u32) -> u32 {
        self.groups(level).map(|(_, group)| group.inputs()).sum()
    }

    /// The digits of the bits themselves: a public word against a party's shares of the mask's
    /// bits.
    #[must_use]
    pub fn leaves(&self, party: Party, public: u64, mask_bits: u64) -> Digits {
        let all = u64::MAX >> (64 - self.bits.clamp(1, 64));
        let equal = mask_bits ^ if party == Party::P0 { !public } else { 0 };
        Digits { less: mask_bits & !public & all, equal: equal & all }
    }

    /// Calls `open` with the masked inputs of a level's groups, and how many bits each has.
    pub(crate) fn open<H: Half>(
        &self,
        level: u32,
        half: &mut H,
        element: usize,
        digits: Digits,
        mut open: impl FnMut(u32, u32),
    ) {
        let mut rest = digits;
        for (number, group) in self.groups(level) {
            let products = half.bits(element, self.groups + 32 * number, 32);
            let inputs = group.inputs();
            open(low_bits(group.gather(rest), inputs) ^ group.masks(products), inputs);
            (rest.less, rest.equal) = (rest.less >> FAN_IN, rest.equal >> FAN_IN);
        }
    }

    /// The digits of the next level. `opened` gives the next so many opened bits.
    pub(crate) fn merge<H: Half>(
        &self,
        level: u32,
        half: &mut H,
        element: usize,
        digits: Digits,
        mut opened: impl FnMut(u32) -> u32,
    ) -> Digits {
        let (mut rest, mut merged) = (digits, Digits::default());
        for (place, (number, group)) in self.groups(level).enumerate() {
            let (less, equal) = if group.inputs() == 0 {
                (rest.less & 1, rest.equal & 1)
            } else {
                let products = half.bits(element, self.groups + 32 * number, 32);
                #[allow(clippy::cast_possible_truncation)]
                let top = (rest.less >> (group.size - 1)) as u32 & 1;
                let (less, equal) =
                    group.merge(half.party(), opened(group.inputs()), products, top);
                (u64::from(less), u64::from(equal))
            };
            merged.less |= less << place;
            merged.equal |= equal << place;
            (rest.less, rest.equal) = (rest.less >> FAN_IN, rest.equal >> FAN_IN);
        }
        merged
    }

    /// The root under the mask that turns it into a number.
    pub(crate) fn masked_root<H: Half>(&self, half: &mut H, element: usize, digits: Digits) -> u32 {
        let root = match self.question {
            Question::Less => digits.less,
            Question::Equal => digits.equal,
        };
        #[allow(clippy::cast_possible_truncation)]
        let root = root as u32 & 1;
        root ^ half.bits(element, self.rho, 1)
    }

    /// The dealer: all groups, and the bit `rho`, which is returned.
    pub(crate) fn deal<G: CryptoRng>(&self, truth: &mut Truth<'_>, rng: &mut G) -> u32 {
        for level in 0..self.levels() {
            for (number, group) in self.groups(level) {
                let products = group.deal(rng);
                truth.xor_bits(self.groups + 32 * number, products);
            }
        }
        let rho = rng.next_u32() & 1;
        truth.xor_bits(self.rho, rho);
        rho
    }
}

const _: () = assert!(MAX_INPUTS == 2 * (FAN_IN - 1) + 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_products_fit_a_word() {
        for question in [Question::Less, Question::Equal] {
            for size in 2..=FAN_IN {
                for equal in [false, true] {
                    let group =
                        Group { question, size, equal: equal || question == Question::Equal };
                    assert!(
                        group.inputs() <= MAX_INPUTS && group.subsets().count() <= 32,
                        "{group:?}"
                    );
                }
            }
        }
        let full = Group { question: Question::Less, size: 4, equal: true };
        assert_eq!((full.inputs(), full.subsets().count()), (7, 29));
        let lowest = Group { equal: false, ..full };
        assert_eq!((lowest.inputs(), lowest.subsets().count()), (6, 21));
    }

    #[test]
    fn trees_have_three_levels() {
        for (bits, digits, opened) in
            [(32, [32, 8, 2, 1], [55, 13, 2]), (64, [64, 16, 4, 1], [111, 27, 6])]
        {
            let mut layout = Layout::default();
            let tree = Tree::new(Question::Less, bits, &mut layout);
            assert_eq!(tree.levels(), 3);
            for level in 0..4 {
                assert_eq!(tree.digits(level), digits[level as usize]);
            }
            for level in 0..3 {
                assert_eq!(tree.opened_bits(level), opened[level as usize]);
            }
        }
    }
}
