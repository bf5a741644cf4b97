//! A trained model that stays shared, and what is needed to answer with it: its sizes, and the
//! plans of its two kinds of sessions.
//!
//! One session opens the weights under masks; each inference after it costs the messages of
//! [`Evaluate`] on one sample, whose weights are multiplied as they were opened.

use core::convert::Infallible;
use std::sync::Arc;

use sharelet_core::functions::engine::{EngineError, Truncation};

use super::config::{Arithmetic, FRAC_BITS};
use super::forward::Value;
use super::model::Model;
use super::network::{Network, NetworkError, Shape};
use super::step::{Evaluate, OpenModel};
use crate::tensor::Masked;
use crate::tensor::offline::Plan;

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
    /// The sizes.
    #[error("the model cannot be evaluated: {0}")]
    Engine(#[from] EngineError<Infallible>),
}

/// Sizes and plans of a shared model. Public.
#[derive(Debug)]
pub struct Serving {
    network: Network,
    arithmetic: Arithmetic,
    outputs: usize,
    output_frac_bits: u32,
    opening: Arc<Plan>,
    evaluation: Arc<Plan>,
}

impl Serving {
    /// Counts both kinds of sessions.
    ///
    /// # Errors
    /// [`ServingError`].
    pub fn new(network: Network, arithmetic: Arithmetic) -> Result<Self, ServingError> {
        let frac_bits = arithmetic.frac_bits;
        if !FRAC_BITS.contains(&frac_bits) {
            return Err(ServingError::FracBits(frac_bits));
        }
        let truncation = arithmetic.truncation();
        let outputs = network.shapes()?.last().map_or(0, Shape::elems);
        let zeros = Model::zeros(&network, false)?;
        let (opening, weights) = Plan::counted(&mut OpenModel(&zeros), truncation)?;
        let inputs = vec![0; network.input.elems()];
        let mut evaluate = Evaluate::new(&network, frac_bits, (&zeros, &weights), inputs)?;
        let (evaluation, Value { frac_bits: output_frac_bits, .. }) =
            Plan::counted(&mut evaluate, truncation)?;
        let (opening, evaluation) = (Arc::new(opening), Arc::new(evaluation));
        Ok(Self { network, arithmetic, outputs, output_frac_bits, opening, evaluation })
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

    /// The program that opens the weights of a model.
    #[must_use]
    pub const fn open<'m>(&self, model: &'m Model) -> OpenModel<'m> {
        OpenModel(model)
    }

    /// The program of an inference.
    ///
    /// # Errors
    /// As [`Evaluate::new`].
    pub fn evaluate<'s>(
        &'s self,
        model: &'s Model,
        weights: &'s [Masked],
        inputs: Vec<u64>,
    ) -> Result<Evaluate<'s>, NetworkError> {
        Evaluate::new(&self.network, self.arithmetic.frac_bits, (model, weights), inputs)
    }
}
