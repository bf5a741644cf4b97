//! Bytes as text.

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Hexadecimal digits as bytes: as many as there is room for, or `None`.
#[must_use]
pub fn decode(digits: &str, bytes: &mut [u8]) -> Option<()> {
    let pairs = digits.as_bytes().as_chunks().0;
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes_and_nothing_else_is() {
        let mut bytes = [0; 3];
        assert_eq!(decode(&hex(&[0, 0xAB, 255]), &mut bytes), Some(()));
        assert_eq!(bytes, [0, 0xAB, 255]);
        for wrong in ["", "00abf", "00abff0", "00abfg", "+0abff", "\u{e9}abff"] {
            assert_eq!(decode(wrong, &mut bytes), None, "{wrong}");
        }
    }
}
