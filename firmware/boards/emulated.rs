//! What runs on an emulated board, which brings its name, its clock, its key page, the Ethernet
//! controller and the timer that wakes it.

use cortex_m_rt::{entry, exception};
use embassy_net::Runner;
use qemu_support::clock::{self, Hardware};
#[cfg(feature = "data-party")]
use qemu_support::data_party as program;
#[cfg(feature = "device")]
use qemu_support::device as program;
use qemu_support::ethernet::{self, Ethernet};
use qemu_support::executor;
#[cfg(feature = "idle")]
use qemu_support::idle as program;
use static_cell::ConstStaticCell;

use crate::{Controller, ETHERNET_IRQ, KEY_PAGE, NAME, ROOM, TICK_NANOS, alarm};
#[cfg(feature = "cuts")]
use crate::{WATCHDOG, WATCHDOG_EXCEPTION};

static ETHERNET: ConstStaticCell<Ethernet<Controller>> = ConstStaticCell::new(Ethernet::new());
static MEMORY: ConstStaticCell<program::Memory> = ConstStaticCell::new(program::Memory::new());

#[entry]
fn main() -> ! {
    clock::start(Hardware { tick_nanos: TICK_NANOS, arm: alarm::arm });
    #[cfg(feature = "cuts")]
    // SAFETY: the board says where it is, and nothing else uses it.
    unsafe {
        qemu_support::power::start(WATCHDOG);
    }
    let ethernet = ETHERNET.take();
    ethernet.start();
    let (task, runner) = program::boot(NAME, ethernet, KEY_PAGE, ROOM);
    #[cfg(feature = "cuts")]
    let _ = u8::try_from(WATCHDOG_EXCEPTION).map(qemu_support::enable_interrupt);
    qemu_support::enable_interrupt(ETHERNET_IRQ);
    qemu_support::enable_interrupt(alarm::IRQ);
    executor::run(|spawner| {
        // Neither task is spawned twice, so neither is refused.
        let _ = network(runner).map(|task| spawner.spawn(task));
        let _ = program::run(task, MEMORY.take()).map(|task| spawner.spawn(task));
    })
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, &'static mut Ethernet<Controller>>) -> ! {
    runner.run().await
}

// SAFETY: interrupts are told apart by number, and each handler touches its own device only.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    match u8::try_from(number) {
        Ok(ETHERNET_IRQ) => ethernet::on_interrupt::<Controller>(),
        Ok(alarm::IRQ) => {
            alarm::acknowledge();
            clock::on_alarm();
        }
        #[cfg(feature = "cuts")]
        _ if number == WATCHDOG_EXCEPTION => qemu_support::power::cut(),
        _ => qemu_support::unexpected_interrupt(number),
    }
}
