//! Where memory goes: symbols of the linker script, and the high-water mark of the painted stack.

#[cfg(feature = "constant")]
use core::cell::Cell;
#[cfg(feature = "constant")]
use core::future::{Future, poll_fn};
#[cfg(feature = "constant")]
use core::pin::Pin;
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

/// Polls `work`; the deepest that the stack gets below its polls goes to `deepest`, in bytes.
#[cfg(feature = "constant")]
pub(crate) fn stack_below<T>(
    mut work: Pin<&mut impl Future<Output = T>>,
    deepest: &Cell<usize>,
) -> impl Future<Output = T> {
    poll_fn(move |cx| {
        let begin = paint();
        let polled = work.as_mut().poll(cx);
        let end = addr_of!(_stack_end) as usize;
        let (used, size) = stack_used_and_size();
        let below = (end + size - used).min(begin);
        deepest.set(deepest.get().max(begin - below));
        polled
    })
}

/// Paints the stack that is not in use; where that begins.
#[cfg(feature = "constant")]
#[inline(never)]
fn paint() -> usize {
    /// Of this function and its caller's call.
    const FRAME_BYTES: usize = 64;
    let begin = cortex_m::register::msp::read() as usize;
    let mut word = addr_of!(_stack_end).cast_mut();
    while (word as usize) < begin - FRAME_BYTES {
        // SAFETY: these words are RAM below everything that is on the stack now; no interrupt is
        // served, so nobody else puts anything there.
        unsafe { word.write_volatile(STACK_PAINT_VALUE) };
        word = word.wrapping_add(1);
    }
    begin
}
