//! What a participant of a training run holds, and the program of each session on it.
//!
//! A server holds shares, the twin plaintext; the dealer and whoever counts hold zeros, and masks
//! of what was opened.

use std::sync::Arc;

use sharelet_core::correlation::LengthError;

use super::course::{self, Course, Session};
use super::curve::Opened;
use super::forward::{Sized, forward};
use super::loss::{self, Outputs, Sums};
use super::model::Model;
use super::network::NetworkError;
use super::parameters::LayerParameters;
use super::range::{any, beyond, reveal};
use super::scaling::{COLUMN_WORDS, standardise};
use super::step::{Step, open_frozen};
use crate::tensor::{Machine, Masked, Program, Runner, Tensors};

/// Rows that are tested together: what is computed with them is in memory at once.
const TEST_ROWS: usize = 256;

/// Inputs and targets, or shares of them.
#[derive(Default)]
pub struct Data {
    /// Row by row.
    pub inputs: Vec<u64>,
    /// Row by row, with the fraction bits of inputs.
    pub targets: Vec<u64>,
    /// Of the data to train on, if it is to be standardised: that of every column of features, then
    /// of targets that are standardised.
    pub scaling: Vec<[u64; COLUMN_WORDS]>,
}

/// A participant's state.
pub struct State {
    course: Arc<Course>,
    /// The model.
    pub model: Model,
    train: Rows,
    test: Rows,
    scaling: Vec<[u64; COLUMN_WORDS]>,
    /// How many values are beyond reach, or outputs beyond their range, since that was opened.
    beyond: u64,
    /// Of the epoch so far.
    pub sums: Sums,
    test_sums: Sums,
}

/// Rows, and their opening.
#[derive(Default)]
struct Rows {
    unopened: Vec<u64>,
    opened: Option<Arc<Masked>>,
    targets: Arc<Vec<u64>>,
}

redacted!(Data, State, Rows);

/// What a session leaves for both servers to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// Sums of an epoch, as far as they may be opened; with the fraction bits of everything.
    Epoch {
        /// Over its batches.
        train: Opened,
        /// Over the test rows.
        test: Opened,
    },
    /// Whether a weight, or an output, has grown too large.
    TooLarge(bool),
    /// Whether a value is beyond the reach of its column's scaling.
    Beyond(bool),
}

impl State {
    /// The state of a participant with its data.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn new(course: Arc<Course>, mut train: Data, test: Data) -> Result<Self, NetworkError> {
        let scaling = core::mem::take(&mut train.scaling);
        let model = Model::zeros(course.network(), course.has_momentum())?;
        let rows = |data: Data| Rows {
            unopened: data.inputs,
            opened: None,
            targets: Arc::new(data.targets),
        };
        Ok(Self {
            course,
            model,
            train: rows(train),
            test: rows(test),
            scaling,
            beyond: 0,
            sums: Sums::default(),
            test_sums: Sums::default(),
        })
    }

    /// The state of one who has no data.
    ///
    /// # Errors
    /// As [`State::new`].
    pub fn empty(course: Arc<Course>) -> Result<Self, NetworkError> {
        let sizes = course.sizes();
        let zeros = |rows: usize| Data {
            inputs: vec![0; rows * sizes.features],
            targets: vec![0; rows * sizes.targets],
            scaling: vec![[0; COLUMN_WORDS]; sizes.standardised],
        };
        Self::new(course, zeros(sizes.rows), zeros(sizes.test_rows))
    }

    /// The same for another thread: a dealer's, who has opened what is to be opened.
    ///
    /// # Errors
    /// As [`State::new`].
    pub fn beside(&self) -> Result<Self, NetworkError> {
        let rows = |rows: &Rows| Rows {
            unopened: Vec::new(),
            opened: rows.opened.clone(),
            targets: rows.targets.clone(),
        };
        let mut state = Self::new(self.course.clone(), Data::default(), Data::default())?;
        (state.train, state.test) = (rows(&self.train), rows(&self.test));
        Ok(state)
    }

    /// Sets the public initial model: one party holds it, the other zeros.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn begin(&mut self, holds: bool) -> Result<(), NetworkError> {
        let course = &self.course;
        self.model = Model::zeros(course.network(), course.has_momentum())?;
        if holds {
            let initial = super::initial::initial(
                course.network(),
                course.frac_bits(),
                course.config().training.seed,
            )?;
            let words = initial.layers.iter().flat_map(LayerParameters::words);
            self.model
                .words_mut()
                .zip(words)
                .for_each(|(word, initial)| *word = initial.cast_unsigned());
        }
        Ok(())
    }

    /// Some rows, features and those targets that are standardised.
    async fn standardise<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
        course: &Course,
        rows: course::Rows,
    ) -> Result<(), E::Error> {
        let (sizes, f) = (course.sizes(), course.frac_bits());
        let data = if rows.of_test { &mut self.test } else { &mut self.train };
        let checks = course.checks_reach(rows.of_test);
        let (features, targets) = self.scaling.split_at(sizes.features.min(self.scaling.len()));
        for (words, scaling, width) in [
            (&mut data.unopened, features, sizes.features),
            (Arc::make_mut(&mut data.targets), targets, sizes.targets),
        ] {
            if scaling.len() != width {
                continue;
            }
            let places = rows.first * width..(rows.first + rows.count) * width;
            let words = words.get_mut(places).ok_or(missing())?;
            let beyond = standardise(machine, words, scaling, f, checks).await?;
            self.beyond = self.beyond.wrapping_add(beyond);
        }
        Ok(())
    }

    /// The program of a session.
    pub const fn turn(&mut self, session: Session) -> Turn<'_> {
        Turn { state: self, session }
    }
}

/// A session's program on a participant's state.
#[derive(Debug)]
pub struct Turn<'s> {
    state: &'s mut State,
    session: Session,
}

impl Program for Turn<'_> {
    type Output = Seen;

    async fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<Seen, E::Error> {
        let state = &mut *self.state;
        let course = state.course.clone();
        match self.session {
            Session::Standardise(rows) => state.standardise(machine, &course, rows).await?,
            Session::CheckReach => {
                let beyond = core::mem::take(&mut state.beyond);
                return Ok(Seen::Beyond(any(machine, beyond).await?));
            }
            Session::OpenTrain => state.train.open(machine).await?,
            Session::OpenTest => state.test.open(machine).await?,
            Session::Step(number) => {
                let rows = course.rows(number);
                let batch = state.train.pick(&course, &rows)?;
                let step = Step::new(
                    course.network(),
                    course.frac_bits(),
                    &mut state.model,
                    batch,
                    course.rates(number),
                    course.wanted(),
                );
                // The course has checked the layers.
                let mut step = step.map_err(|_| missing())?;
                let sums = step.run(machine).await?;
                state.beyond = state.beyond.wrapping_add(sums.beyond);
                state.sums.add(sums);
            }
            Session::Test(_) => {
                let rows = course.test_rows();
                let tested = if course.tests_held_out() { &state.train } else { &state.test };
                let sums = test(machine, &course, &state.model, tested, &rows).await?;
                state.beyond = state.beyond.wrapping_add(sums.beyond);
                state.test_sums = sums;
            }
            Session::Report(_) => {
                let sums = [&mut state.sums, &mut state.test_sums].map(core::mem::take);
                let words = sums.map(|sums| [sums.loss, sums.correct]).concat();
                let opened = reveal(machine, &words).await?;
                let (parts, _) = opened.as_chunks();
                let &[train, test] = parts else { return Ok(Seen::Nothing) };
                let part = |[loss, correct]: [u64; 2]| Opened { loss, correct };
                return Ok(Seen::Epoch { train: part(train), test: part(test) });
            }
            Session::Check(_) => {
                let outputs = core::mem::take(&mut state.beyond);
                return Ok(Seen::TooLarge(
                    too_large(machine, &course, &state.model, outputs).await?,
                ));
            }
        }
        Ok(Seen::Nothing)
    }
}

const fn missing() -> LengthError {
    LengthError { expected_bytes: 1, found_bytes: 0 }
}

impl Rows {
    async fn open<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<(), E::Error> {
        let opened = machine.open_one(core::mem::take(&mut self.unopened)).await?;
        self.opened = Some(Arc::new(opened));
        Ok(())
    }

    fn pick(&self, course: &Course, rows: &[usize]) -> Result<(Masked, Vec<u64>), LengthError> {
        let sizes = course.sizes();
        let opened = self.opened.as_ref().ok_or(missing())?;
        let targets = |&row: &usize| {
            self.targets.get(row * sizes.targets..(row + 1) * sizes.targets).unwrap_or_default()
        };
        Ok((opened.rows(sizes.features, rows), rows.iter().flat_map(targets).copied().collect()))
    }
}

async fn test<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    course: &Course,
    model: &Model,
    data: &Rows,
    rows: &[usize],
) -> Result<Sums, E::Error> {
    let (network, frac_bits) = (course.network(), course.frac_bits());
    let mut model = model.clone();
    let weights = open_frozen(machine, network, &mut model, frac_bits).await?;
    let mut sums = Sums::default();
    for rows in rows.chunks(TEST_ROWS) {
        let (inputs, targets) = data.pick(course, rows)?;
        // The course has checked the layers.
        let sized = Sized::new(network, inputs.share().len(), frac_bits).map_err(|_| missing())?;
        let columns = sized.columns();
        let (outputs, _) =
            forward(machine, &sized, inputs, (&weights, &model.parameters), false).await?;
        let outputs = machine.truncate(outputs.words, outputs.frac_bits - frac_bits).await?;
        let batch = Outputs { outputs: &outputs, targets: &targets, columns, frac_bits };
        sums.add(loss::sums(machine, network.loss, batch, course.wanted()).await?);
    }
    Ok(sums)
}

/// Whether the magnitude of a weight or bias has reached the limit, or that of one of the outputs
/// since the last check, of which there is a count: one bit, and nothing else, is opened.
async fn too_large<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    course: &Course,
    model: &Model,
    outputs: u64,
) -> Result<bool, E::Error> {
    // Below 2^47 units, by the configuration.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let word = |limit: f64| libm::scalbn(limit, course.frac_bits().cast_signed()) as u64;
    let [first, others] = [course.largest_first_weight(), course.largest_weight()]
        .map(|limit| machine.constant(word(limit)));
    let words: Vec<u64> =
        model.parameters.iter().flat_map(LayerParameters::trained).copied().collect();
    let of_first = model.parameters.first().map_or(0, |layer| layer.weights.len());
    let mut limits = vec![first; of_first];
    limits.resize(words.len(), others);
    let weights = beyond(machine, &words, &limits).await?;
    any(machine, weights.wrapping_add(outputs)).await
}
