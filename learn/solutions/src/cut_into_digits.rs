//! The topmost digit in which two words differ decides; where it is equal, what is below does.
//! So one folds upwards. More digits have smaller tables, but more bits to open, and the last table
//! has four times the entries for each digit more.

/// The table of one digit of the mask.
pub type Table = Vec<(bool, bool)>;

/// The digits of a word, lowest first, each with its width.
fn digits(word: u64, widths: &[u32]) -> impl Iterator<Item = (u64, u32)> {
    widths.iter().scan(0, move |first, &width| {
        let digit = word >> *first & ((1 << width) - 1);
        *first += width;
        Some((digit, width))
    })
}

/// The tables of all digits of a mask.
#[must_use]
pub fn tables(mask: u64, widths: &[u32]) -> Vec<Table> {
    let table = |(digit, width)| (0..1_u64 << width).map(|v| (v < digit, v == digit)).collect();
    digits(mask, widths).map(table).collect()
}

/// `[word < mask]`.
#[must_use]
pub fn less(word: u64, tables: &[Table]) -> bool {
    let widths: Vec<u32> = tables.iter().map(|table| table.len().ilog2()).collect();
    let digits = digits(word, &widths);
    let entry = |(table, (digit, _)): (&Table, (u64, u32))| {
        usize::try_from(digit).ok().and_then(|at| table.get(at).copied()).unwrap_or_default()
    };
    tables.iter().zip(digits).map(entry).fold(false, |less, (l, e)| l || e && less)
}

/// Bytes that the dealer sends for one ReLU of 32-bit words.
#[must_use]
pub fn dealt_bytes(widths: &[u32]) -> usize {
    let bits = |(digit, &width): (usize, &u32)| (if digit == 0 { 1 } else { 2_usize }) << width;
    let leaf_bits: usize = widths.iter().enumerate().map(bits).sum();
    let entries = 1 << (2 * widths.len() - 2);
    4 + 4 + 1 + leaf_bits.div_ceil(8 * 64) * 64 + entries * 4 * 4
}
