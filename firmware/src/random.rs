//! Random bytes for one connection.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sharelet_core::Key;
use sharelet_core::keystream::{ChaCha12, Domain, Keystream, Kind};
use zeroize::Zeroizing;

use crate::board::{NoRandom, Random};

/// Keystream under a key that was drawn for it: the board's source may wait and fail, handshakes
/// want a generator that does neither.
pub struct Generator {
    keystream: Keystream<ChaCha12>,
    next: u32,
}

impl Generator {
    /// Draws 32 bytes.
    pub(crate) async fn draw(random: &mut impl Random) -> Result<Self, NoRandom> {
        let mut key = Zeroizing::new([0; 32]);
        random.fill(key.as_mut_slice()).await?;
        Ok(Self { keystream: Keystream::new(&Key::from_bytes(*key)), next: 0 })
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        // A block each, of which 4 bytes are used: 64 bytes are drawn for a connection, at most.
        for piece in bytes.chunks_mut(4) {
            let domain = Domain { session: 0, layer: 0, kind: Kind::Share };
            let word: u32 = self.keystream.block(domain, self.next).ring(0);
            self.next = self.next.wrapping_add(1);
            piece.iter_mut().zip(word.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

impl TryCryptoRng for Generator {}

#[cfg(test)]
mod tests {
    use embassy_futures::block_on;
    use rand_core::Rng as _;

    use super::*;

    #[test]
    fn a_generator_gives_other_bytes_each_time_and_fails_with_its_source() {
        let mut drawn = 0;
        let mut source = async |bytes: &mut [u8]| {
            drawn += 1;
            bytes.fill(drawn);
            if drawn < 3 { Ok(()) } else { Err(NoRandom) }
        };
        let mut seen = heapless::Vec::<[u8; 16], 8>::new();
        for _ in 0..2 {
            let mut generator = block_on(Generator::draw(&mut source)).unwrap();
            for _ in 0..4 {
                let mut bytes = [0; 16];
                generator.fill_bytes(&mut bytes);
                assert!(!seen.contains(&bytes));
                seen.push(bytes).unwrap();
            }
        }
        assert_eq!(block_on(Generator::draw(&mut source)).err(), Some(NoRandom));
    }
}
