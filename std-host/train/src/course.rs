//! The course of a training run: which sessions follow each other, and the public numbers of each.
//!
//! A session is one program with correlations of its own. All parties derive the same list from
//! public things alone: the configuration, the number of rows, and the step at which a run begins
//! or goes on.

use std::sync::{Arc, Mutex, PoisonError};

use sharelet_core::functions::engine::Truncation;

use super::config::{Config, ConfigError, FieldError};
use super::curve::Epoch;
use super::loss::Wanted;
use super::network::{Layer, Loss, Network, NetworkError, Shape};
use super::normalise::{MAX_VALUES, channels};
use super::room::{Room, WORD_BITS, ratio};
use super::schedule::{Plan, ScheduleError, Split};
pub use super::sizes::Sizes;
use super::update::Rates;
use crate::labels::Labels;

/// The most significant bits of a rate.
const RATE_BITS: u32 = 12;
/// Words that are standardised at once.
const STANDARDISED_ELEMS: usize = 1 << 14;
/// Steps of a run, at most: all that are counted ahead.
pub const MAX_STEPS: usize = 1 << 24;

/// Why a run has no course.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CourseError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration does not fit the data.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The rows.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The layers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// More steps than are counted ahead.
    #[error(
        "`training.epochs`: a run of {0} steps; at most {MAX_STEPS} are possible; take fewer \
         epochs or larger batches"
    )]
    Steps(usize),
    /// Means over few rows would be opened.
    #[error(
        "`open.loss` and `open.accuracy`: a mean over {rows} rows tells of each of them, and \
         `open.least_rows` is {least}; open neither, or take more rows"
    )]
    FewRows {
        /// How many there are.
        rows: usize,
        /// The fewest that may be.
        least: usize,
    },
    /// A sum over a batch may not fit into a word.
    #[error(
        "features have up to {bits} bits, and sums over columns or {rows} rows no room in a word: \
         share the data with --standardise if it is not, or take a smaller `training.batch`, or \
         fewer `arithmetic.frac_bits`"
    )]
    Wide {
        /// Rows of a batch.
        rows: usize,
        /// Bits of a feature.
        bits: u32,
    },
    /// A batch of which no variance is taken.
    #[error(
        "layer {layer}: a channel has {values} values in a batch of {rows} rows, and a batch \
         normalisation takes 2 to {MAX_VALUES}; take another `training.batch`, which leaves no \
         single row for the last step"
    )]
    Batch {
        /// Counted from 1.
        layer: usize,
        /// Of the batch.
        rows: usize,
        /// Of a channel.
        values: usize,
    },
    /// Data of another kind.
    #[error("data set `{dataset}`: {reason}")]
    Data {
        /// Its name.
        dataset: String,
        /// What is wrong.
        reason: String,
    },
}

/// One session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// Some rows of a data set are standardised.
    Standardise(Rows),
    /// Whether one of them is beyond reach is opened.
    CheckReach,
    /// The rows to train on are opened under masks.
    OpenTrain,
    /// The rows to test on are.
    OpenTest,
    /// A step, from 0.
    Step(usize),
    /// The test after an epoch, from 0.
    Test(usize),
    /// What the configuration allows of an epoch, from 0, is opened.
    Report(usize),
    /// Whether a weight has grown too large is opened, after so many steps.
    Check(usize),
}

/// Some rows of a data set, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows {
    /// Of the data set to test on, and not of that to train on.
    pub of_test: bool,
    /// The first.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// What makes sessions alike in what they spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// See [`Session::Standardise`].
    Standardise {
        /// Rows.
        rows: usize,
        /// Whether values beyond reach are counted.
        checks: bool,
    },
    /// See [`Session::CheckReach`].
    CheckReach,
    /// See [`Session::OpenTrain`].
    OpenTrain,
    /// See [`Session::OpenTest`].
    OpenTest,
    /// A step. What its truncations spend depends on how many bits they drop.
    Step {
        /// Rows.
        rows: usize,
        /// See [`Rates::rate_bits`].
        rate_bits: u32,
        /// Whether that is all that the rate takes.
        only_shifts: bool,
    },
    /// See [`Session::Test`].
    Test,
    /// See [`Session::Report`].
    Report,
    /// See [`Session::Check`].
    Check,
}

/// The course of a run.
#[derive(Clone, Debug)]
pub struct Course {
    config: Config,
    network: Network,
    sizes: Sizes,
    plan: Plan,
    split: Split,
    /// Bits of outputs and of weights of the first layer, at most.
    output_bits: u32,
    weight_bits: u32,
    /// The order of rows in the epoch that was asked for last: it takes as long as there are rows,
    /// and is the same for many steps.
    order: Arc<Mutex<Option<Order>>>,
}

/// An epoch, and the order of its rows.
type Order = (usize, Arc<Vec<u32>>);

impl Course {
    /// The course of a configuration on data of such sizes.
    ///
    /// # Errors
    /// [`CourseError`] if they do not fit each other.
    pub fn new(config: Config, sizes: Sizes) -> Result<Self, CourseError> {
        let network = config.network(sizes.features)?;
        let outputs = network.shapes()?.last().map_or(0, Shape::elems);
        if outputs != sizes.targets {
            let reason = match (sizes.targets, outputs) {
                (0, _) => "it has no labels; share it with --label or --labels".to_owned(),
                (targets, 1) => format!(
                    "a label has {targets} values, and the model gives one; share it with \
                     --binary, or one number as --label"
                ),
                (targets, _) => format!(
                    "a label has {targets} values, and the last layer gives {outputs}; share it \
                     with --classes {outputs}"
                ),
            };
            return Err(CourseError::Data { dataset: config.data.train.clone(), reason });
        }
        if !sizes.is_valid() {
            let reason = format!(
                "{} columns are standardised, which are neither none nor all features",
                sizes.standardised
            );
            return Err(CourseError::Data { dataset: config.data.train.clone(), reason });
        }
        let dense = |layer: Option<&Layer>| matches!(layer, Some(Layer::Dense { .. }));
        if (sizes.standardised > 0 && !dense(network.layers.first()))
            || (sizes.standardises_targets() && !dense(network.layers.last()))
        {
            let reason = "it is standardised, which takes a dense layer at either end of the \
                          network, where the model undoes it; share it with --no-standardise"
                .to_owned();
            return Err(CourseError::Data { dataset: config.data.train.clone(), reason });
        }
        let all = |rows: usize| (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect();
        let split = match config.data.held_out {
            Some(held_out) => Split::new(sizes.rows, held_out, config.training.seed)?,
            None => Split { train: all(sizes.rows), test: all(sizes.test_rows) },
        };
        let least = config.open.least_rows;
        let few = |rows: &Vec<u32>| (1..least).contains(&rows.len());
        if let Some(rows) = [&split.train, &split.test].into_iter().find(|rows| few(rows))
            && (config.open.loss || config.open.accuracy)
        {
            return Err(CourseError::FewRows { rows: rows.len(), least });
        }
        let plan = Plan::new(&config.training, split.train.len())?;
        check_norms(&network, &plan)?;
        let room = Room { loss: network.loss, config: &config, sizes, plan: &plan };
        let output_bits = room
            .output_bits()
            .ok_or(CourseError::Wide { rows: plan.batch_rows(), bits: room.feature_bits() })?;
        let weight_bits = room.weight_bits();
        if config.stop.check && weight_bits < config.arithmetic.frac_bits {
            return Err(CourseError::Wide { rows: 1, bits: room.feature_bits() });
        }
        if plan.steps() > MAX_STEPS {
            return Err(CourseError::Steps(plan.steps()));
        }
        let order = Arc::default();
        Ok(Self { config, network, sizes, plan, split, output_bits, weight_bits, order })
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The data's sizes.
    #[must_use]
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Batches and rates.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Fraction bits of everything.
    #[must_use]
    pub const fn frac_bits(&self) -> u32 {
        self.config.arithmetic.frac_bits
    }

    /// How values are truncated.
    #[must_use]
    pub const fn truncation(&self) -> Truncation {
        self.config.arithmetic.truncation()
    }

    /// Whether gradients have a memory.
    #[must_use]
    pub fn has_momentum(&self) -> bool {
        self.plan.momentum().numerator() > 0
    }

    /// What is summed up to be opened.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        let Config { open, stop, .. } = &self.config;
        let output_bits = stop.check.then_some(self.output_bits);
        Wanted { loss: open.loss, correct: open.accuracy, output_bits }
    }

    /// Rows of the training data that are tested on when no data set of their own is.
    #[must_use]
    pub fn tests_held_out(&self) -> bool {
        self.config.data.held_out.is_some()
    }

    /// Rows that are trained on, by number.
    #[must_use]
    pub fn train_rows(&self) -> Vec<u32> {
        self.split.train.clone()
    }

    /// An epoch, from 0, as far as the configuration opens it.
    #[must_use]
    pub fn epoch(
        &self,
        number: usize,
        train: Option<(f64, f64)>,
        test: Option<(f64, f64)>,
    ) -> Epoch {
        let wanted = self.wanted();
        let loss = |means: Option<(f64, f64)>| means.filter(|_| wanted.loss).map(|(loss, _)| loss);
        let accuracy = |means: Option<(f64, f64)>| {
            let classifies = self.network.classifies(self.sizes.targets);
            means.filter(|_| wanted.correct && classifies).map(|(_, accuracy)| accuracy)
        };
        Epoch {
            epoch: number + 1,
            train_loss: loss(train),
            train_accuracy: accuracy(train),
            test_loss: loss(test),
            test_accuracy: accuracy(test),
        }
    }

    /// Rows that are tested on, by number.
    #[must_use]
    pub fn test_rows(&self) -> Vec<usize> {
        self.split.test.iter().map(|&row| row as usize).collect()
    }

    /// Whether data with such labels can be learned from.
    ///
    /// # Errors
    /// [`CourseError::Data`] names the data set and how to share it.
    pub fn check_labels(&self, dataset: &str, labels: Labels) -> Result<(), CourseError> {
        let loss = self.network.loss;
        let numbers = matches!(labels, Labels::Numbers { .. });
        if numbers && self.config.open.accuracy {
            return Err(Self::no_accuracy(dataset));
        }
        let wanted = match (loss, labels) {
            (Loss::CrossEntropy, Labels::Classes { .. })
            | (
                Loss::SquaredError,
                Labels::Numbers { .. } | Labels::Classes { .. } | Labels::Binary,
            )
            | (Loss::Logistic | Loss::Hinge, Labels::Binary) => return Ok(()),
            (Loss::CrossEntropy, _) => "classes; share it with --classes",
            (Loss::SquaredError, _) => "labels; share it with --label or --labels",
            (Loss::Logistic | Loss::Hinge, _) => "labels 0 and 1; share it with --binary",
        };
        let reason = format!("it has {labels}, and the {loss:?} loss takes {wanted}");
        Err(CourseError::Data { dataset: dataset.to_owned(), reason })
    }

    fn no_accuracy(dataset: &str) -> CourseError {
        let reason = "its labels are numbers, of which none is right or wrong: take \
                      `open.accuracy` out, or share it with --classes or --binary"
            .to_owned();
        CourseError::Data { dataset: dataset.to_owned(), reason }
    }

    /// The rows of a step, by number.
    #[must_use]
    pub fn rows(&self, step: usize) -> Vec<usize> {
        let Some(step) = self.plan.step(step) else { return Vec::new() };
        let order = self.order(step.place.epoch);
        let row = |place: &u32| self.split.train.get(*place as usize).map(|&row| row as usize);
        order.get(step.rows).unwrap_or_default().iter().filter_map(row).collect()
    }

    fn order(&self, epoch: usize) -> Arc<Vec<u32>> {
        let mut known = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        match &*known {
            Some((of, order)) if *of == epoch => order.clone(),
            _ => {
                let order = Arc::new(self.plan.order(epoch));
                *known = Some((epoch, order.clone()));
                order
            }
        }
    }

    /// The public factors of a step.
    #[must_use]
    pub fn rates(&self, step: usize) -> Rates {
        let Some(step) = self.plan.step(step) else { return Rates::default() };
        let bits = self.frac_bits();
        let momentum = self.has_momentum();
        // With momentum all sums are brought to those of a full batch.
        let (rows, mean) = if momentum {
            (self.plan.batch_rows(), self.plan.batch_mean())
        } else {
            (step.rows.len(), step.mean)
        };
        let (mut rate, mut rate_bits) = (
            u64::from(step.rate.numerator()) * u64::from(mean.numerator()),
            step.rate.shift() + mean.shift(),
        );
        // A sum over the batch has at most `WORD_BITS`, and `frac_bits` fewer when it is rounded:
        // that many more are left for the rate.
        while (rate >> RATE_BITS > 0 || rate_bits > WORD_BITS) && rate_bits > 0 {
            rate = (rate + 1) >> 1;
            rate_bits -= 1;
        }
        let fraction = |value: f64| {
            // Momentum is below 1, and decay a small number times a batch.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let word = libm::round(libm::scalbn(value, bits.cast_signed())) as u64;
            word
        };
        #[allow(clippy::cast_precision_loss)]
        let decay = self.plan.weight_decay().to_f64() * rows as f64;
        let (ratio, ratio_bits) = if momentum { ratio(rows, step.rows.len()) } else { (1, 0) };
        Rates {
            rate,
            rate_bits,
            momentum: fraction(self.plan.momentum().to_f64()),
            decay: fraction(decay),
            ratio,
            ratio_bits,
        }
    }

    /// The largest magnitude of a weight or bias.
    #[must_use]
    pub const fn largest_weight(&self) -> f64 {
        self.config.stop.largest_weight
    }

    /// That of a weight of the first layer: less where its output, over all features, would have no
    /// room in a word.
    #[must_use]
    pub fn largest_first_weight(&self) -> f64 {
        let bits = self.weight_bits.cast_signed() - self.frac_bits().cast_signed();
        let most = libm::scalbn(1.0, bits);
        self.config.stop.largest_weight.min(most)
    }

    /// What has passed a limit if the bit says so, for an error.
    #[must_use]
    pub fn limits(&self) -> String {
        let bits = self.output_bits.cast_signed() - self.frac_bits().cast_signed();
        let outputs = libm::scalbn(1.0, bits);
        let (weights, first) = (self.largest_weight(), self.largest_first_weight());
        format!(
            "a weight has reached {weights}, one of the first layer {first}, or an output {outputs}"
        )
    }

    /// Whether anything of an epoch is opened.
    const fn reports(&self) -> bool {
        self.config.open.loss || self.config.open.accuracy
    }

    /// Whether the state is written after so many steps.
    #[must_use]
    pub fn checkpoints(&self, steps: usize) -> bool {
        steps.is_multiple_of(self.config.checkpoint.every.max(1)) || steps == self.plan.steps()
    }

    /// All sessions of a run that begins or goes on after `steps` steps.
    pub fn sessions(&self, steps: usize) -> impl Iterator<Item = Session> + '_ {
        let tests = !self.split.test.is_empty() && self.reports();
        let own_test = tests && !self.tests_held_out();
        let checks = self.checks_reach(false) || (own_test && self.checks_reach(true));
        let scaled = self
            .standardised_rows(false)
            .chain(own_test.then(|| self.standardised_rows(true)).into_iter().flatten());
        let opening = [
            checks.then_some(Session::CheckReach),
            Some(Session::OpenTrain),
            own_test.then_some(Session::OpenTest),
        ];
        let opening = scaled.map(Some).chain(opening);
        let steps = (steps..self.plan.steps()).flat_map(move |step| {
            let ends =
                self.plan.step(step).filter(|step| step.ends_epoch).map(|step| step.place.epoch);
            let check = self.config.stop.check && (ends.is_some() || self.checkpoints(step + 1));
            let epoch = ends.filter(|_| self.reports());
            [
                Some(Session::Step(step)),
                epoch.filter(|_| tests).map(Session::Test),
                epoch.map(Session::Report),
                check.then_some(Session::Check(step + 1)),
            ]
        });
        opening.chain(steps).flatten()
    }

    /// The sessions that standardise a data set, some rows at a time: what is computed with them is
    /// in memory at once.
    fn standardised_rows(&self, of_test: bool) -> impl Iterator<Item = Session> + use<> {
        let Sizes { rows, test_rows, standardised, .. } = self.sizes;
        let rows = if of_test { test_rows } else { rows };
        let rows = if standardised == 0 { 0 } else { rows };
        let each = (STANDARDISED_ELEMS / standardised.max(1)).max(1);
        (0..rows).step_by(each).map(move |first| {
            Session::Standardise(Rows { of_test, first, count: each.min(rows - first) })
        })
    }

    /// Whether rows may lie far from what their scaling was computed from.
    #[must_use]
    pub const fn checks_reach(&self, of_test: bool) -> bool {
        self.sizes.standardised > 0 && (of_test || self.sizes.mixed)
    }

    /// What makes a session alike to others.
    #[must_use]
    pub fn kind(&self, session: Session) -> Kind {
        match session {
            Session::Standardise(Rows { of_test, count, .. }) => {
                Kind::Standardise { rows: count, checks: self.checks_reach(of_test) }
            }
            Session::CheckReach => Kind::CheckReach,
            Session::OpenTrain => Kind::OpenTrain,
            Session::OpenTest => Kind::OpenTest,
            Session::Step(step) => {
                let rates = self.rates(step);
                Kind::Step {
                    rows: self.plan.step(step).map_or(0, |step| step.rows.len()),
                    rate_bits: rates.rate_bits,
                    only_shifts: rates.only_shifts(self.frac_bits()),
                }
            }
            Session::Test(_) => Kind::Test,
            Session::Report(_) => Kind::Report,
            Session::Check(_) => Kind::Check,
        }
    }
}

/// Whether every batch normalisation has values to take a variance of, and not too many: in a full
/// batch, and in the last one of an epoch.
fn check_norms(network: &Network, plan: &Plan) -> Result<(), CourseError> {
    let (full, rows) = (plan.batch_rows(), plan.rows());
    let last = rows - (plan.steps_per_epoch() - 1) * full;
    for (index, (layer, shape)) in network.layers.iter().zip(network.shapes()?).enumerate() {
        let values = |rows: usize| channels(rows, shape).of_each();
        let wrong = |rows: &usize| !(2..=MAX_VALUES).contains(&values(*rows));
        if *layer == Layer::BatchNorm
            && let Some(rows) = [full, last].into_iter().find(wrong)
        {
            return Err(CourseError::Batch { layer: index + 1, rows, values: values(rows) });
        }
    }
    Ok(())
}
