//! The unit in which a session's words travel and its correlations are handed out.

/// Elements per piece; the last piece of a layer may be shorter. Also the unit in which ring
/// elements travel.
pub const PIECE_ELEMS: usize = 64;
/// The same, to count elements with.
#[allow(clippy::cast_possible_truncation)]
pub(crate) const PIECE_STEP: u32 = PIECE_ELEMS as u32;

/// The number of elements of the piece that starts at `next`, of `total` in all.
pub(crate) fn piece_len(next: u32, total: u16) -> Option<usize> {
    let left = u32::from(total).checked_sub(next).filter(|&left| left > 0)?;
    Some((left as usize).min(PIECE_ELEMS))
}
