//! Training in plaintext: the twin, on the same integers as the servers, and the float baseline
//! beside it.

use core::convert::Infallible;
use std::sync::Arc;

use sharelet_core::functions::engine::EngineError;

use super::course::{Course, CourseError, Session, Sizes};
use super::curve::{Curve, Epoch, means};
use super::float::{self, FloatError, Samples};
use super::initial::initial;
use super::model::Model;
use super::parameters::Parameters;
use super::scaling::{self, COLUMN_WORDS, REACH};
use super::state::{Data, Seen, State};
use crate::labels::Labels;
use crate::tensor::{self, offline};

/// Why there is no training in plaintext.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// The course.
    #[error(transparent)]
    Course(#[from] CourseError),
    /// The twin.
    #[error("the twin cannot run: {0}")]
    Engine(#[from] EngineError<Infallible>),
    /// The baseline.
    #[error(transparent)]
    Float(#[from] FloatError),
    /// A value of the data to test on.
    #[error(
        "a value of the data to test on is more than {REACH} standard deviations away from the \
         mean of its column in the data to train on; test on data of the same kind and units"
    )]
    Beyond,
    /// A weight has grown too large.
    #[error(
        "training diverges by step {step}: {what}; take a smaller `training.learning_rate`, and \
         standardised data"
    )]
    Diverged {
        /// Steps that were made.
        step: usize,
        /// What has grown.
        what: String,
    },
}

/// Trains the twin; `watch` sees every epoch of which something may be opened.
///
/// # Errors
/// [`PlainError`].
pub fn twin(
    course: &Arc<Course>,
    train: Data,
    test: Data,
    watch: &mut dyn FnMut(&Epoch),
) -> Result<(Model, Curve), PlainError> {
    let mut state = State::new(course.clone(), train, test).map_err(CourseError::from)?;
    state.begin(true).map_err(CourseError::from)?;
    let mut curve = Curve::default();
    for session in course.sessions(0) {
        let (seen, ..) = offline::run(&mut state.turn(session), tensor::twin(course.truncation()))?;
        match (session, seen) {
            (Session::Report(number), Seen::Epoch { train, test }) => {
                let epoch =
                    course.epoch(number, means(train, course.plan().rows(), course.frac_bits()), {
                        means(test, course.test_rows().len(), course.frac_bits())
                    });
                watch(&epoch);
                curve.0.push(epoch);
            }
            (_, Seen::Beyond(true)) => return Err(PlainError::Beyond),
            (Session::Check(step), Seen::TooLarge(true)) => {
                return Err(PlainError::Diverged { step, what: course.limits() });
            }
            _ => {}
        }
    }
    Ok((state.model, curve))
}

/// Trains the float baseline on the same rows. Inputs and targets are the twin's words. Of labels
/// that are numbers none is right or wrong.
///
/// # Errors
/// [`PlainError`].
pub fn baseline(
    course: &Course,
    (train, test): (&Data, &Data),
    labels: Labels,
    watch: &mut dyn FnMut(&Epoch),
) -> Result<(Parameters<f64>, Curve), PlainError> {
    let bits = course.frac_bits();
    let whole = samples(course, train, &train.scaling)?;
    let trained = whole.subset(&course.train_rows()).map_err(FloatError::from)?;
    let rows: Vec<u32> =
        course.test_rows().iter().filter_map(|&row| u32::try_from(row).ok()).collect();
    let tested = if rows.is_empty() {
        None
    } else if course.tests_held_out() {
        Some(whole.subset(&rows).map_err(FloatError::from)?)
    } else {
        Some(samples(course, test, &train.scaling)?)
    };
    let start = initial(course.network(), bits, course.config().training.seed)
        .map_err(CourseError::from)?
        .to_f64(bits);
    let (network, numbers) = (course.network(), matches!(labels, Labels::Numbers { .. }));
    let seen = |epoch: &Epoch| match numbers {
        true => Epoch { train_accuracy: None, test_accuracy: None, ..*epoch },
        false => *epoch,
    };
    let watch = |epoch: &Epoch| watch(&seen(epoch));
    let (parameters, curve) =
        float::train(network, start, course.plan(), &trained, tested.as_ref(), watch)?;
    Ok((parameters, Curve(curve.0.iter().map(seen).collect())))
}

/// Words as the baseline takes them: what the servers train on, and no more exact.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn samples(
    course: &Course,
    data: &Data,
    columns: &[[u64; COLUMN_WORDS]],
) -> Result<Samples, FloatError> {
    let bits = course.frac_bits();
    let unit = libm::scalbn(1.0, bits.cast_signed());
    let Sizes { features, targets, .. } = course.sizes();
    let scaled: Vec<_> = columns.iter().map(|column| scaling::numbers(*column, bits)).collect();
    let values = |words: &[u64], columns: &[(f64, f64)]| -> Vec<f32> {
        let plain = [(0.0, 1.0)];
        let columns = if columns.is_empty() { &plain[..] } else { columns };
        let value = |(word, (mean, factor)): (&u64, &(f64, f64))| {
            ((word.cast_signed() as f64 / unit - mean) * factor) as f32
        };
        words.iter().zip(columns.iter().cycle()).map(value).collect()
    };
    let (of_inputs, of_targets) = scaled.split_at(features.min(scaled.len()));
    let inputs = values(&data.inputs, of_inputs);
    Ok(Samples::new(features, inputs, targets, values(&data.targets, of_targets))?)
}

/// A model's words as numbers.
#[must_use]
pub fn numbers(model: &Model, frac_bits: u32) -> Parameters<f64> {
    let words = Parameters { layers: model.parameters.clone() };
    words.map(|word| word.cast_signed()).to_f64(frac_bits)
}
