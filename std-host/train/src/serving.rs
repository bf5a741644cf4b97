//! A trained model that stays shared, and what is needed to answer with it: its sizes, and the
//! plans of its two kinds of sessions.
//!
//! One session opens the weights under masks; each inference after it costs the messages of
//! [`Evaluate`] on one sample, whose weights are multiplied as they were opened. Where columns are
//! standardised a product and a truncation come first.

use core::convert::Infallible;
use std::sync::Arc;

use sharelet_core::functions::engine::{EngineError, Truncation};

use super::config::{Arithmetic, FRAC_BITS};
use super::model::Model;
use super::network::{Layer, Network, NetworkError, Shape};
use super::scaling::{COLUMN_WORDS, Coarse, INPUT_BITS, PLAIN_BITS, coarsen, fold_shared};
use super::step::{Evaluate, open_frozen};
use super::value::Value;
use crate::tensor::offline::Plan;
use crate::tensor::party::Prepared;
use crate::tensor::{Machine, Masked, Program, Runner, Tensors};

/// Fraction bits of a model whose last layer scales targets back: with fewer an answer of a narrow
/// target has too few units, with more one of a wide target has no room.
const FOLDED_FRAC_BITS: core::ops::RangeInclusive<u32> = 20..=22;

/// Why a model cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServingError {
    /// The layers.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The fraction bits that were asked for.
    #[error(
        "{0} fraction bits; {least} to {most} are possible",
        least = FRAC_BITS.start(),
        most = FRAC_BITS.end(),
    )]
    FracBits(u32),
    /// Fraction bits for which a folded model is too coarse, or its answers too large.
    #[error(
        "the model was trained on standardised labels with {0} fraction bits, and is served with \
         {least} to {most}: share the data with --frac-bits {least} and train again, or open the \
         model",
        least = FOLDED_FRAC_BITS.start(),
        most = FOLDED_FRAC_BITS.end(),
    )]
    Folded(u32),
    /// Columns that are standardised, without a dense layer that undoes it.
    #[error("the model cannot be evaluated: {0} columns are standardised where that is not undone")]
    Standardised(usize),
    /// The sizes.
    #[error("the model cannot be evaluated: {0}")]
    Engine(#[from] EngineError<Infallible>),
}

/// Sizes and plans of a shared model. Public.
#[derive(Debug)]
pub struct Serving {
    network: Network,
    arithmetic: Arithmetic,
    standardised: usize,
    outputs: usize,
    output_frac_bits: u32,
    opening: Arc<Plan>,
    evaluation: Arc<Plan>,
}

impl Serving {
    /// Counts both kinds of sessions. `standardised` is how many columns are standardised, as
    /// [`super::course::Sizes`] counts them.
    ///
    /// # Errors
    /// [`ServingError`].
    pub fn new(
        network: Network,
        arithmetic: Arithmetic,
        standardised: usize,
    ) -> Result<Self, ServingError> {
        let frac_bits = arithmetic.frac_bits;
        if !FRAC_BITS.contains(&frac_bits) {
            return Err(ServingError::FracBits(frac_bits));
        }
        let truncation = arithmetic.truncation();
        let outputs = network.shapes()?.last().map_or(0, Shape::elems);
        let features = network.input.elems();
        let dense = |layer: Option<&Layer>| matches!(layer, Some(Layer::Dense { .. }));
        let undone = standardised == 0
            || (standardised == features && dense(network.layers.first()))
            || (Some(standardised) == features.checked_add(outputs)
                && dense(network.layers.first())
                && dense(network.layers.last()));
        if !undone {
            return Err(ServingError::Standardised(standardised));
        }
        if standardised > features && !FOLDED_FRAC_BITS.contains(&frac_bits) {
            return Err(ServingError::Folded(frac_bits));
        }
        let zeros = Model::zeros(&network, false)?;
        let scaling = vec![[0; COLUMN_WORDS]; standardised];
        let mut open =
            Open { network: &network, model: &zeros, features, scaling: &scaling, frac_bits };
        let (opening, opened) = Plan::counted(&mut open, truncation)?;
        let mut answer = Answer::new(&network, frac_bits, &opened, vec![0; features])?;
        let (evaluation, Value { frac_bits: output_frac_bits, .. }) =
            Plan::counted(&mut answer, truncation)?;
        let (opening, evaluation) = (Arc::new(opening), Arc::new(evaluation));
        Ok(Self {
            network,
            arithmetic,
            standardised,
            outputs,
            output_frac_bits,
            opening,
            evaluation,
        })
    }

    /// Layers and sizes.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Fraction bits, and how values are truncated.
    #[must_use]
    pub const fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// How many columns are standardised.
    #[must_use]
    pub const fn standardised(&self) -> usize {
        self.standardised
    }

    /// How values are truncated.
    #[must_use]
    pub const fn truncation(&self) -> Truncation {
        self.arithmetic.truncation()
    }

    /// Inputs, in elements, with [`Arithmetic::frac_bits`].
    #[must_use]
    pub const fn inputs(&self) -> usize {
        self.network.input.elems()
    }

    /// The largest magnitude of an input, in ones: that of data to train on, or less where inputs
    /// are compared before they are multiplied.
    #[must_use]
    pub fn input_limit(&self) -> u32 {
        let first =
            self.network.layers.iter().find(|layer| !matches!(layer, Layer::AveragePool(_)));
        let ones = |bits: u32| 1 << bits.saturating_sub(self.arithmetic.frac_bits);
        match first {
            // A comparison takes magnitudes below 2^31 units.
            Some(Layer::Relu) => ones(PLAIN_BITS - 1) - 1,
            // And a max-pool those of differences.
            Some(Layer::MaxPool(_)) => ones(PLAIN_BITS - 2) - 1,
            _ if self.standardised > 0 => ones(INPUT_BITS),
            _ => ones(PLAIN_BITS),
        }
    }

    /// Outputs, in elements, with [`Serving::output_frac_bits`].
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Fraction bits of the outputs: those of a product if the last layer is one.
    #[must_use]
    pub const fn output_frac_bits(&self) -> u32 {
        self.output_frac_bits
    }

    /// What the session takes that opens the weights.
    #[must_use]
    pub const fn opening(&self) -> &Arc<Plan> {
        &self.opening
    }

    /// What an inference takes.
    #[must_use]
    pub const fn evaluation(&self) -> &Arc<Plan> {
        &self.evaluation
    }

    /// The numbers and plans of the opening and `count - 1` inferences, from session `first` on.
    pub fn sessions(
        &self,
        first: u64,
        count: u32,
    ) -> impl Iterator<Item = (u64, Arc<Plan>)> + Send + use<> {
        let (opening, evaluation) = (self.opening.clone(), self.evaluation.clone());
        (first..first.saturating_add(count.into())).map(move |number| {
            (number, if number == first { opening.clone() } else { evaluation.clone() })
        })
    }

    /// A model of zeros: the dealer's.
    #[must_use]
    pub fn zeros(&self) -> Model {
        // The layers were checked: there is no other error.
        Model::zeros(&self.network, false)
            .unwrap_or(Model { parameters: Vec::new(), velocity: Vec::new() })
    }

    /// The program that opens the weights of a model, whose scaling is folded into them before.
    #[must_use]
    pub const fn open<'m>(
        &'m self,
        model: &'m Model,
        scaling: &'m [[u64; COLUMN_WORDS]],
    ) -> Open<'m> {
        let (network, frac_bits) = (&self.network, self.arithmetic.frac_bits);
        Open { network, model, features: self.inputs(), scaling, frac_bits }
    }

    /// Multiplies ahead of an inference what does not wait for the sample: half of what each party
    /// multiplies in all.
    ///
    /// # Errors
    /// Correlations that are not those of an inference.
    pub fn foresee(&self, prepared: &mut Prepared, opened: &Opened) -> Result<(), ServingError> {
        let mut evaluate = self.evaluate(opened, vec![0; self.inputs()])?;
        Ok(prepared.foresee(&mut evaluate)?)
    }

    /// The program of an inference.
    ///
    /// # Errors
    /// As [`Evaluate::new`].
    pub fn evaluate<'s>(
        &'s self,
        opened: &'s Opened,
        inputs: Vec<u64>,
    ) -> Result<Answer<'s>, NetworkError> {
        Answer::new(&self.network, self.arithmetic.frac_bits, opened, inputs)
    }
}

/// A shared model whose weights are opened under masks.
pub struct Opened {
    model: Model,
    weights: Vec<Masked>,
    coarse: Option<Coarse>,
}

/// The answer for one sample, as it came.
pub struct Answer<'s> {
    evaluate: Evaluate<'s>,
    coarse: Option<&'s Coarse>,
    frac_bits: u32,
}

impl<'s> Answer<'s> {
    fn new(
        network: &'s Network,
        frac_bits: u32,
        Opened { model, weights, coarse }: &'s Opened,
        inputs: Vec<u64>,
    ) -> Result<Self, NetworkError> {
        let evaluate = Evaluate::new(network, frac_bits, (model, weights), inputs)?;
        Ok(Self { evaluate, coarse: coarse.as_ref(), frac_bits })
    }
}

impl Program for Answer<'_> {
    type Output = Value;

    async fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<Value, E::Error> {
        let Self { evaluate, coarse, frac_bits } = self;
        if let Some(coarse) = coarse {
            let row = core::mem::take(&mut evaluate.inputs);
            evaluate.inputs = coarsen(machine, row, coarse, *frac_bits).await?;
        }
        evaluate.run(machine).await
    }
}

/// Folds what scales columns into a model as far as that is near 1, and opens the model's weights
/// and the rest of the scaling under masks.
pub struct Open<'m> {
    network: &'m Network,
    model: &'m Model,
    features: usize,
    scaling: &'m [[u64; COLUMN_WORDS]],
    frac_bits: u32,
}

redacted!(Opened, Open<'_>, Answer<'_>);

impl Program for Open<'_> {
    type Output = Opened;

    async fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<Opened, E::Error> {
        let mut model = self.model.clone();
        fold_shared(machine, &mut model, self.features, self.scaling, self.frac_bits).await?;
        let of_features = self.scaling.get(..self.features).unwrap_or(self.scaling);
        let coarse = Coarse::open(machine, of_features).await?;
        let weights = open_frozen(machine, self.network, &mut model, self.frac_bits).await?;
        let weights = weights.into_iter().map(Masked::known).collect();
        Ok(Opened { model, weights, coarse })
    }
}
