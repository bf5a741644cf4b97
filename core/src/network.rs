//! The public description of a network: shapes, scales and shifts, never a weight.
//!
//! A description travels to the device in the handshake, so that the firmware does not change when the model does.
//! The device bounds it with the const generic `L` and with [`Network::validate`], and refuses what does not fit.

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::correlation::digits::{Digits, GateKind};
use crate::correlation::linear::Shape;
use crate::protocol;

/// The ring in which sessions compute, in bits.
pub const RING_BITS: u8 = 32;

/// What follows the affine map of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// Nothing but the shift.
    Identity,
    /// `max(y, 0)`, then the shift.
    Relu,
}

/// One dense layer: `y = W h + b`, then the activation, then `>> shift` rounding down.
///
/// `W` is `outputs x inputs` with `weight_frac_bits` fraction bits; `b` carries the fraction bits of the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// Elements of the input vector.
    pub inputs: u16,
    /// Elements of the output vector.
    pub outputs: u16,
    /// Fraction bits of the weights.
    pub weight_frac_bits: u8,
    /// Bits dropped from the accumulator after the activation.
    pub shift: u8,
    /// What follows the affine map.
    pub activation: Activation,
}

/// A chain of dense layers with its scales, at most `L` layers.
///
/// ```
/// use sharelet_core::network::{Activation, Layer, Network};
///
/// let network: Network<4> = Network::new(
///     8,
///     1 << 12,
///     &[
///         Layer { inputs: 24, outputs: 16, weight_frac_bits: 14, shift: 12, activation: Activation::Relu },
///         Layer { inputs: 16, outputs: 4, weight_frac_bits: 14, shift: 0, activation: Activation::Identity },
///     ],
/// )?;
/// assert_eq!(network.output_frac_bits(), 8 + 14 - 12 + 14);
/// # Ok::<(), sharelet_core::network::NetworkError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network<const L: usize> {
    ring_bits: u8,
    input_frac_bits: u8,
    input_limit: u32,
    layers: Vec<Layer, L>,
}

/// Why a description is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NetworkError {
    /// More layers than the receiver has room for.
    TooManyLayers {
        /// The receiver's bound.
        limit: usize,
    },
    /// No layer at all.
    NoLayers,
    /// A layer without inputs or without outputs.
    EmptyLayer {
        /// Index of the layer.
        layer: usize,
    },
    /// A layer's inputs are not the outputs of the layer before it.
    WidthMismatch {
        /// Index of the layer.
        layer: usize,
    },
    /// The shift is not below the ring's width less one, or larger than the fraction bits it is taken from.
    ShiftOutOfRange {
        /// Index of the layer.
        layer: usize,
    },
    /// The accumulator's fraction bits do not fit the ring.
    ScaleOutOfRange {
        /// Index of the layer.
        layer: usize,
    },
    /// The description is for a ring that sessions do not compute in.
    UnsupportedRing {
        /// What the description asks for, in bits.
        ring_bits: u8,
    },
    /// The largest admissible input is zero or does not fit the ring.
    InputLimitOutOfRange,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLayers { limit } => {
                write!(f, "more than {limit} layers; raise the layer bound of the device or use a shallower model")
            }
            Self::NoLayers => write!(f, "the network has no layers"),
            Self::EmptyLayer { layer } => write!(f, "layer {layer} has no inputs or no outputs"),
            Self::WidthMismatch { layer } => write!(f, "the inputs of layer {layer} are not the outputs of the layer before it"),
            Self::ShiftOutOfRange { layer } => write!(f, "the shift of layer {layer} does not fit its accumulator"),
            Self::ScaleOutOfRange { layer } => write!(f, "the fraction bits of layer {layer} do not fit the ring"),
            Self::UnsupportedRing { ring_bits } => write!(f, "a ring of {ring_bits} bits; sessions compute in {RING_BITS} bits"),
            Self::InputLimitOutOfRange => write!(f, "the largest admissible input is zero or does not fit the ring"),
        }
    }
}

impl core::error::Error for NetworkError {}

impl<const L: usize> Network<L> {
    /// A checked description.
    ///
    /// `input_frac_bits` are the fraction bits of the input; `input_limit` is the largest magnitude of an input
    /// integer for which the accumulators are known to fit.
    ///
    /// # Errors
    /// See [`Network::validate`]; also [`NetworkError::TooManyLayers`] if there are more than `L` layers.
    pub fn new(input_frac_bits: u8, input_limit: u32, layers: &[Layer]) -> Result<Self, NetworkError> {
        let layers = Vec::from_slice(layers).map_err(|_| NetworkError::TooManyLayers { limit: L })?;
        let network = Self { ring_bits: RING_BITS, input_frac_bits, input_limit, layers };
        network.validate()?;
        Ok(network)
    }

    /// Checks everything that a session relies on; a description received from a peer passes through here.
    ///
    /// # Errors
    /// The first rule that is broken, with the layer that breaks it.
    pub fn validate(&self) -> Result<(), NetworkError> {
        if self.ring_bits != RING_BITS {
            return Err(NetworkError::UnsupportedRing { ring_bits: self.ring_bits });
        }
        if self.layers.is_empty() {
            return Err(NetworkError::NoLayers);
        }
        if self.input_limit == 0 || self.input_limit >= 1 << (RING_BITS - 1) {
            return Err(NetworkError::InputLimitOutOfRange);
        }
        let mut frac_bits = u32::from(self.input_frac_bits);
        let mut width = self.layers.first().map_or(0, |first| first.inputs);
        for (index, layer) in self.layers.iter().enumerate() {
            if layer.inputs == 0 || layer.outputs == 0 {
                return Err(NetworkError::EmptyLayer { layer: index });
            }
            if layer.inputs != width {
                return Err(NetworkError::WidthMismatch { layer: index });
            }
            frac_bits += u32::from(layer.weight_frac_bits);
            if frac_bits >= u32::from(RING_BITS) {
                return Err(NetworkError::ScaleOutOfRange { layer: index });
            }
            let shift = u32::from(layer.shift);
            if layer.shift >= RING_BITS - 1 || shift > frac_bits {
                return Err(NetworkError::ShiftOutOfRange { layer: index });
            }
            frac_bits -= shift;
            width = layer.outputs;
        }
        Ok(())
    }

    /// The layers, first to last.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Fraction bits of the input.
    #[must_use]
    pub fn input_frac_bits(&self) -> u8 {
        self.input_frac_bits
    }

    /// The largest magnitude of an input integer for which the accumulators are known to fit.
    #[must_use]
    pub fn input_limit(&self) -> u32 {
        self.input_limit
    }

    /// Elements of the input vector.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| usize::from(layer.inputs))
    }

    /// Elements of the answer.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| usize::from(layer.outputs))
    }

    /// Fraction bits of the answer.
    #[must_use]
    pub fn output_frac_bits(&self) -> u8 {
        let bits = |layer: &Layer| i32::from(layer.weight_frac_bits) - i32::from(layer.shift);
        let sum = i32::from(self.input_frac_bits) + self.layers.iter().map(bits).sum::<i32>();
        u8::try_from(sum).unwrap_or(0)
    }

    /// The gate that follows layer `index`, or `None` where the accumulator itself is the answer.
    ///
    /// Every hidden layer has one; the last has one only if it has an activation or a shift.
    #[must_use]
    pub fn gate(&self, index: usize) -> Option<Digits> {
        let layer = self.layers.get(index)?;
        let kind = match layer.activation {
            Activation::Relu => GateKind::Relu,
            Activation::Identity if layer.shift == 0 && index + 1 == self.layers.len() => return None,
            Activation::Identity => GateKind::Truncate,
        };
        Digits::plan(u32::from(RING_BITS), u32::from(layer.shift), kind).ok()
    }
}

/// The owner's side of a network: the affine maps themselves.
pub trait Affine {
    /// `out = W input + b` in `Z_2^32` for layer `layer`; the slices have the layer's widths.
    fn affine(&self, layer: usize, input: &[u32], out: &mut [u32]);
}

/// Weights and biases of a network as slices: row-major `outputs x inputs`, and `outputs`, per layer.
#[derive(Clone, Copy)]
pub struct PlainModel<'a> {
    /// The matrices, first layer first.
    pub weights: &'a [&'a [u32]],
    /// The biases, first layer first.
    pub biases: &'a [&'a [u32]],
}

impl fmt::Debug for PlainModel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainModel({} layers, <redacted>)", self.weights.len())
    }
}

impl Affine for PlainModel<'_> {
    fn affine(&self, layer: usize, input: &[u32], out: &mut [u32]) {
        if let (Some(weights), Some(bias)) = (self.weights.get(layer), self.biases.get(layer)) {
            protocol::linear::twin(weights, bias, input, out);
        }
    }
}

impl<const L: usize> Network<L> {
    /// The plaintext twin of a session: the same integers, computed in the clear.
    ///
    /// `input` has [`Network::inputs`] elements. `scratch` and `out` each hold the widest layer at least; the answer is
    /// the first [`Network::outputs`] elements of `out`. `None` if a slice is too short.
    pub fn twin<'o>(&self, model: &impl Affine, input: &[u32], scratch: &mut [u32], out: &'o mut [u32]) -> Option<&'o mut [u32]> {
        if input.len() != self.inputs() {
            return None;
        }
        out.get_mut(..input.len())?.copy_from_slice(input);
        for (index, layer) in self.layers.iter().enumerate() {
            let h = out.get(..usize::from(layer.inputs))?;
            let y = scratch.get_mut(..usize::from(layer.outputs))?;
            model.affine(index, h, y);
            let next = out.get_mut(..y.len())?;
            match self.gate(index) {
                Some(digits) => {
                    for (next, &y) in next.iter_mut().zip(y.iter()) {
                        *next = protocol::gate::twin(digits.kind(), digits.shift(), y);
                    }
                }
                None => next.copy_from_slice(y),
            }
        }
        out.get_mut(..self.outputs())
    }

    /// Elements of the widest vector of the network.
    #[must_use]
    pub fn max_width(&self) -> usize {
        self.layers.iter().flat_map(|layer| [layer.inputs, layer.outputs]).max().map_or(0, usize::from)
    }

    /// Shape of layer `index`'s matrix.
    #[must_use]
    pub fn shape(&self, index: usize) -> Option<Shape> {
        self.layers.get(index).map(|layer| Shape { inputs: layer.inputs, outputs: layer.outputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENSE: Layer = Layer { inputs: 3, outputs: 2, weight_frac_bits: 10, shift: 8, activation: Activation::Relu };

    fn refused(layers: &[Layer]) -> NetworkError {
        Network::<2>::new(8, 100, layers).expect_err("must be refused")
    }

    #[test]
    fn descriptions_that_contradict_themselves_are_refused() {
        assert_eq!(refused(&[]), NetworkError::NoLayers);
        assert_eq!(refused(&[DENSE; 3]), NetworkError::TooManyLayers { limit: 2 });
        assert_eq!(refused(&[DENSE; 2]), NetworkError::WidthMismatch { layer: 1 });
        assert_eq!(refused(&[Layer { outputs: 0, ..DENSE }]), NetworkError::EmptyLayer { layer: 0 });
        assert_eq!(refused(&[Layer { shift: 19, ..DENSE }]), NetworkError::ShiftOutOfRange { layer: 0 });
        assert_eq!(refused(&[Layer { weight_frac_bits: 24, ..DENSE }]), NetworkError::ScaleOutOfRange { layer: 0 });
        assert_eq!(Network::<2>::new(8, 0, &[DENSE]), Err(NetworkError::InputLimitOutOfRange));
        assert_eq!(Network::<2>::new(8, 1 << 31, &[DENSE]), Err(NetworkError::InputLimitOutOfRange));
    }

    #[test]
    fn only_a_bare_last_layer_has_no_gate() {
        let last = Layer { inputs: 2, outputs: 1, weight_frac_bits: 10, shift: 0, activation: Activation::Identity };
        let hidden = Layer { activation: Activation::Identity, shift: 0, ..DENSE };
        let network = Network::<2>::new(8, 100, &[hidden, last]).expect("valid");
        assert_eq!(network.gate(0).map(|digits| digits.kind()), Some(GateKind::Truncate));
        assert!(network.gate(1).is_none() && network.gate(2).is_none());
    }

    #[test]
    fn the_twin_truncates_and_rectifies() {
        let last = Layer { inputs: 2, outputs: 1, weight_frac_bits: 0, shift: 0, activation: Activation::Identity };
        let network = Network::<2>::new(8, 100_000, &[DENSE, last]).expect("valid");
        let negative = 5_u32.wrapping_neg();
        let model = PlainModel { weights: &[&[1, 1, 1, negative, 0, 0], &[3, 7]], biases: &[&[512, 0], &[1]] };
        let (mut scratch, mut out) = ([0; 3], [0; 3]);
        let answer = network.twin(&model, &[256, 256, 255], &mut scratch, &mut out).expect("sized");
        assert_eq!(*answer, [((256 + 256 + 255 + 512) >> 8) * 3 + 1]);
        assert!(network.twin(&model, &[0; 2], &mut scratch, &mut out).is_none());
    }
}
