//! The public description of a network: shapes, scales and shifts, never a weight.
//!
//! A description travels to the device in the handshake, so that the firmware does not change when the model does.
//! The device bounds it with the const generic `L` and with [`Network::validate`], and refuses what does not fit.

use core::fmt;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use crate::correlation::digits::{Digits, GateKind};

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
