//! Weights and biases of a network, whatever they are made of: words, shares, floating point.

use super::network::{Counts, Network, NetworkError};

/// Of all layers, first to last; layers without weights have empty ones. `Debug` prints sizes only.
#[derive(Clone, PartialEq)]
pub struct Parameters<T> {
    /// As many as the network has.
    pub layers: Vec<LayerParameters<T>>,
}

/// Of one layer, in the order of [`super::network::Layer`].
#[derive(Clone, Default, PartialEq)]
pub struct LayerParameters<T> {
    /// Weights.
    pub weights: Vec<T>,
    /// Biases, one per output or filter.
    pub biases: Vec<T>,
    /// Of a batch normalisation, means of its channels, then their variances.
    pub statistics: Vec<T>,
}

impl<T> core::fmt::Debug for LayerParameters<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            f,
            "LayerParameters({} weights, {} biases, {} statistics, <redacted>)",
            self.weights.len(),
            self.biases.len(),
            self.statistics.len()
        )
    }
}

impl<T> core::fmt::Debug for Parameters<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(&self.layers).finish()
    }
}

impl<T> Parameters<T> {
    /// All the same value.
    ///
    /// # Errors
    /// If layers do not fit each other.
    pub fn filled(network: &Network, value: T) -> Result<Self, NetworkError>
    where
        T: Clone,
    {
        let layer = |counts: Counts| LayerParameters {
            weights: vec![value.clone(); counts.weights],
            biases: vec![value.clone(); counts.biases],
            statistics: vec![value.clone(); counts.statistics],
        };
        Ok(Self { layers: network.parameters()?.into_iter().map(layer).collect() })
    }

    /// Each value by itself.
    #[must_use]
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> Parameters<U> {
        let mut all = |values: &[T]| values.iter().map(&mut change).collect();
        let layer = |layer: &LayerParameters<T>| LayerParameters {
            weights: all(&layer.weights),
            biases: all(&layer.biases),
            statistics: all(&layer.statistics),
        };
        Parameters { layers: self.layers.iter().map(layer).collect() }
    }

    /// Whether every layer has as many as the network says.
    #[must_use]
    pub fn fit(&self, network: &Network) -> bool {
        let sizes = |layer: &LayerParameters<T>| Counts {
            weights: layer.weights.len(),
            biases: layer.biases.len(),
            statistics: layer.statistics.len(),
        };
        network.parameters().is_ok_and(|expected| self.layers.iter().map(sizes).eq(expected))
    }
}

impl<T> LayerParameters<T> {
    /// All values, weights first, statistics last.
    pub fn words(&self) -> impl Iterator<Item = &T> {
        self.trained().chain(&self.statistics)
    }

    /// All values, weights first, statistics last.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.weights.iter_mut().chain(&mut self.biases).chain(&mut self.statistics)
    }

    /// What has a gradient: weights, then biases.
    pub fn trained(&self) -> impl Iterator<Item = &T> {
        self.weights.iter().chain(&self.biases)
    }

    /// What has a gradient: weights, then biases.
    pub fn trained_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.weights.iter_mut().chain(&mut self.biases)
    }
}

impl Parameters<i64> {
    /// `word / 2^frac_bits`, exactly for words of up to 53 bits.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn to_f64(&self, frac_bits: u32) -> Parameters<f64> {
        let shift = i32::try_from(frac_bits).unwrap_or(i32::MAX).saturating_neg();
        self.map(|&word| libm::scalbn(word as f64, shift))
    }
}

impl Parameters<f64> {
    /// To the nearest single precision, as files have it.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn to_f32(&self) -> Parameters<f32> {
        self.map(|&value| value as f32)
    }
}
