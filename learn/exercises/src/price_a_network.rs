//! # 6: price a network
//!
//! What a private network costs follows from its shape, before anything runs. Take a network of
//! dense layers with a ReLU behind each but the last, on words of 32 bits.
//!
//! * The input of *every* layer goes up under a mask: a word of 4 bytes for each element.
//! * A ReLU: before the input is known, a word of 4 bytes for each element goes up. Then `z`, a
//!   word, and the bits that were looked up come down, and as many bits go up. There are
//!   `2 n - 1` bits for each element where the gate has `n` digits; a layer's bits lie side by
//!   side, in whole bytes.
//! * The dealer sends the host a word for each output of a layer, and for each ReLU what exercise 5
//!   has counted. It sends the device nothing.
//!
//! Write [`price`]. `Digits::plan(32, shift, GateKind::Relu)?` of `sharelet_core::session::gate`
//! knows the digits of a gate: `opened_bits()` are its `2 n - 1`, and `correction_bytes::<u32>`
//! are the dealer's bytes for an element.
//!
//! The test compares with `Network::layer_cost`, summed up, for networks of many shapes.
//!
//! To read: chapter 4.

use sharelet_core::session::gate::digits::PlanError;

/// Bytes of one answer, without frames and handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// From device to host, before the input is known.
    pub prepared: u64,
    /// From device to host, when it is.
    pub up: u64,
    /// From host to device.
    pub down: u64,
    /// From the dealer to the host.
    pub dealt: u64,
}

/// The price of a network: `widths` are the elements of the input and of each layer's output, and
/// every ReLU drops `shift` bits.
///
/// # Errors
/// [`PlanError`] if there is no gate that drops so many bits.
pub fn price(widths: &[u64], shift: u32) -> Result<Price, PlanError> {
    todo!("layer by layer")
}
