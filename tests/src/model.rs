//! Networks with random weights.

use rand_core::Rng;
use sharelet_core::network::{Activation, Affine, Layer, Network};

/// A network in the clear.
#[derive(Clone, Debug)]
pub struct Model {
    /// The public description.
    pub network: Network<8>,
    /// Row-major matrices.
    pub weights: Vec<Vec<u32>>,
    /// Biases at accumulator scale.
    pub biases: Vec<Vec<u32>>,
}

impl Model {
    /// A network of the given widths with uniform weights, where every second hidden layer is a ReLU.
    ///
    /// `last_gated` decides whether the last layer has a gate or is opened as it is.
    #[must_use]
    pub fn random(widths: &[u16], last_gated: bool, rng: &mut impl Rng) -> Self {
        let layer = |(index, pair): (usize, &[u16])| Layer {
            inputs: pair[0],
            outputs: pair[1],
            weight_frac_bits: 10,
            shift: [8, 12, 7][index % 3],
            activation: if index % 2 == 0 { Activation::Relu } else { Activation::Identity },
        };
        let mut layers: Vec<Layer> = widths.windows(2).enumerate().map(layer).collect();
        if let Some(last) = layers.last_mut().filter(|_| !last_gated) {
            (last.shift, last.activation) = (0, Activation::Identity);
        }
        let mut words = |count: usize| (0..count).map(|_| rng.next_u32()).collect::<Vec<_>>();
        let weights = layers.iter().map(|layer| words(usize::from(layer.outputs) * usize::from(layer.inputs))).collect();
        let biases = layers.iter().map(|layer| words(usize::from(layer.outputs))).collect();
        let network = Network::new(8, (1 << 31) - 1, &layers).expect("valid");
        Self { network, weights, biases }
    }

    /// The plaintext answer.
    #[must_use]
    pub fn twin(&self, input: &[u32]) -> Vec<u32> {
        let width = self.network.max_width();
        let (mut scratch, mut out) = (vec![0; width], vec![0; width]);
        self.network.twin(self, input, &mut scratch, &mut out).expect("sized").to_vec()
    }
}

impl Affine for Model {
    fn affine(&self, layer: usize, input: &[u32], out: &mut [u32]) {
        sharelet_core::protocol::linear::twin(&self.weights[layer], &self.biases[layer], input, out);
    }
}
