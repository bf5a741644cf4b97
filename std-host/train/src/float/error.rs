//! Why there is no baseline.

use crate::kernel::SizeError;
use crate::network::NetworkError;

/// Why there is no baseline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FloatError {
    /// Layers do not fit each other.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Sizes of a layer that are not computed.
    #[error(transparent)]
    Size(#[from] SizeError),
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
    /// Rows or labels of another width than the network has.
    #[error("{what} of {found} values where the network has {expected}")]
    Width {
        /// Which of them.
        what: &'static str,
        /// Inputs or outputs of the network.
        expected: usize,
        /// Values of a row or label.
        found: usize,
    },
    /// A row, from 0, that is not there.
    #[error("there is no row {0}")]
    NoRow(u32),
}
