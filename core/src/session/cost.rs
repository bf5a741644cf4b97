//! What a session costs, to the byte: the protocols' costs and the frames around them.

use crate::binding::ORDER_BLOCKS;
use crate::cost::Cost;
use crate::ring::Ring;
use crate::session::network::Network;
use crate::session::wire::control::Answer;
use crate::session::wire::frame::HEADER_BYTES;
use crate::session::{gate, linear};
use crate::shape::Parts;

/// Keystream blocks from which the session's order and its own keystream are derived: see
/// [`crate::binding`].
pub const SESSION_KEY_BLOCKS: u64 = ORDER_BLOCKS + 1;

/// Cost of one session, without the handshake that precedes the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCost {
    /// Bytes from device to host before the input is known.
    pub prepare_up_bytes: u64,
    /// Bytes from device to host when it is.
    pub online_up_bytes: u64,
    /// Bytes from host to device when it is.
    pub online_down_bytes: u64,
    /// Round trips when the input is known.
    pub round_trips: u32,
    /// Bytes from the dealer to the host.
    pub dealer_bytes: u64,
    /// Bytes from the dealer to the device: always 0, its half is a key and a counter.
    pub device_dealer_bytes: u64,
    /// Keystream blocks that the device computes before the input is known.
    pub prepare_blocks: u64,
    /// Keystream blocks that the device computes when it is.
    pub online_blocks: u64,
}

impl<const L: usize> Network<L> {
    /// Cost of the protocols of layer `index`: the linear map and the gate, without frames.
    #[must_use]
    pub fn layer_cost(&self, index: usize) -> Cost {
        let Some(layer) = self.layers().get(index) else { return Cost::default() };
        let gate = self
            .gate(index)
            .map(|digits| gate::cost::<u32>(&digits, layer.outputs()))
            .unwrap_or_default();
        let carried: Parts = self.carried(index).into_iter().collect();
        let carried = Cost {
            online_blocks: linear::prepare_blocks::<u32>(&carried, u64::MAX),
            ..Cost::default()
        };
        let mut linear = linear::cost::<u32>(layer.inputs(), &self.parts(index));
        if self.takes_accumulators(index) {
            (linear.prepare, linear.up) = (linear.up, linear.prepare);
            linear.prepare_blocks += core::mem::take(&mut linear.online_blocks);
        }
        linear + gate + carried
    }

    /// Keystream blocks that the device computes for a session; or some number beyond `limit`, if
    /// that is less.
    #[must_use]
    pub fn blocks(&self, limit: u64) -> u64 {
        let mut blocks = SESSION_KEY_BLOCKS;
        for index in 0..self.layers().len() {
            if blocks > limit {
                break;
            }
            let Some(layer) = self.layers().get(index) else { break };
            let gate = self
                .gate(index)
                .map(|digits| gate::cost::<u32>(&digits, layer.outputs()))
                .unwrap_or_default();
            blocks += gate.prepare_blocks
                + gate.online_blocks
                + linear::online_blocks::<u32>(layer.inputs());
            let carried: Parts = self.carried(index).into_iter().collect();
            for parts in [self.parts(index), carried] {
                blocks += linear::prepare_blocks::<u32>(&parts, limit.saturating_sub(blocks));
            }
        }
        blocks
    }

    /// Cost of a session in which `answer` says who learns the result.
    #[must_use]
    pub fn session_cost(&self, answer: Answer) -> SessionCost {
        let cost: Cost = (0..self.layers().len()).map(|index| self.layer_cost(index)).sum();
        let gates = (0..self.layers().len()).filter(|&index| self.has_gate(index)).count();
        let last_gated = self.layers().len().checked_sub(1).is_some_and(|last| self.has_gate(last));
        let accumulators =
            (0..self.layers().len()).filter(|&index| self.takes_accumulators(index)).count();
        let (gates, accumulators) = (gates as u64, accumulators as u64);
        // The input, and what hidden gates give.
        let inputs = 1 + gates - u64::from(last_gated);
        let answer_bytes = (self.outputs() * u32::BYTES) as u64;
        let header = HEADER_BYTES as u64;
        // An output frame carries the last gate's bits, or the share that the host is to learn, or
        // both.
        let output_frame = u64::from(last_gated || answer.to_host()) * header;
        let output = output_frame + if answer.to_host() { answer_bytes } else { 0 };
        let answered = header + if answer.to_device() { answer_bytes } else { 0 };
        SessionCost {
            prepare_up_bytes: cost.prepare.bytes + (gates + accumulators) * header,
            online_up_bytes: cost.up.bytes + inputs * header + output,
            online_down_bytes: cost.down.bytes + gates * header + answered,
            round_trips: u32::try_from(gates).unwrap_or(u32::MAX).saturating_add(1),
            dealer_bytes: cost.dealer_bytes,
            device_dealer_bytes: 0,
            prepare_blocks: cost.prepare_blocks + SESSION_KEY_BLOCKS,
            online_blocks: cost.online_blocks,
        }
    }
}
