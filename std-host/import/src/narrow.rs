//! How wide the gates of a model are.
//!
//! What a gate costs, the device above all, grows with its width in steps: a gate of 20 bits takes
//! half the keystream of one of 32 bits, and a quarter of what the dealer sends. So each gate has
//! the bits that its accumulators need, and no more.

use sharelet_core::gate::GateKind;
use sharelet_core::session::gate::digits::Digits;
use sharelet_core::session::network::{Activation, Layer, MIN_GATE_BITS, RING_BITS};

use super::scales::pow2;

/// The width of a layer's gate, if accumulators are below `needed` in magnitude.
pub(super) fn width(layer: &Layer, needed: f64) -> u8 {
    if layer.activation == Activation::Identity && layer.shift == 0 {
        return RING_BITS;
    }
    let least = MIN_GATE_BITS.max(layer.shift.saturating_add(2)).min(layer.gate_bits);
    (least..layer.gate_bits)
        .find(|&gate_bits| needed < pow2(i32::from(gate_bits) - 1))
        .unwrap_or(layer.gate_bits)
}

/// What a gate costs, as plans are compared; infinite if there is none such.
pub(super) fn cost(gate_bits: u8, shift: u8) -> f64 {
    Digits::plan(gate_bits.into(), shift.into(), GateKind::Relu)
        .map_or(f64::INFINITY, |digits| digits.weight_bytes().into())
}
