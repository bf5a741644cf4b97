//! The dealer's side of a session: all corrections of a network, in the order in which the host
//! spends them.

use rand_core::CryptoRng;

use super::{gate, linear};
use crate::binding::Binding;
use crate::correlation::{LengthError, Position};
use crate::keystream::Rounds;
use crate::session::network::Network;

/// Bytes of the corrections of one session.
#[must_use]
pub fn correction_bytes<const L: usize>(network: &Network<L>) -> usize {
    (0..network.layers().len())
        .map(|index| layer_bytes(network, index))
        .map(|(linear, gates)| linear + gates)
        .sum()
}

/// Bytes of a layer's linear corrections and of its gates'.
fn layer_bytes<const L: usize>(network: &Network<L>, index: usize) -> (usize, usize) {
    let outputs = network.layers().get(index).map_or(0, |layer| usize::from(layer.outputs()));
    let gates =
        network.gate(index).map_or(0, |digits| gate::correction_bytes::<u32>(&digits) * outputs);
    (linear::correction_bytes::<u32>(&network.parts(index)), gates)
}

/// Words of scratch that [`session()`] needs.
#[must_use]
pub fn scratch_elems<const L: usize>(network: &Network<L>) -> usize {
    (0..network.layers().len())
        .map(|index| linear::deal_scratch_elems(&network.parts(index)))
        .max()
        .unwrap_or(0)
}

/// Writes the corrections of session `session` to `out`, [`correction_bytes`] long.
///
/// `binding` is the device's, as [`Binding::of_network`] makes it; `masked_weights` are the weights
/// `A`, first layer first; `scratch` holds [`scratch_elems`]. A session is dealt once: the
/// difference of two corrections would show.
///
/// # Errors
/// [`LengthError`] if a slice has not the length that the network asks for.
pub fn session<C: Rounds, const L: usize>(
    network: &Network<L>,
    binding: &Binding<C>,
    session: u64,
    masked_weights: &[impl AsRef<[u32]>],
    rng: &mut impl CryptoRng,
    scratch: &mut [u32],
    out: &mut [u8],
) -> Result<(), LengthError> {
    let wrong = LengthError { expected_bytes: correction_bytes(network), found_bytes: out.len() };
    if wrong.expected_bytes != wrong.found_bytes || masked_weights.len() != network.layers().len() {
        return Err(wrong);
    }
    let keystream = &binding.session(session);
    let mut rest = out;
    for ((index, weights), layer) in (0..).zip(masked_weights).zip(0_u16..) {
        let (linear_bytes, gate_bytes) = layer_bytes(network, index);
        let parts = network.parts(index);
        let position = Position { session, layer };
        let (linear_out, tail) = rest.split_at_mut_checked(linear_bytes).ok_or(wrong)?;
        let (gate_out, tail) = tail.split_at_mut_checked(gate_bytes).ok_or(wrong)?;
        rest = tail;
        linear::deal(keystream, position, &parts, weights.as_ref(), scratch, linear_out)?;
        if let Some(digits) = network.gate(index) {
            let outputs = parts.first().map_or(0, |part| part.shape.outputs());
            gate::deal::<u32, C>(keystream, position, &digits, 0..outputs, rng, gate_out)?;
        }
    }
    Ok(())
}
