//! Losses: the gradient at the outputs, and what may be opened of an epoch.

use sharelet_core::functions::program::softmax;
use sharelet_core::functions::program::unary::{self, Smooth};
use sharelet_core::functions::program::{Need, Scratch, extreme};
use sharelet_core::functions::protocol::product::{Factors, Multiply, Square};

use super::network::Loss;
use super::range;
use crate::tensor::{Machine, Runner, Tensors};

/// Bits of what may be truncated.
const WORD_BITS: u32 = 62;

/// What is summed up over an epoch, shared, with the fraction bits of everything.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// The loss.
    pub loss: u64,
    /// Samples whose class was right; 0 where there are no classes.
    pub correct: u64,
    /// Outputs that are beyond the range of what is computed with them, without a fraction.
    pub beyond: u64,
}

redacted!(Sums);

impl Sums {
    /// Adds those of a batch.
    pub const fn add(&mut self, other: Self) {
        self.loss = self.loss.wrapping_add(other.loss);
        self.correct = self.correct.wrapping_add(other.correct);
        self.beyond = self.beyond.wrapping_add(other.beyond);
    }
}

/// Which sums are computed: each takes messages, so nothing is computed that nobody may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The loss.
    pub loss: bool,
    /// The number of right answers.
    pub correct: bool,
    /// The number of outputs whose magnitude has more than so many bits.
    pub output_bits: Option<u32>,
}

/// Outputs and targets of a batch, both with `frac_bits` fraction bits.
#[derive(Clone, Copy)]
pub struct Outputs<'o> {
    /// `batch x columns`.
    pub outputs: &'o [u64],
    /// As many.
    pub targets: &'o [u64],
    /// Outputs of a sample.
    pub columns: usize,
    /// Fraction bits.
    pub frac_bits: u32,
}

redacted!(Outputs<'_>);

/// Temporary words for a program of the core.
struct Room {
    own: Vec<u64>,
    narrow: Vec<u32>,
    wide: Vec<u64>,
}

impl Room {
    fn new(need: Need) -> Self {
        Self {
            own: vec![0; need.own_elems],
            narrow: vec![0; need.narrow_elems],
            wide: vec![0; need.wide_elems],
        }
    }

    fn scratch(&mut self) -> Scratch<'_, u64> {
        Scratch { own: &mut self.own, narrow: &mut self.narrow, wide: &mut self.wide }
    }
}

/// The gradient of the loss by the outputs, summed over the batch, and the sums that are wanted.
///
/// # Errors
/// The engine's; fraction bits for which there is no table.
pub async fn gradient<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    loss: Loss,
    batch: Outputs<'_>,
    wanted: Wanted,
) -> Result<(Vec<u64>, Sums), E::Error> {
    let (f, targets) = (batch.frac_bits, batch.targets);
    let mut sums = Sums::default();
    let gradient = match loss {
        Loss::CrossEntropy => minus(&softmax(machine, batch, false).await?, targets),
        Loss::SquaredError => minus(batch.outputs, targets),
        Loss::Logistic => minus(&smooth(machine, Smooth::Sigmoid, batch).await?, targets),
        Loss::Hinge => {
            // 1 - t y, t = 2 target - 1 without a fraction; the gradient is -t where that is
            // positive.
            let one = machine.constant(1 << f);
            let signs = signs(targets, one);
            let mut margins = batch.outputs.to_vec();
            machine.engine().run(&Multiply::new(), Factors { x: &mut margins, y: &signs }).await?;
            let margins = machine.truncate(margins, f).await?;
            let less: Vec<u64> = margins.iter().map(|margin| one.wrapping_sub(*margin)).collect();
            let (positive, bits) = machine.activate(less, 0, true).await?;
            if wanted.loss {
                sums.loss = sum(&positive);
            }
            let mut gradient: Vec<u64> = signs.iter().map(|sign| sign.wrapping_neg()).collect();
            machine.select(&mut gradient, bits).await?;
            gradient
        }
    };
    if wanted.loss && loss != Loss::Hinge {
        sums.loss = value(machine, loss, batch).await?;
    }
    if wanted.correct {
        sums.correct = correct(machine, loss, batch).await?;
    }
    if let Some(bits) = wanted.output_bits {
        sums.beyond = out_of_range(machine, bits, batch).await?;
    }
    Ok((gradient, sums))
}

/// The sums that are wanted, without a gradient: of answers that nothing is learned from.
///
/// # Errors
/// As [`gradient`].
pub async fn sums<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    loss: Loss,
    batch: Outputs<'_>,
    wanted: Wanted,
) -> Result<Sums, E::Error> {
    if loss == Loss::Hinge {
        return Ok(gradient(machine, loss, batch, wanted).await?.1);
    }
    let loss_sum = if wanted.loss { value(machine, loss, batch).await? } else { 0 };
    let correct = if wanted.correct { correct(machine, loss, batch).await? } else { 0 };
    let beyond = match wanted.output_bits {
        Some(bits) => out_of_range(machine, bits, batch).await?,
        None => 0,
    };
    Ok(Sums { loss: loss_sum, correct, beyond })
}

/// Bits of the magnitude of an output whose distance to a target is squared, at most; targets have
/// as many.
pub const DISTANCE_BITS: u32 = 32;

/// A share of how many outputs are beyond their range.
async fn out_of_range<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    bits: u32,
    batch: Outputs<'_>,
) -> Result<u64, E::Error> {
    let limits = vec![machine.constant(1 << bits); batch.outputs.len()];
    range::beyond(machine, batch.outputs, &limits).await
}

/// Bits that distances are shortened by before so many are squared and summed up: the sum of
/// squares of outputs and targets within their range has room in a word.
fn shortened_bits(elems: usize) -> u32 {
    let sum_bits = 2 * (DISTANCE_BITS + 1) + usize::BITS - elems.saturating_sub(1).leading_zeros();
    sum_bits.saturating_sub(WORD_BITS).div_ceil(2)
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

fn minus(words: &[u64], targets: &[u64]) -> Vec<u64> {
    words.iter().zip(targets).map(|(word, target)| word.wrapping_sub(*target)).collect()
}

/// `2 target - 1`, without a fraction.
fn signs(targets: &[u64], one: u64) -> Vec<u64> {
    targets.iter().map(|target| target.wrapping_mul(2).wrapping_sub(one)).collect()
}

/// The softmax of each sample, or its logarithm.
async fn softmax<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    Outputs { outputs, columns, frac_bits, .. }: Outputs<'_>,
    logarithm: bool,
) -> Result<Vec<u64>, E::Error> {
    let mut out = vec![0; outputs.len()];
    let mut room = Room::new(softmax::need(outputs.len() / columns.max(1), columns));
    let (engine, scratch) = (machine.engine(), &mut room.scratch());
    if logarithm {
        softmax::log_softmax(engine, columns, frac_bits, outputs, &mut out, scratch).await?;
    } else {
        softmax::softmax(engine, columns, frac_bits, outputs, &mut out, scratch).await?;
    }
    Ok(out)
}

/// A function of each output.
async fn smooth<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    function: Smooth,
    batch: Outputs<'_>,
) -> Result<Vec<u64>, E::Error> {
    let (mut x, mut out) = (batch.outputs.to_vec(), vec![0; batch.outputs.len()]);
    let mut room = Room::new(unary::need(x.len()));
    let (engine, scratch) = (machine.engine(), &mut room.scratch());
    unary::apply(engine, function, batch.frac_bits, &mut x, &mut out, scratch).await?;
    Ok(out)
}

/// The loss itself, summed over the batch; of the hinge loss it falls off with the gradient.
async fn value<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    loss: Loss,
    batch: Outputs<'_>,
) -> Result<u64, E::Error> {
    let Outputs { outputs, targets, frac_bits: f, .. } = batch;
    let dot = async |machine: &mut Machine<E, T>, mut x: Vec<u64>| -> Result<u64, E::Error> {
        machine.engine().run(&Multiply::new(), Factors { x: &mut x, y: targets }).await?;
        Ok(sum(&x))
    };
    let (mut whole, mut doubled) = (0, 0_u64);
    match loss {
        Loss::CrossEntropy => {
            let logarithms = softmax(machine, batch, true).await?;
            doubled = dot(machine, logarithms).await?.wrapping_neg();
        }
        Loss::SquaredError => {
            let distance = minus(outputs, targets);
            let short = shortened_bits(distance.len());
            let mut distance = machine.truncate(distance, short).await?;
            machine.engine().run(&Square::new(), &mut distance).await?;
            // Half the sum, from twice as many fraction bits as are left to as many as before.
            let squares = sum(&distance);
            let halved = match (f + 1).checked_sub(2 * short) {
                Some(shift) => sum(&machine.truncate(vec![squares], shift).await?),
                None => squares << (2 * short - f - 1),
            };
            return Ok(halved);
        }
        Loss::Logistic => {
            // ln(1 + e^y) - target y
            whole = sum(&smooth(machine, Smooth::Softplus, batch).await?);
            doubled = dot(machine, outputs.to_vec()).await?.wrapping_neg();
        }
        Loss::Hinge => {}
    }
    let scaled = machine.truncate(vec![doubled], f).await?;
    Ok(whole.wrapping_add(sum(&scaled)))
}

/// Samples whose largest output is that of the target, or whose only output is on the target's
/// side; with the fraction bits of targets. Outputs of numbers have no classes.
async fn correct<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    loss: Loss,
    Outputs { outputs, targets, columns, frac_bits: f }: Outputs<'_>,
) -> Result<u64, E::Error> {
    if columns > 1 {
        let mut bits = outputs.to_vec();
        let mut room = Room::new(extreme::one_hot_need(outputs.len() / columns, columns));
        extreme::one_hot(machine.engine(), columns, &mut bits, &mut room.scratch()).await?;
        machine.engine().run(&Multiply::new(), Factors { x: &mut bits, y: targets }).await?;
        return Ok(sum(&bits));
    }
    if loss == Loss::SquaredError {
        return Ok(0);
    }
    // p t + (1 - p) (1 - t) = 1 - t + p (2 t - 1), p = [y >= 0] kept by the gate.
    let (_, bits) = machine.activate(outputs.to_vec(), 0, true).await?;
    let one = machine.constant(1 << f);
    let mut chosen = signs(targets, one);
    machine.select(&mut chosen, bits).await?;
    Ok(targets.iter().zip(&chosen).fold(0, |sum, (target, chosen)| {
        sum.wrapping_add(one.wrapping_sub(*target).wrapping_add(*chosen))
    }))
}
