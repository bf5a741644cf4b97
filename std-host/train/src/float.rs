//! The float baseline: the same network, rows, initial weights and schedule as in private, in the
//! clear and in double precision.
//!
//! It takes the same integers where the private trainer does: the initial words over `2^frac_bits`,
//! learning rates and factors as [`super::scale::Scale`]. Everything else is double precision:
//! `v = mu v + (mean gradient + wd w)`, `w -= rate v`, with `wd` for weights only, not for biases.
//! The derivative of ReLU at 0 is 0, that of a max-pool goes to the first largest value, and that
//! of the hinge loss at its corner is 0. The result is the same on every machine: sums have a fixed
//! order, however many cores add them up.

mod error;
mod layers;
mod loss;
mod product;
mod samples;

use rayon::prelude::*;

use super::network::Network;
use super::parameters::Parameters;
use super::schedule::{Plan, Step};
pub use error::{FloatError, SamplesError};
use layers::Pass;
pub use samples::{Labels, Samples};

/// Samples that one task takes: the order of sums depends on it, and not on how many cores there
/// are.
const TASK_ROWS: usize = 16;

/// Loss and accuracy over some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// The mean.
    pub loss: f64,
    /// The fraction of right answers; `None` where labels are numbers.
    pub accuracy: Option<f64>,
}

/// What is known of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub epoch: usize,
    /// Over the batches of the epoch, each before its own step.
    pub train: Score,
    /// Over all test rows after the epoch.
    pub test: Option<Score>,
}

/// Loss and accuracy, epoch by epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// First to last.
    pub epochs: Vec<Epoch>,
}

/// Sums over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Rows.
    pub rows: usize,
    /// The sum of the losses.
    pub loss: f64,
    /// Right answers; `None` where labels are numbers.
    pub right: Option<usize>,
}

/// A network in training.
#[derive(Clone, Debug)]
pub struct Baseline<'n> {
    network: &'n Network,
    parameters: Parameters<f64>,
    velocity: Parameters<f64>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.right = match (self.rows, other.rows) {
            (0, _) => other.right,
            (_, 0) => self.right,
            _ => self.right.zip(other.right).map(|(ours, theirs)| ours + theirs),
        };
        self.rows += other.rows;
        self.loss += other.loss;
    }

    /// Means over the rows.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn score(&self) -> Score {
        let rows = self.rows.max(1) as f64;
        Score { loss: self.loss / rows, accuracy: self.right.map(|right| right as f64 / rows) }
    }
}

impl<'n> Baseline<'n> {
    /// Starts from parameters, at rest.
    ///
    /// # Errors
    /// If layers do not fit each other, or the parameters them.
    pub fn new(network: &'n Network, parameters: Parameters<f64>) -> Result<Self, FloatError> {
        let velocity = Parameters::filled(network, 0.0)?;
        if !parameters.fit(network) {
            return Err(FloatError::Parameters);
        }
        Ok(Self { network, parameters, velocity })
    }

    /// The parameters now.
    #[must_use]
    pub fn parameters(&self) -> &Parameters<f64> {
        &self.parameters
    }

    /// Trains on one batch; `order` is that of the step's epoch. Gives losses from before the step.
    ///
    /// # Errors
    /// If data, order or plan do not fit each other, or the loss is not finite.
    pub fn step(
        &mut self,
        plan: &Plan,
        step: &Step,
        order: &[u32],
        samples: &Samples,
    ) -> Result<Tally, FloatError> {
        let rows = order
            .get(step.rows.clone())
            .ok_or(FloatError::Plan { plan: plan.rows(), samples: order.len() })?;
        let (tally, gradient) = gradient(self.network, &self.parameters, samples, rows)?;
        let (mean, rate) = (step.mean.to_f64(), step.rate.to_f64());
        let (momentum, decay) = (plan.momentum().to_f64(), plan.weight_decay().to_f64());
        let layers =
            self.parameters.layers.iter_mut().zip(&mut self.velocity.layers).zip(&gradient.layers);
        for ((layer, velocity), gradient) in layers {
            let walk = |values: &mut [f64], velocity: &mut [f64], gradient: &[f64], decay: f64| {
                for ((value, velocity), gradient) in values.iter_mut().zip(velocity).zip(gradient) {
                    *velocity = momentum * *velocity + (mean * gradient + decay * *value);
                    *value -= rate * *velocity;
                }
            };
            walk(&mut layer.weights, &mut velocity.weights, &gradient.weights, decay);
            walk(&mut layer.biases, &mut velocity.biases, &gradient.biases, 0.0);
        }
        if !tally.loss.is_finite() {
            return Err(FloatError::Diverged {
                epoch: step.place.epoch + 1,
                batch: step.place.batch + 1,
            });
        }
        Ok(tally)
    }
}

/// Trains from parameters over all of a plan; `watch` sees every epoch as it ends.
///
/// # Errors
/// If network, parameters, data and plan do not fit each other, or training diverges.
pub fn train(
    network: &Network,
    parameters: Parameters<f64>,
    plan: &Plan,
    samples: &Samples,
    test: Option<&Samples>,
    mut watch: impl FnMut(&Epoch),
) -> Result<(Parameters<f64>, Curve), FloatError> {
    if plan.rows() != samples.len() {
        return Err(FloatError::Plan { plan: plan.rows(), samples: samples.len() });
    }
    samples.check(network)?;
    test.map_or(Ok(()), |test| test.check(network))?;
    let mut baseline = Baseline::new(network, parameters)?;
    let mut curve = Curve::default();
    let (mut order, mut tally) = (Vec::new(), Tally::default());
    for step in (0..plan.steps()).map_while(|step| plan.step(step)) {
        if step.place.batch == 0 {
            order = plan.order(step.place.epoch);
        }
        tally.add(baseline.step(plan, &step, &order, samples)?);
        if step.ends_epoch {
            let test =
                test.map(|test| evaluate(network, baseline.parameters(), test)).transpose()?;
            let epoch = Epoch {
                epoch: step.place.epoch + 1,
                train: core::mem::take(&mut tally).score(),
                test,
            };
            watch(&epoch);
            curve.epochs.push(epoch);
        }
    }
    Ok((baseline.parameters, curve))
}

/// The loss of some rows and its gradient, both summed, not averaged.
///
/// # Errors
/// If network, parameters, data and rows do not fit each other.
pub fn gradient(
    network: &Network,
    parameters: &Parameters<f64>,
    samples: &Samples,
    rows: &[u32],
) -> Result<(Tally, Parameters<f64>), FloatError> {
    let pass = Pass::new(network, parameters)?;
    samples.check(network)?;
    let task = |rows: &[u32]| -> Result<_, FloatError> {
        let mut values = pass.forward(&samples.inputs_of(rows)?, rows.len());
        let outputs = values.pop().unwrap_or_default();
        let mut slopes = vec![0.0; outputs.len()];
        let tally = tally(network, samples, rows, &outputs, Some(&mut slopes))?;
        Ok((tally, pass.backward(&values, slopes, rows.len())))
    };
    // Gathered in the order of the tasks, then added up: the order of sums does not depend on the
    // cores.
    let parts: Vec<_> = rows.par_chunks(TASK_ROWS).map(task).collect::<Result<_, _>>()?;
    let (mut total, mut sum) = (Tally::default(), Parameters::filled(network, 0.0)?);
    for (tally, part) in &parts {
        total.add(*tally);
        for (sum, part) in sum.layers.iter_mut().zip(&part.layers) {
            let add = |sum: &mut [f64], part: &[f64]| {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part)
            };
            add(&mut sum.weights, &part.weights);
            add(&mut sum.biases, &part.biases);
        }
    }
    Ok((total, sum))
}

/// Loss and accuracy over all rows.
///
/// # Errors
/// If network, parameters and data do not fit each other.
pub fn evaluate(
    network: &Network,
    parameters: &Parameters<f64>,
    samples: &Samples,
) -> Result<Score, FloatError> {
    let pass = Pass::new(network, parameters)?;
    samples.check(network)?;
    let parts: Vec<_> = samples
        .all_rows()
        .par_chunks(TASK_ROWS)
        .map(|rows| {
            let outputs =
                pass.forward(&samples.inputs_of(rows)?, rows.len()).pop().unwrap_or_default();
            tally(network, samples, rows, &outputs, None)
        })
        .collect::<Result<_, _>>()?;
    let mut total = Tally::default();
    parts.into_iter().for_each(|part| total.add(part));
    Ok(total.score())
}

/// What the last layer gives for all rows, row by row, without softmax or sigmoid.
///
/// # Errors
/// If network, parameters and data do not fit each other.
pub fn outputs(
    network: &Network,
    parameters: &Parameters<f64>,
    samples: &Samples,
) -> Result<Vec<f64>, FloatError> {
    let pass = Pass::new(network, parameters)?;
    samples.check_inputs(network)?;
    let parts: Vec<_> = samples
        .all_rows()
        .par_chunks(TASK_ROWS)
        .map(|rows| {
            Ok(pass.forward(&samples.inputs_of(rows)?, rows.len()).pop().unwrap_or_default())
        })
        .collect::<Result<_, FloatError>>()?;
    Ok(parts.concat())
}

/// Losses of rows from their outputs; their slopes if there is a place for them.
fn tally(
    network: &Network,
    samples: &Samples,
    rows: &[u32],
    outputs: &[f64],
    mut slopes: Option<&mut [f64]>,
) -> Result<Tally, FloatError> {
    let width = (outputs.len() / rows.len().max(1)).max(1);
    let mut total = Tally::default();
    let mut unused = vec![0.0; width];
    for (index, (&row, outputs)) in rows.iter().zip(outputs.chunks_exact(width)).enumerate() {
        let slopes = slopes
            .as_deref_mut()
            .and_then(|slopes| slopes.get_mut(index * width..(index + 1) * width));
        let (loss, right) =
            loss::loss(network.loss, outputs, samples.target(row)?, slopes.unwrap_or(&mut unused));
        total.add(Tally { rows: 1, loss, right: right.map(usize::from) });
    }
    Ok(total)
}
