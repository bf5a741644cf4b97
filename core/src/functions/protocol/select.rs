//! A value, or nothing, by a bit that an earlier comparison kept: the way back through a ReLU or a
//! maximum.
//!
//! * Computes: shares of `b v` in `Z_2^64`, for a shared `v` and what [`super::activate`] kept of
//!   its comparison.
//! * Model: semi-honest parties and dealer; the message is one-time padded.
//! * Reference: Beaver, CRYPTO '91, with a triple of which one factor is the bit itself, so that
//!   only the other is opened.
//! * Consumes: no record: the kept shares of `b`, of a mask `a` and of `a b`, which serve one
//!   value.
//! * Costs: 1 message; 8 bytes per element and party.
//! * Error bound: exact, modulo `2^64`.
//!
//! ```text
//! d = v - a                        public afterwards
//! b v = b d + a b
//! ```

use rand_core::CryptoRng;

use super::{Messages, Protocol, read, write};
use crate::functions::record::{Half, Layout, Truth};
use crate::ring::Ring as _;
use crate::step::{StepError, expect_len};

/// Bytes of a value.
const BYTES: usize = size_of::<u64>();

/// `b v` in place of `v`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Select;

/// Values, and what was kept: as long as the values, all of it. A second selection with the same
/// mask would show the difference of the values, so whoever keeps it gives it away for good.
pub struct Selected<'d> {
    /// `v`, then `b v`.
    pub values: &'d mut [u64],
    /// `b`.
    pub bit: &'d [u64],
    /// `a`.
    pub mask: &'d [u64],
    /// `a b`.
    pub product: &'d [u64],
}

crate::correlation::redacted!(Selected<'_>);

impl Select {
    /// The protocol; it has no parameters.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Protocol for Select {
    type Data<'d> = Selected<'d>;

    fn elements(&self, data: &Selected<'_>) -> Result<usize, StepError> {
        for kept in [data.bit, data.mask, data.product] {
            expect_len(kept.len(), data.values.len())?;
        }
        Ok(data.values.len())
    }

    fn layout(&self) -> Layout {
        Layout::default()
    }

    fn message_bytes(&self, _round: usize, elements: usize) -> usize {
        BYTES * elements
    }

    fn deal<G: CryptoRng>(&self, _truth: &mut Truth<'_>, _rng: &mut G) {}

    fn step<H: Half>(
        &self,
        round: usize,
        _half: &mut H,
        data: &mut Selected<'_>,
        messages: &mut Messages<'_>,
    ) {
        if round == 0 {
            for ((value, mask), out) in
                data.values.iter().zip(data.mask).zip(messages.own.chunks_exact_mut(BYTES))
            {
                write(out, 0, value.wrapping_sub(*mask));
            }
            return;
        }
        let opened = messages.own.chunks_exact(BYTES).zip(messages.peer.chunks_exact(BYTES));
        let kept = data.bit.iter().zip(data.product);
        for ((value, (own, peer)), (&bit, &product)) in data.values.iter_mut().zip(opened).zip(kept)
        {
            let d = read::<u64>(own, 0).add(read(peer, 0));
            *value = bit.mul(d).add(product);
        }
    }

    /// In plaintext the mask is zero.
    fn twin_rounded(&self, data: &mut Selected<'_>, _up: &mut impl FnMut() -> bool) {
        for (value, bit) in data.values.iter_mut().zip(data.bit) {
            *value = value.wrapping_mul(*bit);
        }
    }
}
