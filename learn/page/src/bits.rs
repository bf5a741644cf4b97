//! The comparison without tables, bit by bit: a mask whose bits are shared, and a tree of ANDs.

use rand_core::Rng as _;
use serde::Serialize;
use sharelet_core::correlation::Position;
use sharelet_core::functions::engine::party::{Expanded, Received, Source};
use sharelet_core::functions::protocol::bitwise::positive::Positive;
use sharelet_core::functions::protocol::bitwise::{Bitwise, ByBits, kept};
use sharelet_core::functions::protocol::{Messages, Protocol};
use sharelet_core::functions::record::{self, Half};
use sharelet_core::functions::tree::Digits;
use sharelet_core::ring::{Ring, Small};
use sharelet_core::share::Party;

use crate::fields::Fields;
use crate::gate::{Place, nothing_dealt, open, shares};
use crate::refusal::Refusal;
use crate::seed::{Drawer, Seed};
use crate::word::{Word, bits, word};

/// The ring of this chapter.
type Toy = Small<8>;

/// The question.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The secret.
    pub x: i64,
    /// Randomness.
    pub seed: Seed,
    /// Which of the sessions that the seed gives.
    pub session: u64,
}

impl Ask {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            x: fields.number("x")?,
            seed: Seed::read(fields)?,
            session: fields.number("session")?,
        })
    }
}

/// What happens. Two of a kind are `P0`'s and `P1`'s; bits are written with the highest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    x: Word,
    x_of: [Word; 2],
    /// The mask, and the shares of its bits, by exclusive or.
    r: Word,
    r_of: [String; 2],
    masked_of: [Word; 2],
    z: Word,
    /// The tree, the leaves first: what is known after each level.
    levels: Vec<Level>,
    /// What is opened of the root, and what it says.
    delta: u32,
    positive: bool,
    out_of: [Word; 2],
    out: Word,
    twin: Word,
    messages: usize,
    bytes: usize,
    dealt: usize,
}

/// Digits of the tree: `[z < r]` and `[z = r]` of so many bits each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Level {
    less: String,
    less_of: [String; 2],
    equal: String,
    equal_of: [String; 2],
    /// What each party opens to merge them, and how many bits that is; empty at the root.
    opened_of: [String; 2],
}

/// One party, in the middle of the protocol.
struct Side<H> {
    half: H,
    data: [Toy; 1],
    own: Vec<u8>,
    peer: Vec<u8>,
    opened: Vec<u8>,
}

impl<H: Half> Side<H> {
    fn new(half: H, share: Toy, longest: usize) -> Self {
        let buffer = || vec![0; longest];
        Self { half, data: [share], own: buffer(), peer: buffer(), opened: buffer() }
    }

    fn step(&mut self, protocol: &Bitwise<Positive<Toy>>, round: usize) {
        let mut messages =
            Messages { own: &mut self.own, peer: &mut self.peer, opened: &mut self.opened };
        protocol.step(round, &mut self.half, &mut &mut self.data[..], &mut messages);
    }
}

fn text(bytes: &[u8], count: u32) -> String {
    bits(bytes.iter().take(8).rev().fold(0, |word, &byte| word << 8 | u64::from(byte)), count)
}

fn level(digits: [Digits; 2], count: u32) -> Level {
    let [own, peer] = digits;
    Level {
        less: bits(own.less ^ peer.less, count),
        less_of: [own.less, peer.less].map(|word| bits(word, count)),
        equal: bits(own.equal ^ peer.equal, count),
        equal_of: [own.equal, peer.equal].map(|word| bits(word, count)),
        opened_of: Default::default(),
    }
}

/// Answers the question.
///
/// # Errors
/// A secret that the ring does not hold.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    let x: Toy = word("The secret", ask.x)?;
    let protocol = Bitwise::<Positive<Toy>>::relu();
    let (layout, rounds) = (protocol.layout(), protocol.rounds());
    let keystream = ask.seed.keystream();
    let position = Position { session: ask.session, layer: 0 };
    let mut dealt = vec![0; layout.bytes()];
    let mut rng = ask.seed.of(Drawer::Dealer, ask.session);
    // The same dealer's stream is another chapter's, too: not the same numbers.
    rng.next_u64();
    record::deal(&keystream, position, layout, 1, &mut rng, &mut dealt, |truth, rng| {
        protocol.deal(truth, rng);
    })?;
    let x_of = shares(Place { keystream: &keystream, session: ask.session }, x);
    let [x_0, x_1] = x_of;
    let longest = protocol.max_message_bytes(1);
    // P0's half, all at once; a device computes it where it is read.
    let mut own = vec![0; layout.expanded_bytes(1)];
    record::expand(&keystream, position, layout, 1, &mut own)?;
    let half_0 = Expanded::new(&own).next(layout, 1)?;
    let half_1 = Received::new(&dealt).next(layout, 1)?;
    let (half_0, half_1) = half_0.zip(half_1).ok_or_else(nothing_dealt)?;
    let (mut side_0, mut side_1) =
        (Side::new(half_0, x_0, longest), Side::new(half_1, x_1, longest));

    let question = protocol.question();
    let tree = question.tree(0);
    let mask_bits = [
        question.frame().mask_bits::<Toy>(&mut side_0.half, 0),
        question.frame().mask_bits::<Toy>(&mut side_1.half, 0),
    ];
    let [bits_0, bits_1] = mask_bits;
    let (mut levels, mut masked_of, mut z) = (Vec::new(), [Toy::ZERO; 2], Toy::ZERO);
    let mut bytes = 0;
    for round in 0..rounds {
        side_0.step(&protocol, round);
        side_1.step(&protocol, round);
        let sent = protocol.message_bytes(round, 1);
        bytes += sent;
        if round == 0 {
            masked_of = [&side_0.own, &side_1.own].map(|own| Toy::read_le(own));
        } else {
            [z] = side_0.data;
            let before = u32::try_from(round - 1).map_err(Refusal::of)?;
            let digits = match before {
                0 => [(Party::P0, bits_0), (Party::P1, bits_1)]
                    .map(|(party, bits)| tree.leaves(party, z.to_u64(), bits)),
                _ => [&side_0.opened, &side_1.opened]
                    .map(|kept_bits| kept(kept_bits, 0, tree.digits(1))),
            };
            let mut level = level(digits, tree.digits(before));
            if before < tree.levels() {
                let opened = tree.opened_bits(before);
                level.opened_of = [&side_0.own, &side_1.own].map(|own| text(own, opened));
            }
            levels.push(level);
        }
        for (to, from) in [(&mut side_0.peer, &side_1.own), (&mut side_1.peer, &side_0.own)] {
            to.iter_mut().zip(from).take(sent).for_each(|(to, &from)| *to = from);
        }
    }
    let first_bit = |bytes: &[u8]| u32::from(bytes.first().copied().unwrap_or(0) & 1);
    let delta = first_bit(&side_0.own) ^ first_bit(&side_1.own);
    side_0.step(&protocol, rounds);
    side_1.step(&protocol, rounds);
    let ([out_0], [out_1]) = (side_0.data, side_1.data);
    let mut twin = [x];
    protocol.twin(&mut &mut twin[..]);
    let [twin] = twin;
    Ok(Answer {
        x: x.into(),
        x_of: x_of.map(Word::from),
        r: Toy::from_u64(bits_0 ^ bits_1).into(),
        r_of: mask_bits.map(|word| bits(word, Toy::BITS)),
        masked_of: masked_of.map(Word::from),
        z: z.into(),
        levels,
        delta,
        positive: x.msb() == 0,
        out_of: [out_0, out_1].map(Word::from),
        out: open([out_0, out_1]).into(),
        twin: twin.into(),
        messages: rounds,
        bytes,
        dealt: layout.bytes(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_compared_as_the_twin_does() {
        for x in -128..128_i64 {
            let session = (x + 128).cast_unsigned();
            let answer = answer(&Ask { x, seed: Seed::test(99), session }).expect("runs");
            assert_eq!(answer.out, answer.twin, "{x}");
            let (z, r) = (answer.z.value(), answer.r.value());
            assert_eq!(x.cast_unsigned().wrapping_add(r) % 256, z, "z is x + r");
            // Seven bits, two digits, one.
            let counts: Vec<usize> = answer.levels.iter().map(|level| level.less.len()).collect();
            assert_eq!(counts, [7, 2, 1]);
            for (place, bit) in (0..7).rev().zip(answer.levels[0].less.chars()) {
                let expected = (z >> place & 1) < (r >> place & 1);
                assert_eq!(bit == '1', expected, "{x}, place {place}");
            }
            let below = z % 128 < r % 128;
            assert_eq!(answer.levels[2].less == "1", below, "{x}: the root");
        }
    }
}
