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
use super::state::{Data, Seen, State};
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
    /// A weight has grown too large.
    #[error(
        "training diverges after step {step}: a weight has reached {limit}; take a smaller \
         `training.learning_rate`"
    )]
    Diverged {
        /// Steps that were made.
        step: usize,
        /// The limit.
        limit: f64,
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
            (Session::Check(step), Seen::TooLarge(true)) => {
                return Err(PlainError::Diverged {
                    step,
                    limit: course.config().stop.largest_weight,
                });
            }
            _ => {}
        }
    }
    Ok((state.model, curve))
}

/// Trains the float baseline on the same rows. Inputs and targets are the twin's words.
///
/// # Errors
/// [`PlainError`].
pub fn baseline(
    course: &Course,
    train: &Data,
    test: &Data,
    watch: &mut dyn FnMut(&Epoch),
) -> Result<(Parameters<f64>, Curve), PlainError> {
    let bits = course.frac_bits();
    let whole = samples(course, train)?;
    let trained = whole.subset(&course.train_rows()).map_err(FloatError::from)?;
    let rows: Vec<u32> =
        course.test_rows().iter().filter_map(|&row| u32::try_from(row).ok()).collect();
    let tested = if rows.is_empty() {
        None
    } else if course.tests_held_out() {
        Some(whole.subset(&rows).map_err(FloatError::from)?)
    } else {
        Some(samples(course, test)?)
    };
    let start = initial(course.network(), bits, course.config().training.seed)
        .map_err(CourseError::from)?
        .to_f64(bits);
    let network = course.network();
    Ok(float::train(network, start, course.plan(), &trained, tested.as_ref(), watch)?)
}

/// Words as the baseline takes them: what the servers train on, and no more exact.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn samples(course: &Course, data: &Data) -> Result<Samples, FloatError> {
    let unit = libm::scalbn(1.0, course.frac_bits().cast_signed());
    let values = |words: &[u64]| {
        words.iter().map(|word| (word.cast_signed() as f64 / unit) as f32).collect::<Vec<f32>>()
    };
    let Sizes { features, targets, .. } = course.sizes();
    Ok(Samples::new(features, values(&data.inputs), targets, values(&data.targets))?)
}

/// A model's words as numbers.
#[must_use]
pub fn numbers(model: &Model, frac_bits: u32) -> Parameters<f64> {
    let words = Parameters { layers: model.parameters.clone() };
    words.map(|word| word.cast_signed()).to_f64(frac_bits)
}
