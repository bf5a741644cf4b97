//! All programs of the core, and the protocols that none of them uses alone, by name and
//! parameters.

use sharelet_core::functions::cut::Folding;
use sharelet_core::functions::engine::{Comparison, Engine, Settings, Truncation};
use sharelet_core::functions::program::unary::{self, Smooth};
use sharelet_core::functions::program::{
    Need, Scratch, choice, scaling, softmax, statistics, truncation,
};
use sharelet_core::functions::program::{
    extreme,
    pool::{self, Window},
};
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::functions::protocol::matrix::{
    ApplyMatrix, MaskMatrix, Masked, MatrixFactors, MatrixMultiply, Vectors,
};
use sharelet_core::functions::protocol::piecewise::{Applied, Piecewise};
use sharelet_core::functions::protocol::product::Square;
use sharelet_core::functions::protocol::segments::Knot;
use sharelet_core::functions::tables;
use sharelet_core::ring::Ring;

use super::Program;
use super::data::{Data, Word, word};

/// A program with its parameters. Words are signed; `f` counts fraction bits, `columns` the numbers
/// of a row.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Function {
    /// `y` has `width` values per word of `x`.
    Choose {
        width: usize,
        other: bool,
    },
    Compare {
        constants: Vec<i64>,
        folding: Folding,
        other: bool,
    },
    Equal {
        constant: i64,
        other: bool,
    },
    AtLeast,
    EqualTo,
    /// `y` where `x >= 0`, else the results' old contents.
    Select,
    Relu,
    ReluShift(u32),
    Truncate(u32),
    Multiply(u32),
    Rescale(u32),
    /// To the other ring.
    Convert(u32),
    Maximum,
    Minimum,
    /// Slope, offset, and knots of place, slope, offset.
    Segments(i64, i64, Vec<[i64; 3]>),
    Abs,
    Clamp(i64, i64),
    Relu6(u32),
    LeakyRelu(u32, u32),
    Square,
    /// Rows, inner, columns.
    MatrixMultiply(usize, usize, usize),
    /// Rows, columns; `x` is the matrix and then vectors, `y` the mask.
    FixedMatrix(usize, usize),
    Smooth {
        function: Smooth,
        f: u32,
        other: bool,
    },
    Exp(u32),
    /// The reciprocal's table in its known domain, to the other ring.
    Within,
    Max(usize),
    Min(usize),
    ArgMax(usize),
    OneHot(usize),
    MaxPool(Window),
    MeanPool(Window),
    Reciprocal(u32),
    Sqrt(u32),
    InvSqrt(u32),
    Ln(u32),
    Divide(u32),
    Softmax(usize, u32),
    LogSoftmax(usize, u32),
    Sum(usize),
    Mean(usize),
    Variance(usize, u32),
    /// Columns, fraction bits, epsilon, gain and offset.
    LayerNorm(usize, u32, u64, Option<[Vec<i64>; 2]>),
    /// Any of them, comparing without tables.
    OnBits(Box<Self>),
    /// Any of them, comparing the parties' own shares.
    ByOt(Box<Self>),
    /// Any of them, truncating exactly.
    Exactly(Box<Self>),
}

impl Function {
    /// The same, comparing without tables.
    pub fn on_bits(self) -> Self {
        Self::OnBits(Box::new(self))
    }

    /// The same, comparing the parties' own shares.
    pub fn by_ot(self) -> Self {
        Self::ByOt(Box::new(self))
    }

    /// The same, truncating exactly.
    pub fn exactly(self) -> Self {
        Self::Exactly(Box::new(self))
    }

    /// Every function, for calls of so many elements, a multiple of 12, and `f` fraction bits.
    pub fn every(elements: usize, f: u32) -> Vec<Self> {
        let window =
            |size| Window { channels: elements / 12, height: 3, width: 4, size, stride: (1, 1) };
        let mut all = vec![
            Self::Choose { width: 1, other: false },
            Self::Choose { width: 1, other: true },
            Self::Compare { constants: vec![0, 5], folding: Folding::Direct, other: false },
            Self::Compare { constants: vec![0, 5], folding: Folding::Staged, other: true },
            Self::Equal { constant: 5, other: false },
            Self::Equal { constant: 5, other: true },
            Self::AtLeast,
            Self::EqualTo,
            Self::Select,
            Self::Relu,
            Self::ReluShift(f),
            Self::Truncate(f),
            Self::Multiply(f),
            Self::Rescale(f),
            Self::Convert(f),
            Self::Maximum,
            Self::Minimum,
            Self::Segments(1, 1, vec![[0, 1, 1]]),
            Self::Abs,
            Self::Clamp(-3, 3),
            Self::Relu6(f),
            Self::LeakyRelu(1, f),
            Self::Square,
            Self::MatrixMultiply(elements / 4, 4, elements / 4),
            Self::FixedMatrix(3, 3),
            Self::Exp(f),
            Self::Within,
            Self::Max(3),
            Self::Min(3),
            Self::ArgMax(3),
            Self::OneHot(3),
            Self::MaxPool(window((2, 2))),
            Self::MeanPool(window((3, 2))),
            Self::Reciprocal(f),
            Self::Sqrt(f),
            Self::InvSqrt(f),
            Self::Ln(f),
            Self::Divide(f),
            Self::Softmax(3, f),
            Self::LogSoftmax(3, f),
            Self::Sum(3),
            Self::Mean(3),
            Self::Variance(3, f),
            Self::LayerNorm(3, f, 1, None),
            Self::LayerNorm(3, f, 1, Some([vec![1; 3], vec![2; 3]])),
        ];
        all.extend(Smooth::ALL.map(|function| Self::Smooth { function, f, other: false }));
        all
    }

    /// Data for these arguments, with room for the results and the scratch that the program asks
    /// for.
    pub fn data<R: Word>(&self, x: &[R], y: &[R]) -> Data<R> {
        if let Self::OnBits(function) | Self::ByOt(function) | Self::Exactly(function) = self {
            return function.data(x, y);
        }
        let mut data = Data { x: x.to_vec(), y: y.to_vec(), ..Data::default() };
        let rows = |columns: &usize| x.len() / columns;
        let (own, other) = match self {
            Self::Choose { other: false, .. } | Self::Select => (y.len(), 0),
            Self::Choose { other: true, .. } => (0, y.len()),
            Self::Compare { constants, other, .. } => by_ring(*other, x.len() * constants.len()),
            Self::Equal { other, .. } | Self::Smooth { other, .. } => by_ring(*other, x.len()),
            Self::Convert(_) | Self::Within => (0, x.len()),
            Self::MatrixMultiply(rows, _, columns) => (rows * columns, 0),
            Self::FixedMatrix(rows, columns) => ((x.len() - rows * columns) / columns * rows, 0),
            Self::Max(columns)
            | Self::Min(columns)
            | Self::ArgMax(columns)
            | Self::Sum(columns)
            | Self::Mean(columns)
            | Self::Variance(columns, _) => (rows(columns), 0),
            Self::MaxPool(window) | Self::MeanPool(window) => {
                let (rows, columns) = window.outputs().expect("fits");
                (window.channels * rows * columns, 0)
            }
            _ => (x.len(), 0),
        };
        data.out = vec![R::ZERO; own];
        data.other = vec![R::Other::ZERO; other];
        match self {
            Self::Choose { other: false, .. } => data.out.clone_from(&data.y),
            Self::Choose { other: true, .. } => {
                data.other = y.iter().map(|y| word(y.to_i64())).collect()
            }
            // What is left where the sign is negative.
            Self::Select => data.out = x.iter().map(|x| x.mul(word(3))).collect(),
            _ => {}
        }
        data.room = self.need::<R>(x.len());
        data
    }

    /// What the program says that it needs, for `elements` words of `x`.
    pub fn need<R: Word>(&self, elements: usize) -> Need {
        let rows = |columns: usize| elements / columns.max(1);
        match self {
            Self::OnBits(function) | Self::ByOt(function) | Self::Exactly(function) => {
                function.need::<R>(elements)
            }
            Self::Relu | Self::Maximum | Self::Minimum | Self::Multiply(_) | Self::Rescale(_) => {
                choice::need(elements)
            }
            Self::Segments(_, _, knots) => choice::segments_need(elements, knots.len()),
            Self::Abs => choice::segments_need(elements, 1),
            Self::Clamp(..) | Self::Relu6(_) => choice::segments_need(elements, 2),
            Self::LeakyRelu(..) => choice::segments_need(elements, 1).or(choice::need(elements)),
            Self::Smooth { .. } => unary::need(elements),
            Self::Exp(_) => unary::exp_need::<R>(elements),
            Self::Max(columns) | Self::Min(columns) | Self::ArgMax(columns) => {
                extreme::need(rows(*columns), *columns)
            }
            Self::OneHot(columns) => extreme::one_hot_need(rows(*columns), *columns),
            Self::MaxPool(window) | Self::MeanPool(window) => window.need(),
            Self::Reciprocal(_) => scaling::reciprocal_need::<R>(elements),
            Self::Sqrt(_) | Self::InvSqrt(_) | Self::Ln(_) => scaling::root_need::<R>(elements),
            Self::Divide(_) => scaling::divide_need::<R>(elements),
            Self::Softmax(columns, _) | Self::LogSoftmax(columns, _) => {
                softmax::need(rows(*columns), *columns)
            }
            Self::Mean(columns) => statistics::mean_need(rows(*columns)),
            Self::Variance(columns, _) => statistics::variance_need(rows(*columns), *columns),
            Self::LayerNorm(columns, ..) => statistics::layer_norm_need(rows(*columns), *columns),
            _ => Need::default(),
        }
    }
}

fn by_ring(other: bool, elements: usize) -> (usize, usize) {
    if other { (0, elements) } else { (elements, 0) }
}

fn constants<R: Word>(values: &[i64]) -> Vec<R> {
    values.iter().map(|&value| word(value)).collect()
}

impl<R: Word> Program<R> for Function {
    fn settings(&self) -> Settings {
        let inner = |function: &Self| <Self as Program<R>>::settings(function);
        match self {
            Self::OnBits(function) => Settings { comparison: Comparison::Bits, ..inner(function) },
            Self::ByOt(function) => Settings { comparison: Comparison::Ot, ..inner(function) },
            Self::Exactly(function) => {
                Settings { truncation: Truncation::Exact, ..inner(function) }
            }
            _ => Settings::default(),
        }
    }

    /// Of a fixed matrix the dealer knows the mask.
    fn dealer(&self, data: &Data<R>) -> Data<R> {
        if let Self::OnBits(function) | Self::ByOt(function) | Self::Exactly(function) = self {
            return function.dealer(data);
        }
        let mut blank = data.blank();
        if matches!(self, Self::FixedMatrix(..)) {
            blank.y.clone_from(&data.y);
        }
        blank
    }

    #[allow(clippy::too_many_lines)]
    async fn run<E: Engine>(&self, engine: &mut E, data: &mut Data<R>) -> Result<(), E::Error> {
        if let Self::OnBits(function) | Self::ByOt(function) | Self::Exactly(function) = self {
            return Box::pin(function.run(engine, data)).await;
        }
        let Data { x, y, out, other, room } = data;
        // Scratch holds anything.
        let mut own = vec![word::<R>(0x5a5a_5a5a_5a5a_5a5a); room.own_elems];
        let (mut narrow, mut wide) =
            (vec![0xa5a5_a5a5; room.narrow_elems], vec![0xa5a5_a5a5_5a5a_5a5a; room.wide_elems]);
        let scratch = &mut Scratch { own: &mut own, narrow: &mut narrow, wide: &mut wide };
        match self {
            Self::OnBits(_) | Self::ByOt(_) | Self::Exactly(_) => Ok(()),
            Self::Choose { width, other: false } => choice::choose(engine, *width, x, out).await,
            Self::Choose { width, other: true } => choice::choose(engine, *width, x, other).await,
            Self::Compare { constants: values, folding, other: false } => {
                choice::compare(engine, &constants(values), *folding, x, out).await
            }
            Self::Compare { constants: values, folding, other: true } => {
                choice::compare(engine, &constants(values), *folding, x, other).await
            }
            Self::Equal { constant, other: false } => {
                choice::equal(engine, word(*constant), x, out).await
            }
            Self::Equal { constant, other: true } => {
                choice::equal(engine, word(*constant), x, other).await
            }
            Self::AtLeast => choice::at_least(engine, x, y, out).await,
            Self::EqualTo => choice::equal_to(engine, x, y, out).await,
            Self::Select => {
                let no = out.clone();
                out.clone_from(y);
                choice::select(engine, x, out, &no).await
            }
            Self::Relu => choice::relu(engine, in_place(x, out)).await,
            Self::ReluShift(shift) => choice::relu_shift(engine, *shift, in_place(x, out)).await,
            Self::Truncate(shift) => choice::truncate(engine, *shift, in_place(x, out)).await,
            Self::Multiply(shift) => {
                choice::multiply(engine, *shift, in_place(x, out), y, scratch).await
            }
            Self::Rescale(shift) => {
                choice::rescale(engine, *shift, in_place(x, out), scratch).await
            }
            Self::Convert(shift) => truncation::truncate(engine, *shift, x, other).await,
            Self::Maximum => choice::maximum(engine, in_place(x, out), y).await,
            Self::Minimum => choice::minimum(engine, in_place(x, out), y).await,
            Self::Segments(slope, offset, knots) => {
                let knot = |&[at, slope, offset]: &[i64; 3]| Knot {
                    at: word(at),
                    slope: word(slope),
                    offset: word(offset),
                };
                let knots: Vec<Knot<R>> = knots.iter().map(knot).collect();
                choice::segments(
                    engine,
                    (word(*slope), word(*offset)),
                    &knots,
                    in_place(x, out),
                    scratch,
                )
                .await
            }
            Self::Abs => choice::abs(engine, in_place(x, out), scratch).await,
            Self::Clamp(low, high) => {
                choice::clamp(engine, word(*low), word(*high), in_place(x, out), scratch).await
            }
            Self::Relu6(f) => choice::relu6(engine, *f, in_place(x, out), scratch).await,
            Self::LeakyRelu(slope, bits) => {
                choice::leaky_relu(engine, *slope, *bits, in_place(x, out), scratch).await
            }
            Self::Square => engine.run(&Square::new(), in_place(x, out)).await,
            Self::MatrixMultiply(rows, inner, columns) => {
                engine
                    .run(
                        &MatrixMultiply::new(*rows, *inner, *columns)?,
                        MatrixFactors { x, y, out },
                    )
                    .await
            }
            Self::FixedMatrix(rows, columns) => {
                let (matrix, vectors) = x.split_at(x.len().min(rows.saturating_mul(*columns)));
                let mut opened = vec![R::ZERO; matrix.len()];
                // Two calls, of which the second must not be refused after the first.
                ApplyMatrix::new(*rows, *columns, &opened, y)?
                    .elements(&Vectors { x: vectors, out })?;
                engine
                    .run(&MaskMatrix::new(), Masked { matrix, mask: y, opened: &mut opened })
                    .await?;
                engine
                    .run(
                        &ApplyMatrix::new(*rows, *columns, &opened, y)?,
                        Vectors { x: vectors, out },
                    )
                    .await
            }
            Self::Smooth { function, f, other: false } => {
                unary::apply(engine, *function, *f, x, out, scratch).await
            }
            Self::Smooth { function, f, other: true } => {
                unary::apply(engine, *function, *f, x, other, scratch).await
            }
            Self::Exp(f) => unary::exp(engine, *f, x, out, scratch).await,
            Self::Within => {
                engine
                    .run(
                        &Piecewise::<R, R::Other>::within(tables::reciprocal())?,
                        Applied { x, out: other },
                    )
                    .await
            }
            Self::Max(columns) => extreme::max(engine, *columns, x, out, scratch).await,
            Self::Min(columns) => extreme::min(engine, *columns, x, out, scratch).await,
            Self::ArgMax(columns) => extreme::arg_max(engine, *columns, x, out, scratch).await,
            Self::OneHot(columns) => {
                extreme::one_hot(engine, *columns, in_place(x, out), scratch).await
            }
            Self::MaxPool(window) => pool::max_pool(engine, *window, x, out, scratch).await,
            Self::MeanPool(window) => pool::mean_pool(engine, *window, x, out, scratch).await,
            Self::Reciprocal(f) => scaling::reciprocal(engine, *f, x, out, scratch).await,
            Self::Sqrt(f) => scaling::sqrt(engine, *f, x, out, scratch).await,
            Self::InvSqrt(f) => scaling::inv_sqrt(engine, *f, x, out, scratch).await,
            Self::Ln(f) => scaling::ln(engine, *f, x, out, scratch).await,
            Self::Divide(f) => scaling::divide(engine, *f, x, y, out, scratch).await,
            Self::Softmax(columns, f) => {
                softmax::softmax(engine, *columns, *f, x, out, scratch).await
            }
            Self::LogSoftmax(columns, f) => {
                softmax::log_softmax(engine, *columns, *f, x, out, scratch).await
            }
            Self::Sum(columns) => Ok(statistics::sum(*columns, x, out)?),
            Self::Mean(columns) => statistics::mean(engine, *columns, x, out, scratch).await,
            Self::Variance(columns, f) => {
                statistics::variance(engine, *columns, *f, x, out, scratch).await
            }
            Self::LayerNorm(columns, f, epsilon, affine) => {
                let affine = affine
                    .as_ref()
                    .map(|[gain, offset]| (constants::<R>(gain), constants::<R>(offset)));
                let affine = affine.as_ref().map(|(gain, offset)| (&gain[..], &offset[..]));
                statistics::layer_norm(engine, *columns, (*f, *epsilon), affine, x, out, scratch)
                    .await
            }
        }
    }
}

/// The results' place, with the argument in it.
fn in_place<'a, R: Word>(x: &[R], out: &'a mut Vec<R>) -> &'a mut [R] {
    x.clone_into(out);
    out
}
