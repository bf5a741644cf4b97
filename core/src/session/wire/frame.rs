//! The header of every frame.

use super::WireError;
pub use super::kind::Kind;

/// Bytes of a header: kind, layer, and the body's length as little-endian `u32`.
pub const HEADER_BYTES: usize = 6;

impl TryFrom<u8> for Kind {
    type Error = WireError;

    fn try_from(kind: u8) -> Result<Self, WireError> {
        Ok(match kind {
            1 => Self::Hello,
            2 => Self::Welcome,
            3 => Self::Refuse,
            4 => Self::Request,
            5 => Self::Grant,
            6 => Self::Prepared,
            7 => Self::Input,
            8 => Self::Gate,
            9 => Self::Output,
            10 => Self::Answer,
            11 => Self::Server,
            12 => Self::Evaluate,
            13 => Self::Console,
            14 => Self::Deliver,
            15 => Self::Delivered,
            _ => return Err(WireError::UnknownFrame { kind }),
        })
    }
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame carries.
    pub kind: Kind,
    /// The layer it belongs to, 0 for control messages.
    pub layer: u8,
    /// Bytes that follow.
    pub body_bytes: u32,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = self.body_bytes.to_le_bytes();
        [self.kind as u8, self.layer, a, b, c, d]
    }

    /// A header from its bytes.
    ///
    /// # Errors
    /// [`WireError::UnknownFrame`].
    pub fn parse(bytes: [u8; HEADER_BYTES]) -> Result<Self, WireError> {
        let [kind, layer, length @ ..] = bytes;
        Ok(Self { kind: Kind::try_from(kind)?, layer, body_bytes: u32::from_le_bytes(length) })
    }

    /// Checks that this is the frame that is due.
    ///
    /// # Errors
    /// [`WireError::UnexpectedFrame`], [`WireError::WrongLayer`] or [`WireError::WrongLength`], in
    /// this order.
    pub fn expect(&self, expected: Self) -> Result<(), WireError> {
        if self.kind != expected.kind {
            return Err(WireError::UnexpectedFrame { expected: expected.kind, found: self.kind });
        }
        if self.layer != expected.layer {
            return Err(WireError::WrongLayer { expected: expected.layer, found: self.layer });
        }
        if self.body_bytes != expected.body_bytes {
            return Err(WireError::WrongLength {
                expected_bytes: expected.body_bytes,
                found_bytes: self.body_bytes,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive_the_wire() {
        for kind in 1..=15 {
            let header = Header {
                kind: Kind::try_from(kind).expect("known"),
                layer: 7,
                body_bytes: 0x0102_0304,
            };
            assert_eq!(header.emit(), [kind, 7, 4, 3, 2, 1]);
            assert_eq!(Header::parse(header.emit()), Ok(header));
        }
        for kind in [0, 16, 255] {
            assert_eq!(Header::parse([kind, 0, 0, 0, 0, 0]), Err(WireError::UnknownFrame { kind }));
        }
    }

    #[test]
    fn every_mismatch_has_its_name() {
        let due = Header { kind: Kind::Gate, layer: 2, body_bytes: 8 };
        assert_eq!(due.expect(due), Ok(()));
        let found = Header { kind: Kind::Input, ..due };
        assert_eq!(
            found.expect(due),
            Err(WireError::UnexpectedFrame { expected: Kind::Gate, found: Kind::Input })
        );
        let found = Header { layer: 3, ..due };
        assert_eq!(found.expect(due), Err(WireError::WrongLayer { expected: 2, found: 3 }));
        let found = Header { body_bytes: 9, ..due };
        assert_eq!(
            found.expect(due),
            Err(WireError::WrongLength { expected_bytes: 8, found_bytes: 9 })
        );
    }
}
