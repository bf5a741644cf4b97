//! Random bytes of a chip without a generator: the phase of its ring oscillator.
//!
//! The RP2040 has no certified source. Its oscillator is read bit by bit; bits that are as likely 0
//! as 1 are taken from pairs that differ (von Neumann), and every byte is the sum of
//! [`FOLDED`] such bytes. An oscillator that stands still gives no bytes at all.

use embassy_rp::clocks::RoscRng;
use embassy_time::Timer;
use sharelet_firmware::board::{NoRandom, Random};

/// Bytes that are added up to one.
const FOLDED: usize = 8;
/// Pairs of equal bits in a row that are no chance any more: one in 2^64 where bits are fair.
const MOST_EQUAL: u32 = 64;

/// The ring oscillator.
pub struct Ring;

impl Random for Ring {
    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        for byte in bytes {
            let mut sum = 0;
            for _ in 0..FOLDED {
                sum = u8::rotate_left(sum, 1) ^ fair_byte()?;
            }
            *byte = sum;
            // Not at the same phase of whatever else runs.
            Timer::after_micros(u64::from(sum)).await;
        }
        Ok(())
    }
}

fn fair_byte() -> Result<u8, NoRandom> {
    let (mut byte, mut bits, mut equal) = (0, 0, 0);
    while bits < u8::BITS {
        let raw = RoscRng::next_u8();
        for pair in [raw & 3, raw >> 2 & 3, raw >> 4 & 3, raw >> 6] {
            match pair {
                0b01 | 0b10 if bits < u8::BITS => {
                    (byte, bits, equal) = (byte << 1 | pair & 1, bits + 1, 0);
                }
                _ => equal += 1,
            }
        }
        if equal > MOST_EQUAL {
            return Err(NoRandom);
        }
    }
    Ok(byte)
}
