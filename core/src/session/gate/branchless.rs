//! Words of dealt tables, of many entries at once: no branch, no address and no width of a shift
//! depends on the mask.

/// The entries `first..first + count` of the leaf table of a digit of the mask, packed lowest
/// first.
///
/// Entries below `digit` have `l`, the entry at `digit` has `e`. Computed on whole words, without a
/// branch on `digit`.
#[inline]
#[allow(clippy::cast_possible_truncation)]
pub(super) fn leaf_word(
    digit: u32,
    first: u32,
    count: u32,
    entry_bits: u32,
    top: bool,
    flip: u32,
) -> u32 {
    // A word whose lowest bits are set.
    let low_bits = |count: u64| ((1_u64 << count) - 1) as u32;
    let distance = i64::from(digit) - i64::from(first);
    let below = distance.clamp(0, i64::from(count)).cast_unsigned();
    let all = low_bits(u64::from(count * entry_bits));
    let less = low_bits(below * u64::from(entry_bits));
    if entry_bits == 1 {
        // The lowest digit; if it is the only one, its `l` is `t`.
        return if top { (less ^ flip.wrapping_neg()) & all } else { less };
    }
    let here = u32::from((0..i64::from(count)).contains(&distance));
    let equal = here << ((distance & 15) * 2);
    let (less_bits, equal_shift) = if top { (0xaaaa_aaaa, 0) } else { (0x5555_5555, 1) };
    let flipped = if top { 0xaaaa_aaaa & flip.wrapping_neg() } else { 0 };
    ((less & less_bits ^ flipped) & all) | equal << equal_shift
}

/// The bits of `bits`, each moved from place `u` to place `u xor rho`. No address, branch or width
/// of a shift depends on `rho`.
#[inline]
pub(super) fn moved(bits: u64, rho: u32) -> u64 {
    const LOWER: [u64; 6] = [
        0x5555_5555_5555_5555,
        0x3333_3333_3333_3333,
        0x0f0f_0f0f_0f0f_0f0f,
        0x00ff_00ff_00ff_00ff,
        0x0000_ffff_0000_ffff,
        0x0000_0000_ffff_ffff,
    ];
    (0_u32..).zip(LOWER).fold(bits, |bits, (place, lower)| {
        let step = 1 << place;
        let swapped = (bits & lower) << step | bits >> step & lower;
        bits ^ (bits ^ swapped) & u64::from(rho >> place & 1).wrapping_neg()
    })
}
