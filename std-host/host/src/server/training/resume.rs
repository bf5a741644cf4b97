//! What a run goes on from: checkpoints that are whole, are of this run, and are held by both
//! servers.

use std::path::Path;

use crate::store::training::{Checkpoints, Header, Share, TrainingError};
use sharelet_train::config::Config;
use sharelet_train::course::Course;
use sharelet_train::curve::Curve;
use sharelet_train::scaling::COLUMN_WORDS;
use sharelet_train::state::State;

/// Digests of the data that a run learns from and is tested on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHashes {
    /// See [`Header::train`].
    pub train: [u8; 32],
    /// See [`Header::test`].
    pub test: Option<[u8; 32]>,
}

/// The run whose checkpoints are there, and the steps after which they were made, ascending.
pub type Held = ([u8; 16], Vec<u64>);

/// Checkpoints that a run can go on from: those of the run of the newest that is whole. `None` if
/// there are none.
///
/// # Errors
/// [`TrainingError::Other`] if the newest is of another configuration or other data,
/// [`TrainingError::Damaged`] if all are damaged, [`TrainingError::OtherParty`] and
/// [`TrainingError::Version`] for any.
pub fn held(
    checkpoints: &Checkpoints,
    course: &Course,
    data: DataHashes,
) -> Result<Option<Held>, TrainingError> {
    let (mut held, mut damaged) = (None::<Held>, None);
    for step in checkpoints.steps().into_iter().rev() {
        let header = match checkpoints.load(step) {
            Ok(share) => share.header,
            Err(error @ TrainingError::Damaged { .. }) => {
                tracing::warn!("{error}");
                damaged = damaged.or(Some(error));
                continue;
            }
            Err(error) => return Err(error),
        };
        let (run, steps) = held.get_or_insert_with(|| (header.run, Vec::new()));
        if *run == header.run {
            fits(&checkpoints.path(step), &header, course, data)?;
            steps.insert(0, step);
        }
    }
    match (held, damaged) {
        (None, Some(error)) => Err(error),
        (held, _) => Ok(held),
    }
}

/// Whether a checkpoint is of this configuration, up to what may change, and of this data.
fn fits(
    path: &Path,
    header: &Header,
    course: &Course,
    data: DataHashes,
) -> Result<(), TrainingError> {
    let other = |reason: String| Err(TrainingError::Other { path: path.to_owned(), reason });
    let before = match Config::parse(&header.config, path) {
        Ok(before) => before,
        Err(error) => return other(error.to_string()),
    };
    match course.config().changed_since(&before) {
        Ok(None) => {}
        Ok(Some(difference)) => return other(difference.since()),
        Err(error) => return other(error.to_string()),
    }
    let name = &course.config().data.train;
    if data.train != header.train || header.sizes != course.sizes() {
        return other(format!("data set `{name}` has changed since"));
    }
    if data.test != header.test {
        let name = course.config().data.test.as_ref().unwrap_or(name);
        return other(format!("data set `{name}` has changed since"));
    }
    Ok(())
}

/// The run whose finished model lies here, if it is the one that would go on: of exactly this
/// configuration and data, and of the run of the checkpoints, if there are some. A model that an
/// earlier run left is none.
#[must_use]
pub fn finished(
    checkpoints: &Checkpoints,
    course: &Course,
    data: DataHashes,
    held: Option<&Held>,
) -> Option<(Share, [u8; 16])> {
    let path = checkpoints.model();
    let share = Share::load(&path).ok()?;
    fits(&path, &share.header, course, data).ok()?;
    let run = share.header.run;
    let ends = share.header.step == course.plan().steps() as u64
        // What may change within a run has not changed since its end.
        && course.config().text().is_ok_and(|text| text == share.header.config)
        && held.is_none_or(|(of_checkpoints, _)| *of_checkpoints == run);
    ends.then_some((share, run))
}

/// The latest step of one run that both have a checkpoint of.
#[must_use]
pub fn common(ours: Option<&Held>, theirs: Option<&Held>) -> Option<u64> {
    match (ours, theirs) {
        (Some((run, steps)), Some((other, others))) if run == other => {
            steps.iter().rev().find(|step| others.contains(step)).copied()
        }
        _ => None,
    }
}

/// Takes up a checkpoint's words: the model, then the sums of the epoch. The scaling behind them is
/// that of the data, whose digest was compared.
///
/// # Errors
/// [`TrainingError::Damaged`] if they are not as many as the model's.
pub fn restore(state: &mut State, share: &Share, path: &Path) -> Result<Curve, TrainingError> {
    let damaged = || TrainingError::Damaged { path: path.to_owned() };
    let model = state.model.words().count();
    let (words, behind) = share.words.split_at_checked(model).ok_or_else(damaged)?;
    let (sums, scaling) = behind.split_first_chunk::<2>().ok_or_else(damaged)?;
    if scaling.len() != share.header.sizes.standardised * COLUMN_WORDS {
        return Err(damaged());
    }
    let [loss, correct] = sums;
    state.model.words_mut().zip(words).for_each(|(word, share)| *word = *share);
    (state.sums.loss, state.sums.correct) = (*loss, *correct);
    postcard::from_bytes(&share.header.curve).map_err(|_| damaged())
}
