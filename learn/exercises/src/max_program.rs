//! # 8: `max` as a program
//!
//! A program calls protocols on an engine, and adds, subtracts and multiplies by public numbers in
//! between. It must not look at what words hold: the same lines run at either party, on shares; at
//! the dealer, on nothing; and as the plaintext twin.
//!
//! Write [`Max`]: `words` are `x` and behind them `y`, as long as `x`; leave `max(x_i, y_i)` for
//! each `i`, so that half of the words are left. One comparison is enough:
//!
//! ```text
//! max(x, y) = y + max(x - y, 0)
//! ```
//!
//! `engine.run(&Shift::relu(0)?, slice).await?` replaces a slice by its ReLU; see
//! [`crate::given::Relu`]. `Vec::split_off` takes `y` off; sums and differences are those of
//! [`Ring`](sharelet_core::ring::Ring). (`x - y` must fit the ring.) An odd number of words is
//! refused: `return Err(StepError::LengthMismatch { .. }.into())`, with lengths of your choice.
//!
//! The test runs it as twin and by two parties, and counts: two messages, however many words.
//!
//! To read: chapter 5.

use sharelet_book::pair::Program;
use sharelet_core::functions::engine::Engine;

/// The larger of each two words.
#[derive(Clone, Copy, Debug)]
pub struct Max;

impl Program for Max {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        todo!("subtract, one ReLU, add")
    }
}
