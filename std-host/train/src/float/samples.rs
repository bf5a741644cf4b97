//! Rows with labels, in the clear.

use super::error::{FloatError, SamplesError};
use crate::network::{Loss, Network, NetworkError};
use sharelet_model::readings::Readings;

/// Rows and their labels. `Debug` prints sizes only.
#[derive(Clone)]
pub struct Samples {
    width: usize,
    inputs: Vec<f32>,
    labels: Labels,
}

/// What rows are labelled with. `Debug` prints sizes only.
#[derive(Clone)]
pub enum Labels {
    /// A class per row, from 0.
    Classes(Vec<u32>),
    /// Numbers, so many per row.
    Numbers {
        /// Per row.
        width: usize,
        /// Row by row.
        values: Vec<f32>,
    },
}

/// The label of a row.
#[derive(Clone, Copy)]
pub(super) enum Target<'s> {
    Class(usize),
    Numbers(&'s [f32]),
}

impl core::fmt::Debug for Samples {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Samples({} rows of {}, <redacted>)", self.len(), self.width)
    }
}

impl core::fmt::Debug for Labels {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Labels({} rows, <redacted>)", self.len())
    }
}

impl Labels {
    /// Classes from a file of one number per row.
    ///
    /// # Errors
    /// [`SamplesError`] with the row, if there is more than one number in a row, or one is not a
    /// whole number.
    pub fn classes(readings: &Readings) -> Result<Self, SamplesError> {
        if readings.width() != 1 {
            return Err(SamplesError::Width { expected: 1, found: readings.width() });
        }
        let class = |(row, &value): (usize, &f32)| {
            let whole = value >= 0.0 && value.fract() == 0.0 && value < 16_777_216.0;
            // Whole, and exact in single precision.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            if whole {
                Ok(value as u32)
            } else {
                Err(SamplesError::Class { row: row + 1, most: 16_777_215 })
            }
        };
        Ok(Self::Classes(
            readings.values().iter().enumerate().map(class).collect::<Result<_, _>>()?,
        ))
    }

    /// Rows.
    fn len(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Numbers { width, values } => values.len().checked_div(*width).unwrap_or(0),
        }
    }
}

impl Samples {
    /// Rows of `width` values with a label each.
    ///
    /// # Errors
    /// If they are not whole rows, or rows and labels not as many.
    pub fn new(width: usize, inputs: Vec<f32>, labels: Labels) -> Result<Self, SamplesError> {
        let rows = inputs.len().checked_div(width).unwrap_or(0);
        if rows == 0 || rows * width != inputs.len() {
            return Err(SamplesError::Rows { values: inputs.len(), width });
        }
        if let Labels::Numbers { width, values } = &labels
            && (*width == 0 || !values.len().is_multiple_of(*width))
        {
            return Err(SamplesError::Rows { values: values.len(), width: *width });
        }
        if labels.len() != rows {
            return Err(SamplesError::Count { rows, labels: labels.len() });
        }
        Ok(Self { width, inputs, labels })
    }

    /// Rows, at least 1.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.inputs.len() / self.width
    }

    /// Values per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values, row by row.
    #[must_use]
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Some of the rows, for example of a [`crate::schedule::Split`].
    ///
    /// # Errors
    /// If one is not there, or none is asked for.
    pub fn subset(&self, rows: &[u32]) -> Result<Self, SamplesError> {
        let mut inputs = Vec::with_capacity(rows.len() * self.width);
        let mut classes = Vec::new();
        let mut numbers = Vec::new();
        for &row in rows {
            inputs.extend_from_slice(self.row(row)?);
            match self.target(row)? {
                // It was one before.
                #[allow(clippy::cast_possible_truncation)]
                Target::Class(class) => classes.push(class as u32),
                Target::Numbers(values) => numbers.extend_from_slice(values),
            }
        }
        let labels = match self.labels {
            Labels::Classes(_) => Labels::Classes(classes),
            Labels::Numbers { width, .. } => Labels::Numbers { width, values: numbers },
        };
        Self::new(self.width, inputs, labels)
    }

    /// Whether a network takes these rows, and its loss these labels.
    ///
    /// # Errors
    /// Names the row of a label that it does not take.
    pub fn check(&self, network: &Network) -> Result<(), FloatError> {
        let outputs = self.check_inputs(network)?;
        let loss = network.loss;
        let kind = |what| FloatError::Samples(SamplesError::Kind { loss, outputs, what });
        let below = |classes: &[u32], limit: usize| match classes
            .iter()
            .position(|&class| class as usize >= limit)
        {
            Some(position) => {
                Err(FloatError::Samples(SamplesError::Class { row: position + 1, most: limit - 1 }))
            }
            None => Ok(()),
        };
        match (loss, &self.labels) {
            (Loss::CrossEntropy, Labels::Classes(classes)) => below(classes, outputs),
            (Loss::CrossEntropy, Labels::Numbers { .. }) => Err(kind("classes")),
            (Loss::SquaredError, Labels::Classes(classes)) if outputs > 1 => {
                below(classes, outputs)
            }
            (Loss::SquaredError, Labels::Numbers { width, .. }) if *width == outputs => Ok(()),
            (Loss::SquaredError, _) => {
                Err(kind("as many numbers per row (or, from two outputs on, classes)"))
            }
            (Loss::Logistic | Loss::Hinge, Labels::Classes(classes)) => below(classes, 2),
            (Loss::Logistic | Loss::Hinge, Labels::Numbers { .. }) => Err(kind("classes 0 and 1")),
        }
    }

    /// The same for rows only. Gives the outputs of the network.
    pub(super) fn check_inputs(&self, network: &Network) -> Result<usize, FloatError> {
        let shapes = network.shapes()?;
        let expected = network.input.elems();
        if self.width != expected {
            return Err(SamplesError::Width { expected, found: self.width }.into());
        }
        Ok(shapes.last().ok_or(NetworkError::NoWeights)?.elems())
    }

    pub(super) fn all_rows(&self) -> Vec<u32> {
        (0..u32::try_from(self.len()).unwrap_or(u32::MAX)).collect()
    }

    fn row(&self, row: u32) -> Result<&[f32], SamplesError> {
        let start = (row as usize).saturating_mul(self.width);
        self.inputs.get(start..start.saturating_add(self.width)).ok_or(SamplesError::NoRow { row })
    }

    /// Rows one after the other, in double precision.
    pub(super) fn inputs_of(&self, rows: &[u32]) -> Result<Vec<f64>, SamplesError> {
        let mut values = Vec::with_capacity(rows.len() * self.width);
        for &row in rows {
            values.extend(self.row(row)?.iter().copied().map(f64::from));
        }
        Ok(values)
    }

    pub(super) fn target(&self, row: u32) -> Result<Target<'_>, SamplesError> {
        let index = row as usize;
        let target = match &self.labels {
            Labels::Classes(classes) => {
                classes.get(index).map(|&class| Target::Class(class as usize))
            }
            Labels::Numbers { width, values } => values
                .get(index.saturating_mul(*width)..index.saturating_add(1).saturating_mul(*width))
                .map(Target::Numbers),
        };
        target.ok_or(SamplesError::NoRow { row })
    }
}
