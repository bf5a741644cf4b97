//! Whether shared values are within a range: how many are not is counted under sharing, and one bit
//! is opened of the count, none of the values.

use crate::tensor::{Bits, Machine, Runner, Tensors};
use sharelet_core::functions::protocol::matrix::{self, MaskMatrix};

/// Bits that a comparison drops, so that magnitudes of up to `2^47` units are seen.
const SHIFT: u32 = 16;

/// A share of how many words have a magnitude of at least their limit. Limits are shares, too, as
/// many as words; magnitudes and limits are below `2^46` units. Limits are met within `2^16` units.
///
/// # Errors
/// The engine's.
pub async fn beyond<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: &[u64],
    limits: &[u64],
) -> Result<u64, E::Error> {
    let (_, bits) = machine.activate(differences(words, limits), SHIFT, true).await?;
    Ok(count(&bits))
}

/// As [`beyond`], with limits that are met to the unit: they may be smaller than `2^16` units.
///
/// # Errors
/// The engine's.
pub async fn beyond_exactly<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: &[u64],
    limits: &[u64],
) -> Result<u64, E::Error> {
    let words = machine.truncate_exactly(differences(words, limits), SHIFT).await?;
    let (_, bits) = machine.activate(words, 0, true).await?;
    Ok(count(&bits))
}

/// What is not negative where a magnitude is at least its limit.
fn differences(words: &[u64], limits: &[u64]) -> Vec<u64> {
    let above = words.iter().zip(limits).map(|(word, limit)| word.wrapping_sub(*limit));
    let below =
        words.iter().zip(limits).map(|(word, limit)| word.wrapping_neg().wrapping_sub(*limit));
    above.chain(below).collect()
}

fn count(bits: &Bits) -> u64 {
    bits.share().iter().fold(0, |sum, bit| sum.wrapping_add(*bit))
}

/// Whether a count is not zero: one bit, and nothing else, is opened.
///
/// # Errors
/// The engine's.
pub async fn any<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    count: u64,
) -> Result<bool, E::Error> {
    let any = count.wrapping_sub(machine.constant(1));
    let (_, bits) = machine.activate(vec![any], 0, true).await?;
    Ok(reveal(machine, bits.share()).await?.first().is_some_and(|&bit| bit == 1))
}

/// Opens words for both parties to see.
///
/// # Errors
/// The engine's.
pub async fn reveal<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    words: &[u64],
) -> Result<Vec<u64>, E::Error> {
    let (mask, mut opened) = (vec![0; words.len()], vec![0; words.len()]);
    machine
        .engine()
        .run(&MaskMatrix::new(), matrix::Masked { matrix: words, mask: &mask, opened: &mut opened })
        .await?;
    Ok(opened)
}
