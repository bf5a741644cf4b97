//! Instructions of a riscv32 core, from its own counter.

use core::arch::asm;

/// QEMU counts nanoseconds of virtual time here, of which an instruction takes `2^6` under `-icount
/// shift=6`.
const ICOUNT_SHIFT: u32 = 6;

/// Counts from the last restart on.
pub struct Meter(u32);

fn retired() -> u32 {
    let count: u32;
    // SAFETY: reads a counter of the core; the program runs in machine mode, which may.
    unsafe { asm!("csrr {}, minstret", out(reg) count, options(nomem, nostack)) };
    count
}

impl Meter {
    /// To be called once.
    pub fn start() -> Self {
        Self(retired())
    }

    /// Instructions since the last time, of which there may be 67 million.
    pub fn restart(&mut self) -> u32 {
        let now = retired();
        let count = now.wrapping_sub(self.0);
        self.0 = now;
        count >> ICOUNT_SHIFT
    }
}
