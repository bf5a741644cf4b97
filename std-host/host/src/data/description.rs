//! What becomes public of an owner's data: both servers see it, and whoever trains on it.

use serde::{Deserialize, Serialize};

use super::name::Name;
use super::openings::Openings;
use sharelet_link::hex::hex;
use sharelet_train::labels::{Labels, MAX_CLASSES};
use sharelet_train::scaling::COLUMN_WORDS;

/// Fraction bits without a wish.
pub const DEFAULT_FRAC_BITS: u8 = 20;
/// Most fraction bits: at least 4 are left before the point.
pub const MAX_FRAC_BITS: u8 = 28;
/// Most columns.
pub const MAX_COLUMNS: usize = 16_384;
/// Most bytes of a column's name.
pub const MAX_NAME_BYTES: usize = 64;
/// Most bytes of the names of all columns, of features and of labels.
pub const MAX_NAMES_BYTES: usize = (MAX_COLUMNS + MAX_CLASSES as usize) * (MAX_NAME_BYTES + 2);

/// Names an upload: drawn at random by the owner, the same at both servers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UploadId([u8; 16]);

impl UploadId {
    /// A fresh id from the operating system.
    ///
    /// # Errors
    /// If it has no randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }
}

impl core::fmt::Display for UploadId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl core::fmt::Debug for UploadId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "UploadId({self})")
    }
}

impl core::str::FromStr for UploadId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "give the 32 hexadecimal digits that `sharelet share` has printed";
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| WRONG)
    }
}

/// An upload, as both servers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Names the upload.
    pub id: UploadId,
    /// The dataset that it is a part of.
    pub dataset: Name,
    /// Who gives it.
    pub owner: Name,
    /// Rows, at least 1.
    pub rows: u64,
    /// Names of the columns of features, at least one.
    pub columns: Vec<String>,
    /// What the labels are.
    pub labels: Labels,
    /// Names of the columns that labels come from: one of binary labels and classes.
    pub label_columns: Vec<String>,
    /// Fraction bits of features and labels.
    pub frac_bits: u8,
    /// Whether each row has a hashed key: then owners give columns, and else rows.
    pub keyed: bool,
    /// Whether features, and labels that are numbers, are standardised before they are used: then
    /// the scaling of each column is behind the rows.
    pub standardised: bool,
    /// Bits of the largest magnitude of a feature, in units of the last place: what sums over many
    /// rows need room for. 0 of standardised features.
    pub feature_bits: u8,
    /// The same of labels.
    pub target_bits: u8,
    /// What may be opened of what is computed on it.
    pub openings: Openings,
}

impl Description {
    /// Words of a row: features, then labels.
    #[must_use]
    pub fn row_elems(&self) -> u64 {
        (self.columns.len() + self.labels.per_row()) as u64
    }

    /// Words of all features and labels, and of their scaling; `None` beyond `u64`.
    #[must_use]
    pub fn elems(&self) -> Option<u64> {
        let scaling = (self.standardised_columns() * COLUMN_WORDS) as u64;
        self.rows.checked_mul(self.row_elems())?.checked_add(scaling)
    }

    /// Columns that are standardised: all features, and labels that are numbers, or none.
    #[must_use]
    pub fn standardised_columns(&self) -> usize {
        match self.labels {
            _ if !self.standardised => 0,
            Labels::Numbers { .. } => self.columns.len() + self.labels.per_row(),
            _ => self.columns.len(),
        }
    }

    /// Whether names and sizes are possible.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let named = |name: &String| {
            (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        let distinct = |names: &[String]| {
            let mut names: Vec<&String> = names.iter().collect();
            names.sort_unstable();
            names.windows(2).all(|pair| pair.first() != pair.last())
        };
        let label_columns = match self.labels {
            Labels::Binary | Labels::Classes { .. } => 1,
            Labels::None | Labels::Numbers { .. } => self.labels.per_row(),
        };
        self.rows > 0
            && (1..=MAX_COLUMNS).contains(&self.columns.len())
            && self.columns.iter().chain(&self.label_columns).all(named)
            && distinct(&self.columns)
            && distinct(&self.label_columns)
            && self.labels.is_valid()
            && self.label_columns.len() == label_columns
            && (1..=MAX_FRAC_BITS).contains(&self.frac_bits)
            && self.feature_bits.max(self.target_bits) <= 64
            && self.elems().is_some_and(|elems| elems.checked_mul(8).is_some())
    }
}
