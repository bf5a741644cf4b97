//! # 10: add a layer kind
//!
//! [`crate::given`] has two kinds of layers, [`Dense`](crate::given::Dense) and
//! [`Relu`](crate::given::Relu), and [`Then`](crate::given::Then), which runs one behind the other.
//! Add a third kind: a *residual connection* around any layer, `y = L(x) + x`.
//!
//! A sum of shares is a share of the sum: it must cost no message and no correlation. If `L` gives
//! another number of words than it takes, refuse with `StepError::LengthMismatch`, as
//! [`Dense`](crate::given::Dense) does, with the length of `L`'s input as expected and that of its
//! output as found. `self.0.run(engine, words).await?` runs `L`.
//!
//! The test runs networks with it by two parties, compares with plaintext, and compares the cost
//! with that of the same network without the connection.
//!
//! To read: chapter 4.

use sharelet_book::pair::Program;
use sharelet_core::functions::engine::Engine;

/// A layer, and its input added to its output.
#[derive(Clone, Copy, Debug)]
pub struct Residual<L>(
    /// The layer.
    pub L,
);

impl<L: Program<Ring = u32>> Program for Residual<L> {
    type Ring = u32;

    async fn run<E: Engine>(&self, engine: &mut E, words: &mut Vec<u32>) -> Result<(), E::Error> {
        todo!("keep the input, run the layer, add")
    }
}
