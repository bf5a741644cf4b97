//! Training, in miniature: a line through points that nobody sees.

use sharelet_core::functions::engine::Engine;
use sharelet_core::functions::protocol::product::{Factors, Multiply};
use sharelet_core::functions::protocol::shift::Shift;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;

use crate::pair::Program;

/// Fraction bits of all numbers.
pub const FRAC_BITS: u8 = 10;

/// One step of gradient descent for the line `y = a x + b`.
///
/// Words are all `x`, then as many `y`, then `a` and `b`, which the step replaces. The number of
/// points is a power of two. All numbers stay below 16 or so.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The rate of learning is `2^-rate_bits`.
    pub rate_bits: u32,
}

impl Program for Step {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        let count = words.len().saturating_sub(2) / 2;
        let wrong = StepError::LengthMismatch {
            expected_elems: 2 * count.next_power_of_two() + 2,
            found_elems: words.len(),
        };
        let (x, rest) = words.split_at_checked(count).ok_or(wrong)?;
        let [y @ .., a, b] = rest else { return Err(wrong.into()) };
        if !count.is_power_of_two() || y.len() != count {
            return Err(wrong.into());
        }
        let frac_bits = u32::from(FRAC_BITS);

        // Errors e = a x + b - y: products have twice the fraction bits.
        let mut errors = vec![*a; count];
        engine.run(&Multiply::new(), Factors { x: &mut errors, y: x }).await?;
        engine.run(&Shift::truncate(frac_bits)?, errors.as_mut_slice()).await?;
        for (error, y) in errors.iter_mut().zip(y) {
            *error = error.add(*b).sub(*y);
        }

        // Gradients: the means of e x and of e. Sums cost nothing.
        let mut steep = errors.clone();
        engine.run(&Multiply::new(), Factors { x: &mut steep, y: x }).await?;
        let sum = |words: &[u32]| words.iter().fold(0, |sum: u32, &word| Ring::add(sum, word));
        let mean_bits = count.ilog2() + self.rate_bits;
        let mut moves = [sum(&steep), sum(&errors).mul(u32::pow2(frac_bits))];
        engine.run(&Shift::truncate(frac_bits + mean_bits)?, moves.as_mut_slice()).await?;
        let [of_a, of_b] = moves;
        let [.., a, b] = words.as_mut_slice() else { return Err(wrong.into()) };
        (*a, *b) = (a.sub(of_a), b.sub(of_b));
        Ok(())
    }
}
