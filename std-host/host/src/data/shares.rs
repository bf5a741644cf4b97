//! A table in fixed point, split between two servers.
//!
//! The words are the features, row-major, behind them the labels, row-major, and, if they are to be
//! standardised, what scales each column ([`sharelet_train::scaling`]), in `Z_2^64`. They are cut
//! into pieces of [`PIECE_ELEMS`]; piece `n` is split as session `n` of a fresh 32-byte seed.
//! Server 0 gets the seed, server 1 the words minus the keystream.

use sharelet_core::fixed::{self, FixedError};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::share;

use super::description::MAX_FRAC_BITS;
use super::error::DataError;
use super::table::Table;
use sharelet_train::labels::Labels;
use sharelet_train::scaling;

/// Words of a piece; the last one of an upload may be shorter.
pub const PIECE_ELEMS: usize = 1 << 16;

/// Features and labels as fixed-point words.
pub struct Encoded {
    words: Vec<u64>,
}

impl core::fmt::Debug for Encoded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Encoded({} words, <redacted>)", self.words.len())
    }
}

impl Encoded {
    /// The words: features, labels, scaling.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }
}

/// The magnitude at which fixed-point words end: `2^(32 - frac_bits)`, and `2^(43 - frac_bits)` of
/// those that are standardised.
#[must_use]
pub fn range(frac_bits: u8, standardised: bool) -> u64 {
    1_u64 << bits(standardised).saturating_sub(frac_bits.into())
}

const fn bits(standardised: bool) -> u32 {
    if standardised { scaling::INPUT_BITS } else { scaling::PLAIN_BITS }
}

/// Bits of the largest magnitude of a feature and of a label, in units of the last place; 0 of
/// standardised ones, of which it is not told.
#[must_use]
pub fn magnitude_bits(table: &Table, frac_bits: u8) -> [u8; 2] {
    let numbers = matches!(table.labels, Labels::Numbers { .. });
    let columns = [(&table.features, true), (&table.targets, numbers)];
    columns.map(|(values, scales)| {
        if table.standardised && scales {
            return 0;
        }
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        // A finite number below 2^43 units.
        #[allow(clippy::cast_possible_truncation)]
        let bits = largest.log2().floor().clamp(-64.0, 64.0) as i32 + 1 + i32::from(frac_bits);
        u8::try_from(bits.clamp(0, 64)).unwrap_or(0)
    })
}

/// Encodes features and labels with `frac_bits` fraction bits, to nearest, halves away from zero.
///
/// # Errors
/// [`DataError::OutOfRange`] names the first cell whose magnitude reaches [`range`];
/// [`DataError::FracBits`].
pub fn encode(table: &Table, frac_bits: u8) -> Result<Encoded, DataError> {
    if !(1..=MAX_FRAC_BITS).contains(&frac_bits) {
        return Err(DataError::FracBits { found: frac_bits, most: MAX_FRAC_BITS });
    }
    let features = table.features.len();
    let mut words = vec![0; features + table.targets.len()];
    let (feature_words, target_words) = words.split_at_mut(features);
    let place = |from: usize, error: FixedError| match error {
        FixedError::NotFinite { index } => {
            DataError::NotFinite { place: table.place(from + index) }
        }
        FixedError::OutOfRange { index } => DataError::OutOfRange {
            place: table.place(from + index),
            limit: range(frac_bits, table.standardised),
            frac_bits,
        },
        _ => DataError::Empty { path: table.path.clone() },
    };
    let limit = (1_u64 << bits(table.standardised)) - 1;
    fixed::encode(&table.features, frac_bits, limit, feature_words)
        .map_err(|error| place(0, error))?;
    let numbers = matches!(table.labels, Labels::Numbers { .. });
    // Served answers have twice the fraction bits.
    let most = 1_u64 << (scaling::ANSWER_BITS - u32::from(frac_bits));
    let limit = if table.standardised && numbers { limit.min(most - 1) } else { limit };
    fixed::encode(&table.targets, frac_bits, limit, target_words)
        .map_err(|error| place(features, error))?;
    if table.standardised {
        let targets = if numbers { table.labels.per_row() } else { 0 };
        for column in 0..table.columns.len() + targets {
            let scaling = scaling::of_column(table.standardised_column(column), frac_bits.into());
            words.extend(scaling.words);
            let name = table.columns.iter().chain(&table.label_columns).nth(column);
            if let Some(name) = name.filter(|_| scaling.narrow) {
                tracing::warn!(
                    "{}: column `{name}`: its values differ by too little to be told apart with \
                     {frac_bits} fraction bits. In a test set, or for an owner of fewer rows than \
                     another, that does not matter: others' rows set the scale. In data to train \
                     on the column has no weight: multiply it by 1000 or more, leave it out with \
                     --columns, or take more with --frac-bits",
                    table.path.display()
                );
            }
        }
    }
    Ok(Encoded { words })
}

/// The owner's seed: drawn for one upload, and given to server 0.
///
/// # Errors
/// [`DataError::Randomness`].
pub fn fresh_seed() -> Result<Key, DataError> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(DataError::Randomness)?;
    Ok(Key::from_bytes(*bytes))
}

/// Server 1's shares of pieces under a seed. A seed splits one upload, and no second one.
#[derive(Debug)]
pub struct Splitter {
    keystream: Keystream<ChaCha12>,
}

impl Splitter {
    /// A splitter under a fresh seed.
    #[must_use]
    pub fn new(seed: &Key) -> Self {
        Self { keystream: Keystream::new(seed) }
    }

    /// Replaces the words of piece `number` by server 1's shares.
    pub fn split(&self, number: u64, words: &mut [u64]) {
        share::split(&self.keystream, number, words);
    }
}

/// Fills `shares` with server 0's shares of all pieces, in order.
pub fn expand(seed: &Key, shares: &mut [u64]) {
    let keystream = Keystream::<ChaCha12>::new(seed);
    for (number, piece) in (0..).zip(shares.chunks_mut(PIECE_ELEMS)) {
        share::expand(&keystream, number, piece);
    }
}
