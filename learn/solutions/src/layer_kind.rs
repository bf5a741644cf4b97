//! The input is kept as it is, a share, and added. Nobody hears of it.

use sharelet_book::pair::Program;
use sharelet_core::functions::engine::Engine;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;

/// A layer, and its input added to its output.
#[derive(Clone, Copy, Debug)]
pub struct Residual<L>(
    /// The layer.
    pub L,
);

impl<L: Program<Ring = u32>> Program for Residual<L> {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        let input = words.clone();
        self.0.run(engine, words).await?;
        let (expected_elems, found_elems) = (input.len(), words.len());
        if expected_elems != found_elems {
            return Err(StepError::LengthMismatch { expected_elems, found_elems }.into());
        }
        words.iter_mut().zip(input).for_each(|(word, input)| *word = word.add(input));
        Ok(())
    }
}
