//! For `x >= 0` the shares wrap unless `x_0 <= x`; if they wrap, `P1`'s two negations undo it. The
//! sharings that stay below, `x_0 < x` or so, are those that go wrong: `|x|` of them.

use sharelet_core::ring::{Ring, Small};
use sharelet_core::share::Party;

/// A party's share of about `x >> shift`.
#[must_use]
pub fn local<R: Ring>(party: Party, share: R, shift: u32) -> R {
    match party {
        Party::P0 => share.shr(shift),
        Party::P1 => share.neg().shr(shift).neg(),
    }
}

/// Over all ways to share `x`: how many sharings are exact, one unit off, and far off.
#[must_use]
pub fn tally(x: Small<8>, shift: u32) -> [usize; 3] {
    let mut tally = [0; 3];
    for own in (0..256).map(Small::<8>::from_u64) {
        let found = local(Party::P0, own, shift).add(local(Party::P1, x.sub(own), shift));
        let [exact, one, far] = &mut tally;
        *match found.sub(x.sar(shift)).to_i64() {
            0 => exact,
            -1 | 1 => one,
            _ => far,
        } += 1;
    }
    tally
}
