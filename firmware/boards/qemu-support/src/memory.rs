//! Where memory goes: symbols of the linker script, and the high-water mark of the painted stack.

use core::ptr::addr_of;

use cortex_m_rt::STACK_PAINT_VALUE;

unsafe extern "C" {
    static __sidata: u32;
    static __sdata: u32;
    static __edata: u32;
    static __sheap: u32;
    static _stack_end: u32;
    static _stack_start: u32;
}

/// Bytes of stack touched since start, and bytes of stack there are.
#[must_use]
pub fn stack_used_and_size() -> (usize, usize) {
    let end = addr_of!(_stack_end);
    let start = addr_of!(_stack_start);
    let mut lowest = end;
    // SAFETY: the words between the two symbols are RAM, painted at start; they are read, never
    // written, and a word that changes meanwhile only moves the mark.
    while lowest < start && unsafe { lowest.read_volatile() } == STACK_PAINT_VALUE {
        lowest = lowest.wrapping_add(1);
    }
    (start as usize - lowest as usize, start as usize - end as usize)
}

/// Bytes of the image in flash, for a flash that begins at address 0.
#[must_use]
pub fn flash_bytes() -> usize {
    addr_of!(__sidata) as usize + (addr_of!(__edata) as usize - addr_of!(__sdata) as usize)
}

/// Bytes of RAM that are taken before the stack begins.
#[must_use]
pub fn static_ram_bytes() -> usize {
    addr_of!(__sheap) as usize - addr_of!(__sdata) as usize
}
