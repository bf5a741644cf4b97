//! The fields of a configuration.

use serde::{Deserialize, Serialize};
use sharelet_core::functions::engine;

use super::error::FieldError;
use super::model::Model;
use crate::network::Network;

/// The least and the most fraction bits. Below 16, gradients vanish in rounding and nothing is
/// learned; products have twice as many fraction bits, and above 24 too little of a 64-bit word is
/// left for what is before the point. With 24, sums of gradients over a batch stay below `2^14`;
/// with 20, below `2^22`.
pub const FRAC_BITS: core::ops::RangeInclusive<u32> = 16..=24;

/// Rows of a batch, at most.
pub const MAX_BATCH: usize = 1 << 16;

/// A training run. Made by [`Config::load`]; one that is made by hand is checked by
/// [`Config::validate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What is learned from.
    pub data: Data,
    /// What is trained.
    pub model: Model,
    /// How it is trained.
    pub training: Training,
    /// How numbers are represented.
    #[serde(default)]
    pub arithmetic: Arithmetic,
    /// When the state is written.
    #[serde(default)]
    pub checkpoint: Checkpoint,
    /// What is opened.
    #[serde(default)]
    pub open: Open,
    /// When training is given up.
    #[serde(default)]
    pub stop: Stop,
}

/// Names of data sets that both servers hold shares of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The rows that are trained on.
    pub train: String,
    /// The rows that the model is tested on after every epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Instead of `test`: so many rows of `train`, chosen by the seed, that are tested on and not
    /// trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_out: Option<HeldOut>,
}

/// How much of a data set is not trained on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of rows (1000) or a fraction between 0 and 1 (0.1)"
)]
pub enum HeldOut {
    /// Rows.
    Rows(usize),
    /// A fraction of the rows, rounded down to whole rows.
    Fraction(f64),
}

/// The course of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the data.
    pub epochs: usize,
    /// Rows per step. The last batch of an epoch has what is left.
    pub batch: usize,
    /// The learning rate, the first one if there is a schedule.
    pub learning_rate: f64,
    /// `mu` in `v = mu v + (mean gradient + wd w)`, `w -= rate v`.
    #[serde(default)]
    pub momentum: f64,
    /// `wd` in the same: of weights only, not of biases.
    #[serde(default)]
    pub weight_decay: f64,
    /// Of initial weights, the order of rows and the held-out rows. Public.
    #[serde(default)]
    pub seed: u64,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: Schedule,
}

/// How the learning rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// It does not. (Braces: serde lets unknown fields pass where there are none.)
    Constant {},
    /// Times `factor` after every so many epochs.
    Step {
        /// Epochs of one rate.
        epochs: usize,
        /// Above 0, at most 1.
        factor: f64,
    },
    /// Half a cosine from the first to the last step.
    Cosine {
        /// The rate of the last step.
        last: f64,
    },
    /// A straight line from the first to the last step.
    Linear {
        /// The rate of the last step.
        last: f64,
    },
}

/// Fixed point in `Z_2^64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arithmetic {
    /// Bits after the point, in [`FRAC_BITS`].
    pub frac_bits: u32,
    /// How products get back to as many.
    pub truncation: Truncation,
}

/// How a product is brought back to `frac_bits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Truncation {
    /// Up to one unit of the last place too much. Cheaper; private training ends near the twin.
    OneUnit,
    /// Rounded as the twin does: private training is the twin bit for bit.
    Exact,
}

/// When the servers write their shares of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// Batches from one to the next; one is also written at the end.
    pub every: usize,
    /// How many are kept.
    pub keep: usize,
}

/// What is opened. By default nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Open {
    /// The mean loss, after every epoch.
    pub loss: bool,
    /// The fraction of right answers, after every epoch.
    pub accuracy: bool,
    /// The fewest rows that either may be taken over: a mean of few tells of each.
    pub least_rows: usize,
    /// The model, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<OpenModel>,
}

impl Default for Open {
    fn default() -> Self {
        Self { loss: false, accuracy: false, least_rows: 10, model: None }
    }
}

/// Who gets the model in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenModel {
    /// The owner's name.
    pub to: String,
    /// The file's format.
    #[serde(default)]
    pub format: ModelFormat,
}

/// Files that a model is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelFormat {
    /// ONNX, as PyTorch writes it.
    #[default]
    Onnx,
}

/// When training has diverged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// Whether outputs are watched in every step, and weights looked at before every checkpoint and
    /// at the end of an epoch. One bit is opened each time: a limit was passed, or none.
    pub check: bool,
    /// The largest magnitude of a weight or bias.
    pub largest_weight: f64,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant {}
    }
}

impl Default for Arithmetic {
    fn default() -> Self {
        Self { frac_bits: 20, truncation: Truncation::OneUnit }
    }
}

impl Arithmetic {
    /// The truncation, as engines call it.
    #[must_use]
    pub const fn truncation(self) -> engine::Truncation {
        match self.truncation {
            Truncation::OneUnit => engine::Truncation::OneUnit,
            Truncation::Exact => engine::Truncation::Exact,
        }
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { every: 50, keep: 2 }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self { check: true, largest_weight: 1024.0 }
    }
}

impl Config {
    /// The network that is trained on rows of so many values, labels apart.
    ///
    /// # Errors
    /// Names the field if layers do not fit each other, or the data.
    pub fn network(&self, features: usize) -> Result<Network, FieldError> {
        let network = self.model.network(Some(features))?;
        let takes = network.input.elems();
        if takes != features {
            let field = if self.model.name.is_some() { "model.name" } else { "model.input" };
            let reason = format!(
                "takes {takes} values, and rows of the data set `{}` have {features}",
                self.data.train
            );
            return Err(FieldError::new(field, reason));
        }
        Ok(network)
    }
}
