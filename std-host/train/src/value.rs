//! Words between two layers, which carry their number of fraction bits.

use crate::tensor::{Machine, Masked, Runner, Tensors};

/// Shared words, and how many of their bits are a fraction.
#[derive(Default)]
pub struct Value {
    /// The words.
    pub words: Vec<u64>,
    /// Fraction bits.
    pub frac_bits: u32,
}

redacted!(Value);

/// Opens a value, with `frac_bits` fraction bits.
///
/// # Errors
/// The engine's.
pub async fn open_one<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    value: Value,
    frac_bits: u32,
) -> Result<Masked, E::Error> {
    let words = machine.truncate(value.words, value.frac_bits - frac_bits).await?;
    machine.open_one(words).await
}
