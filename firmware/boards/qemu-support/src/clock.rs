//! Time on the emulated boards: SysTick counts, one board timer wakes.
//!
//! Under `-icount shift=6` virtual time advances with executed instructions, so the same counter
//! measures work: ticks that did not pass in `WFI` are instructions. QEMU counts instructions, not
//! cycles.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::Waker;

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{Peripherals, SCB, SYST};
use cortex_m_rt::exception;
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

const RELOAD: u32 = 0x00FF_FFFF;
/// `-icount shift=N` makes one instruction take `2^N` nanoseconds of virtual time.
const ICOUNT_SHIFT: u32 = 6;
/// An alarm further away than this is set in steps, so that every board timer can hold it.
const LONGEST_ALARM_MICROS: u64 = 10_000_000;

/// What the clock needs to know about a board.
#[derive(Clone, Copy)]
pub struct Hardware {
    /// Nanoseconds of one SysTick tick: 40 at 25 MHz, 80 at 12.5 MHz.
    pub tick_nanos: u32,
    /// Starts the board's one-shot timer, which calls [`on_alarm`] when this many ticks are over.
    pub arm: fn(ticks: u32),
}

struct Clock {
    overflows: AtomicU32,
    slept: Mutex<Cell<u64>>,
    hardware: Mutex<Cell<Hardware>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock {
    overflows: AtomicU32::new(0),
    slept: Mutex::new(Cell::new(0)),
    hardware: Mutex::new(Cell::new(Hardware { tick_nanos: 40, arm: |_| () })),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

/// Set by the executor's `__pender`: there is a task to poll.
pub(crate) static WORK_PENDING: AtomicBool = AtomicBool::new(false);

/// Starts counting; to be called once, first thing in `main`.
pub fn start(hardware: Hardware) {
    let Some(mut syst) = Peripherals::take().map(|core| core.SYST) else { return };
    critical_section::with(|cs| CLOCK.hardware.borrow(cs).set(hardware));
    syst.set_clock_source(SystClkSource::Core);
    syst.set_reload(RELOAD);
    syst.clear_current();
    syst.enable_counter();
    syst.enable_interrupt();
}

/// To be called from the interrupt of the board's timer.
pub fn on_alarm() {
    critical_section::with(|cs| CLOCK.wake_and_arm(cs));
}

#[exception]
fn SysTick() {
    CLOCK.overflows.fetch_add(1, Ordering::Relaxed);
}

/// Ticks since start, those that were slept through among them.
#[cfg(feature = "cuts")]
pub(crate) fn ticks() -> u64 {
    critical_section::with(|cs| CLOCK.ticks(cs))
}

/// Instructions executed since start, without those slept through. Repeatable to one tick under
/// `-icount shift=6`.
#[must_use]
pub fn busy_instructions() -> u64 {
    critical_section::with(|cs| {
        let busy = CLOCK.ticks(cs) - CLOCK.slept.borrow(cs).get();
        (busy * u64::from(CLOCK.hardware.borrow(cs).get().tick_nanos)) >> ICOUNT_SHIFT
    })
}

/// Sleeps until an interrupt, unless there is work; interrupts are served after the time slept is
/// written down.
pub(crate) fn sleep() {
    critical_section::with(|cs| {
        if !WORK_PENDING.swap(false, Ordering::Relaxed) {
            let asleep = CLOCK.ticks(cs);
            cortex_m::asm::wfi();
            let slept = CLOCK.slept.borrow(cs);
            slept.set(slept.get() + CLOCK.ticks(cs) - asleep);
        }
    });
}

impl Clock {
    fn ticks(&self, _cs: CriticalSection) -> u64 {
        let mut overflows = self.overflows.load(Ordering::Relaxed);
        let mut down = SYST::get_current();
        if SCB::is_pendst_pending() {
            // The counter went round and its exception has not been served yet.
            down = SYST::get_current();
            overflows += 1;
        }
        (u64::from(overflows) << 24) + u64::from(RELOAD - down)
    }

    fn micros(&self, cs: CriticalSection) -> u64 {
        self.ticks(cs) * u64::from(self.hardware.borrow(cs).get().tick_nanos) / 1000
    }

    fn wake_and_arm(&self, cs: CriticalSection) {
        let now = self.micros(cs);
        let next = self.queue.borrow_ref_mut(cs).next_expiration(now);
        if next != u64::MAX {
            let hardware = self.hardware.borrow(cs).get();
            let micros = (next - now).min(LONGEST_ALARM_MICROS) as u32;
            (hardware.arm)((micros * 125).div_ceil(hardware.tick_nanos / 8));
        }
    }
}

impl Driver for Clock {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.micros(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            if self.queue.borrow_ref_mut(cs).schedule_wake(at, waker) {
                self.wake_and_arm(cs);
            }
        });
    }
}
