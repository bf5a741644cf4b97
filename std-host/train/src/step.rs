//! The programs of training: opening the data, a step, an evaluation.

use core::mem;

use super::backward::backward;
use super::forward::{Sized, forward};
use super::loss::{self, Outputs, Sums, Wanted};
use super::model::Model;
use super::network::{Network, NetworkError};
use super::normalise;
use super::parameters::LayerParameters;
use super::update::{Rates, update};
use super::value::Value;
use crate::tensor::{Machine, Masked, Program, Runner, Tensors};

/// Opens all samples under masks, once: 8 bytes per word and party. Batches are rows of what it
/// leaves.
pub struct OpenData {
    /// Samples, row by row; used up.
    pub inputs: Vec<u64>,
}

/// One step of stochastic gradient descent.
pub struct Step<'s> {
    network: Sized<'s>,
    model: &'s mut Model,
    inputs: Option<Masked>,
    targets: Vec<u64>,
    rates: Rates,
    wanted: Wanted,
}

/// Answers without a change of the model, for samples that may be opened already, and their sums.
/// Its batch normalisations are frozen: see [`open_frozen`].
pub struct Evaluate<'s> {
    network: Sized<'s>,
    model: &'s Model,
    weights: &'s [Masked],
    pub(crate) inputs: Vec<u64>,
}

redacted!(OpenData, Step<'_>, Evaluate<'_>);

impl Program for OpenData {
    type Output = Masked;

    async fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<Masked, E::Error> {
        machine.open_one(mem::take(&mut self.inputs)).await
    }
}

impl<'s> Step<'s> {
    /// A step on a batch of opened samples and shared targets (`batch x outputs`).
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn new(
        network: &'s Network,
        frac_bits: u32,
        model: &'s mut Model,
        (inputs, targets): (Masked, Vec<u64>),
        rates: Rates,
        wanted: Wanted,
    ) -> Result<Self, NetworkError> {
        let network = Sized::new(network, inputs.share().len(), frac_bits)?;
        Ok(Self { network, model, inputs: Some(inputs), targets, rates, wanted })
    }
}

impl Program for Step<'_> {
    type Output = Sums;

    async fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<Sums, E::Error> {
        let Some(inputs) = self.inputs.take() else { return Ok(Sums::default()) };
        let (sized, model) = (&self.network, &mut *self.model);
        let layers = sized.network.layers.iter().zip(&model.parameters);
        let products = layers.filter(|(layer, _)| layer.has_weights());
        let weights = open_weights(machine, products.map(|(_, layer)| layer)).await?;
        let (outputs, traces) =
            forward(machine, sized, inputs, (&weights, &model.parameters), true).await?;
        let outputs = machine.truncate(outputs.words, outputs.frac_bits - sized.frac_bits).await?;
        let batch = Outputs {
            outputs: &outputs,
            targets: &self.targets,
            columns: sized.columns(),
            frac_bits: sized.frac_bits,
        };
        let (gradient, sums) =
            loss::gradient(machine, sized.network.loss, batch, self.wanted).await?;
        let gradients = backward(machine, sized, &weights, traces, gradient).await?;
        update(machine, model, gradients, &self.rates, sized.frac_bits).await?;
        Ok(sums)
    }
}

/// Opens the weights of those layers that have some, in one message.
///
/// # Errors
/// The engine's.
pub async fn open_weights<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    layers: impl Iterator<Item = &LayerParameters<u64>>,
) -> Result<Vec<Masked>, E::Error> {
    let weights = layers.map(|layer| &layer.weights).filter(|weights| !weights.is_empty());
    machine.open(weights.cloned().collect()).await
}

/// The weights of a model that answers, and does not learn, opened in one message; its batch
/// normalisations are [frozen](normalise::freeze) before.
///
/// # Errors
/// The engine's.
pub async fn open_frozen<E: Runner, T: Tensors>(
    machine: &mut Machine<E, T>,
    network: &Network,
    model: &mut Model,
    frac_bits: u32,
) -> Result<Vec<Masked>, E::Error> {
    normalise::freeze(machine, network, &mut model.parameters, frac_bits).await?;
    open_weights(machine, model.parameters.iter()).await
}

impl<'s> Evaluate<'s> {
    /// Answers for shared samples, with weights that were opened before.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn new(
        network: &'s Network,
        frac_bits: u32,
        (model, weights): (&'s Model, &'s [Masked]),
        inputs: Vec<u64>,
    ) -> Result<Self, NetworkError> {
        let network = Sized::new(network, inputs.len(), frac_bits)?;
        Ok(Self { network, model, weights, inputs })
    }
}

impl Program for Evaluate<'_> {
    type Output = Value;

    async fn run<E: Runner, T: Tensors>(
        &mut self,
        machine: &mut Machine<E, T>,
    ) -> Result<Value, E::Error> {
        let inputs = machine.open_one(mem::take(&mut self.inputs)).await?;
        let weights = (self.weights, self.model.parameters.as_slice());
        let (outputs, _) = forward(machine, &self.network, inputs, weights, false).await?;
        Ok(outputs)
    }
}
