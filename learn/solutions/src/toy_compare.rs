//! `y = z - r`. The lower `k - 1` bits borrow from the topmost exactly if `z`'s are less than
//! `r`'s, and so do the lower `s` bits from what is above them. Of a `y >= 0` the high parts'
//! difference wraps around only if `z` has, and then `r` was large and `z` is small: `msb r = 1`,
//! `msb z = 0`.

use sharelet_core::gate::{GateBits, GateKind, twin};
use sharelet_core::ring::{Ring, Small};

/// `[z mod 2^bits < r mod 2^bits]`.
fn below<R: Ring>(z: R, r: R, bits: u32) -> u32 {
    let low = |word: R| word.to_u64() & ((1 << bits) - 1);
    u32::from(low(z) < low(r))
}

/// The topmost bit of `y`.
#[must_use]
pub fn sign<R: Ring>(z: R, r: R) -> u32 {
    z.msb() ^ r.msb() ^ below(z, r, R::BITS - 1)
}

/// `max(y, 0) >> shift`.
#[must_use]
pub fn relu<R: Ring>(z: R, r: R, shift: u32) -> R {
    let word = |bit: u32| R::from_u64(u64::from(bit));
    let b = word(1 ^ sign(z, r));
    let q = r.shr(shift).add(word(below(z, r, shift)));
    let wrapped = R::pow2(R::BITS - shift).mul(word((1 ^ z.msb()) & r.msb()));
    b.mul(z.shr(shift).sub(q).add(wrapped))
}

/// The first `(y, r)` for which a gate is wrong.
#[must_use]
pub fn exhaustive<const K: u32>(
    shift: u32,
    gate: impl Fn(Small<K>, Small<K>) -> Small<K>,
) -> Option<(Small<K>, Small<K>)> {
    let all = || (0..1 << K).map(Small::<K>::from_u64);
    let right = |y| twin(GateKind::Relu, GateBits::whole::<Small<K>>(shift), y);
    all().flat_map(|y| all().map(move |r| (y, r))).find(|&(y, r)| gate(y.add(r), r) != right(y))
}
