//! Everything that is refused.

/// What a caller or a peer did wrong. No variant holds anything secret but [`Error::Noise`], which
/// tells the caller about their own weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A dimension is zero, or a message would not fit in memory.
    #[error("sizes are zero or too large")]
    Sizes,
    /// A slice of the caller has another length than the shape.
    #[error("{operand} has {found} words, not {expected}")]
    Operand {
        /// Which slice.
        operand: &'static str,
        /// Words that the shape takes.
        expected: usize,
        /// Words that were given.
        found: usize,
    },
    /// A message of the peer has another length than the shape.
    #[error("a message of {found} bytes, not {expected}")]
    Length {
        /// Bytes that the shape takes.
        expected: usize,
        /// Bytes that came.
        found: usize,
    },
    /// A residue of the peer is not below its prime.
    #[error("a residue is {residue}, not below its prime, {prime}")]
    Residue {
        /// The residue.
        residue: u64,
        /// The prime.
        prime: u64,
    },
    /// Bits that fill up the last byte of the peer's ciphertext are not zero.
    #[error("the last byte of a ciphertext is not filled with zeros")]
    Filling,
    /// Operands are so large that flooding would not hide the noise, or that results could be
    /// wrong.
    #[error("noise of up to {noise_bits} bits, where {room_bits} can be hidden")]
    Noise {
        /// Bits of the bound of the noise, rounded up.
        noise_bits: u32,
        /// Bits of the noise that flooding hides.
        room_bits: u32,
    },
}
