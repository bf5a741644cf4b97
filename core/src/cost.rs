//! What a step, a layer or a network costs, as a function of public shapes.

use core::ops::Add;

/// Messages and bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traffic {
    /// Messages; what leaves a party without waiting for the other in between counts as one.
    pub messages: u32,
    /// Bytes of ring elements and bits, without the frames around them.
    pub bytes: u64,
}

/// Cost of a protocol step between `P0` and `P1`, with its correlations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Cost {
    /// `P0` to `P1` before the input is known.
    pub prepare: Traffic,
    /// `P0` to `P1` when it is.
    pub up: Traffic,
    /// `P1` to `P0` when it is.
    pub down: Traffic,
    /// Dealer to `P1`.
    pub dealer_bytes: u64,
    /// Keystream blocks that `P0` computes before the input is known.
    pub prepare_blocks: u64,
    /// Keystream blocks that `P0` computes when it is.
    pub online_blocks: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, bytes: self.bytes + other.bytes }
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            prepare: self.prepare + other.prepare,
            up: self.up + other.up,
            down: self.down + other.down,
            dealer_bytes: self.dealer_bytes + other.dealer_bytes,
            prepare_blocks: self.prepare_blocks + other.prepare_blocks,
            online_blocks: self.online_blocks + other.online_blocks,
        }
    }
}

impl core::iter::Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}
