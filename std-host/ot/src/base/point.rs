//! Points of the group, and the hashes of the base OTs.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rand_core::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::kept::{COUNT, Seed};
use crate::digest::digest;
use crate::error::{OtError, length};

/// Bytes of a point.
pub(super) const POINT: usize = 32;

/// Bytes of the sender's message: a point per OT.
pub const SENDER_BYTES: usize = COUNT * POINT;

/// Bytes of the receiver's message: two points per OT.
pub const RECEIVER_BYTES: usize = 2 * SENDER_BYTES;

/// A random exponent.
pub(super) fn exponent(rng: &mut impl CryptoRng) -> Zeroizing<Scalar> {
    let mut bytes = Zeroizing::new([0; 64]);
    rng.fill_bytes(bytes.as_mut_slice());
    Zeroizing::new(Scalar::from_bytes_mod_order_wide(&bytes))
}

/// A random point whose logarithm nobody knows.
pub(super) fn random(rng: &mut impl CryptoRng) -> RistrettoPoint {
    let mut bytes = Zeroizing::new([0; 64]);
    rng.fill_bytes(bytes.as_mut_slice());
    RistrettoPoint::from_uniform_bytes(&bytes)
}

/// The OT's number as bytes.
fn number(index: usize) -> [u8; 8] {
    (index as u64).to_le_bytes()
}

/// `H_side` of OT `index`, to the group.
pub(super) fn to_group(index: usize, side: u8, point: &CompressedRistretto) -> RistrettoPoint {
    let hash = Sha512::new()
        .chain_update(b"sharelet-ot base point")
        .chain_update(number(index))
        .chain_update([side])
        .chain_update(point.as_bytes());
    RistrettoPoint::from_uniform_bytes(&hash.finalize().into())
}

/// What both parties see of one OT.
pub(super) struct Seen {
    /// Its number.
    pub index: usize,
    /// The sender's point.
    pub sender: CompressedRistretto,
    /// The receiver's two points.
    pub receiver: [CompressedRistretto; 2],
}

/// The seed of a common point, bound to what both parties see.
pub(super) fn seed(seen: &Seen, common: &RistrettoPoint) -> Zeroizing<Seed> {
    let [first, second] = &seen.receiver;
    let common = Zeroizing::new(common.compress().to_bytes());
    digest(
        "sharelet-ot base seed",
        &[
            &number(seen.index),
            seen.sender.as_bytes(),
            first.as_bytes(),
            second.as_bytes(),
            common.as_slice(),
        ],
    )
}

/// The points of a message, `N` to an OT.
pub(super) fn split<const N: usize>(
    what: &'static str,
    message: &[u8],
) -> Result<Vec<[CompressedRistretto; N]>, OtError> {
    length(what, message, COUNT * N * POINT)?;
    let points = |bytes: &[u8]| {
        let mut points = [CompressedRistretto([0; POINT]); N];
        for (to, from) in points.iter_mut().zip(bytes.chunks_exact(POINT)) {
            to.0.copy_from_slice(from);
        }
        points
    };
    Ok(message.chunks_exact(N * POINT).map(points).collect())
}

/// A peer's point.
pub(super) fn open(index: usize, point: &CompressedRistretto) -> Result<RistrettoPoint, OtError> {
    point.decompress().filter(|point| !point.is_identity()).ok_or(OtError::Point { index })
}
