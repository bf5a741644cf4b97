//! Subtracting and adding is local, so the ReLU's two messages are all.

use sharelet_book::pair::Program;
use sharelet_core::functions::engine::Engine;
use sharelet_core::functions::protocol::shift::Shift;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;

/// The larger of each two words.
#[derive(Clone, Copy, Debug)]
pub struct Max;

impl Program for Max {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        let y = words.split_off(words.len().div_ceil(2));
        if y.len() != words.len() {
            let (expected_elems, found_elems) = (words.len(), y.len());
            return Err(StepError::LengthMismatch { expected_elems, found_elems }.into());
        }
        words.iter_mut().zip(&y).for_each(|(x, &y)| *x = x.sub(y));
        engine.run(&Shift::relu(0)?, words.as_mut_slice()).await?;
        words.iter_mut().zip(&y).for_each(|(x, &y)| *x = x.add(y));
        Ok(())
    }
}
