//! A model in training: shares of its weights, or the weights themselves for the twin.

use core::fmt;

use super::network::{Network, NetworkError};

/// Weights and biases of a layer, or what belongs to them one by one; empty where a layer has none.
#[derive(Clone, Default)]
pub struct Parameters {
    /// Weights, as [`super::network::Layer`] orders them.
    pub weights: Vec<u64>,
    /// Biases.
    pub biases: Vec<u64>,
}

/// Everything that a training step changes.
#[derive(Clone)]
pub struct Model {
    /// Per layer.
    pub parameters: Vec<Parameters>,
    /// Per layer, the sums that momentum keeps; empty without momentum.
    pub velocity: Vec<Parameters>,
}

impl Parameters {
    /// Zeros.
    #[must_use]
    pub fn zeros((weights, biases): (usize, usize)) -> Self {
        Self { weights: vec![0; weights], biases: vec![0; biases] }
    }

    /// All words, weights first.
    pub fn words(&self) -> impl Iterator<Item = &u64> {
        self.weights.iter().chain(&self.biases)
    }

    /// All words, weights first.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.weights.iter_mut().chain(&mut self.biases)
    }
}

impl Model {
    /// A model of zeros: what a party holds of a public model that the other holds, or anyone of sizes alone.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn zeros(network: &Network, momentum: bool) -> Result<Self, NetworkError> {
        let parameters: Vec<Parameters> = network.parameters()?.into_iter().map(Parameters::zeros).collect();
        let velocity = if momentum { parameters.clone() } else { Vec::new() };
        Ok(Self { parameters, velocity })
    }

    /// All words that training changes, in order.
    pub fn words(&self) -> impl Iterator<Item = &u64> {
        self.parameters.iter().chain(&self.velocity).flat_map(Parameters::words)
    }

    /// All words that training changes, in order.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut u64> {
        self.parameters.iter_mut().chain(&mut self.velocity).flat_map(Parameters::words_mut)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parameters(<redacted>)")
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Model(<redacted>)")
    }
}
