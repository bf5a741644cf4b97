//! Keys of a session and its calls.

use super::shape::{CHALLENGE_BYTES, FieldBits};
use crate::base::Seed;
use crate::block::Block;
use crate::digest::{block, digest};

/// What a session's keys are made of: its name and its field.
#[derive(Clone)]
pub struct Session {
    name: [u8; 32],
    field: FieldBits,
}

/// One call within a session: its number.
pub type Call = u64;

impl Session {
    /// Of a name.
    pub const fn new(name: [u8; 32], field: FieldBits) -> Self {
        Self { name, field }
    }

    /// The field.
    pub const fn field(&self) -> FieldBits {
        self.field
    }

    /// The field as a byte.
    fn bits(&self) -> [u8; 1] {
        let [bits, ..] = self.field.bits().to_le_bytes();
        [bits]
    }

    /// A seed of this session from a kept one.
    pub fn seed(&self, kept: &Seed) -> Block {
        block("sharelet-ot seed", &[&self.name, &self.bits(), kept])
    }

    /// The key of a call's public hash.
    pub fn hash_key(&self, call: Call) -> Block {
        block("sharelet-ot hash", &[&self.name, &self.bits(), &call.to_le_bytes()])
    }

    /// The key of the sum that finds damage.
    pub fn damage_key(&self, call: Call) -> Block {
        block("sharelet-ot damage", &[&self.name, &self.bits(), &call.to_le_bytes()])
    }

    /// A call's challenge, from the sender's secret for that.
    pub fn challenge(&self, secret: &Seed, call: Call) -> [u8; CHALLENGE_BYTES] {
        *digest("sharelet-ot challenge", &[&self.name, &self.bits(), &call.to_le_bytes(), secret])
    }

    /// The universal hash that a challenge stands for.
    pub fn universal_key(&self, challenge: &[u8], call: Call) -> Block {
        let parts: [&[u8]; 4] = [&self.name, &self.bits(), &call.to_le_bytes(), challenge];
        block("sharelet-ot universal", &parts)
    }
}
