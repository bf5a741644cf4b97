//! A matrix under a mask: a linear layer whose weights belong to `P1`, and its input to `P0`.

use serde::Serialize;
use sharelet_core::correlation::{Position, SessionToken};
use sharelet_core::keystream::{Key, Keystream};
use sharelet_core::ring::{Ring, Small};
use sharelet_core::session::linear::{
    self, InputMasks, Received, correction_bytes, deal, deal_scratch_elems, mask_weights,
};
use sharelet_core::session::phases::{Follows, Offline};
use sharelet_core::shape::{Shape, TILE_ELEMS};

use crate::fields::Fields;
use crate::gate::open;
use crate::refusal::Refusal;
use crate::seed::{Drawer, Seed};
use crate::word::{Word, word, words};

/// The ring of this chapter.
type Toy = Small<16>;
/// Rows and columns of the matrix.
pub const ROWS: usize = 2;
/// Columns: the input's values.
pub const COLUMNS: usize = 3;

/// The question.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// The input, which `P0` has.
    pub input: [i64; COLUMNS],
    /// The matrix, which `P1` has, row by row.
    pub weights: [i64; ROWS * COLUMNS],
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
            input: fields.numbers("input")?,
            weights: fields.numbers("weights")?,
            seed: Seed::read(fields)?,
            session: fields.number("session")?,
        })
    }
}

/// What happens in the layer. Matrices are row by row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The input, and the matrix.
    h: Vec<Word>,
    w: Vec<Word>,
    /// The matrix's mask, and what the dealer has of it.
    e: Vec<Word>,
    a: Vec<Word>,
    /// The input's mask, and both shares of what it is multiplied to.
    r: Vec<Word>,
    a_0: Vec<Word>,
    a_1: Vec<Word>,
    /// The message.
    d: Vec<Word>,
    /// What each party ends with, their sum, and the twin.
    u_0: Vec<Word>,
    u_1: Vec<Word>,
    out: Vec<Word>,
    twin: Vec<Word>,
    /// Bytes of the message, and of the dealer's.
    up: u64,
    dealer: u64,
}

fn all<const N: usize>(name: &str, values: [i64; N]) -> Result<[Toy; N], Refusal> {
    let mut out = [Toy::ZERO; N];
    for (out, value) in out.iter_mut().zip(values) {
        *out = word(name, value)?;
    }
    Ok(out)
}

/// Answers the question.
///
/// # Errors
/// A number that the ring does not hold.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    let (h, w) = (all("A value of the input", ask.input)?, all("A weight", ask.weights)?);
    let parts = Shape::Dense { inputs: 3, outputs: 2 }.alone(0);
    let keystream = ask.seed.keystream();
    let model = Keystream::new(&Key::generate(&mut ask.seed.of(Drawer::P1, 0)));
    let position = Position { session: ask.session, layer: 0 };

    // Once per model.
    let mut a = w;
    mask_weights(&model, 0, &parts, &mut a);
    // What is taken off a matrix of zeros is the mask itself.
    let mut e = [Toy::ZERO; ROWS * COLUMNS];
    mask_weights(&model, 0, &parts, &mut e);
    let e = e.map(Ring::neg);

    // The dealer's correction; for a matrix of zeros it is P0's share, negated.
    let dealt = |weights: &[Toy]| -> Result<Vec<u8>, Refusal> {
        let mut scratch = vec![Toy::ZERO; deal_scratch_elems(&parts)];
        let mut out = vec![0; correction_bytes::<Toy>(&parts)];
        deal(&keystream, position, &parts, weights, &mut scratch, &mut out)?;
        Ok(out)
    };
    let correction = dealt(&a)?;
    let received = |bytes: &[u8]| -> Result<[Toy; ROWS], Refusal> {
        let mut words = [Toy::ZERO; ROWS];
        linear::correct(Received::new::<Toy>(&parts, bytes)?, &mut words)?;
        Ok(words)
    };
    let a_1 = received(&correction)?;
    let a_0 = received(&dealt(&[Toy::ZERO; ROWS * COLUMNS])?)?.map(Ring::neg);

    // P0, before the input is there.
    let offline = || Offline::new(&keystream, SessionToken::consumed(ask.session));
    let mut u_0 = [Toy::ZERO; ROWS];
    let (rows, _) = offline().layer(&model, parts.clone(), Follows::Answer);
    for piece in rows {
        linear::prepare(piece, &mut [Toy::ZERO; TILE_ELEMS], &mut u_0)?;
    }
    // P0's message, when it is.
    let masks = || offline().finish().layer((Some(3), 2), None).0;
    let d = masked(masks(), h)?;
    let r = masked(masks(), [Toy::ZERO; COLUMNS])?.map(Ring::neg);

    // P1: the product with what it was sent, and the dealer's correction.
    let mut u_1 = [Toy::ZERO; ROWS];
    linear::twin(&parts, &w, &[Toy::ZERO; ROWS], |_| &d, &mut u_1);
    linear::correct(Received::new::<Toy>(&parts, &correction)?, &mut u_1)?;

    let mut twin = [Toy::ZERO; ROWS];
    linear::twin(&parts, &w, &[Toy::ZERO; ROWS], |_| &h, &mut twin);
    let cost = linear::cost::<Toy>(3, &parts);
    Ok(Answer {
        h: words(h),
        w: words(w),
        e: words(e),
        a: words(a),
        r: words(r),
        a_0: words(a_0),
        a_1: words(a_1),
        d: words(d),
        out: words(u_0.into_iter().zip(u_1).map(|(own, peer)| open([own, peer]))),
        u_0: words(u_0),
        u_1: words(u_1),
        twin: words(twin),
        up: cost.up.bytes,
        dealer: cost.dealer_bytes,
    })
}

/// `h - r`.
fn masked(
    masks: Option<InputMasks<'_, sharelet_core::keystream::ChaCha12>>,
    mut h: [Toy; COLUMNS],
) -> Result<[Toy; COLUMNS], Refusal> {
    for piece in masks.into_iter().flatten() {
        linear::mask(piece, &mut h)?;
    }
    Ok(h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_its_twin_and_its_parts_add_up() {
        for session in 0..20 {
            let seed = Seed::test(u8::try_from(session).expect("small"));
            let input = [1, -2, 300 + i64::try_from(session).expect("small")];
            let ask = Ask { input, weights: [3, -1, 2, 0, 5, -4], seed, session };
            let answer = answer(&ask).expect("runs");
            assert_eq!(answer.out, answer.twin);
            let sums = |a: &[Word], b: &[Word]| -> Vec<u64> {
                a.iter().zip(b).map(|(a, b)| a.value().wrapping_add(b.value()) % 65536).collect()
            };
            let plain = |a: &[Word]| -> Vec<u64> { a.iter().map(Word::value).collect() };
            assert_eq!(sums(&answer.a, &answer.e), plain(&answer.w), "A + E is W");
            assert_eq!(sums(&answer.d, &answer.r), plain(&answer.h), "d + r is h");
            assert_eq!(sums(&answer.u_0, &answer.u_1), plain(&answer.out));
            // a_0 + a_1 is A r.
            let product = |row: usize| {
                let terms = (0..COLUMNS).map(|column| {
                    answer.a[row * COLUMNS + column].value() * answer.r[column].value()
                });
                terms.sum::<u64>() % 65536
            };
            assert_eq!(sums(&answer.a_0, &answer.a_1), [product(0), product(1)]);
        }
    }

    #[test]
    fn a_number_beyond_the_ring_is_said() {
        let seed = Seed::test(1);
        let ask = Ask { input: [0, 40000, 0], weights: [0; 6], seed, session: 0 };
        assert!(answer(&ask).expect_err("refused").0.contains("-32768 to 32767"));
    }
}
