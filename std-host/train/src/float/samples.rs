//! Rows with labels, in the clear.

use super::error::{FloatError, SamplesError};
use crate::network::{Network, NetworkError};

/// Rows and their labels, as many numbers per row as the network has outputs. `Debug` prints sizes
/// only.
#[derive(Clone)]
pub struct Samples {
    width: usize,
    inputs: Vec<f32>,
    columns: usize,
    targets: Vec<f32>,
}

impl core::fmt::Debug for Samples {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Samples({} rows of {}, <redacted>)", self.len(), self.width)
    }
}

impl Samples {
    /// Rows of `width` values with `columns` numbers as a label each.
    ///
    /// # Errors
    /// If they are not whole rows, or rows and labels not as many.
    pub fn new(
        width: usize,
        inputs: Vec<f32>,
        columns: usize,
        targets: Vec<f32>,
    ) -> Result<Self, SamplesError> {
        let rows = |values: usize, width: usize| match values.checked_div(width) {
            Some(rows @ 1..) if rows * width == values => Ok(rows),
            _ => Err(SamplesError::Rows { values, width }),
        };
        let (rows, labels) = (rows(inputs.len(), width)?, rows(targets.len(), columns)?);
        if labels != rows {
            return Err(SamplesError::Count { rows, labels });
        }
        Ok(Self { width, inputs, columns, targets })
    }

    /// Rows with one of `classes` as a label each: a 1 in as many zeros. Of two classes one number
    /// is enough: the class itself.
    ///
    /// # Errors
    /// As [`Samples::new`].
    pub fn of_classes(
        width: usize,
        inputs: Vec<f32>,
        classes: usize,
        labels: &[usize],
    ) -> Result<Self, SamplesError> {
        let first = usize::from(classes == 1);
        let own = |&label: &usize| {
            (first..first + classes).map(move |class| f32::from(u8::from(label == class)))
        };
        Self::new(width, inputs, classes, labels.iter().flat_map(own).collect())
    }

    /// Rows, at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.inputs.len() / self.width
    }

    /// All values, row by row.
    #[must_use]
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// Some of the rows, for example of a [`crate::schedule::Split`].
    ///
    /// # Errors
    /// If one is not there, or none is asked for.
    pub fn subset(&self, rows: &[u32]) -> Result<Self, SamplesError> {
        let (mut inputs, mut targets) = (Vec::new(), Vec::new());
        for &row in rows {
            let (input, target) = self.row(row)?;
            inputs.extend_from_slice(input);
            targets.extend_from_slice(target);
        }
        Self::new(self.width, inputs, self.columns, targets)
    }

    /// Whether a network takes these rows, and gives as many outputs as labels have numbers.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn check(&self, network: &Network) -> Result<(), FloatError> {
        let outputs = network.shapes()?.last().ok_or(NetworkError::NoWeights)?.elems();
        for (what, expected, found) in
            [("rows", network.input.elems(), self.width), ("labels", outputs, self.columns)]
        {
            if found != expected {
                return Err(SamplesError::Width { what, expected, found }.into());
            }
        }
        Ok(())
    }

    /// Numbers of a label.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn all_rows(&self) -> Vec<u32> {
        (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).collect()
    }

    /// A row and its label.
    pub(super) fn row(&self, row: u32) -> Result<(&[f32], &[f32]), SamplesError> {
        let part = |width: usize| {
            let start = (row as usize).saturating_mul(width);
            start..start.saturating_add(width)
        };
        let (inputs, targets) =
            (self.inputs.get(part(self.width)), self.targets.get(part(self.columns)));
        inputs.zip(targets).ok_or(SamplesError::NoRow(row))
    }

    /// Rows one after the other, in double precision.
    pub(super) fn inputs_of(&self, rows: &[u32]) -> Result<Vec<f64>, SamplesError> {
        let mut values = Vec::with_capacity(rows.len() * self.width);
        for &row in rows {
            values.extend(self.row(row)?.0.iter().copied().map(f64::from));
        }
        Ok(values)
    }
}
