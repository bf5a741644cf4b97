//! Which rows a step takes, and how far it goes: the same for both servers, the dealer, the twin
//! and the float baseline, on every machine.
//!
//! An epoch goes over all rows once, in an order of its own. Its last batch has what is left,
//! however little: every row counts once per epoch, and the mean is over the rows that the batch
//! has. Steps count from 0 through all epochs.

use core::ops::Range;

use super::config::{HeldOut, MAX_BATCH, Schedule, Training};
use super::draw::{Draw, HELD_OUT, ORDER};
use super::scale::Scale;

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Rows of no use.
    #[error("{0} rows to train on; 1 to 2^32 - 1 are possible")]
    Rows(usize),
    /// The held-out rows leave nothing, or are none.
    #[error(
        "`data.held_out` holds out {held_out} of {rows} rows; at least one must be held out, and \
         one be left to train on"
    )]
    HeldOut {
        /// Held out.
        held_out: usize,
        /// All rows.
        rows: usize,
    },
    /// A configuration that was not validated.
    #[error("`training.{0}` is not allowed; validate the configuration first")]
    Training(&'static str),
}

/// The course of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    rows: usize,
    training: Training,
    momentum: Scale,
    weight_decay: Scale,
    means: (Scale, Scale),
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 0.
    pub epoch: usize,
    /// Within the epoch, from 0.
    pub batch: usize,
}

/// A step: one batch, one change of the weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// From 0, through all epochs.
    pub step: usize,
    /// The same in epochs and batches.
    pub place: Place,
    /// The batch within [`Plan::order`] of the epoch.
    pub rows: Range<usize>,
    /// `1 / rows`, to the nearest scale.
    pub mean: Scale,
    /// The learning rate, to the nearest scale.
    pub rate: Scale,
    /// Whether the epoch ends with this step.
    pub ends_epoch: bool,
}

/// Rows by number, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Trained on.
    pub train: Vec<u32>,
    /// Tested on.
    pub test: Vec<u32>,
}

impl Plan {
    /// The plan for so many rows, held-out ones apart.
    ///
    /// # Errors
    /// Without rows, with too many, or with a configuration that
    /// [`super::config::Config::validate`] refuses.
    pub fn new(training: &Training, rows: usize) -> Result<Self, ScheduleError> {
        if rows == 0 || u32::try_from(rows).is_err() {
            return Err(ScheduleError::Rows(rows));
        }
        if !(1..=MAX_BATCH).contains(&training.batch) {
            return Err(ScheduleError::Training("batch"));
        }
        if training.epochs == 0
            || rows.div_ceil(training.batch).checked_mul(training.epochs).is_none()
        {
            return Err(ScheduleError::Training("epochs"));
        }
        let scale = |value, field| Scale::nearest(value).ok_or(ScheduleError::Training(field));
        scale(training.learning_rate, "learning_rate")?;
        match training.schedule {
            Schedule::Step { epochs, factor } if epochs == 0 || !(0.0..=1.0).contains(&factor) => {
                return Err(ScheduleError::Training("schedule"));
            }
            Schedule::Cosine { last } | Schedule::Linear { last } => {
                scale(last, "schedule")?;
            }
            _ => {}
        }
        let full = training.batch.min(rows);
        let last = rows - (rows.div_ceil(full) - 1) * full;
        #[allow(clippy::cast_precision_loss)]
        let mean = |rows: usize| scale(1.0 / rows as f64, "batch");
        Ok(Self {
            rows,
            training: training.clone(),
            momentum: scale(training.momentum, "momentum")?,
            weight_decay: scale(training.weight_decay, "weight_decay")?,
            means: (mean(full)?, mean(last)?),
        })
    }

    /// Rows of an epoch.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Rows of a full batch: all rows, if there are fewer than the configuration's.
    #[must_use]
    pub fn batch_rows(&self) -> usize {
        self.training.batch.min(self.rows)
    }

    /// `1 / rows` of a full batch, to the nearest scale.
    #[must_use]
    pub fn batch_mean(&self) -> Scale {
        self.means.0
    }

    /// Batches of an epoch.
    #[must_use]
    pub fn steps_per_epoch(&self) -> usize {
        self.rows.div_ceil(self.training.batch)
    }

    /// Steps of the run.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps_per_epoch() * self.training.epochs
    }

    /// `mu`.
    #[must_use]
    pub fn momentum(&self) -> Scale {
        self.momentum
    }

    /// `wd`, of weights only.
    #[must_use]
    pub fn weight_decay(&self) -> Scale {
        self.weight_decay
    }

    /// The order of the rows `0..rows` in an epoch (from 0).
    #[must_use]
    pub fn order(&self, epoch: usize) -> Vec<u32> {
        Draw::new(ORDER, self.training.seed, epoch as u64)
            .permutation(u32::try_from(self.rows).unwrap_or(u32::MAX))
    }

    /// A step; `None` after the last.
    #[must_use]
    pub fn step(&self, step: usize) -> Option<Step> {
        let each = self.steps_per_epoch();
        let place =
            (step < self.steps()).then(|| Place { epoch: step / each, batch: step % each })?;
        let start = place.batch * self.training.batch;
        let rows = start..self.rows.min(start + self.training.batch);
        let ends_epoch = place.batch + 1 == each;
        let mean = if ends_epoch { self.means.1 } else { self.means.0 };
        Some(Step { step, place, rows, mean, rate: self.rate(step, place.epoch), ends_epoch })
    }

    /// The learning rate. Only operations that give the same number everywhere.
    fn rate(&self, step: usize, epoch: usize) -> Scale {
        let first = self.training.learning_rate;
        #[allow(clippy::cast_precision_loss)]
        let passed = step as f64 / self.steps().saturating_sub(1).max(1) as f64;
        let rate = match self.training.schedule {
            Schedule::Constant {} => first,
            Schedule::Step { epochs, factor } => {
                // Not a power: how that rounds depends on the machine.
                let times = epoch.checked_div(epochs).unwrap_or(0);
                (0..times).fold(first, |rate, _| rate * factor)
            }
            Schedule::Cosine { last } => {
                last + (first - last) * (1.0 + libm::cos(core::f64::consts::PI * passed)) / 2.0
            }
            Schedule::Linear { last } => first + (last - first) * passed,
        };
        // Between two rates that were checked; rounding may leave it a trace below zero.
        Scale::nearest(rate.max(0.0)).unwrap_or(Scale::ZERO)
    }
}

impl Split {
    /// Holds rows out, chosen by the seed.
    ///
    /// # Errors
    /// If none would be held out, or none be left.
    pub fn new(rows: usize, held_out: HeldOut, seed: u64) -> Result<Self, ScheduleError> {
        let count = u32::try_from(rows).map_err(|_| ScheduleError::Rows(rows))?;
        // Rounded down; a fraction out of 0..1 is refused below.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let held_out = match held_out {
            HeldOut::Rows(rows) => rows,
            HeldOut::Fraction(part) => (part * f64::from(count)) as usize,
        };
        if held_out == 0 || held_out >= rows {
            return Err(ScheduleError::HeldOut { held_out, rows });
        }
        let mut test = Draw::new(HELD_OUT, seed, 0).permutation(count);
        let mut train = test.split_off(held_out);
        test.sort_unstable();
        train.sort_unstable();
        Ok(Self { train, test })
    }
}
