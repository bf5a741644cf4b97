//! An executor that sleeps in `WFI`: under emulation `WFE` hardly sleeps at all.

use core::sync::atomic::Ordering;

use embassy_executor::{Spawner, raw};
use static_cell::StaticCell;

use crate::clock::{self, WORK_PENDING};

static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

#[unsafe(export_name = "__pender")]
fn pender(_context: *mut ()) {
    WORK_PENDING.store(true, Ordering::Relaxed);
}

/// Runs the tasks that `init` spawns, for ever.
pub fn run(init: impl FnOnce(Spawner)) -> ! {
    let executor = EXECUTOR.init(raw::Executor::new(core::ptr::null_mut()));
    init(executor.spawner());
    loop {
        // SAFETY: this loop is the only caller of `poll`, and `pender` only sets a flag.
        unsafe { executor.poll() };
        clock::sleep();
    }
}
