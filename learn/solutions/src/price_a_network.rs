//! No weight and no reading occurs in it: shapes are public, and so is what follows from them.

use sharelet_core::gate::GateKind;
use sharelet_core::session::gate::correction_bytes;
use sharelet_core::session::gate::digits::{Digits, PlanError};

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

/// The price of a network.
///
/// # Errors
/// [`PlanError`] if there is no gate that drops so many bits.
pub fn price(widths: &[u64], shift: u32) -> Result<Price, PlanError> {
    let digits = Digits::plan(32, shift, GateKind::Relu)?;
    let mut price = Price { prepared: 0, up: 0, down: 0, dealt: 0 };
    for (index, layer) in widths.windows(2).enumerate() {
        let &[inputs, outputs] = layer else { continue };
        price.up += 4 * inputs;
        price.dealt += 4 * outputs;
        if index + 2 < widths.len() {
            let bits = (outputs * u64::from(digits.opened_bits())).div_ceil(8);
            price.prepared += 4 * outputs;
            price.down += 4 * outputs + bits;
            price.up += bits;
            price.dealt += outputs * correction_bytes::<u32>(&digits) as u64;
        }
    }
    Ok(price)
}
