//! Where randomness comes from: a seed that came with the question, and streams of it that do not
//! meet.

use core::convert::Infallible;

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng as _, TryCryptoRng, TryRng};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};

use crate::fields::Fields;
use crate::refusal::Refusal;

/// 32 bytes of the browser's randomness, as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Seed([u8; 32]);

/// Bytes from hexadecimal digits.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let (pairs, rest) = digits.as_ref()?.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Who draws.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Drawer {
    /// `P0`, its key.
    P0,
    /// `P1`, the seed that masks its model.
    P1,
    /// The dealer, what neither half determines.
    Dealer,
    /// Other keys that `P0` might have had.
    Others,
    /// Data that the page makes up.
    Data,
}

impl Seed {
    /// The question's.
    ///
    /// # Errors
    /// It has none.
    pub fn read(fields: Fields<'_>) -> Result<Self, Refusal> {
        let bytes = unhex(fields.text("seed")?).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| Refusal::new("A seed is 64 hexadecimal digits."))
    }

    /// The same byte 32 times.
    #[cfg(test)]
    pub fn test(byte: u8) -> Self {
        Self([byte; 32])
    }

    /// The random source of one drawer; number `index` of several.
    pub fn of(self, drawer: Drawer, index: u64) -> ChaCha12Rng {
        let mut rng = ChaCha12Rng::from_seed(self.0);
        rng.set_stream((drawer as u64) << 48 | index);
        rng
    }

    /// The keystream of `P0`'s key, which the dealer has, too.
    pub fn keystream(self) -> Keystream<ChaCha12> {
        Keystream::new(&Key::generate(&mut self.of(Drawer::P0, 0)))
    }
}

/// A dealer that does not draw `P1`'s share of a mask, and of the bits `rho`, but takes given ones;
/// everything else is drawn. Only somebody who wants to show something deals so.
pub struct Given {
    /// `P1`'s share of the mask.
    pub mask: u64,
    /// `P1`'s share of the bits.
    pub rho: Option<u32>,
    /// Everything else.
    pub rest: ChaCha12Rng,
}

impl TryRng for Given {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.rho.unwrap_or_else(|| self.rest.next_u32()))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.mask)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rest.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Given {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(unhex("00fF10"), Some(vec![0, 255, 16]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex(""), Some(Vec::new()));
    }
}
