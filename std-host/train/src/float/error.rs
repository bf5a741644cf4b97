//! Why there is no baseline.

use crate::network::{Loss, NetworkError};

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FloatError {
    /// Layers do not fit each other.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Parameters of another network.
    #[error("the parameters are not those of this network; take both from the same configuration")]
    Parameters,
    /// The data do not fit the network.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// The plan is for other rows.
    #[error("the plan is for {plan} rows, and there are {samples}")]
    Plan {
        /// Rows of the plan.
        plan: usize,
        /// Rows of the data.
        samples: usize,
    },
    /// A loss or weight is infinite or not a number.
    #[error(
        "training has diverged in epoch {epoch}, batch {batch} (from 1): the loss is not finite; \
         take a smaller `training.learning_rate`"
    )]
    Diverged {
        /// From 1.
        epoch: usize,
        /// From 1.
        batch: usize,
    },
}

/// Why rows cannot be trained on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplesError {
    /// Rows and labels are not as many.
    #[error("{rows} rows and {labels} labels; every row needs one label")]
    Count {
        /// Rows.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// Not whole rows, or none.
    #[error("{values} values are not rows of {width}")]
    Rows {
        /// All values.
        values: usize,
        /// Values per row.
        width: usize,
    },
    /// Rows of another width than the network takes.
    #[error("rows of {found} values where the network takes {expected}")]
    Width {
        /// Values that the network takes.
        expected: usize,
        /// Values of a row.
        found: usize,
    },
    /// A label that is not a class.
    #[error("row {row}: the label is not a whole number from 0 to {most}")]
    Class {
        /// From 1.
        row: usize,
        /// The largest class.
        most: usize,
    },
    /// Labels that the loss cannot take.
    #[error("the {loss:?} loss with {outputs} outputs takes {what} as labels")]
    Kind {
        /// The loss.
        loss: Loss,
        /// Outputs of the network.
        outputs: usize,
        /// What it takes.
        what: &'static str,
    },
    /// A row that is not there.
    #[error("there is no row {row}")]
    NoRow {
        /// From 0.
        row: u32,
    },
}
