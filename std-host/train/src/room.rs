//! Whether sums have room in a word: bounds of what a step adds up, in bits, from public numbers
//! alone.
//!
//! Products of two words have `2 f` fraction bits, and may have [`WORD_BITS`] in all. Features and
//! gradients are multiplied and summed over a batch of `B` rows:
//!
//! ```text
//! |sum x g| <= B max|x| max|g|
//! |sum x g| <= sqrt(sum x^2) sqrt(sum g^2) <= sqrt(n) sqrt(B) max|g|      (Cauchy and Schwarz)
//! ```
//!
//! The second is for a standardised column, whose squares add up to the number `n` of its rows.

use super::config::Config;
use super::loss::DISTANCE_BITS;
use super::network::Loss;
use super::scaling::REACH;
use super::schedule::Plan;
use super::sizes::Sizes;

/// Bits of what may be truncated.
pub const WORD_BITS: u32 = 62;
/// The most bits after the point of what a short batch is brought to a full one by: its sum grows
/// by no more.
const RATIO_BITS: u32 = 8;
/// Bits of an output that is compared: the difference of two has one more, and all have the sign.
const COMPARED_BITS: u32 = 30;

/// What bounds follow from.
#[derive(Clone, Copy, Debug)]
pub struct Room<'r> {
    /// The loss.
    pub loss: Loss,
    /// The configuration.
    pub config: &'r Config,
    /// Sizes of the data.
    pub sizes: Sizes,
    /// Batches.
    pub plan: &'r Plan,
}

impl Room<'_> {
    const fn frac_bits(&self) -> u32 {
        self.config.arithmetic.frac_bits
    }

    /// Bits of the magnitude of a feature, at most.
    #[must_use]
    pub fn feature_bits(&self) -> u32 {
        let Sizes { rows, standardised, feature_bits, .. } = self.sizes;
        if standardised == 0 {
            return feature_bits;
        }
        // No value of `n` is further than `sqrt(n)` deviations from their mean.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let reach = ceil_log2(REACH as usize);
        self.frac_bits() + reach.max(ceil_log2(rows).div_ceil(2))
    }

    /// Bits of the magnitude of a target, at most. The products of a standardised column with
    /// standardised targets add up to its rows: they have room beside those with outputs.
    const fn target_bits(&self) -> u32 {
        if self.sizes.standardises_targets() { 0 } else { self.sizes.target_bits }
    }

    /// Bits that the sum over a batch has beside those of a gradient.
    fn sum_bits(&self) -> u32 {
        let Sizes { rows, standardised, mixed, .. } = self.sizes;
        let batch = ceil_log2(self.plan.batch_rows());
        if standardised > 0 && !mixed {
            return self.frac_bits() + (ceil_log2(rows) + batch).div_ceil(2);
        }
        // A bias is the weight of a feature that is always 1.
        self.feature_bits().max(self.frac_bits()) + batch
    }

    /// Bits of a distance to a target for which the loss of an epoch, with `f` fraction bits, has
    /// room.
    fn loss_bits(&self) -> u32 {
        (u64::BITS + self.frac_bits()).saturating_sub(ceil_log2(self.sizes.rows)) / 2
    }

    /// Bits that sums with momentum have more: of the ratio of a short last batch, and because
    /// what is kept is up to `1 / (1 - momentum)` of them.
    fn momentum_bits(&self) -> u32 {
        let momentum = self.plan.momentum().to_f64();
        if momentum <= 0.0 {
            return 0;
        }
        let short = !self.plan.rows().is_multiple_of(self.plan.batch_rows());
        // Below 1; 2^-17 away from it at most, by its scale.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let kept = (1.0 / (1.0 - momentum).max(1e-6)).log2().ceil() as u32;
        kept + if short { RATIO_BITS } else { 0 }
    }

    /// Bits of the magnitude of an output, at most: what is computed with it has room. `None` if
    /// not even outputs of 1 have.
    ///
    /// The gradient of squared errors is the distance to a target; that of other losses is at
    /// most 1.
    #[must_use]
    pub fn output_bits(&self) -> Option<u32> {
        let taken = self.sum_bits().saturating_add(self.momentum_bits());
        let room = WORD_BITS.saturating_sub(taken);
        let bits = match self.loss {
            // A distance has one bit more.
            Loss::SquaredError if room > self.target_bits() => {
                (room - 1).min(DISTANCE_BITS).min(self.loss_bits() - 1)
            }
            Loss::SquaredError => 0,
            _ if room >= self.frac_bits() => COMPARED_BITS,
            _ => 0,
        };
        (bits >= self.frac_bits()).then_some(bits)
    }

    /// Bits of the magnitude of a weight of the first layer, at most: the sum of its products with
    /// all features has room.
    #[must_use]
    pub fn weight_bits(&self) -> u32 {
        let taken = ceil_log2(self.sizes.features).saturating_add(self.feature_bits());
        WORD_BITS.saturating_sub(taken)
    }
}

/// Bits of a count, rounded up.
fn ceil_log2(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

/// `full / rows`, rounded to 8 bits after the point, in as few as say the same.
#[must_use]
pub fn ratio(full: usize, rows: usize) -> (u64, u32) {
    let (full, rows, bits) = (full as u64, rows.max(1) as u64, RATIO_BITS);
    let rounded = ((full << (bits + 1)) / rows).div_ceil(2);
    let zeros = rounded.trailing_zeros().min(bits);
    (rounded >> zeros, bits - zeros)
}
