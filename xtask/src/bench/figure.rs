//! What is measured.

/// A figure with its name and unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Path-like: `mps2-an386/ad01/online_instructions`.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
}

impl Figure {
    #[allow(clippy::cast_precision_loss)]
    /// A whole number.
    pub fn count(name: String, value: u64, unit: &str) -> Self {
        Self { name, value: value as f64, unit: unit.to_owned() }
    }
}
