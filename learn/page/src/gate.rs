//! One ReLU with truncation, both parties and the dealer side by side.
//!
//! The parties run the session's own steps ([`sharelet_core::session::gate`]); what they read of
//! their correlations on the way is laid open by [`sharelet_core::session::gate::inside`].

use core::ops::Range;

use rand_core::CryptoRng;
use serde::Serialize;
use sharelet_core::correlation::{Position, SessionToken};
use sharelet_core::gate::{self as formula, GateKind};
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::ring::{Ring, Small};
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::gate::inside::{self, Inside};
use sharelet_core::session::gate::{self, Received, TablePiece, correction_bytes};
use sharelet_core::session::packed::packed_bytes;
use sharelet_core::session::phases::{FirstMasks, Follows, Offline};
use sharelet_core::shape::Shape;
use sharelet_core::share;

use crate::fields::Fields;
use crate::refusal::Refusal;
use crate::seed::{Drawer, Seed};
use crate::word::{Word, bits, word, words};

/// The widest digit whose leaf table is shown whole, in entries.
const SHOWN_ENTRIES: u32 = 64;
/// Of a wider one, so many entries are shown on either side of the digits of `z` and of `r`.
const NEAR_ENTRIES: u32 = 4;

/// The question.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Width of the ring: 8, 16 or 32.
    pub bits: u32,
    /// Bits that the gate drops.
    pub shift: u32,
    /// The secret.
    pub y: i64,
    /// Randomness.
    pub seed: Seed,
    /// Which of the sessions that the seed gives: each has masks of its own.
    pub session: u64,
}

impl Ask {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            bits: fields.number("bits")?,
            shift: fields.number("shift")?,
            y: fields.number("y")?,
            seed: Seed::read(fields)?,
            session: fields.number("session")?,
        })
    }
}

/// What happens in the gate, in the order in which it happens. Two of a kind are `P0`'s and `P1`'s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    width: u32,
    shift: u32,
    /// The secret, and its shares.
    y: Word,
    y_of: [Word; 2],
    /// The mask, and its shares; its topmost bit, and the shares of that.
    r: Word,
    r_of: [Word; 2],
    m: Word,
    m_of: [Word; 2],
    /// What `P0` sends, and what is public then.
    masked: Word,
    z: Word,
    msb: u32,
    digits: Vec<Digit>,
    /// Names of the leaf bits, the lowest first; the bits, and what each party has read.
    names: Vec<String>,
    leaves: String,
    leaves_of: [String; 2],
    rho: String,
    rho_of: [String; 2],
    /// What each party sends, and what is public then.
    own: [String; 2],
    delta: String,
    /// 1 if the topmost bit of `delta` turns the entry round; which entry it is.
    turned: u32,
    index: u32,
    entries: u32,
    /// The entry's words `h`, `h q`, `h m`, `q`, and their shares.
    entry: Vec<Word>,
    entry_of: [Vec<Word>; 2],
    /// The shares of the result, the result, and the plaintext twin.
    out_of: [Word; 2],
    out: Word,
    twin: Word,
    cost: Bytes,
}

/// One digit of `z` and of `r`, and its leaf table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Digit {
    low: u32,
    bits: u32,
    z: u32,
    r: u32,
    z_bits: String,
    r_bits: String,
    /// Below the shift.
    below: bool,
    /// The leaf table: whole, or what lies near the digits.
    tables: Vec<Table>,
}

/// Neighbouring entries of a leaf table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Table {
    /// What they lie near: `z`, `r`, or nothing where they are all.
    near: &'static str,
    /// The first one's number.
    first: u32,
    /// Bits `l`, or `t` of the topmost digit.
    less: String,
    /// Bits `e`; empty for the lowest digit, which has none.
    equal: String,
}

/// What one gate costs in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Bytes {
    prepare: u64,
    up: u64,
    down: u64,
    dealer: u64,
}

/// Everything about one gate.
pub(crate) struct Walk<R> {
    pub digits: Digits,
    pub y_of: [R; 2],
    pub r_of: [R; 2],
    pub masked: R,
    pub z: R,
    pub own: [u32; 2],
    pub delta: u32,
    pub inside: [Inside<R>; 2],
    pub out_of: [R; 2],
    /// `P1`'s half, as the dealer wrote it.
    pub correction: Vec<u8>,
}

/// The keystream of `P0`, and the session: where the correlations of one gate lie.
#[derive(Clone, Copy)]
pub(crate) struct Place<'k> {
    pub keystream: &'k Keystream<ChaCha12>,
    pub session: u64,
}

impl Place<'_> {
    fn offline(&self) -> Offline<'_, ChaCha12> {
        Offline::new(self.keystream, SessionToken::consumed(self.session))
    }

    /// `P0`'s first message for its share `y_0`: with 0 it is the share of the mask.
    pub fn mask<R: Ring>(&self, y_0: R) -> Result<R, Refusal> {
        let parts = Shape::Dense { inputs: 1, outputs: 1 }.alone(0);
        let (_, masks) = self.offline().layer(self.keystream, parts, Follows::Gate);
        let mut masked = [y_0];
        if let FirstMasks::Gate(mut masks) = masks {
            gate::mask(masks.next().ok_or_else(nothing_dealt)?, &mut masked)?;
        }
        let [masked] = masked;
        Ok(masked)
    }

    fn tables(&self, digits: Digits) -> Result<TablePiece<'_, ChaCha12>, Refusal> {
        let (_, tables) = self.offline().finish().layer((None, 1), Some(digits));
        tables.and_then(|mut tables| tables.next()).ok_or_else(nothing_dealt)
    }
}

pub(crate) fn nothing_dealt() -> Refusal {
    Refusal::new("Nothing was dealt for this gate: reload the page.")
}

/// Shares a secret: `P0`'s share is keystream.
pub(crate) fn shares<R: Ring>(place: Place<'_>, y: R) -> [R; 2] {
    let (mut y_0, mut y_1) = ([R::ZERO], [y]);
    share::expand(place.keystream, place.session, &mut y_0);
    share::split(place.keystream, place.session, &mut y_1);
    let ([y_0], [y_1]) = (y_0, y_1);
    [y_0, y_1]
}

/// Deals one gate and runs it, as a session does.
pub(crate) fn walk<R: Ring>(
    place: Place<'_>,
    digits: Digits,
    y_of: [R; 2],
    dealer: &mut impl CryptoRng,
) -> Result<Walk<R>, Refusal> {
    let mut correction = vec![0; correction_bytes::<R>(&digits)];
    let position = Position { session: place.session, layer: 0 };
    let elements: Range<u16> = 0..1;
    gate::deal::<R, ChaCha12>(
        place.keystream,
        position,
        &digits,
        elements,
        dealer,
        &mut correction,
    )?;
    let received = || Received::new::<R>(digits, 1, &correction);

    let [y_0, y_1] = y_of;
    let masked = place.mask(y_0)?;
    let bytes = gate::opened_bytes(&digits, 1);
    let (mut bits_0, mut bits_1) = (vec![0; bytes], vec![0; bytes]);
    let mut out_1 = [y_1];
    let opened = gate::open_p1(received()?, &[masked], &mut bits_1, &mut out_1)?;
    let [z] = out_1;
    let mut out_0 = [z];
    gate::finish_p0(place.tables(digits)?, &bits_1, &mut bits_0, &mut out_0)?;
    gate::finish_p1(opened, &bits_1, &bits_0, &mut out_1)?;

    let own = [bits_0, bits_1]
        .map(|bytes| bytes.iter().rev().fold(0_u32, |bits, &byte| bits << 8 | u32::from(byte)));
    let [own_0, own_1] = own;
    let delta = own_0 ^ own_1;
    let inside_0 = inside::p0(place.tables(digits)?, z, delta).ok_or_else(nothing_dealt)?;
    let (r_1, inside_1) = inside::p1(&received()?, z, delta).ok_or_else(nothing_dealt)?;
    let ([out_0], [out_1]) = (out_0, out_1);
    Ok(Walk {
        digits,
        y_of,
        r_of: [place.mask(R::ZERO)?, r_1],
        masked,
        z,
        own,
        delta,
        inside: [inside_0, inside_1],
        out_of: [out_0, out_1],
        correction,
    })
}

/// Opens a sharing.
pub(crate) fn open<R: Ring>([own, peer]: [R; 2]) -> R {
    let mut own = [own];
    share::open(&mut own, &[peer]);
    let [word] = own;
    word
}

/// Answers the question.
///
/// # Errors
/// A secret, a width or a shift that there is no gate for.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    match ask.bits {
        8 => of::<Small<8>>(ask),
        16 => of::<Small<16>>(ask),
        32 => of::<u32>(ask),
        other => Err(no_ring(other)),
    }
}

/// The page has rings of three widths.
pub(crate) fn no_ring(bits: u32) -> Refusal {
    Refusal::new(format!("There is no ring of {bits} bits here: choose 8, 16 or 32."))
}

fn of<R: Ring>(ask: &Ask) -> Result<Answer, Refusal> {
    let digits = Digits::plan(R::BITS, ask.shift, GateKind::Relu)?;
    let y: R = word("The secret", ask.y)?;
    let keystream = ask.seed.keystream();
    let place = Place { keystream: &keystream, session: ask.session };
    let mut dealer = ask.seed.of(Drawer::Dealer, ask.session);
    let walk = walk(place, digits, shares(place, y), &mut dealer)?;
    describe(place, &walk, y)
}

fn describe<R: Ring>(place: Place<'_>, walk: &Walk<R>, y: R) -> Result<Answer, Refusal> {
    let Walk { digits, z, inside, .. } = walk;
    let r = open(walk.r_of);
    let count = digits.opened_bits();
    let opened = |word: u32| bits(word.into(), count);
    let [leaves_0, leaves_1] = inside.map(|inside| inside.leaves);
    let [rho_0, rho_1] = inside.map(|inside| inside.rho);
    let entries = inside.map(|inside| inside.entry);
    let entry =
        |word: usize| open(entries.map(|words| words.get(word).copied().unwrap_or_default()));
    let words_each = digits.kind().entry_words();
    let cost = gate::cost::<R>(digits, 1);
    Ok(Answer {
        width: R::BITS,
        shift: digits.shift(),
        y: y.into(),
        y_of: walk.y_of.map(Word::from),
        r: r.into(),
        r_of: walk.r_of.map(Word::from),
        m: open(inside.map(|inside| inside.sign)).into(),
        m_of: inside.map(|inside| inside.sign.into()),
        masked: walk.masked.into(),
        z: (*z).into(),
        msb: z.msb(),
        digits: (0..digits.count()).map(|j| digit(place, walk, r, j)).collect::<Result<_, _>>()?,
        names: names(digits),
        leaves: opened(leaves_0 ^ leaves_1),
        leaves_of: [opened(leaves_0), opened(leaves_1)],
        rho: opened(rho_0 ^ rho_1),
        rho_of: [opened(rho_0), opened(rho_1)],
        own: walk.own.map(opened),
        delta: opened(walk.delta),
        turned: walk.delta >> (count - 1) & 1,
        index: walk.delta & (digits.table_entries() - 1),
        entries: digits.table_entries(),
        entry: words((0..words_each).map(entry)),
        entry_of: entries.map(|entry| words(entry.into_iter().take(words_each))),
        out_of: walk.out_of.map(Word::from),
        out: open(walk.out_of).into(),
        twin: formula::twin(digits.kind(), digits.bits(), y).into(),
        cost: Bytes {
            prepare: packed_bytes(1, digits.width_bits()) as u64,
            up: cost.up.bytes,
            down: cost.down.bytes,
            dealer: cost.dealer_bytes,
        },
    })
}

/// Names of the leaf bits: of the topmost digit `t` in place of `l`, of the lowest no `e`.
fn names(digits: &Digits) -> Vec<String> {
    let top = digits.count() - 1;
    let of = |j: usize| match j {
        0 if top == 0 => vec!["t".to_owned()],
        0 => vec!["l0".to_owned()],
        // The pair of a digit lies with `l` first, of the topmost with `e` first.
        j if j == top => vec![format!("e{j}"), "t".to_owned()],
        j => vec![format!("l{j}"), format!("e{j}")],
    };
    (0..digits.count()).flat_map(of).collect()
}

/// A digit, and its leaf table.
fn digit<R: Ring>(place: Place<'_>, walk: &Walk<R>, r: R, j: usize) -> Result<Digit, Refusal> {
    let digits = &walk.digits;
    let width: u32 = digits.widths().get(j).copied().unwrap_or(0).into();
    let low: u32 = digits.widths().iter().take(j).map(|&bits| u32::from(bits)).sum();
    let (z, r) = (digits.digit(j, walk.z.to_u64()), digits.digit(j, r.to_u64()));
    let entries = 1 << width;
    let near =
        |digit: u32| digit.saturating_sub(NEAR_ENTRIES)..(digit + NEAR_ENTRIES + 1).min(entries);
    let tables = if entries <= SHOWN_ENTRIES {
        vec![table(place, walk, (j, low), "", 0..entries)?]
    } else {
        let of_z = table(place, walk, (j, low), "z", near(z))?;
        vec![of_z, table(place, walk, (j, low), "r", near(r))?]
    };
    Ok(Digit {
        low,
        bits: width,
        z,
        r,
        z_bits: bits(z.into(), width),
        r_bits: bits(r.into(), width),
        below: j < digits.low(),
        tables,
    })
}

/// Entries of the leaf table of digit `j`, whose lowest bit is bit `low`: read one by one, as a
/// party reads at the digit of `z`.
fn table<R: Ring>(
    place: Place<'_>,
    walk: &Walk<R>,
    (j, low): (usize, u32),
    near: &'static str,
    range: Range<u32>,
) -> Result<Table, Refusal> {
    let digits = &walk.digits;
    let position = Digits::opened_position(j);
    // Of the topmost digit the pair is `(e, t)`, of the others `(l, e)`.
    let top = j > 0 && j + 1 == digits.count();
    let mut table = Table { near, first: range.start, less: String::new(), equal: String::new() };
    for value in range {
        let word = R::from_u64(u64::from(value) << low);
        let received = Received::new::<R>(*digits, 1, &walk.correction)?;
        let half_0 = inside::p0(place.tables(*digits)?, word, 0).ok_or_else(nothing_dealt)?;
        let (_, half_1) = inside::p1(&received, word, 0).ok_or_else(nothing_dealt)?;
        let entry = (half_0.leaves ^ half_1.leaves) >> position;
        let (first, second) = (bits((entry & 1).into(), 1), bits((entry >> 1 & 1).into(), 1));
        let (l, e) = if top { (second, first) } else { (first, second) };
        table.less += &l;
        if j > 0 {
            table.equal += &e;
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<R: Ring>(ask: &Ask) {
        let digits = Digits::plan(R::BITS, ask.shift, GateKind::Relu).expect("in range");
        let y: R = word("y", ask.y).expect("in the ring");
        let keystream = ask.seed.keystream();
        let place = Place { keystream: &keystream, session: ask.session };
        let mut dealer = ask.seed.of(Drawer::Dealer, ask.session);
        let walk = walk(place, digits, shares(place, y), &mut dealer).expect("runs");
        let r = open(walk.r_of);
        assert_eq!(open(walk.out_of), formula::twin(digits.kind(), digits.bits(), y), "{ask:?}");
        assert_eq!(open(walk.y_of), y);
        assert_eq!(y.add(r), walk.z, "z is y + r: {ask:?}");
        let [inside_0, inside_1] = walk.inside;
        assert_eq!(open([inside_0.sign, inside_1.sign]), R::from_u64(r.msb().into()));
        // What is told of the leaves is what the words say.
        let leaves = inside_0.leaves ^ inside_1.leaves;
        for j in 0..digits.count() {
            let [z, r_j] = [walk.z, r].map(|word| digits.digit(j, word.to_u64()));
            let pair = leaves >> Digits::opened_position(j);
            let top = j + 1 == digits.count();
            let (less, equal) = match (j, top) {
                (0, _) => (pair & 1, u32::from(z == r_j)),
                (_, true) => (pair >> 1 & 1, pair & 1),
                (_, false) => (pair & 1, pair >> 1 & 1),
            };
            let turned = if top { 1 ^ r.msb() } else { 0 };
            assert_eq!(less, u32::from(z < r_j) ^ turned, "l of digit {j}: {ask:?}");
            assert_eq!(equal, u32::from(z == r_j), "e of digit {j}: {ask:?}");
        }
        let public = walk.z.msb() << (digits.opened_bits() - 1);
        assert_eq!(walk.delta, leaves ^ inside_0.rho ^ inside_1.rho ^ public);
        // The entry: h, h q, h m, q.
        let entry: [R; 4] =
            core::array::from_fn(|word| open([inside_0.entry[word], inside_1.entry[word]]));
        let [h, hq, hm, q] = entry;
        assert_eq!((hq, hm), (h.mul(q), h.mul(R::from_u64(r.msb().into()))));
        let turned = walk.delta >> (digits.opened_bits() - 1) & 1;
        assert_eq!(h.to_u64() ^ u64::from(turned), u64::from(y.to_i64() >= 0), "b is [y >= 0]");
    }

    #[test]
    fn every_secret_of_the_small_ring() {
        for shift in 0..7 {
            for y in -128..128 {
                let ask = Ask { bits: 8, shift, y, seed: Seed::test(7), session: shift.into() };
                check::<Small<8>>(&ask);
            }
        }
    }

    #[test]
    fn the_wider_rings() {
        for (session, y) in (0..).zip([0, 1, -1, 77, -78, 32767, -32768]) {
            for shift in 0..15 {
                let ask = Ask { bits: 16, shift, y, seed: Seed::test(8), session };
                check::<Small<16>>(&ask);
                check::<u32>(&Ask { bits: 32, shift: 2 * shift, y: y << 16, ..ask });
            }
        }
    }

    /// What is shown of leaf tables, whole ones and parts of them, is what comparisons say.
    #[test]
    fn leaf_tables_say_less_and_equal() {
        let asks = [(8, 2, -5), (8, 0, 100), (16, 5, -3000), (32, 12, 1 << 20), (32, 0, -7)];
        for (bits, shift, y) in asks {
            let ask = Ask { bits, shift, y, seed: Seed::test(0x6d), session: 3 };
            let answer = answer(&ask).expect("runs");
            let last = answer.digits.len() - 1;
            for (j, digit) in answer.digits.iter().enumerate() {
                assert!(!digit.tables.is_empty());
                for table in &digit.tables {
                    // Of the topmost digit `l` is turned by `1 xor m`.
                    let turned = j == last && answer.m.value() == 0;
                    for (value, l) in (table.first..).zip(table.less.chars()) {
                        assert_eq!(l == '1', (value < digit.r) != turned, "{ask:?}, digit {j}");
                    }
                    for (value, e) in (table.first..).zip(table.equal.chars()) {
                        assert_eq!(e == '1', value == digit.r, "{ask:?}, digit {j}");
                    }
                    assert_eq!(table.equal.len(), if j == 0 { 0 } else { table.less.len() });
                }
            }
        }
    }

    #[test]
    fn what_there_is_no_gate_for_is_said() {
        let ask = Ask { bits: 8, shift: 2, y: 128, seed: Seed::test(1), session: 0 };
        let said = |ask: &Ask| answer(ask).expect_err("refused").0;
        assert!(said(&ask).contains("from -128 to 127"));
        assert!(said(&Ask { bits: 9, ..ask }).contains("no ring of 9 bits"));
        assert!(said(&Ask { shift: 7, y: 0, ..ask }).contains("shift must be below"));
    }
}
