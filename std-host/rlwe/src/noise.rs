//! How large noise may be, and how large it gets.
//!
//! A coefficient of a reply, before flooding, has the noise
//!
//! ```text
//! sum of w_j (e_j + d_j)  +  e u + e_0 + e_1 s
//! ```
//!
//! Over what `P1` multiplies by, `w`: fresh errors `e_j` and rounding errors `d_j`; then the
//! re-randomisation's. All errors are independent of `w`, `u` and `s`, and sub-Gaussian: the
//! centred binomial ones with parameter 10.5, their variance; rounding ones, which lie in an
//! interval of length 1 with mean 0, with 1/4 (Hoeffding's lemma). `u` and `s` have a norm of at
//! most `sqrt(N)`. So the sum is sub-Gaussian, and stays below
//!
//! ```text
//! B = 10 sqrt(10.75 |w|^2 + 10.5 (2 N + 1))
//! ```
//!
//! but with probability `2 exp(-50)`, which is less than `2^-71`.
//!
//! Decryption is right if noise, flooding and cuts together stay below `q / 2t`. In units of that:
//!
//! | | [`Words32`](super::Words32) | [`Words64`](super::Words64) |
//! |---|---:|---:|
//! | flooding | 1/4 | 1/4 |
//! | noise: `B` is at most `2^-40` of the flooding | - | - |
//! | `b` is cut: half of its last place | 1/16 | 1/8 |
//! | `a` is cut: half of its last place, times `10 sqrt(N)` | 0.625 | 0.442 |
//! | sum | 0.938 | 0.817 |
//!
//! The cuts of `a` are bounded like the noise: of a polynomial that is as good as uniform they are
//! uniform in half a place to either side, and independent of the secret. So a word is wrong with
//! probability less than `2^-70`, and one of a reply of up to `2^30` words with less than `2^-40`.
//!
//! What flooding hides: noise of at most `B` moves a uniform interval of length `q / 4t` by at most
//! `2^-41` of its length. So what `P0` sees in a coefficient is within a statistical distance of
//! `2^-41` of what does not depend on `P1`'s operands at all, at the bound; noise of its usual
//! size, a tenth of `B`, is within some `2^-44`. A reply of `2^k` words is within the `2^k`-fold.
//! Flooding is always as wide as the parameters allow, so smaller operands are hidden better: at
//! `128 x 784 x 128` words of 64 bits `B` is 4 bits, with 784 weights of 16 bits 8 bits below what
//! is allowed.

use super::error::Error;
use super::ring::Ring;
use super::sample::ERROR_VARIANCE;

/// Bits by which flooding is larger than the bound of the noise, at least.
pub const SECURITY_BITS: u32 = 40;
/// Deviations of the bound.
const DEVIATIONS: f64 = 10.0;
/// Of a rounding error in `-1..1` of mean 0 that takes two values.
const ROUNDING_VARIANCE: f64 = 0.25;

/// `B^2`, where `squares` bounds the sum of squares of the factors.
fn bound_squared(ring: &Ring, squares: f64) -> f64 {
    // Sizes are small.
    #[allow(clippy::cast_precision_loss)]
    let zero = ERROR_VARIANCE * (2 * ring.size() + 1) as f64;
    DEVIATIONS * DEVIATIONS * ((ERROR_VARIANCE + ROUNDING_VARIANCE) * squares + zero)
}

/// `log2 B`.
pub fn noise_bits(ring: &Ring, squares: f64) -> f64 {
    bound_squared(ring, squares).log2() / 2.0
}

/// Whether flooding hides the noise. That it does or not is public, whatever the factors are; this
/// is the one branch on them, and `tests/constant_time` knows it by its name.
///
/// # Errors
/// [`Error::Noise`] if not.
#[inline(never)]
pub fn check(ring: &Ring, squares: f64) -> Result<(), Error> {
    let room = ring.log_q() - f64::from(ring.flood_bits() + SECURITY_BITS);
    if bound_squared(ring, squares) <= (2.0 * room).exp2() {
        return Ok(());
    }
    // Both are between 0 and 300.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let (noise_bits, room_bits) = (noise_bits(ring, squares).ceil() as u32, room.floor() as u32);
    Err(Error::Noise { noise_bits, room_bits })
}
