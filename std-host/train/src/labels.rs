//! Labels as they are shared: numbers, 0 or 1, or one 1 in as many zeros as there are classes.

use serde::{Deserialize, Serialize};

/// Most classes.
pub const MAX_CLASSES: u32 = 10_000;

/// The labels of a dataset: public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Labels {
    /// There are none.
    None,
    /// Numbers, so many per row.
    Numbers {
        /// Numbers per row, at least 1.
        per_row: u32,
    },
    /// One word per row, 0 or 1 in fixed point.
    Binary,
    /// So many words per row: 1 in fixed point at the class, 0 elsewhere.
    Classes {
        /// Classes, at least 2.
        classes: u32,
    },
}

impl Labels {
    /// Words per row.
    #[must_use]
    pub fn per_row(self) -> usize {
        match self {
            Self::None => 0,
            Self::Binary => 1,
            Self::Numbers { per_row: words } | Self::Classes { classes: words } => words as usize,
        }
    }

    /// Whether the sizes are possible.
    #[must_use]
    pub fn is_valid(self) -> bool {
        match self {
            Self::None | Self::Binary => true,
            Self::Numbers { per_row } => (1..=MAX_CLASSES).contains(&per_row),
            Self::Classes { classes } => (2..=MAX_CLASSES).contains(&classes),
        }
    }
}

impl core::fmt::Display for Labels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::None => f.write_str("no labels"),
            Self::Numbers { per_row: 1 } => f.write_str("numbers as labels"),
            Self::Numbers { per_row } => write!(f, "{per_row} numbers per row as labels"),
            Self::Binary => f.write_str("binary labels"),
            Self::Classes { classes } => write!(f, "{classes} classes"),
        }
    }
}
