//! The sender of base OTs.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::kept::{COUNT, Pairs};
use super::point::{SENDER_BYTES, Seen, exponent, open, seed, split, to_group};
use crate::error::OtError;

/// Waits for the receiver's message. Used once.
pub struct Sender {
    exponents: Vec<Zeroizing<Scalar>>,
    points: Vec<CompressedRistretto>,
}

redacted!(Sender);

impl Sender {
    /// Begins, with a message of [`SENDER_BYTES`] for the receiver.
    pub fn new(rng: &mut impl CryptoRng) -> (Self, Vec<u8>) {
        let exponents: Vec<_> = (0..COUNT).map(|_| exponent(rng)).collect();
        let point = |exponent: &Zeroizing<Scalar>| RistrettoPoint::mul_base(exponent).compress();
        let points: Vec<_> = exponents.iter().map(point).collect();
        let mut message = Vec::with_capacity(SENDER_BYTES);
        points.iter().for_each(|point| message.extend(point.as_bytes()));
        (Self { exponents, points }, message)
    }

    /// Ends with both seeds of every OT.
    ///
    /// # Errors
    /// [`OtError::Length`], [`OtError::Point`].
    pub fn finish(self, message: &[u8]) -> Result<Pairs, OtError> {
        let theirs = split::<2>("the message of the base OTs' receiver", message)?;
        let own = self.exponents.iter().zip(self.points);
        let mut pairs = Pairs::empty();
        for ((index, pair), (receiver, (exponent, sender))) in
            pairs.0.iter_mut().enumerate().zip(theirs.into_iter().zip(own))
        {
            let [first, second] = receiver;
            let points = [
                open(index, &first)? + to_group(index, 0, &second),
                open(index, &second)? + to_group(index, 1, &first),
            ];
            let seen = Seen { index, sender, receiver };
            for (to, point) in pair.iter_mut().zip(points) {
                *to = *seed(&seen, &(point * **exponent));
            }
        }
        Ok(pairs)
    }
}
