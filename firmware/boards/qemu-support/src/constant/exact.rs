//! Instructions, counted exactly: by the board's watchdog, which is fed between two counts and
//! never runs out.
//!
//! With `-icount shift=8` an instruction takes 256 ns of virtual time, several ticks. So the number
//! of ticks, rounded down as it is read, gives the number of instructions without a doubt.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// `-icount shift=N` makes one instruction take `2^N` nanoseconds of virtual time.
const ICOUNT_SHIFT: u32 = 8;
const LOAD: usize = 0x00;
const VALUE: usize = 0x04;
const CONTROL: usize = 0x08;

static WATCHDOG: AtomicUsize = AtomicUsize::new(0);
static TICK_NANOS: AtomicU32 = AtomicU32::new(1);

/// Where a board's watchdog is, and how fast it counts.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Its address.
    pub watchdog: usize,
    /// Nanoseconds of a tick.
    pub tick_nanos: u32,
}

/// Starts counting; to be called once, first thing in `main`.
///
/// # Safety
/// A CMSDK watchdog must be at the address, and nothing else may use it.
pub unsafe fn start(board: Board) {
    WATCHDOG.store(board.watchdog, Ordering::Relaxed);
    TICK_NANOS.store(board.tick_nanos, Ordering::Relaxed);
    feed();
    // SAFETY: the caller promises that this is a watchdog; it has no access to memory.
    unsafe { ((board.watchdog + CONTROL) as *mut u32).write_volatile(1) };
}

/// Begins anew: what is counted must not go on for longer than 2^32 ticks, which are 600 million
/// instructions and more.
pub fn feed() {
    let base = WATCHDOG.load(Ordering::Relaxed);
    // SAFETY: `start` made its caller promise that this is a watchdog.
    unsafe { ((base + LOAD) as *mut u32).write_volatile(u32::MAX) };
}

/// Ticks since it was fed.
#[inline(never)]
pub fn ticks() -> u32 {
    let base = WATCHDOG.load(Ordering::Relaxed);
    // SAFETY: `start` made its caller promise that this is a watchdog.
    u32::MAX - unsafe { ((base + VALUE) as *const u32).read_volatile() }
}

/// Instructions between two counts of ticks.
pub fn instructions(from: u32, to: u32) -> u32 {
    let nanos = u64::from(TICK_NANOS.load(Ordering::Relaxed));
    let at = |ticks: u32| (u64::from(ticks) * nanos).div_ceil(1 << ICOUNT_SHIFT);
    (at(to) - at(from)) as u32
}
