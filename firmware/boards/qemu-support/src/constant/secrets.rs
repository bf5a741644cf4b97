//! Secrets of a trial: by its number alone, so that what was counted can be counted again.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sharelet_core::Key;
use sharelet_core::keystream::{ChaCha12, Domain, Keystream, Kind};

/// Values of a reading.
pub const INPUTS: usize = 6;
/// Fraction bits of its words.
pub const FRAC_BITS: u8 = 8;
/// The largest word.
pub const LIMIT: u32 = 1 << 12;

/// Words of keystream under the trial's number.
pub struct Secrets {
    keystream: Keystream<ChaCha12>,
    next: u32,
}

impl Secrets {
    /// The secrets of a trial.
    pub fn new(trial: u64) -> Self {
        let mut key = [0x5A; 32];
        key.iter_mut().zip(trial.to_le_bytes()).for_each(|(to, from)| *to = from);
        Self { keystream: Keystream::new(&Key::from_bytes(key)), next: 0 }
    }

    /// A word.
    pub fn word(&mut self) -> u32 {
        let domain = Domain { session: 0, layer: 0, kind: Kind::Share };
        let word = self.keystream.block(domain, self.next).ring(0);
        self.next += 1;
        word
    }

    /// Bytes of a secret: at first the same of 0 and of 1, then any.
    pub fn bytes<const N: usize>(&mut self, trial: u32) -> [u8; N] {
        match trial {
            0 => [0; N],
            1 => [0xFF; N],
            _ => core::array::from_fn(|_| self.word() as u8),
        }
    }

    /// A word of a model, up to 2 with 8 fraction bits; at first the extremes.
    pub fn weight(&mut self, trial: u32) -> u32 {
        let word = self.word();
        match trial {
            0 => 0,
            1 => 511,
            2 => 512_u32.wrapping_neg(),
            _ => (word % 1024).wrapping_sub(512),
        }
    }

    /// A reading: zeros, the ends of the range, what is beyond it, what is no number, or any.
    pub fn reading(&mut self, trial: u32) -> [f32; INPUTS] {
        let limit = LIMIT as f32 / 256.0;
        let mut any = || (self.word() as i32 as f32) / (1_u32 << 31) as f32;
        match trial % 16 {
            0 => [0.0; INPUTS],
            1 => [limit; INPUTS],
            2 => [-limit; INPUTS],
            3 => [limit * 1.01; INPUTS],
            4 => [f32::NAN; INPUTS],
            5 => [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0, 1.0],
            6 => [f32::MIN_POSITIVE, 1e-45, -1e-40, 1e-8, -1e-3, 0.001_953_125],
            7 => core::array::from_fn(|at| if at == 3 { f32::NAN } else { any() * limit }),
            8 => core::array::from_fn(|at| if at == 5 { 1e30 } else { any() * limit }),
            _ => core::array::from_fn(|_| any() * limit),
        }
    }
}

impl TryRng for Secrets {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.word()) << 32 | u64::from(self.word()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| *byte = self.word() as u8);
        Ok(())
    }
}

impl TryCryptoRng for Secrets {}
