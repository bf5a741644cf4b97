//! The LM3S6965 evaluation board: a Cortex-M3 with 256 KB of flash and 64 KB of RAM, under QEMU.
#![no_std]
#![no_main]

mod alarm;
mod stellaris;

use cortex_m_rt::{entry, exception};
use embassy_net::Runner;
use qemu_support::clock::{self, Hardware};
#[cfg(feature = "data-party")]
use qemu_support::data_party as program;
#[cfg(feature = "device")]
use qemu_support::device as program;
use qemu_support::ethernet::{self, Ethernet};
use qemu_support::executor;
use qemu_support::files::KeyPage;
#[cfg(feature = "idle")]
use qemu_support::idle as program;
use static_cell::ConstStaticCell;
use stellaris::Stellaris;

/// The last page of flash, outside the program's memory map.
// SAFETY: it is flash, placed there by QEMU's loader or a flash tool, and the program does not
// write to flash.
const KEY_PAGE: KeyPage = unsafe { KeyPage::at(0x3_FC00) };

static ETHERNET: ConstStaticCell<Ethernet<Stellaris>> = ConstStaticCell::new(Ethernet::new());
static MEMORY: ConstStaticCell<program::Memory> = ConstStaticCell::new(program::Memory::new());

#[entry]
fn main() -> ! {
    clock::start(Hardware { tick_nanos: 80, arm: alarm::arm });
    let ethernet = ETHERNET.take();
    ethernet.start();
    let (task, runner) = program::boot("lm3s6965evb", ethernet, KEY_PAGE);
    qemu_support::enable_interrupt(stellaris::IRQ);
    qemu_support::enable_interrupt(alarm::IRQ);
    executor::run(|spawner| {
        // Neither task is spawned twice, so neither is refused.
        let _ = network(runner).map(|task| spawner.spawn(task));
        let _ = infer(task).map(|task| spawner.spawn(task));
    })
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, &'static mut Ethernet<Stellaris>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn infer(program: program::Program) -> ! {
    program.run(MEMORY.take()).await
}

// SAFETY: interrupts are told apart by number, and each handler touches its own device only.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    match u8::try_from(number) {
        Ok(stellaris::IRQ) => ethernet::on_interrupt::<Stellaris>(),
        Ok(alarm::IRQ) => {
            alarm::acknowledge();
            clock::on_alarm();
        }
        _ => qemu_support::unexpected_interrupt(number),
    }
}
