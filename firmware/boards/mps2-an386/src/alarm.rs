//! The board timer that wakes the executor: CMSDK APB timer 1, 25 MHz.

/// Interrupt number of the timer.
pub const IRQ: u8 = 9;

const CONTROL: *mut u32 = 0x4000_1000 as *mut u32;
const VALUE: *mut u32 = 0x4000_1004 as *mut u32;
const RELOAD: *mut u32 = 0x4000_1008 as *mut u32;
const INTERRUPT_CLEAR: *mut u32 = 0x4000_100C as *mut u32;

/// Raises [`IRQ`] in `ticks` ticks.
pub fn arm(ticks: u32) {
    let ticks = ticks.max(1);
    // SAFETY: registers of a timer that only this module uses; it has no access to memory.
    unsafe {
        CONTROL.write_volatile(0);
        RELOAD.write_volatile(ticks);
        VALUE.write_volatile(ticks);
        CONTROL.write_volatile(1 << 3 | 1 << 0);
    }
}

/// Stops the timer and takes its interrupt back.
pub fn acknowledge() {
    // SAFETY: as in `arm`.
    unsafe {
        CONTROL.write_volatile(0);
        INTERRUPT_CLEAR.write_volatile(1);
    }
}
