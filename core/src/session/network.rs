//! The public description of a network: shapes, scales and shifts, never a weight.
//!
//! A description travels to the device in the handshake, so that the firmware does not change when
//! the model does. The device bounds it with the const generic `L` and with [`Network::validate`],
//! and refuses what does not fit.

use core::fmt;
use core::ops::Range;

use heapless::Vec;
use serde::{Deserialize, Serialize};

use super::gate::digits::Digits;
use super::linear;
#[cfg(feature = "column-scales")]
use crate::fixed::Columns;
use crate::fixed::FracBits;
use crate::gate::{self, GateKind};
use crate::shape::{Part, Parts, Shape, Window};

/// The ring in which sessions compute, in bits.
pub const RING_BITS: u8 = 32;
/// The narrowest gate of a session, in bits.
pub const MIN_GATE_BITS: u8 = 8;

/// What follows the affine map of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Activation {
    /// Nothing but the shift.
    Identity,
    /// `max(y, 0)`, then the shift.
    Relu,
}

/// One layer: `y = W h + b`, then what is carried over from an earlier layer, then the activation,
/// then `>> shift` rounding down.
///
/// `W` has `weight_frac_bits` fraction bits; `b` carries the fraction bits of the accumulator. A
/// hidden layer without activation and shift has no gate: its accumulator is passed on as it is,
/// and costs nothing online.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layer {
    /// The linear map of the output of the layer before.
    pub shape: Shape,
    /// Fraction bits of the weights.
    pub weight_frac_bits: u8,
    /// What is added to the accumulator.
    pub skip: Option<Skip>,
    /// Bits dropped from the accumulator after the activation.
    pub shift: u8,
    /// Width of the gate: accumulators are within `-2^(gate_bits - 1)..2^(gate_bits - 1)`, or are
    /// taken modulo `2^gate_bits`. From [`MIN_GATE_BITS`] to [`RING_BITS`], the latter where there
    /// is no gate. See `docs/answers.md` for where it comes from.
    pub gate_bits: u8,
    /// What follows the affine map.
    pub activation: Activation,
}

/// A connection that skips layers: a linear map of what an earlier layer takes, added to a layer's
/// accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Skip {
    /// The layer whose input is carried over.
    pub from: u8,
    /// [`Shape::Identity`] for a residual connection.
    pub shape: Shape,
    /// Fraction bits of its weights: those of the accumulator, less those of the vector.
    pub weight_frac_bits: u8,
}

impl Layer {
    /// A step of a max-pool: of every window of every channel the larger of its first and its last
    /// word, `max(first - last, 0) + last`. The two must not differ by `2^31` units or more, or by
    /// half of what a narrower gate takes.
    #[must_use]
    pub const fn larger(window: Window) -> Self {
        Self {
            shape: Shape::Pairs(window),
            weight_frac_bits: 0,
            skip: None,
            shift: 0,
            gate_bits: RING_BITS,
            activation: Activation::Relu,
        }
    }

    /// The same layer with a gate of `gate_bits`.
    #[must_use]
    pub const fn narrow(self, gate_bits: u8) -> Self {
        Self { gate_bits, ..self }
    }

    /// A dense layer, its gate as wide as the ring.
    #[must_use]
    pub const fn dense(
        inputs: u16,
        outputs: u16,
        weight_frac_bits: u8,
        shift: u8,
        activation: Activation,
    ) -> Self {
        Self {
            shape: Shape::Dense { inputs, outputs },
            weight_frac_bits,
            skip: None,
            shift,
            gate_bits: RING_BITS,
            activation,
        }
    }

    /// Elements of the input.
    #[must_use]
    pub const fn inputs(&self) -> u16 {
        self.shape.inputs()
    }

    /// Elements of the output.
    #[must_use]
    pub const fn outputs(&self) -> u16 {
        self.shape.outputs()
    }
}

/// The weight of a public map: `2^weight_frac_bits`, of a mean divided by the window's size and
/// rounded to nearest.
#[must_use]
pub fn public_weight(shape: &Shape, weight_frac_bits: u8) -> u64 {
    let one = 1_u64 << weight_frac_bits.min(63);
    match shape {
        Shape::Mean(window) => {
            let size = (window.kernel_elems() as u64).max(1);
            (one + size / 2) / size
        }
        _ => one,
    }
}

/// A chain of layers with its scales, at most `L` layers.
///
/// ```
/// use sharelet_core::session::network::{Activation, Layer, Network};
///
/// let network: Network<4> = Network::new(
///     8,
///     1 << 12,
///     &[
///         Layer::dense(24, 16, 14, 12, Activation::Relu),
///         Layer::dense(16, 4, 14, 0, Activation::Identity),
///     ],
/// )?;
/// assert_eq!(network.output_frac_bits(), 8 + 14 - 12 + 14);
/// # Ok::<(), sharelet_core::session::network::NetworkError>(())
/// ```
///
/// The default describes nothing, and is not valid: it is the room for a description that is to be
/// received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network<const L: usize> {
    ring_bits: u8,
    input_frac_bits: u8,
    input_limit: u32,
    layers: Vec<Layer, L>,
    input_exponents: Exponents,
}

/// The most inputs that can have an exponent each; none without the feature `column-scales`.
pub const MAX_COLUMNS: usize = if cfg!(feature = "column-scales") { 128 } else { 0 };

/// An exponent for each input; or none, where all have the same scale.
pub(crate) type Exponents = Vec<i8, MAX_COLUMNS>;

/// The most bits that an input's scale may differ from that of the others, either way.
pub const MAX_EXPONENT: i8 = 60;

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
    /// A layer without inputs or outputs, with more than 65,535 of either, or whose window does not
    /// fit its image.
    ShapeOutOfRange {
        /// Index of the layer.
        layer: usize,
    },
    /// A layer of pairs has weights, a shift, a second part, or no ReLU.
    BadPairs {
        /// Index of the layer.
        layer: usize,
    },
    /// What is carried over to a layer comes from no earlier one, or has not the layer's outputs,
    /// or not its scale.
    BadSkip {
        /// Index of the layer.
        layer: usize,
    },
    /// A layer's inputs are not the outputs of the layer before it.
    WidthMismatch {
        /// Index of the layer.
        layer: usize,
    },
    /// The shift is not below the gate's width less one, or larger than the fraction bits it is
    /// taken from.
    ShiftOutOfRange {
        /// Index of the layer.
        layer: usize,
    },
    /// A gate is narrower than [`MIN_GATE_BITS`] or wider than the ring, or there is none and its
    /// width is not the ring's.
    GateOutOfRange {
        /// Index of the layer.
        layer: usize,
        /// What the description asks for, in bits.
        gate_bits: u8,
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
    /// Inputs have exponents, and there is no room for as many.
    TooManyColumns {
        /// The receiver's bound.
        limit: usize,
    },
    /// There are exponents, but not one for each input; or one is beyond [`MAX_EXPONENT`].
    BadExponents,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyLayers { limit } => {
                write!(
                    f,
                    "more than {limit} layers; raise the layer bound of the device or use a \
                     shallower model"
                )
            }
            Self::NoLayers => write!(f, "the network has no layers"),
            Self::ShapeOutOfRange { layer } => write!(
                f,
                "layer {layer} has no inputs or outputs, or more than 65535 of them, or a window \
                 that does not fit its image"
            ),
            Self::BadPairs { layer } => {
                write!(f, "layer {layer} takes the larger of pairs, which goes with nothing else")
            }
            Self::BadSkip { layer } => {
                write!(
                    f,
                    "what is carried over to layer {layer} is not an earlier vector of its size \
                     and scale"
                )
            }
            Self::WidthMismatch { layer } => {
                write!(f, "the inputs of layer {layer} are not the outputs of the layer before it")
            }
            Self::ShiftOutOfRange { layer } => {
                write!(f, "the shift of layer {layer} does not fit its accumulator")
            }
            Self::GateOutOfRange { layer, gate_bits } => write!(
                f,
                "layer {layer} asks for a gate of {gate_bits} bits; there are gates of \
                 {MIN_GATE_BITS} to {RING_BITS} bits, and {RING_BITS} where a layer has none"
            ),
            Self::ScaleOutOfRange { layer } => {
                write!(f, "the fraction bits of layer {layer} do not fit the ring")
            }
            Self::UnsupportedRing { ring_bits } => {
                write!(f, "a ring of {ring_bits} bits; sessions compute in {RING_BITS} bits")
            }
            Self::InputLimitOutOfRange => {
                write!(f, "the largest admissible input is zero or does not fit the ring")
            }
            Self::TooManyColumns { limit } => write!(
                f,
                "each input has a scale of its own, and there is room for {limit}; build with the \
                 feature `column-scales`, or import with `--input-scale one`"
            ),
            Self::BadExponents => {
                write!(f, "the exponents of the inputs are too large, or not one for each")
            }
        }
    }
}

impl core::error::Error for NetworkError {}

impl<const L: usize> Network<L> {
    /// A checked description.
    ///
    /// `input_frac_bits` are the fraction bits of the input; `input_limit` is the largest magnitude
    /// of an input integer for which the accumulators are known to fit.
    ///
    /// # Errors
    /// See [`Network::validate`]; also [`NetworkError::TooManyLayers`] if there are more than `L`
    /// layers.
    pub fn new(
        input_frac_bits: u8,
        input_limit: u32,
        layers: &[Layer],
    ) -> Result<Self, NetworkError> {
        let layers =
            Vec::from_slice(layers).map_err(|_| NetworkError::TooManyLayers { limit: L })?;
        let input_exponents = Exponents::new();
        let network =
            Self { ring_bits: RING_BITS, input_frac_bits, input_limit, layers, input_exponents };
        network.validate()?;
        Ok(network)
    }

    /// The same network for inputs of which each has a scale of its own: input `column` has
    /// `exponents[column]` fraction bits more than [`Network::input_frac_bits`], or fewer. Its
    /// weights are those of the inputs at these scales.
    ///
    /// # Errors
    /// [`NetworkError::TooManyColumns`] and [`NetworkError::BadExponents`].
    pub fn with_exponents(mut self, exponents: &[i8]) -> Result<Self, NetworkError> {
        self.set_exponents(exponents.iter().copied())?;
        self.validate()?;
        Ok(self)
    }

    /// Takes exponents that were received; the whole is to be validated.
    pub(crate) fn set_exponents(
        &mut self,
        exponents: impl Iterator<Item = i8>,
    ) -> Result<(), NetworkError> {
        self.input_exponents.clear();
        for exponent in exponents {
            let pushed = self.input_exponents.push(exponent);
            pushed.map_err(|_| NetworkError::TooManyColumns { limit: MAX_COLUMNS })?;
        }
        Ok(())
    }

    /// Begins a description that is received.
    pub(crate) fn begin(&mut self, ring_bits: u8, input_frac_bits: u8, input_limit: u32) {
        (self.ring_bits, self.input_frac_bits, self.input_limit) =
            (ring_bits, input_frac_bits, input_limit);
        self.layers.clear();
        self.input_exponents.clear();
    }

    /// Adds a layer that was received; the whole is to be validated.
    pub(crate) fn push(&mut self, layer: Layer) -> Result<(), NetworkError> {
        self.layers.push(layer).map_err(|_| NetworkError::TooManyLayers { limit: L })
    }

    /// Checks everything that a session relies on; a description received from a peer passes
    /// through here.
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
        let exponents = &self.input_exponents;
        let bad = |exponent: &i8| !(-MAX_EXPONENT..=MAX_EXPONENT).contains(exponent);
        if MAX_COLUMNS > 0
            && !exponents.is_empty()
            && (exponents.len() != self.inputs() || exponents.iter().any(bad))
        {
            return Err(NetworkError::BadExponents);
        }
        for (index, layer) in self.layers.iter().enumerate() {
            if !layer.shape.is_valid() {
                return Err(NetworkError::ShapeOutOfRange { layer: index });
            }
            if self
                .layers
                .get(index.wrapping_sub(1))
                .is_some_and(|before| before.outputs() != layer.inputs())
            {
                return Err(NetworkError::WidthMismatch { layer: index });
            }
            let frac_bits = self.frac_bits(index) + u32::from(layer.weight_frac_bits);
            if frac_bits >= u32::from(RING_BITS) {
                return Err(NetworkError::ScaleOutOfRange { layer: index });
            }
            let gate_bits = layer.gate_bits;
            let least = if self.has_gate(index) { MIN_GATE_BITS } else { RING_BITS };
            if !(least..=RING_BITS).contains(&gate_bits) {
                return Err(NetworkError::GateOutOfRange { layer: index, gate_bits });
            }
            if layer.shift >= gate_bits - 1 || u32::from(layer.shift) > frac_bits {
                return Err(NetworkError::ShiftOutOfRange { layer: index });
            }
            let alone = layer.weight_frac_bits == 0 && layer.shift == 0 && layer.skip.is_none();
            if matches!(layer.shape, Shape::Pairs(_))
                && !(alone && layer.activation == Activation::Relu)
            {
                return Err(NetworkError::BadPairs { layer: index });
            }
            if let Some(skip) = layer.skip {
                let from = usize::from(skip.from);
                let inputs = self.layers.get(from).map_or(0, Layer::inputs);
                let fits = from <= index
                    && skip.shape.is_valid()
                    && skip.shape.inputs() == inputs
                    && skip.shape.outputs() == layer.outputs()
                    && self.frac_bits(from) + u32::from(skip.weight_frac_bits) == frac_bits;
                if !fits {
                    return Err(NetworkError::BadSkip { layer: index });
                }
            }
        }
        Ok(())
    }

    /// Fraction bits of the input of layer `index`. Every layer before has been checked.
    fn frac_bits(&self, index: usize) -> u32 {
        let before = self.layers.iter().take(index);
        before.fold(u32::from(self.input_frac_bits), |bits, layer| {
            (bits + u32::from(layer.weight_frac_bits)).saturating_sub(u32::from(layer.shift))
        })
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

    /// What each input has in fraction bits beyond [`Network::input_frac_bits`]; nothing where all
    /// have these.
    #[must_use]
    pub fn input_exponents(&self) -> &[i8] {
        &self.input_exponents
    }

    /// The fraction bits of every input, as [`encode_or_zero`](crate::fixed::encode_or_zero) takes
    /// them.
    #[cfg(feature = "column-scales")]
    #[must_use]
    pub fn input_scale(&self) -> impl FracBits {
        Columns { frac_bits: self.input_frac_bits, exponents: &self.input_exponents }
    }

    /// The fraction bits of every input, as [`encode_or_zero`](crate::fixed::encode_or_zero) takes
    /// them.
    #[cfg(not(feature = "column-scales"))]
    #[must_use]
    pub fn input_scale(&self) -> impl FracBits {
        self.input_frac_bits
    }

    /// Elements of the input vector.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.layers.first().map_or(0, |layer| usize::from(layer.inputs()))
    }

    /// Elements of the answer.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |layer| usize::from(layer.outputs()))
    }

    /// Fraction bits of the answer.
    #[must_use]
    pub fn output_frac_bits(&self) -> u8 {
        u8::try_from(self.frac_bits(self.layers.len())).unwrap_or(0)
    }

    /// The gate that follows layer `index`, or `None` where the accumulator itself is passed on, or
    /// is the answer.
    ///
    /// A layer has one if it has an activation or a shift.
    #[must_use]
    pub fn gate(&self, index: usize) -> Option<Digits> {
        let layer = self.layers.get(index)?;
        let kind = match layer.activation {
            Activation::Relu => GateKind::Relu,
            Activation::Identity if layer.shift == 0 => return None,
            Activation::Identity => GateKind::Truncate,
        };
        Digits::plan(u32::from(layer.gate_bits), u32::from(layer.shift), kind).ok()
    }

    /// Whether layer `index` has a gate.
    #[must_use]
    pub fn has_gate(&self, index: usize) -> bool {
        self.layers
            .get(index)
            .is_some_and(|layer| layer.activation == Activation::Relu || layer.shift > 0)
    }

    /// Whether what layer `index` takes is masked and sent before the input is known, because it is
    /// the accumulator of the layer before, to which `P0`'s share does not depend on the input.
    #[must_use]
    pub fn takes_accumulators(&self, index: usize) -> bool {
        index.checked_sub(1).is_some_and(|before| !self.has_gate(before))
    }
}

/// The owner's side of a network: the affine maps themselves.
pub trait Affine {
    /// `out = W h + b` in `Z_2^32` for layer `layer`, whose parts are `parts`; `input` gives the
    /// vector that a layer takes.
    fn affine<'v>(
        &self,
        layer: usize,
        parts: &[Part],
        input: impl Fn(u16) -> &'v [u32],
        out: &mut [u32],
    );
}

/// Weights and biases of a network as slices, per layer: the parts' weights one after the other,
/// each row-major; and as many biases as outputs.
#[derive(Clone, Copy)]
pub struct PlainModel<'a> {
    /// The weights, first layer first.
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
    fn affine<'v>(
        &self,
        layer: usize,
        parts: &[Part],
        input: impl Fn(u16) -> &'v [u32],
        out: &mut [u32],
    ) {
        if let (Some(weights), Some(bias)) = (self.weights.get(layer), self.biases.get(layer)) {
            linear::twin(parts, weights, bias, input, out);
        }
    }
}

impl<const L: usize> Network<L> {
    /// The plaintext twin of a session: the same integers, computed in the clear.
    ///
    /// `vectors` holds [`Network::vectors_elems`] words, the input first; gives the answer. `None`
    /// if it is too short.
    pub fn twin<'v>(&self, model: &impl Affine, vectors: &'v mut [u32]) -> Option<&'v mut [u32]> {
        for index in 0..self.layers.len() {
            let place = self.vector(index + 1);
            let (before, rest) = vectors.split_at_mut_checked(place.start)?;
            let out = rest.get_mut(..place.len())?;
            model.affine(
                index,
                &self.parts(index),
                |source| before.get(self.vector(usize::from(source))).unwrap_or(&[]),
                out,
            );
            if let Some(digits) = self.gate(index) {
                for y in out.iter_mut() {
                    *y = gate::twin(digits.kind(), digits.bits(), *y);
                }
            }
            if let Some(part) = self.carried(index) {
                part.shape.add_product(&[], 1, before.get(self.vector(index)).unwrap_or(&[]), out);
            }
        }
        vectors.get_mut(self.vector(self.layers.len()))
    }

    /// Where the input of layer `index` lies among all vectors, one after the other; that of no
    /// layer is the answer.
    #[must_use]
    pub fn vector(&self, index: usize) -> Range<usize> {
        let outputs = |layer: &Layer| usize::from(layer.outputs());
        let start = match index.checked_sub(1) {
            None => return 0..self.inputs(),
            Some(before) => {
                self.inputs() + self.layers.iter().take(before).map(outputs).sum::<usize>()
            }
        };
        start..start + self.layers.get(index - 1).map_or(0, outputs)
    }

    /// Words of the input and of all layers' outputs.
    #[must_use]
    pub fn vectors_elems(&self) -> usize {
        self.vector(self.layers.len()).end
    }

    /// Elements of the widest vector of the network.
    #[must_use]
    pub fn max_width(&self) -> usize {
        self.layers
            .iter()
            .flat_map(|layer| [layer.inputs(), layer.outputs()])
            .max()
            .map_or(0, usize::from)
    }

    /// The parts of layer `index`'s linear map; none if there is no such layer.
    #[must_use]
    pub fn parts(&self, index: usize) -> Parts {
        let mut parts = Parts::new();
        let (Some(layer), Ok(source)) = (self.layers.get(index), u16::try_from(index)) else {
            return parts;
        };
        // There is room for two.
        let _ = parts.push(Part {
            source,
            shape: layer.shape,
            public: public_weight(&layer.shape, layer.weight_frac_bits),
        });
        if let Some(Skip { from, shape, weight_frac_bits }) = layer.skip {
            let _ = parts.push(Part {
                source: u16::from(from),
                shape,
                public: public_weight(&shape, weight_frac_bits),
            });
        }
        parts
    }

    /// What is added to the results of layer `index`'s gate: a public map of the layer's input.
    #[must_use]
    pub fn carried(&self, index: usize) -> Option<Part> {
        match (self.layers.get(index)?.shape, u16::try_from(index)) {
            (Shape::Pairs(window), Ok(source)) => {
                Some(Part { source, shape: Shape::Last(window), public: 1 })
            }
            _ => None,
        }
    }

    /// Whether the answer is a public map of a hidden vector, or of the input, that no gate
    /// follows. Its shares are then not padded by a correction, and a host that learns the answer
    /// needs no dealer's help for it: devices refuse that.
    #[must_use]
    pub fn opens_a_public_map(&self) -> bool {
        self.layers
            .len()
            .checked_sub(1)
            .is_some_and(|last| self.weight_elems(last) == 0 && !self.has_gate(last))
    }

    /// Private weights of layer `index`, in elements.
    #[must_use]
    pub fn weight_elems(&self, index: usize) -> usize {
        linear::weight_elems(&self.parts(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENSE: Layer = Layer::dense(3, 2, 10, 8, Activation::Relu);

    fn refused(layers: &[Layer]) -> NetworkError {
        Network::<2>::new(8, 100, layers).expect_err("must be refused")
    }

    #[test]
    fn descriptions_that_contradict_themselves_are_refused() {
        assert_eq!(refused(&[]), NetworkError::NoLayers);
        assert_eq!(refused(&[DENSE; 3]), NetworkError::TooManyLayers { limit: 2 });
        assert_eq!(refused(&[DENSE; 2]), NetworkError::WidthMismatch { layer: 1 });
        let empty = Layer { shape: Shape::Dense { inputs: 3, outputs: 0 }, ..DENSE };
        assert_eq!(refused(&[empty]), NetworkError::ShapeOutOfRange { layer: 0 });
        assert_eq!(
            refused(&[Layer { shift: 19, ..DENSE }]),
            NetworkError::ShiftOutOfRange { layer: 0 }
        );
        assert_eq!(
            refused(&[Layer { weight_frac_bits: 24, ..DENSE }]),
            NetworkError::ScaleOutOfRange { layer: 0 }
        );
        assert_eq!(Network::<2>::new(8, 0, &[DENSE]), Err(NetworkError::InputLimitOutOfRange));
        assert_eq!(
            Network::<2>::new(8, 1 << 31, &[DENSE]),
            Err(NetworkError::InputLimitOutOfRange)
        );
    }

    #[test]
    fn a_layer_has_a_gate_if_it_has_an_activation_or_a_shift() {
        let last = Layer::dense(2, 1, 4, 0, Activation::Identity);
        let hidden = Layer { activation: Activation::Identity, ..DENSE };
        let network = Network::<2>::new(8, 100, &[hidden, last]).expect("valid");
        assert_eq!(network.gate(0).map(|digits| digits.kind()), Some(GateKind::Truncate));
        assert!(network.gate(1).is_none() && network.gate(2).is_none());
        let bare = Layer { shift: 0, ..hidden };
        let network = Network::<2>::new(8, 100, &[bare, last]).expect("valid");
        assert!(network.gate(0).is_none());
        assert!((0..3).all(|index| network.takes_accumulators(index) == (index > 0)));
    }

    #[test]
    fn widths_of_gates_are_bounded() {
        for gate_bits in [0, 1, 7, 33, 255] {
            let error = NetworkError::GateOutOfRange { layer: 0, gate_bits };
            assert_eq!(refused(&[DENSE.narrow(gate_bits)]), error);
        }
        assert_eq!(
            refused(&[Layer { shift: 9, ..DENSE.narrow(10) }]),
            NetworkError::ShiftOutOfRange { layer: 0 }
        );
        let bare = Layer { activation: Activation::Identity, shift: 0, ..DENSE.narrow(31) };
        let error = NetworkError::GateOutOfRange { layer: 0, gate_bits: 31 };
        assert_eq!(refused(&[bare]), error);
        let network = Network::<2>::new(8, 100, &[DENSE.narrow(20)]).expect("valid");
        assert_eq!(network.gate(0).map(|digits| digits.width_bits()), Some(20));
    }

    #[test]
    fn the_twin_truncates_and_rectifies() {
        let last = Layer::dense(2, 1, 0, 0, Activation::Identity);
        let network = Network::<2>::new(8, 100_000, &[DENSE, last]).expect("valid");
        let negative = 5_u32.wrapping_neg();
        let model = PlainModel {
            weights: &[&[1, 1, 1, negative, 0, 0], &[3, 7]],
            biases: &[&[512, 0], &[1]],
        };
        let mut vectors = [256, 256, 255, 0, 0, 0];
        assert_eq!(
            (network.vectors_elems(), network.vector(0), network.vector(2)),
            (6, 0..3, 5..6)
        );
        let answer = network.twin(&model, &mut vectors).expect("sized");
        assert_eq!(*answer, [((256 + 256 + 255 + 512) >> 8) * 3 + 1]);
        assert!(network.twin(&model, &mut vectors[..5]).is_none());
    }

    #[test]
    fn what_is_carried_over_is_added() {
        let identity = Shape::Identity { width: 3 };
        let skip = |from, shape, weight_frac_bits| Some(Skip { from, shape, weight_frac_bits });
        let first = Layer::dense(3, 3, 4, 4, Activation::Relu);
        let network =
            Network::<2>::new(8, 100, &[first, Layer { skip: skip(0, identity, 4), ..first }])
                .expect("valid");
        let eye: [u32; 9] = [16, 0, 0, 0, 16, 0, 0, 0, 16];
        let model = PlainModel { weights: &[&eye, &eye], biases: &[&[0; 3], &[0; 3]] };
        let mut vectors = [7, 5_u32.wrapping_neg(), 9, 0, 0, 0, 0, 0, 0];
        assert_eq!(network.twin(&model, &mut vectors), Some(&mut [14, 0, 18][..]));
        for bad in
            [skip(2, identity, 4), skip(0, identity, 5), skip(0, Shape::Identity { width: 2 }, 4)]
        {
            assert_eq!(
                refused(&[first, Layer { skip: bad, ..first }]),
                NetworkError::BadSkip { layer: 1 }
            );
        }
    }
}
