//! A model in training: shares of its weights, or the weights themselves for the twin.

use super::network::{Network, NetworkError};
use super::parameters::{LayerParameters, Parameters};

/// Everything that a training step changes.
#[derive(Clone)]
pub struct Model {
    /// Per layer.
    pub parameters: Vec<LayerParameters<u64>>,
    /// Per layer, the sums that momentum keeps, of what has a gradient; empty without momentum.
    pub velocity: Vec<LayerParameters<u64>>,
}

impl Model {
    /// A model of zeros: what a party holds of a public model that the other holds, or anyone of
    /// sizes alone.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn zeros(network: &Network, momentum: bool) -> Result<Self, NetworkError> {
        let parameters = Parameters::filled(network, 0)?.layers;
        let still = |layer: &LayerParameters<u64>| LayerParameters {
            statistics: Vec::new(),
            ..layer.clone()
        };
        let velocity = if momentum { parameters.iter().map(still).collect() } else { Vec::new() };
        Ok(Self { parameters, velocity })
    }

    /// All words that training changes, in order.
    pub fn words(&self) -> impl Iterator<Item = &u64> {
        self.parameters.iter().chain(&self.velocity).flat_map(LayerParameters::words)
    }

    /// All words that training changes, in order.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.parameters.iter_mut().chain(&mut self.velocity).flat_map(LayerParameters::words_mut)
    }
}

redacted!(Model);
