//! Chapter 6: a line through points of two owners, step by step.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sharelet_core::fixed::{decode, encode};

use super::canvas::{BACK, Canvas, DEALER, P0, P1, PUBLIC};
use crate::line::{FRAC_BITS, Step};
use crate::pair::{self, Failed};

/// The points: the first half belongs to one owner, the second to another.
pub const POINTS: [(f32, f32); 8] = [
    (-2.0, -0.4),
    (-1.5, -0.5),
    (-1.0, 0.2),
    (-0.5, 0.1),
    (0.5, 1.0),
    (1.0, 0.9),
    (1.5, 1.6),
    (2.0, 1.4),
];
/// Steps that are shown.
const STEPS: usize = 12;

/// The line of each step, and the points.
pub fn line() -> Result<String, Failed> {
    let mut canvas = Canvas::new(720, 330);
    let place = |x: f64, y: f64| (360.0 + 140.0 * x, 220.0 - 100.0 * y);
    canvas.line([40.0, 220.0, 680.0, 220.0], BACK);
    canvas.line([360.0, 20.0, 360.0, 310.0], BACK);
    let numbers: Vec<f32> = POINTS
        .iter()
        .map(|(x, _)| *x)
        .chain(POINTS.iter().map(|(_, y)| *y))
        .chain([0.0, 0.0])
        .collect();
    let mut words = vec![0_u32; numbers.len()];
    encode(&numbers, FRAC_BITS, 1 << 14, &mut words)?;
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    for step in 0..=STEPS {
        let [.., a, b] = words.as_slice() else { return Err("a line has two numbers".into()) };
        let [a, b] = [a, b].map(|word| f64::from(decode(*word, FRAC_BITS)));
        let ends = [-2.2, 2.2].map(|x| place(x, a * x + b));
        let last = step == STEPS;
        canvas.path(ends.into_iter(), if last { DEALER } else { BACK });
        if last {
            let words = format!("after {step} steps: y = {a:.2} x + {b:.2}");
            canvas.words(40.0, 36.0, DEALER, &words);
        }
        words = pair::run(&Step { rate_bits: 1 }, &words, &mut rng)?.open();
    }
    for (index, (x, y)) in POINTS.into_iter().enumerate() {
        let (x, y) = place(x.into(), y.into());
        canvas.dot(x, y, if index < POINTS.len() / 2 { P0 } else { P1 });
    }
    canvas.words(40.0, 56.0, P0, "points of one owner");
    canvas.words(40.0, 76.0, P1, "points of the other");
    canvas.words(40.0, 310.0, PUBLIC, "neither server sees a point, or a line before it is opened");
    canvas.finish()
}
