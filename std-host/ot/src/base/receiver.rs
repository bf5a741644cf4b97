//! The receiver of base OTs.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use subtle::{Choice, ConditionallySelectable};
use zeroize::Zeroizing;

use super::kept::{COUNT, Chosen};
use super::point::{RECEIVER_BYTES, Seen, exponent, open, random, seed, split, to_group};
use crate::error::OtError;

/// Waits for the sender's message. Used once.
pub struct Receiver {
    exponents: Vec<Zeroizing<Scalar>>,
    points: Vec<[CompressedRistretto; 2]>,
    chosen: Chosen,
}

redacted!(Receiver);

impl Receiver {
    /// Begins, with random choices, and a message of [`RECEIVER_BYTES`] for the sender.
    pub fn new(rng: &mut impl CryptoRng) -> (Self, Vec<u8>) {
        let mut chosen = Chosen::empty();
        rng.fill_bytes(chosen.challenges.as_mut_slice());
        rng.fill_bytes(chosen.choices.as_mut_slice());
        chosen.choices.iter_mut().for_each(|choice| *choice &= 1);
        let mut receiver = Self { exponents: Vec::new(), points: Vec::new(), chosen };
        let mut message = Vec::with_capacity(RECEIVER_BYTES);
        for index in 0..COUNT {
            let (exponent, points) = receiver.begin(index, rng);
            points.iter().for_each(|point| message.extend(point.as_bytes()));
            receiver.exponents.push(exponent);
            receiver.points.push(points);
        }
        (receiver, message)
    }

    /// Exponent and points of one OT.
    fn begin(
        &self,
        index: usize,
        rng: &mut impl CryptoRng,
    ) -> (Zeroizing<Scalar>, [CompressedRistretto; 2]) {
        let choice = self.chosen.choices.get(index).copied().unwrap_or_default();
        let exponent = exponent(rng);
        let other = random(rng);
        let hash = to_group(index, choice, &other.compress());
        let own = RistrettoPoint::mul_base(&exponent) - hash;
        let choice = Choice::from(choice);
        let points = [
            RistrettoPoint::conditional_select(&own, &other, choice),
            RistrettoPoint::conditional_select(&other, &own, choice),
        ];
        (exponent, points.map(|point| point.compress()))
    }

    /// Ends with the seeds that were chosen.
    ///
    /// # Errors
    /// [`OtError::Length`], [`OtError::Point`].
    pub fn finish(self, message: &[u8]) -> Result<Chosen, OtError> {
        let theirs = split::<1>("the message of the base OTs' sender", message)?;
        let Self { exponents, points, mut chosen } = self;
        let own = exponents.iter().zip(points);
        for ((index, to), ([sender], (exponent, receiver))) in
            chosen.seeds.iter_mut().enumerate().zip(theirs.into_iter().zip(own))
        {
            let common = open(index, &sender)? * **exponent;
            *to = *seed(&Seen { index, sender, receiver }, &common);
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::chi_square::{BOUND, of};

    /// Points of many OTs, without the multiples of the generator if they are `bare`: those that
    /// are sent, and those that the sender takes seeds of, chosen ones first.
    fn seen(bare: bool) -> [Vec<u8>; 3] {
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let (receiver, _) = Receiver::new(&mut rng);
        let mut seen = [const { Vec::new() }; 3];
        // The first and the last byte have bits that no point sets.
        let mut add = |to: usize, point: CompressedRistretto| {
            seen[to].extend_from_slice(&point.as_bytes()[1..31]);
        };
        for index in 0..COUNT {
            let (exponent, mut points) = receiver.begin(index, &mut rng);
            let choice = usize::from(receiver.chosen.choices[index]);
            let mask = RistrettoPoint::mul_base(&exponent);
            if bare {
                points[choice] = (points[choice].decompress().unwrap() - mask).compress();
            }
            for side in [0, 1] {
                let hash = to_group(index, u8::from(side == 1), &points[1 - side]);
                let common = points[side].decompress().unwrap() + hash;
                add(if side == choice { 1 } else { 2 }, common.compress());
                add(0, points[side]);
            }
        }
        seen
    }

    /// The sender's own points are public keys: there is no mask that could be missing.
    #[test]
    fn points_do_not_show_the_choice() {
        for bytes in seen(false) {
            let found = of(bytes);
            assert!(found < BOUND, "{found}");
        }
        // Of the chosen ones nothing is left: whoever hashes the other point sees which it is.
        let [_, chosen, other] = seen(true).map(of);
        assert!(chosen > 100.0 * BOUND && other < BOUND, "{chosen} {other}");
    }
}
