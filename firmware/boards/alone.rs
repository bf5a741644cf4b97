//! What runs on an emulated board without a network, which brings its name and its watchdog.

use cortex_m_rt::{entry, exception};
use qemu_support::constant::{self, Board};
use static_cell::ConstStaticCell;

use crate::{NAME, TICK_NANOS, WATCHDOG};

static MEMORY: ConstStaticCell<constant::Memory> = ConstStaticCell::new(constant::Memory::new());

#[entry]
fn main() -> ! {
    // SAFETY: the board says where it is, and nothing else uses it.
    unsafe { constant::start(Board { watchdog: WATCHDOG, tick_nanos: TICK_NANOS }) };
    constant::run(NAME, MEMORY.take())
}

// SAFETY: there is nothing to be served.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    qemu_support::unexpected_interrupt(number)
}
