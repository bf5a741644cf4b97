//! Sizes of the data of a training run.

/// The sizes of the data, public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sizes {
    /// Rows of the data set to train on, held-out ones included.
    pub rows: usize,
    /// Features of a row.
    pub features: usize,
    /// Words of a label.
    pub targets: usize,
    /// Rows of the data set to test on; 0 without.
    pub test_rows: usize,
    /// How many columns are standardised under sharing: none, all features, or all features and
    /// all targets.
    pub standardised: usize,
    /// Whether there are rows to train on of others than those whose scaling it is.
    pub mixed: bool,
    /// Bits of the largest magnitude of a feature, in units of the last place; not used of
    /// standardised ones.
    pub feature_bits: u32,
    /// The same of targets.
    pub target_bits: u32,
}

impl Sizes {
    /// Whether targets are standardised.
    #[must_use]
    pub const fn standardises_targets(&self) -> bool {
        self.standardised > self.features
    }

    /// Whether all of the features are standardised, or none, and all of the targets or none.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let all = self.features.checked_add(self.targets);
        self.feature_bits.max(self.target_bits) <= u64::BITS
            && (self.standardised == 0
                || self.standardised == self.features
                || Some(self.standardised) == all)
    }
}
