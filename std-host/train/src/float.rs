//! The float baseline: the same network, rows, initial weights and schedule as in private, in the
//! clear and in double precision.
//!
//! It takes the same integers where the private trainer does: the initial words over `2^frac_bits`,
//! learning rates and factors as [`super::scale::Scale`]. Everything else is double precision:
//! `v = mu v + (mean gradient + wd w)`, `w -= rate v`, with `wd` for weights only, not for biases.
//! The derivative of ReLU at 0 is 0, that of a max-pool goes to the first largest value, and that
//! of the hinge loss at its corner is 0. Labels are those of the servers: numbers, 0 or 1, or one
//! 1 in as many zeros as there are classes. The result is the same on every machine: sums have a
//! fixed order, however many cores add them up.

mod error;
mod layers;
mod loss;
mod norm;
mod samples;

use rayon::prelude::*;

use super::curve::{Curve, Epoch};
use super::network::{Layer, NORM_KEPT, NORM_KEPT_BITS, Network};
use super::parameters::Parameters;
use super::schedule::{Plan, Step};
pub use error::{FloatError, SamplesError};
use layers::Pass;
pub use samples::Samples;

/// Samples that one task takes: the order of sums depends on it, and not on how many cores there
/// are.
const TASK_ROWS: usize = 16;

/// Sums over rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Rows.
    pub rows: usize,
    /// The sum of the losses.
    pub loss: f64,
    /// Right answers, as far as labels are classes.
    pub right: usize,
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
        self.rows += other.rows;
        self.loss += other.loss;
        self.right += other.right;
    }

    /// The mean loss, and the fraction of right answers.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn means(&self) -> (f64, f64) {
        let rows = self.rows.max(1) as f64;
        (self.loss / rows, self.right as f64 / rows)
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
            let part = f64::from(NORM_KEPT) / f64::from(1 << NORM_KEPT_BITS);
            for (kept, batch) in layer.statistics.iter_mut().zip(&gradient.statistics) {
                *kept += part * (batch - *kept);
            }
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
    let classifies = network.classifies(samples.columns());
    let seen = |tally: Tally| {
        let (loss, accuracy) = tally.means();
        (Some(loss), classifies.then_some(accuracy))
    };
    let mut curve = Curve::default();
    let (mut order, mut tally) = (Vec::new(), Tally::default());
    for step in (0..plan.steps()).map_while(|step| plan.step(step)) {
        if step.place.batch == 0 {
            order = plan.order(step.place.epoch);
        }
        tally.add(baseline.step(plan, &step, &order, samples)?);
        if step.ends_epoch {
            let (train_loss, train_accuracy) = seen(core::mem::take(&mut tally));
            let (test_loss, test_accuracy) = match test {
                Some(test) => seen(evaluate(network, baseline.parameters(), test)?),
                None => (None, None),
            };
            let epoch = step.place.epoch + 1;
            let epoch = Epoch { epoch, train_loss, train_accuracy, test_loss, test_accuracy };
            watch(&epoch);
            curve.0.push(epoch);
        }
    }
    Ok((baseline.parameters, curve))
}

/// The loss of some rows and its gradient, both summed, not averaged; beside the gradient, the
/// statistics of the rows where they are normalised.
///
/// # Errors
/// If network, parameters, data and rows do not fit each other.
pub fn gradient(
    network: &Network,
    parameters: &Parameters<f64>,
    samples: &Samples,
    rows: &[u32],
) -> Result<(Tally, Parameters<f64>), FloatError> {
    let pass = Pass::new(network, parameters, true)?;
    samples.check(network)?;
    // What is normalised by statistics of all rows sees them all.
    let together = network.layers.contains(&Layer::BatchNorm);
    let task_rows = if together { rows.len().max(1) } else { TASK_ROWS };
    let parts = in_tasks(rows, task_rows, |rows| {
        let mut values = pass.forward(samples.inputs_of(rows)?, rows.len())?;
        let outputs = values.pop().unwrap_or_default();
        let (tally, slopes) = tally(network, samples, rows, &outputs)?;
        Ok((tally, pass.backward(&values, slopes, rows.len())?))
    })?;
    let (mut total, mut sum) = (Tally::default(), Parameters::filled(network, 0.0)?);
    for (tally, part) in &parts {
        total.add(*tally);
        for (sum, part) in sum.layers.iter_mut().zip(&part.layers) {
            sum.words_mut().zip(part.words()).for_each(|(sum, part)| *sum += part);
        }
    }
    Ok((total, sum))
}

/// Loss and right answers over all rows.
///
/// # Errors
/// If network, parameters and data do not fit each other.
pub fn evaluate(
    network: &Network,
    parameters: &Parameters<f64>,
    samples: &Samples,
) -> Result<Tally, FloatError> {
    let (rows, outputs) = (samples.all_rows(), outputs(network, parameters, samples)?);
    Ok(tally(network, samples, &rows, &outputs)?.0)
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
    let pass = Pass::new(network, parameters, false)?;
    samples.check(network)?;
    let parts = in_tasks(&samples.all_rows(), TASK_ROWS, |rows| {
        Ok(pass.forward(samples.inputs_of(rows)?, rows.len())?.pop().unwrap_or_default())
    })?;
    Ok(parts.concat())
}

/// What is made of every few rows, in their order: the order of sums does not depend on the cores.
fn in_tasks<R: Send>(
    rows: &[u32],
    task_rows: usize,
    task: impl Fn(&[u32]) -> Result<R, FloatError> + Send + Sync,
) -> Result<Vec<R>, FloatError> {
    rows.par_chunks(task_rows).map(task).collect()
}

/// Losses of rows from their outputs, and their slopes.
fn tally(
    network: &Network,
    samples: &Samples,
    rows: &[u32],
    outputs: &[f64],
) -> Result<(Tally, Vec<f64>), FloatError> {
    let width = samples.columns();
    let (mut total, mut slopes) = (Tally::default(), vec![0.0; outputs.len()]);
    let places = outputs.chunks_exact(width).zip(slopes.chunks_exact_mut(width));
    for (&row, (outputs, slopes)) in rows.iter().zip(places) {
        let (_, targets) = samples.row(row)?;
        let (loss, right) = loss::loss(network.loss, outputs, targets, slopes);
        total.add(Tally { rows: 1, loss, right: usize::from(right) });
    }
    Ok((total, slopes))
}
