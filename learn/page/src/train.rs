//! A line through the points of two owners: gradient descent that neither server can read.
//!
//! The program is written once, over an engine; the dealer, both parties and the plaintext twin run
//! it ([`sharelet_core::functions::engine`]). Its truncations are exact, so the twin's numbers are
//! the parties', bit for bit.

use core::convert::Infallible;

use embassy_futures::block_on;
use embassy_futures::join::join;
use rand_core::Rng as _;
use serde::Serialize;
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::offline::{Count, Deal, Expand, Offline, Usage};
use sharelet_core::functions::engine::party::{Expanded, Party, Received};
use sharelet_core::functions::engine::twin::Twin;
use sharelet_core::functions::engine::{Engine, EngineError, Settings};
use sharelet_core::functions::protocol::product::{Factors, Multiply};
use sharelet_core::functions::protocol::shift::Shift;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::Ring;
use sharelet_core::{decode, share};

use crate::fields::Fields;
use crate::line::{Short, Wire};
use crate::refusal::Refusal;
use crate::seed::{Drawer, Seed};

/// Fraction bits of all numbers.
const FRAC_BITS: u8 = 10;
/// Points of each owner.
const EACH: usize = 8;
const POINTS: usize = 2 * EACH;
/// `log2` of the number of points, and of one over the learning rate.
const POINTS_LOG: u32 = 4;
const RATE_LOG: u32 = 1;
/// The most steps.
const MOST_STEPS: usize = 40;
/// The largest coordinate, as a word.
const LIMIT: i64 = 2 << FRAC_BITS;

/// The question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Coordinates in units of `2^-10`, the first owner's points first; none, and they are drawn.
    pub points: Vec<[i64; 2]>,
    /// Steps of gradient descent.
    pub steps: usize,
    /// Randomness.
    pub seed: Seed,
}

impl Ask {
    /// Reads it.
    ///
    /// # Errors
    /// A field is missing, or is none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let points: Vec<i64> = fields.list("points")?;
        let (pairs, []) = points.as_chunks() else {
            return Err(Refusal::new("A point has two coordinates, and one of them is missing."));
        };
        let (points, steps) = (pairs.to_vec(), fields.number("steps")?);
        Ok(Self { points, steps, seed: Seed::read(fields)? })
    }
}

/// What was learnt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    points: Vec<Point>,
    /// After every step, the first before any: slope and offset, as shares and opened.
    steps: Vec<Step>,
    /// Whether all of it is the twin's.
    exact: bool,
    messages: u64,
    bytes: u64,
    dealt: u64,
}

/// A point, and what each server holds of its coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Point {
    owner: usize,
    words: [i32; 2],
    at: [f32; 2],
    shares: [[u32; 2]; 2],
}

/// The line after a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Step {
    shares: [[u32; 2]; 2],
    words: [i32; 2],
    twin: [i32; 2],
    line: [f32; 2],
    /// The mean square of the errors, of the twin.
    loss: f32,
}

/// Gradient descent on `y = a x + b`. What the slices hold is the engine's business: shares, plain
/// words, or nothing. Gives `(a, b)` after every step.
async fn descend<E: Engine>(
    engine: &mut E,
    steps: usize,
    [x, y]: [&[u32]; 2],
) -> Result<Vec<[u32; 2]>, E::Error> {
    let (mut a, mut b) = (0_u32, 0_u32);
    let mut trace = vec![[a, b]];
    let multiply = Multiply::new();
    // Drops fraction bits; for a mean times the learning rate some more.
    let back = Shift::truncate(FRAC_BITS.into())?;
    let mean = Shift::truncate(u32::from(FRAC_BITS) + POINTS_LOG + RATE_LOG)?;
    for _ in 0..steps {
        // a x, with twice the fraction bits, and back.
        let mut products = vec![a; x.len()];
        engine.run(&multiply, Factors { x: &mut products, y: x }).await?;
        engine.run(&back, &mut products).await?;
        let mut errors = products;
        for (error, y) in errors.iter_mut().zip(y) {
            *error = Ring::sub(Ring::add(*error, b), *y);
        }
        // The slopes of the mean square: sums of error times x, and of errors.
        let mut slopes = errors.clone();
        engine.run(&multiply, Factors { x: &mut slopes, y: x }).await?;
        let sum = |words: &[u32]| words.iter().fold(0, |sum, word| Ring::add(sum, *word));
        let one = u32::pow2(FRAC_BITS.into());
        let mut sums = [sum(&slopes), Ring::mul(sum(&errors), one)];
        engine.run(&mean, &mut sums).await?;
        let [for_a, for_b] = sums;
        (a, b) = (Ring::sub(a, for_a), Ring::sub(b, for_b));
        trace.push([a, b]);
    }
    Ok(trace)
}

fn local(error: EngineError<Infallible>) -> Refusal {
    Refusal::of(error)
}

fn remote(error: EngineError<Short>) -> Refusal {
    Refusal::of(error)
}

/// The points: those of the question, or drawn ones.
fn points(ask: &Ask) -> Result<Vec<[u32; 2]>, Refusal> {
    if ask.points.is_empty() {
        return Ok(drawn(ask.seed));
    }
    if ask.points.len() != POINTS {
        return Err(Refusal::new(format!(
            "There are {} points, and the two owners have {EACH} each.",
            ask.points.len()
        )));
    }
    if ask.points.iter().flatten().any(|word| !(-LIMIT..=LIMIT).contains(word)) {
        return Err(Refusal::new(
            "A coordinate lies beyond 2: move the point back into the square.",
        ));
    }
    let word = |value: i64| u32::from_u64(value.cast_unsigned());
    Ok(ask.points.iter().map(|point| point.map(word)).collect())
}

/// Points near a line that is drawn, too: the first owner's to the left, the second's to the right.
fn drawn(seed: Seed) -> Vec<[u32; 2]> {
    let mut rng = seed.of(Drawer::Data, 0);
    // Below `limit`, either sign.
    let mut draw = |limit: i64| i64::from(rng.next_u32() >> 1) % (2 * limit) - limit;
    let (slope, offset) = (draw(1 << FRAC_BITS), draw(1 << (FRAC_BITS - 1)));
    let point = |index: usize| {
        let middle = if index < EACH { -LIMIT / 2 } else { LIMIT / 2 };
        let x = middle + draw(LIMIT / 2);
        let y = ((slope * x) >> FRAC_BITS) + offset + draw(1 << (FRAC_BITS - 3));
        [x, y.clamp(-LIMIT, LIMIT)].map(|word| u32::from_u64(word.cast_unsigned()))
    };
    (0..POINTS).map(point).collect()
}

/// Trains.
///
/// # Errors
/// Too many steps, or points that are not to be used.
pub fn answer(ask: &Ask) -> Result<Answer, Refusal> {
    if ask.steps > MOST_STEPS {
        return Err(Refusal::new(format!("The page takes at most {MOST_STEPS} steps at once.")));
    }
    let points = points(ask)?;
    let [x, y] = [0, 1].map(|axis| -> Vec<u32> {
        points.iter().map(|point| point.get(axis).copied().unwrap_or(0)).collect()
    });
    // Each owner splits its own points under a key of its own.
    let owners = [1, 2].map(|owner| {
        Keystream::<ChaCha12>::new(&Key::generate(&mut ask.seed.of(Drawer::Data, owner)))
    });
    let split = |words: &[u32], axis: u64| -> [Vec<u32>; 2] {
        let (mut shares_0, mut shares_1) = (vec![0; words.len()], words.to_vec());
        let chunks = shares_0.chunks_mut(EACH).zip(shares_1.chunks_mut(EACH));
        for ((zero, one), owner) in chunks.zip(&owners) {
            share::expand(owner, axis, zero);
            share::split(owner, axis, one);
        }
        [shares_0, shares_1]
    };
    let ([x_0, x_1], [y_0, y_1]) = (split(&x, 0), split(&y, 1));

    let mut count = Offline::new(Count::default(), Settings::default());
    block_on(descend(&mut count, ask.steps, [&x, &y])).map_err(local)?;
    let Count(usage) = count.into_task();
    let keystream = ask.seed.keystream();
    let [expanded, dealt] = prepared(ask, &keystream, usage, [&x, &y])?;

    let [wire_0, wire_1] = Wire::pair();
    let [mut work_0, mut work_1] = [(); 2].map(|()| vec![0; usage.work_bytes]);
    let source = Expanded::new(&expanded);
    let mut party_0 = Party::new(source, wire_0, &mut work_0, Settings::default());
    let mut party_1 = Party::new(Received::new(&dealt), wire_1, &mut work_1, Settings::default());
    let (trace_0, trace_1) = block_on(join(
        descend(&mut party_0, ask.steps, [&x_0, &y_0]),
        descend(&mut party_1, ask.steps, [&x_1, &y_1]),
    ));
    let (trace_0, trace_1) = (trace_0.map_err(remote)?, trace_1.map_err(remote)?);
    let mut twin = Twin::default();
    let twin = block_on(descend(&mut twin, ask.steps, [&x, &y])).map_err(local)?;

    let steps: Vec<Step> = trace_0
        .into_iter()
        .zip(trace_1)
        .zip(twin)
        .map(|((own, peer), twin)| step([own, peer], twin, &points))
        .collect();
    let shown = points.iter().enumerate().map(|(index, &words)| Point {
        owner: index / EACH,
        words: words.map(u32::cast_signed),
        at: words.map(|word| decode(word, FRAC_BITS)),
        shares: [[&x_0, &y_0], [&x_1, &y_1]]
            .map(|axes| axes.map(|axis| axis.get(index).copied().unwrap_or(0))),
    });
    Ok(Answer {
        points: shown.collect(),
        exact: steps.iter().all(|step| step.words == step.twin),
        steps,
        messages: usage.messages,
        bytes: usage.online_bytes,
        dealt: usage.dealt_bytes,
    })
}

/// Both halves of what the whole program spends: `P0`'s, from its key, and the dealer's bytes.
fn prepared(
    ask: &Ask,
    keystream: &Keystream<ChaCha12>,
    usage: Usage,
    data: [&[u32]; 2],
) -> Result<[Vec<u8>; 2], Refusal> {
    let room = |bytes: u64| usize::try_from(bytes).map(|bytes| vec![0; bytes]).map_err(Refusal::of);
    let (mut expanded, mut dealt) = (room(usage.expanded_bytes)?, room(usage.dealt_bytes)?);
    let own = Expand::new(keystream, SessionToken::consumed(0), &mut expanded);
    block_on(descend(&mut Offline::new(own, Settings::default()), ask.steps, data))
        .map_err(local)?;
    let deal = Deal::new(keystream, 0, ask.seed.of(Drawer::Dealer, 0), &mut dealt);
    block_on(descend(&mut Offline::new(deal, Settings::default()), ask.steps, data))
        .map_err(local)?;
    Ok([expanded, dealt])
}

fn step(shares: [[u32; 2]; 2], twin: [u32; 2], points: &[[u32; 2]]) -> Step {
    let [mut words, peer] = shares;
    share::open(&mut words, &peer);
    let line = words.map(|word| decode(word, FRAC_BITS));
    let [a, b] = twin.map(|word| decode(word, FRAC_BITS));
    let squares = points.iter().map(|point| {
        let [x, y] = point.map(|word| decode(word, FRAC_BITS));
        let error = a * x + b - y;
        error * error
    });
    #[allow(clippy::cast_precision_loss)]
    let loss = squares.sum::<f32>() / points.len().max(1) as f32;
    Step {
        shares,
        words: words.map(u32::cast_signed),
        twin: twin.map(u32::cast_signed),
        line,
        loss,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(steps: usize) -> Ask {
        Ask { points: Vec::new(), steps, seed: Seed::test(0xc3) }
    }

    #[test]
    fn training_is_the_twins_and_gets_better() {
        let answer = answer(&ask(MOST_STEPS)).expect("trains");
        assert!(answer.exact);
        let (first, last) = (&answer.steps[0], answer.steps.last().expect("steps"));
        assert!(last.loss < first.loss / 2.0, "{} to {}", first.loss, last.loss);
        assert!(last.loss < 0.02, "{}", last.loss);
    }

    #[test]
    fn bad_points_are_refused() {
        let said = |ask: Ask| answer(&ask).expect_err("refused").0;
        assert!(said(ask(MOST_STEPS + 1)).contains("at most 40"));
        assert!(said(Ask { points: vec![[0, 0]; 3], ..ask(1) }).contains("3 points"));
        assert!(said(Ask { points: vec![[0, LIMIT + 1]; POINTS], ..ask(1) }).contains("beyond 2"));
    }
}
