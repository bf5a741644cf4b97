//! Words of `Z_2^k`, and the few loops over slices of them that everything else is made of.
//!
//! All operations take the same time for all operands wherever the processor multiplies in constant
//! time: the 32-bit `MUL`/`MLA` of the Cortex-M cores does; the long multiplies that 64-bit words
//! need on a Cortex-M3 do not (see `docs/threat-model.md`).

use core::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

#[cfg(any(test, feature = "small-rings"))]
impl<const K: u32> sealed::Sealed for Small<K> {}

/// A word of the ring `Z_2^BITS`.
///
/// Implemented for `u32` (the device) and `u64` (training between servers). Words are plain
/// integers without secrecy of their own: what is secret is decided by who holds them.
pub trait Ring: sealed::Sealed + Copy + Debug + Default + Eq + Send + Sync + 'static {
    /// Width of the ring in bits.
    const BITS: u32;
    /// Bytes of a word on the wire.
    const BYTES: usize;
    /// The neutral element of addition.
    const ZERO: Self;
    /// The neutral element of multiplication.
    const ONE: Self;

    /// Sum modulo `2^BITS`.
    #[must_use]
    fn add(self, other: Self) -> Self;
    /// Difference modulo `2^BITS`.
    #[must_use]
    fn sub(self, other: Self) -> Self;
    /// Product modulo `2^BITS`.
    #[must_use]
    fn mul(self, other: Self) -> Self;
    /// Logical shift right, 0 where `bits >= BITS`. `bits` is public.
    #[must_use]
    fn shr(self, bits: u32) -> Self;
    /// Arithmetic shift right of the word read as two's complement (rounds down). `bits < BITS` is
    /// public.
    #[must_use]
    fn sar(self, bits: u32) -> Self;
    /// The word of the ring congruent to `value`.
    #[must_use]
    fn from_u64(value: u64) -> Self;
    /// The representative in `0..2^BITS`.
    #[must_use]
    fn to_u64(self) -> u64;
    /// The representative in `-2^(BITS-1)..2^(BITS-1)`.
    #[must_use]
    fn to_i64(self) -> i64;
    /// Reads the first `BYTES` bytes, little-endian; missing bytes count as 0.
    #[must_use]
    fn read_le(bytes: &[u8]) -> Self;
    /// Writes the word to the first `BYTES` bytes, little-endian; what does not fit is dropped.
    fn write_le(self, bytes: &mut [u8]);

    /// The same words as words of 32 bits, if that is what they are: for what a device does in
    /// fewer instructions.
    #[must_use]
    fn words(words: &[Self]) -> Option<&[u32]> {
        let _ = words;
        None
    }
    /// The same, to be written.
    #[must_use]
    fn words_mut(words: &mut [Self]) -> Option<&mut [u32]> {
        let _ = words;
        None
    }

    /// The additive inverse.
    #[must_use]
    fn neg(self) -> Self {
        Self::ZERO.sub(self)
    }
    /// `2^exponent`, 0 where `exponent >= BITS`. `exponent` is public.
    #[must_use]
    fn pow2(exponent: u32) -> Self {
        Self::from_u64(1_u64.checked_shl(exponent).unwrap_or(0))
    }
    /// The topmost bit, 0 or 1.
    #[must_use]
    fn msb(self) -> u32 {
        u32::from(self.shr(Self::BITS - 1) == Self::ONE)
    }
}

macro_rules! impl_ring {
    ($word:ty, $signed:ty, |$words:ident| $as_words:expr) => {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            clippy::cast_sign_loss,
            clippy::cast_lossless
        )]
        impl Ring for $word {
            const BITS: u32 = <$word>::BITS;
            const BYTES: usize = size_of::<$word>();
            const ZERO: Self = 0;
            const ONE: Self = 1;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn shr(self, bits: u32) -> Self {
                self.checked_shr(bits).unwrap_or(0)
            }
            #[inline(always)]
            fn sar(self, bits: u32) -> Self {
                (self as $signed).wrapping_shr(bits) as $word
            }
            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as $word
            }
            #[inline(always)]
            fn to_u64(self) -> u64 {
                self as u64
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self as $signed as i64
            }
            #[inline(always)]
            fn read_le(bytes: &[u8]) -> Self {
                bytes.first_chunk().map_or_else(
                    || slow_from_le(bytes) as $word,
                    |chunk| <$word>::from_le_bytes(*chunk),
                )
            }
            #[inline(always)]
            fn write_le(self, bytes: &mut [u8]) {
                for (to, from) in bytes.iter_mut().zip(self.to_le_bytes()) {
                    *to = from;
                }
            }
            #[inline(always)]
            fn words($words: &[Self]) -> Option<&[u32]> {
                $as_words
            }
            #[inline(always)]
            fn words_mut($words: &mut [Self]) -> Option<&mut [u32]> {
                $as_words
            }
            #[inline(always)]
            fn msb(self) -> u32 {
                (self >> (Self::BITS - 1)) as u32
            }
        }
    };
}

impl_ring!(u32, i32, |words| Some(words));
impl_ring!(u64, i64, |_words| None);

/// The bytes of a buffer that is shorter than a word.
fn slow_from_le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// A word of a toy ring, `K <= 16` bits, so that a protocol can be tested on *every* value and
/// mask.
#[cfg(any(test, feature = "small-rings"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Small<const K: u32>(u16);

#[cfg(any(test, feature = "small-rings"))]
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_sign_loss)]
impl<const K: u32> Ring for Small<K> {
    const BITS: u32 = K;
    const BYTES: usize = 2;
    const ZERO: Self = Self(0);
    const ONE: Self = Self(1);

    fn add(self, other: Self) -> Self {
        Self::from_u64(u64::from(self.0) + u64::from(other.0))
    }
    fn sub(self, other: Self) -> Self {
        Self::from_u64(u64::from(self.0).wrapping_sub(u64::from(other.0)))
    }
    fn mul(self, other: Self) -> Self {
        Self::from_u64(u64::from(self.0) * u64::from(other.0))
    }
    fn shr(self, bits: u32) -> Self {
        Self(self.0.checked_shr(bits).unwrap_or(0))
    }
    fn sar(self, bits: u32) -> Self {
        Self::from_u64((self.to_i64() >> bits) as u64)
    }
    fn from_u64(value: u64) -> Self {
        Self((value & ((1 << K) - 1)) as u16)
    }
    fn to_u64(self) -> u64 {
        u64::from(self.0)
    }
    fn to_i64(self) -> i64 {
        ((u64::from(self.0) << (64 - K)) as i64) >> (64 - K)
    }
    fn read_le(bytes: &[u8]) -> Self {
        Self::from_u64(slow_from_le(bytes.get(..2).unwrap_or(bytes)))
    }
    fn write_le(self, bytes: &mut [u8]) {
        for (to, from) in bytes.iter_mut().zip(self.0.to_le_bytes()) {
            *to = from;
        }
    }
}

/// Inner product, added to `acc`. Slices of different lengths count as padded with zeros.
#[inline]
#[must_use]
pub fn dot<R: Ring>(acc: R, a: &[R], b: &[R]) -> R {
    a.iter().zip(b).fold(acc, |acc, (&a, &b)| acc.add(a.mul(b)))
}

/// `out[i] += sum_j matrix[i][j] * vector[j]` for a row-major `out.len() x vector.len()` matrix.
pub fn add_matrix_vector<R: Ring>(matrix: &[R], vector: &[R], out: &mut [R]) {
    if vector.is_empty() {
        return;
    }
    for (row, out) in matrix.chunks_exact(vector.len()).zip(out) {
        *out = dot(*out, row, vector);
    }
}

/// Writes words as little-endian bytes; the shorter of the two slices decides how many.
pub fn write_le_slice<R: Ring>(words: &[R], bytes: &mut [u8]) {
    for (word, bytes) in words.iter().zip(bytes.chunks_exact_mut(R::BYTES)) {
        word.write_le(bytes);
    }
}

/// Reads little-endian words; the shorter of the two slices decides how many.
pub fn read_le_slice<R: Ring>(bytes: &[u8], words: &mut [R]) {
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(R::BYTES)) {
        *word = R::read_le(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_wraps() {
        assert_eq!(Ring::add(u32::MAX, 1), 0);
        assert_eq!(Ring::sub(0_u64, 1), u64::MAX);
        assert_eq!(Ring::mul(0x8000_0001_u32, 2), 2);
        assert_eq!(Small::<5>::from_u64(33), Small::<5>::ONE);
        assert_eq!(Small::<5>::from_u64(16).to_i64(), -16);
    }

    #[test]
    fn shifts_round_down_and_survive_the_full_width() {
        assert_eq!(Ring::sar((-5_i32).cast_unsigned(), 1), (-3_i32).cast_unsigned());
        assert_eq!(Ring::shr(u32::MAX, 32), 0);
        assert_eq!(u32::pow2(32), 0);
        assert_eq!(u64::pow2(63), 1 << 63);
        assert_eq!(Small::<8>::from_u64(0xfb).sar(1), Small::<8>::from_u64(0xfd));
    }

    #[test]
    fn bytes_are_little_endian() {
        let mut bytes = [0; 8];
        write_le_slice(&[0x0403_0201_u32, 0x0807_0605], &mut bytes);
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 8]);
        let mut words = [0_u64];
        read_le_slice(&bytes, &mut words);
        assert_eq!(words, [0x0807_0605_0403_0201]);
        assert_eq!(<u32 as Ring>::read_le(&[7, 1]), 0x107);
    }

    #[test]
    fn a_product_adds_row_by_row() {
        let mut out = [1_u32, 2];
        add_matrix_vector(&[1, 2, 3, 4, 5, 6], &[1, 10, 100], &mut out);
        assert_eq!(out, [322, 656]);
    }
}
