//! What a gate computes: ReLU with truncation, or truncation alone; its formula, and its twin.
//!
//! The formula stands here once. A session ([`crate::session::gate`]) and an engine
//! (`functions::protocol::shift`) spend different correlations on it: see `docs/architecture.md`.
//!
//! A gate has a public width of `w <= k` bits, for `y` in `Z_2^k` with `-2^(w-1) <= y < 2^(w-1)`.
//! Shares modulo `2^w` are shares of `y mod 2^w`, so `y` is opened under a mask `r` of `w` bits, as
//! `z = y + r mod 2^w` for the ReLU and as `z = y + 2^(w-1) + r mod 2^w` for the truncation. With
//! the mask's high part `q = (r >> s) + c`, where `c = [z mod 2^s < r mod 2^s]`, and its topmost
//! bit `m`:
//!
//! ```text
//! max(y, 0) >> s  = b (z >> s) - b q + 2^(w-s) (1 - msb z) (b m),  b = [y >= 0]
//! y >> s          = (z >> s) - q + 2^(w-s) b - 2^(w-1-s),          b = [z < r]
//! ```
//!
//! What is dealt are words of `Z_2^k`, and so is the result. A `y` that leaves the width is taken
//! modulo `2^w`, by the parties and by the twin alike.
//!
//! A dealt table holds shares of `h`, `h q`, `h m` and `q`, where `b` is `h`, or `1 - h` if a
//! public bit says so: *turned*.

use crate::ring::Ring;
use crate::share::Party;

/// What a gate computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum GateKind {
    /// `max(y, 0) >> s`.
    Relu,
    /// `y >> s`, rounding down.
    Truncate,
}

impl GateKind {
    /// Words of an entry of the arithmetic table: `(h, h q, h m, q)`, or `(h, q)`.
    #[must_use]
    pub const fn entry_words(self) -> usize {
        match self {
            Self::Relu => 4,
            Self::Truncate => 2,
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    pub(crate) const fn entry_words_u32(self) -> u32 {
        self.entry_words() as u32
    }

    /// Bits of `z` and `r` that are compared: the sign needs all but the topmost, the wrap-around
    /// all of them.
    #[cfg(any(test, feature = "functions"))]
    pub(crate) const fn compared_bits(self, width_bits: u32) -> u32 {
        match self {
            Self::Relu => width_bits - 1,
            Self::Truncate => width_bits,
        }
    }
}

/// Which bits of a word a gate works on: both are public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateBits {
    /// Width of the gate, at most the ring's.
    pub width_bits: u32,
    /// Bits dropped, below the width.
    pub shift: u32,
}

impl GateBits {
    /// The gate that takes whole words.
    #[must_use]
    pub const fn whole<R: Ring>(shift: u32) -> Self {
        Self { width_bits: R::BITS, shift }
    }

    /// Refuses a gate that the ring does not have.
    #[cfg(feature = "functions")]
    pub(crate) const fn check<R: Ring>(self) -> Result<(), crate::step::StepError> {
        let Self { width_bits, shift } = self;
        if width_bits <= R::BITS && shift.saturating_add(1) < width_bits {
            Ok(())
        } else {
            Err(crate::step::StepError::shift_out_of_range::<R>(shift))
        }
    }

    /// `word mod 2^width_bits`.
    #[inline(always)]
    #[must_use]
    pub(crate) fn low<R: Ring>(self, word: R) -> R {
        let above = R::BITS - self.width_bits;
        word.mul(R::pow2(above)).shr(above)
    }

    /// The topmost bit of a word of the gate's width; without a comparison, for the dealer's masks.
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation)]
    pub(crate) fn msb<R: Ring>(self, word: R) -> u32 {
        word.shr(self.width_bits - 1).to_u64() as u32 & 1
    }
}

/// The plaintext twin of the gate.
#[must_use]
pub fn twin<R: Ring>(kind: GateKind, bits: GateBits, y: R) -> R {
    let above = R::BITS - bits.width_bits;
    let y = y.mul(R::pow2(above)).sar(above);
    match kind {
        GateKind::Relu if y.msb() == 1 => R::ZERO,
        GateKind::Relu | GateKind::Truncate => y.sar(bits.shift),
    }
}

/// A party's share of `max(y, 0) >> shift`, from the public `z` and `flip`, its table entry
/// `(h, h q, h m, q)`, and its share of `m`.
#[inline(always)]
pub(crate) fn relu<R: Ring>(
    party: Party,
    bits: GateBits,
    (z, flip): (R, bool),
    [h, hq, hm, q]: [R; 4],
    sign: R,
) -> R {
    let b = turned(flip, party.constant(R::ONE), h);
    let (bq, bm) = (turned(flip, q, hq), turned(flip, sign, hm));
    let wrapped =
        R::from_u64(u64::from(1 ^ bits.msb(z))).mul(R::pow2(bits.width_bits - bits.shift));
    b.mul(z.shr(bits.shift)).sub(bq).add(wrapped.mul(bm))
}

/// A party's share of `y >> shift`, from the public `z` and `flip`, and its table entry `(h, q)`.
#[inline(always)]
pub(crate) fn truncate<R: Ring>(
    party: Party,
    bits: GateBits,
    (z, flip): (R, bool),
    [h, q]: [R; 2],
) -> R {
    let b = turned(flip, party.constant(R::ONE), h);
    let public = z.shr(bits.shift).sub(R::pow2(bits.width_bits - 1 - bits.shift));
    party.constant(public).sub(q).add(R::pow2(bits.width_bits - bits.shift).mul(b))
}

/// `table`, or `whole - table` where the public `flip` says that what was looked up is the
/// complement.
#[inline(always)]
pub(crate) fn turned<R: Ring>(flip: bool, whole: R, table: R) -> R {
    if flip { whole.sub(table) } else { table }
}
