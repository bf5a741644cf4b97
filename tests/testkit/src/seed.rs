//! Where random numbers come from: seeds that are printed, or fixed.

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;

/// The seed that `SHARELET_SEED` gives.
fn given() -> Option<u64> {
    std::env::var("SHARELET_SEED").ok()?.parse().ok()
}

/// The generator that `seed` stands for.
pub fn rng(seed: u64) -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(seed)
}

/// A seed that differs from run to run and is printed; `SHARELET_SEED` repeats one.
pub fn printed_seed() -> u64 {
    let seed = given().unwrap_or_else(|| getrandom::u64().expect("randomness"));
    println!("SHARELET_SEED={seed}");
    seed
}

/// A seed that is the same every day; `SHARELET_SEED` sets another.
pub fn seed() -> u64 {
    let seed = given().unwrap_or(42);
    println!("SHARELET_SEED={seed}");
    seed
}

/// SplitMix64: plain numbers for data, sizes and choices.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next word.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Any byte.
    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A number below `limit`, or 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// Even in -1..1.
    pub fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }

    /// The same with 53 bits.
    pub fn fine_real(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Several of [`Self::real`].
    pub fn reals(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.real()).collect()
    }
}
