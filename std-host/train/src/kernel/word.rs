//! What the kernels multiply.

use super::left::{Left, ROWS};

/// A number that the kernels multiply: a word modulo its ring, or a float.
pub trait Word: Copy + Default + Send + Sync + 'static {
    /// Nothing.
    const ZERO: Self;

    /// The sum.
    #[must_use]
    fn add(self, other: Self) -> Self;

    /// The product.
    #[must_use]
    fn mul(self, other: Self) -> Self;

    /// The tile where this word has a way of its own, which it says.
    #[must_use]
    #[inline(always)]
    fn tile<const C: usize>(
        left: Left<'_, Self>,
        words: &[Self],
        starts: &[usize],
        to: &mut [[Self; C]; ROWS],
    ) -> bool {
        let _ = (left, words, starts, to);
        false
    }
}

macro_rules! words {
    ($($number:ty: $add:expr, $mul:expr $(, $tile:item)?;)*) => {$(
        impl Word for $number {
            const ZERO: Self = 0 as Self;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                $add(self, other)
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                $mul(self, other)
            }

            $($tile)?
        }
    )*};
}

words! {
    u32: u32::wrapping_add, u32::wrapping_mul;
    u64: u64::wrapping_add, u64::wrapping_mul,
        #[cfg(target_arch = "x86_64")]
        #[inline(always)]
        fn tile<const C: usize>(
            left: Left<'_, Self>,
            words: &[Self],
            starts: &[usize],
            to: &mut [[Self; C]; ROWS],
        ) -> bool {
            super::split::tile(left, words, starts, to)
        };
    // Without fused operations: the result does not depend on the processor.
    f64: core::ops::Add::add, core::ops::Mul::mul;
}
