//! Networks with random weights.

use rand_core::Rng;
use sharelet_core::session::network::{Activation, Affine, Layer, Network, RING_BITS, Skip};
use sharelet_core::shape::{Part, Shape, Window};

/// The most layers of a model in tests.
pub const LAYERS: usize = 128;

/// A network in the clear.
#[derive(Clone, Debug)]
pub struct Model {
    /// The public description.
    pub network: Network<LAYERS>,
    /// Row-major matrices.
    pub weights: Vec<Vec<u32>>,
    /// Biases at accumulator scale.
    pub biases: Vec<Vec<u32>>,
}

impl Model {
    /// A network of the given widths with uniform weights, where every second hidden layer is a
    /// ReLU.
    ///
    /// `last_gated` decides whether the last layer has a gate or is opened as it is.
    pub fn random(widths: &[u16], last_gated: bool, rng: &mut impl Rng) -> Self {
        let layer = |(index, pair): (usize, &[u16])| {
            let activation = if index % 2 == 0 { Activation::Relu } else { Activation::Identity };
            Layer::dense(pair[0], pair[1], 10, [8, 12, 7][index % 3], activation)
                .narrow([32, 25, 20][index % 3])
        };
        let mut layers: Vec<Layer> = widths.windows(2).enumerate().map(layer).collect();
        if let Some(last) = layers.last_mut().filter(|_| !last_gated) {
            (last.shift, last.activation) = (0, Activation::Identity);
            last.gate_bits = RING_BITS;
        }
        Self::with_layers(&layers, rng)
    }

    /// A network of every shape: convolutions, plain, depthwise and of one row, a mean, residual
    /// connections, a pool of accumulators that no gate follows, dense layers; gates of several
    /// widths.
    pub fn of_every_shape(rng: &mut impl Rng) -> Self {
        let plain = Window {
            channels: 2,
            height: 9,
            width: 11,
            filters: 6,
            groups: 1,
            kernel: (3, 3),
            stride: (2, 1),
            before: (1, 1),
            after: (1, 1),
        };
        let same = Window { channels: 6, height: 5, stride: (1, 1), ..plain };
        let depthwise = Window { groups: 6, kernel: (2, 3), before: (1, 1), after: (0, 1), ..same };
        let shortcut = Window { filters: 5, kernel: (1, 1), before: (0, 0), after: (0, 0), ..same };
        let mean = Window {
            channels: 5,
            filters: 5,
            groups: 5,
            kernel: (2, 3),
            stride: (2, 2),
            ..shortcut
        };
        let pool = Window { kernel: (1, 3), stride: (1, 2), ..mean };
        let row = Window {
            channels: 1,
            height: 1,
            width: 20,
            filters: 3,
            groups: 1,
            kernel: (1, 7),
            stride: (1, 3),
            ..shortcut
        };
        let layer = |shape, skip, shift, activation| Layer {
            shape,
            weight_frac_bits: 10,
            skip,
            shift,
            gate_bits: RING_BITS,
            activation,
        };
        let carried = |from, shape| Some(Skip { from, shape, weight_frac_bits: 10 });
        let identity = Shape::Identity { width: 6 * 5 * 11 };
        let layers = [
            layer(Shape::Convolution(plain), None, 10, Activation::Relu).narrow(24),
            layer(Shape::Convolution(same), carried(1, identity), 10, Activation::Relu),
            layer(Shape::Convolution(depthwise), carried(1, identity), 10, Activation::Identity),
            layer(
                Shape::Convolution(Window { filters: 5, ..same }),
                carried(3, Shape::Convolution(shortcut)),
                0,
                Activation::Identity,
            ),
            Layer::larger(pool).narrow(27),
            layer(Shape::Mean(Window { width: 5, ..mean }), None, 10, Activation::Identity),
            layer(Shape::Convolution(row), None, 9, Activation::Relu).narrow(17),
            Layer::dense(15, 4, 10, 0, Activation::Identity),
        ];
        Self::with_layers(&layers, rng)
    }

    /// A network of these layers with uniform weights.
    pub fn with_layers(layers: &[Layer], rng: &mut impl Rng) -> Self {
        let network: Network<LAYERS> = Network::new(8, (1 << 31) - 1, layers).expect("valid");
        let mut words = |count: usize| (0..count).map(|_| rng.next_u32()).collect::<Vec<_>>();
        let weights = (0..layers.len()).map(|index| words(network.weight_elems(index))).collect();
        let biases = layers.iter().map(|layer| words(usize::from(layer.outputs()))).collect();
        Self { network, weights, biases }
    }

    /// The plaintext answer.
    pub fn twin(&self, input: &[u32]) -> Vec<u32> {
        let mut vectors = vec![0; self.network.vectors_elems()];
        vectors[..input.len()].copy_from_slice(input);
        self.network.twin(self, &mut vectors).expect("sized").to_vec()
    }
}

impl Affine for Model {
    fn affine<'v>(
        &self,
        layer: usize,
        parts: &[Part],
        input: impl Fn(u16) -> &'v [u32],
        out: &mut [u32],
    ) {
        sharelet_core::session::linear::twin(
            parts,
            &self.weights[layer],
            &self.biases[layer],
            input,
            out,
        );
    }
}
