//! Chapters 1 and 2: how often a share takes each value; a product, message by message.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sharelet_core::functions::engine::Engine;
use sharelet_core::functions::protocol::product::{Factors, Multiply};
use sharelet_core::ring::{Ring, Small};
use sharelet_core::step::StepError;

use super::canvas::{BACK, Canvas, DEALER, P0, P1, PUBLIC};
use crate::draws::always;
use crate::pair::{self, Failed, Program};

type Toy = Small<4>;

/// How often `P1`'s share takes each value, over draws of `P0`'s.
fn tally(secret: u64, draws: impl Iterator<Item = u64>) -> [u32; 16] {
    let mut tally = [0; 16];
    for draw in draws {
        let [_, peer] = pair::share(&[Toy::from_u64(secret)], &mut always(draw));
        let value = peer.first().map_or(0, |word| word.to_u64());
        let place = usize::try_from(value).ok().and_then(|value| tally.get_mut(value));
        place.into_iter().for_each(|place| *place += 1);
    }
    tally
}

/// Secrets 3 and 12, shared with every mask, and with even masks alone.
pub fn shares() -> Result<String, Failed> {
    let mut canvas = Canvas::new(720, 330);
    for (column, secret) in [3, 12].into_iter().enumerate() {
        for (row, (masks, step)) in [("all masks", 1), ("even masks", 2)].into_iter().enumerate() {
            let draws = (0..16).map(|draw| draw * step);
            let (x, y) = (20.0 + 350.0 * position(column)?, 140.0 + 150.0 * position(row)?);
            canvas.words(x, y - 95.0, PUBLIC, &format!("x = {secret}, {masks}: P1's share"));
            canvas.line([x, y, x + 16.0 * 20.0, y], PUBLIC);
            for (value, count) in (0_u32..).zip(tally(secret, draws)) {
                let (left, height) = (x + 20.0 * f64::from(value), 35.0 * f64::from(count));
                canvas.rect([left + 2.0, y - height, 16.0, height], if row == 0 { P1 } else { P0 });
                canvas.centred(left + 10.0, y + 16.0, PUBLIC, &value.to_string());
            }
        }
    }
    canvas.finish()
}

/// A place on the canvas.
pub fn position(index: usize) -> Result<f64, Failed> {
    Ok(f64::from(u32::try_from(index)?))
}

/// The product of two words.
struct Product;

impl Program for Product {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        let wrong = StepError::LengthMismatch { expected_elems: 2, found_elems: words.len() };
        let (x, y) = words.split_at_mut_checked(1).ok_or(wrong)?;
        engine.run(&Multiply::new(), Factors { x, y }).await?;
        words.truncate(1);
        Ok(())
    }
}

/// `6 * 7`, with what is said.
pub fn product() -> Result<String, Failed> {
    let (x, y) = (6_u32, 7_u32);
    let ran = pair::run(&Product, &[x, y], &mut ChaCha20Rng::from_seed([2; 32]))?;
    let [p0, p1] = &ran.sent;
    let message = |of: &[Vec<u8>]| {
        let bytes = of.first().map(Vec::as_slice).unwrap_or_default();
        let (d, e) = bytes.split_at_checked(4).unwrap_or_default();
        [d, e].map(<u32 as Ring>::read_le)
    };
    let (sent_0, sent_1) = (message(p0), message(p1));
    let mut canvas = Canvas::new(720, 330);
    let lanes = [("P0", 110.0, P0), ("dealer", 360.0, DEALER), ("P1", 610.0, P1)];
    for (name, at, colour) in lanes {
        canvas.centred(at, 24.0, colour, name);
        canvas.line([at, 34.0, at, 310.0], BACK);
    }
    for ((at, colour), words) in [(110.0, P0), (610.0, P1)].into_iter().zip(&ran.arguments) {
        for (name, (y, word)) in ["x", "y"].into_iter().zip([60.0, 78.0].into_iter().zip(words)) {
            canvas.centred(at, y, colour, &format!("{name}: {word:#010x}"));
        }
    }
    canvas.centred(110.0, 108.0, P0, "a, b, c: keystream");
    canvas.arrow(365.0, 600.0, 112.0, DEALER);
    let dealt = format!("a, b, c: {} bytes", ran.usage.dealt_bytes);
    canvas.centred(482.0, 106.0, DEALER, &dealt);
    for (y, (from, to), colour, [d, e]) in
        [(150.0, (120.0, 600.0), P0, sent_0), (190.0, (600.0, 120.0), P1, sent_1)]
    {
        canvas.arrow(from, to, y, colour);
        canvas.centred(360.0, y - 6.0, colour, &format!("x - a: {d:#010x}   y - b: {e:#010x}"));
    }
    let [d, e] = [0, 1].map(|place| {
        let word = |of: [u32; 2]| of.get(place).copied().unwrap_or(0);
        word(sent_0).add(word(sent_1))
    });
    canvas.centred(360.0, 225.0, PUBLIC, &format!("both know d = {d:#010x}, e = {e:#010x}"));
    let [share_0, share_1] = [0, 1].map(|party: usize| {
        ran.shares.get(party).and_then(|shares| shares.first()).copied().unwrap_or(0)
    });
    canvas.centred(110.0, 262.0, P0, &format!("{share_0:#010x}"));
    canvas.centred(610.0, 262.0, P1, &format!("{share_1:#010x}"));
    let opened = format!("together: {}", share_0.add(share_1));
    canvas.centred(360.0, 262.0, PUBLIC, "shares of c + d b + e a + d e");
    canvas.centred(360.0, 298.0, PUBLIC, &opened);
    canvas.finish()
}
