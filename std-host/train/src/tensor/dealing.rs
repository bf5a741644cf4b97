//! Dealing the records of element-wise protocols, a part of them on every core.

use core::convert::Infallible;
use core::fmt;

use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng as _};
use rayon::prelude::*;
use sharelet_core::correlation::{LengthError, Position};
use sharelet_core::functions::engine::EngineError;
use sharelet_core::functions::engine::offline::Task;
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::functions::record;
use sharelet_core::keystream::{Keystream, Rounds};
use zeroize::Zeroizing;

/// Bytes of records, about, that a thread deals at a time.
const PART_BYTES: usize = 1 << 18;

/// Writes `P1`'s corrections, front to back: what
/// [`sharelet_core::functions::engine::offline::Deal`] does on one core.
pub struct Records<'a, C: Rounds, G> {
    keystream: &'a Keystream<C>,
    session: u64,
    operation: Option<u16>,
    rng: G,
    rest: &'a mut [u8],
}

impl<'a, C: Rounds, G: CryptoRng> Records<'a, C, G> {
    /// Deals session `session` under `P0`'s keystream, to `out`, whatever that holds. Every part's
    /// randomness has a seed of its own from `rng`.
    pub const fn new(keystream: &'a Keystream<C>, session: u64, rng: G, out: &'a mut [u8]) -> Self {
        Self { keystream, session, operation: Some(0), rng, rest: out }
    }

    /// Whether all is written: what is not would show what was there before.
    ///
    /// # Errors
    /// [`LengthError`] if something is left.
    pub fn finish(self) -> Result<(), LengthError> {
        let left_bytes = self.rest.len();
        let wrong = LengthError { expected_bytes: 0, found_bytes: left_bytes };
        if left_bytes == 0 { Ok(()) } else { Err(wrong) }
    }
}

impl<C: Rounds, G: CryptoRng> Task for Records<'_, C, G> {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        let (layer, layout) = (self.operation.ok_or(EngineError::TooLong)?, protocol.layout());
        self.operation = layer.checked_add(1);
        let (expected_bytes, found_bytes) = (layout.bytes() * elements, self.rest.len());
        let (out, rest) = core::mem::take(&mut self.rest)
            .split_at_mut_checked(expected_bytes)
            .ok_or(LengthError { expected_bytes, found_bytes })?;
        self.rest = rest;
        let group_bytes = layout.bytes() * layout.together();
        if group_bytes == 0 {
            return Ok(());
        }
        let groups_each = (PART_BYTES / group_bytes).max(1);
        let parts: Vec<_> = (0_u32..)
            .step_by(groups_each)
            .zip(out.chunks_mut(groups_each * group_bytes))
            .map(|(group, out)| {
                let mut seed = Zeroizing::new([0; 32]);
                self.rng.fill_bytes(seed.as_mut());
                (group, out, seed)
            })
            .collect();
        let (keystream, position) = (self.keystream, Position { session: self.session, layer });
        parts.into_par_iter().for_each(|(group, out, seed)| {
            let mut rng = ChaCha20Rng::from_seed(*seed);
            out.fill(0);
            record::deal_from(keystream, position, layout, group, &mut rng, out, |truth, rng| {
                protocol.deal(truth, rng)
            });
        });
        Ok(())
    }
}

impl<C: Rounds, G> fmt::Debug for Records<'_, C, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Records(<redacted>)")
    }
}
