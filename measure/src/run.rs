//! Every function on any engine.

use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::offline::{Count, Offline, Usage};
use sharelet_core::functions::engine::{Comparison, Engine};
use sharelet_core::functions::program::pool::{Window, max_pool, mean_pool};
use sharelet_core::functions::program::{
    Need, Scratch, choice, extreme, scaling, softmax, statistics, unary,
};
use sharelet_core::functions::protocol::product::Square;
use sharelet_core::ring::Ring;
use sharelet_core::step::StepError;

use crate::function::{CLAMP, COLUMNS, CONSTANTS, Function, SLOPE};

/// A function with a number of fraction bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    /// The function.
    pub function: Function,
    /// Fraction bits; 0 for functions of integers.
    pub frac_bits: u32,
}

/// Operands, result and temporary values of a number of elements.
#[derive(Clone, Debug)]
pub struct Room<R> {
    /// The operands.
    pub operands: [Vec<R>; 3],
    /// The result.
    pub out: Vec<R>,
    copy: Vec<R>,
    own: Vec<R>,
    narrow: Vec<u32>,
    wide: Vec<u64>,
}

impl<R: Ring> Room<R> {
    /// Room for `elements` elements, all zero.
    #[must_use]
    pub fn new(job: Job, elements: usize) -> Self {
        let shape = job.function.shape();
        let need = need::<R>(job.function, elements);
        let operand = |index: usize| {
            vec![R::ZERO; if index < shape.operands { elements * shape.columns } else { 0 }]
        };
        Self {
            operands: core::array::from_fn(operand),
            out: vec![R::ZERO; elements * shape.outputs],
            copy: vec![R::ZERO; elements * shape.columns],
            own: vec![R::ZERO; need.own_elems],
            narrow: vec![0; need.narrow_elems],
            wide: vec![0; need.wide_elems],
        }
    }
}

/// The scratch of a function.
fn need<R: Ring>(function: Function, elements: usize) -> Need {
    match function {
        Function::Smooth(_) => unary::need(elements),
        Function::ExpFull => unary::exp_need::<R>(elements),
        Function::LeakyRelu | Function::Relu6 | Function::Abs | Function::Clamp => {
            choice::segments_need(elements, 2)
        }
        Function::Max10 | Function::Min10 | Function::ArgMax10 => extreme::need(elements, COLUMNS),
        Function::OneHot10 => extreme::one_hot_need(elements, COLUMNS),
        Function::MaxPool | Function::MeanPool => pool(elements).need(),
        Function::Reciprocal => scaling::reciprocal_need::<R>(elements),
        Function::Divide => scaling::divide_need::<R>(elements),
        Function::Sqrt | Function::InvSqrt | Function::Ln => scaling::root_need::<R>(elements),
        Function::Softmax10 | Function::LogSoftmax10 => softmax::need(elements, COLUMNS),
        Function::Mean10 => statistics::mean_need(elements),
        Function::Variance10 => statistics::variance_need(elements, COLUMNS),
        Function::LayerNorm10 => statistics::layer_norm_need(elements, COLUMNS),
        _ => choice::need(elements),
    }
}

/// Every element is a channel of one window.
fn pool(elements: usize) -> Window {
    Window { channels: elements, height: 2, width: 2, size: (2, 2), stride: (2, 2) }
}

fn word<R: Ring>(value: i64) -> R {
    R::from_u64(value.cast_unsigned())
}

/// What is added to the sum of squares of a normalised row: `1e-5`, as near as it is represented,
/// at least one unit.
#[must_use]
pub fn epsilon(frac_bits: u32) -> u64 {
    ((1_u64 << (2 * frac_bits)) / 100_000).max(1)
}

/// Runs the function; operands stay as they are.
///
/// # Errors
/// The engine's.
pub async fn apply<R: Ring, E: Engine>(
    engine: &mut E,
    job: Job,
    room: &mut Room<R>,
) -> Result<(), E::Error> {
    let Room { operands: [x, y, z], out, copy, own, narrow, wide } = room;
    let scratch = &mut Scratch { own, narrow, wide };
    let f = job.frac_bits;
    copy.copy_from_slice(x);
    match job.function {
        Function::Smooth(smooth) => {
            return unary::apply(engine, smooth, f, copy, out, scratch).await;
        }
        Function::ExpFull => return unary::exp(engine, f, copy, out, scratch).await,
        Function::Reciprocal => return scaling::reciprocal(engine, f, x, out, scratch).await,
        Function::Divide => return scaling::divide(engine, f, x, y, out, scratch).await,
        Function::Sqrt => return scaling::sqrt(engine, f, x, out, scratch).await,
        Function::InvSqrt => return scaling::inv_sqrt(engine, f, x, out, scratch).await,
        Function::Ln => return scaling::ln(engine, f, x, out, scratch).await,
        Function::Softmax10 => return softmax::softmax(engine, COLUMNS, f, x, out, scratch).await,
        Function::LogSoftmax10 => {
            return softmax::log_softmax(engine, COLUMNS, f, x, out, scratch).await;
        }
        Function::Sum10 => return statistics::sum(COLUMNS, x, out).map_err(StepError::into),
        Function::Mean10 => return statistics::mean(engine, COLUMNS, x, out, scratch).await,
        Function::Variance10 => {
            return statistics::variance(engine, COLUMNS, f, x, out, scratch).await;
        }
        Function::LayerNorm10 => {
            return statistics::layer_norm(engine, COLUMNS, (f, epsilon(f)), None, x, out, scratch)
                .await;
        }
        Function::Max10 => return extreme::max(engine, COLUMNS, copy, out, scratch).await,
        Function::Min10 => return extreme::min(engine, COLUMNS, copy, out, scratch).await,
        Function::ArgMax10 => return extreme::arg_max(engine, COLUMNS, copy, out, scratch).await,
        Function::MaxPool => return max_pool(engine, pool(out.len()), x, out, scratch).await,
        Function::MeanPool => return mean_pool(engine, pool(out.len()), x, out, scratch).await,
        Function::Compare => {
            return choice::compare(engine, &[R::ZERO], Folding::Direct, copy, out).await;
        }
        Function::Compare16 => {
            let constants = CONSTANTS.map(word::<R>);
            return choice::compare(engine, &constants, Folding::Direct, copy, out).await;
        }
        Function::AtLeast => return choice::at_least(engine, copy, y, out).await,
        Function::Equal => return choice::equal_to(engine, copy, y, out).await,
        Function::Select => {
            out.copy_from_slice(y);
            return choice::select(engine, copy, out, z).await;
        }
        Function::Choose => {
            out.copy_from_slice(y);
            return choice::choose(engine, 1, copy, out).await;
        }
        _ => out.copy_from_slice(x),
    }
    match job.function {
        Function::Relu => choice::relu(engine, out).await,
        Function::ReluShift => choice::relu_shift(engine, f, out).await,
        Function::LeakyRelu => choice::leaky_relu(engine, SLOPE.0, SLOPE.1, out, scratch).await,
        Function::Relu6 => choice::relu6(engine, f, out, scratch).await,
        Function::Abs => choice::abs(engine, out, scratch).await,
        Function::Clamp => choice::clamp(engine, word(CLAMP.0), word(CLAMP.1), out, scratch).await,
        Function::Maximum => choice::maximum(engine, out, y).await,
        Function::Minimum => choice::minimum(engine, out, y).await,
        Function::Truncate => choice::truncate(engine, f, out).await,
        Function::Rescale => choice::rescale(engine, f, out, scratch).await,
        Function::Multiply => choice::multiply(engine, f, out, y, scratch).await,
        Function::Square => {
            engine.run(&Square::new(), &mut *out).await?;
            choice::rescale(engine, f, out, scratch).await
        }
        Function::OneHot10 => extreme::one_hot(engine, COLUMNS, out, scratch).await,
        _ => Ok(()),
    }
}

/// What `elements` elements cost.
///
/// # Errors
/// If the function does not exist for this ring and these fraction bits.
pub fn usage<R: Ring>(job: Job, elements: usize) -> anyhow::Result<Usage> {
    let mut engine = Offline::new(Count::default(), Comparison::Tables);
    embassy_futures::block_on(apply(&mut engine, job, &mut Room::<R>::new(job, elements)))?;
    Ok(engine.into_task().0)
}
