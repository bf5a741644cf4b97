//! The board timer that wakes the executor: general-purpose timer 0, 32 bits, one shot, at the
//! system clock.

/// Interrupt number of the timer.
pub const IRQ: u8 = 19;

const CLOCK_GATES_1: *mut u32 = 0x400F_E104 as *mut u32;
const CONFIGURATION: *mut u32 = 0x4003_0000 as *mut u32;
const MODE: *mut u32 = 0x4003_0004 as *mut u32;
const CONTROL: *mut u32 = 0x4003_000C as *mut u32;
const INTERRUPT_MASK: *mut u32 = 0x4003_0018 as *mut u32;
const INTERRUPT_CLEAR: *mut u32 = 0x4003_0024 as *mut u32;
const LOAD: *mut u32 = 0x4003_0028 as *mut u32;

/// Raises [`IRQ`] in `ticks` ticks.
pub fn arm(ticks: u32) {
    // SAFETY: registers of a timer that only this module uses, and the gate of its clock; no access
    // to memory.
    unsafe {
        CLOCK_GATES_1.write_volatile(CLOCK_GATES_1.read_volatile() | 1 << 16);
        CONTROL.write_volatile(0);
        CONFIGURATION.write_volatile(0);
        MODE.write_volatile(1);
        LOAD.write_volatile(ticks.max(1));
        INTERRUPT_MASK.write_volatile(1);
        CONTROL.write_volatile(1);
    }
}

/// Takes the timer's interrupt back.
pub fn acknowledge() {
    // SAFETY: as in `arm`.
    unsafe { INTERRUPT_CLEAR.write_volatile(1) };
}
