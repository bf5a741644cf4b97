//! The check of a refusal: at the beginning, by all engines alike.

use sharelet_core::functions::engine::EngineError;
use sharelet_core::step::StepError;

use super::data::Data;
use super::function::Function;
use super::link::End;
use super::run::Runs;

const DEALT_BYTES: usize = 1 << 20;
const WORK_BYTES: usize = 1 << 16;

/// What `P1` says, after a check that it did nothing, and that the dealer and the twin say the
/// same.
pub fn refused<R: Runs>(function: &Function, data: &Data<R>) -> StepError {
    let dealt = vec![0; DEALT_BYTES];
    let case =
        format!("{function:?}, k = {}, {} of x, {} of y", R::BITS, data.x.len(), data.y.len());
    let (done, end, left_bytes) =
        R::alone(function, &mut data.clone(), End::Nobody(0), &dealt, WORK_BYTES);
    let Err(EngineError::Step(error)) = done else { panic!("{case}: {done:?}, {end:?}") };
    assert!(matches!(end, End::Nobody(0)), "{case}: {error:?}, but a message was sent");
    assert_eq!(left_bytes, DEALT_BYTES, "{case}: correlations were spent");
    assert_eq!(R::count(function, data), Err(error), "{case}: counting");
    assert_eq!(R::twin(function, data.clone()).err(), Some(error), "{case}: the twin");
    error
}

/// Serves a call, or refuses it; whichever, without a panic, and with a refusal before anything
/// else.
///
/// # Errors
/// The caller's mistakes.
pub fn any<R: Runs>(function: &Function, data: &Data<R>) -> Result<(), StepError> {
    match R::twin(function, data.clone()) {
        Ok(_) => R::count(function, data).map(|_| ()),
        Err(_) => Err(refused(function, data)),
    }
}
