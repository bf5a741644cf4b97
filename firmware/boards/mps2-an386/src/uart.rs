//! A device on a UART, whole: QEMU shows it to the PC as a pseudo-terminal, on which `sharelet host
//! --serial` serves it.
#![no_std]
#![no_main]

mod alarm;
mod cmsdk_uart;

use cmsdk_uart::{Reader, Writer};
use cortex_m_rt::{entry, exception};
use qemu_support::clock::{self, Hardware};
use qemu_support::device::{MOST_BLOCKS, Memory};
use qemu_support::executor;
use qemu_support::files::{FileCounter, FileSensor, PageAt, VirtualTime};
use qemu_support::report::Report;
use qemu_support::started::{PcKeys, read_arguments, read_keys};
use sharelet_firmware::board::NoRoom;
use sharelet_firmware::device::{Device, Settings};
use sharelet_firmware::serial::Serial;
use static_cell::ConstStaticCell;

/// The last page of flash, outside the program's memory map.
// SAFETY: it is flash, placed there by QEMU's loader, and the program does not write to flash.
const KEY_PAGE: PageAt = unsafe { PageAt::at(0xF_F000) };

type Line = Serial<Reader, Writer>;
type Program = Device<Line, FileSensor, PcKeys, FileCounter, Report, VirtualTime>;

#[entry]
fn main() -> ! {
    clock::start(Hardware { tick_nanos: 40, arm: alarm::arm });
    let (mut args, mut report, sensor) = read_arguments("mps2-an386");
    let Some(counter) = args.counter.take() else {
        report.fail("Arguments", &"counter=PATH is needed")
    };
    let keys = read_keys(&mut args, &mut report, KEY_PAGE);
    let usual = Settings::default();
    let settings = Settings {
        answer: args.answer,
        phase_timeout: args.phase_timeout.unwrap_or(usual.phase_timeout),
        max_blocks: MOST_BLOCKS,
        ..usual
    };
    let (reader, writer) = cmsdk_uart::start();
    let device = Device {
        connector: Serial::new(reader, writer),
        settings,
        sensor,
        counter: FileCounter::new(counter, keys.page.key_id()),
        keys,
        sink: report,
        meter: VirtualTime,
    };
    qemu_support::enable_interrupt(cmsdk_uart::IRQ);
    qemu_support::enable_interrupt(alarm::IRQ);
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    executor::run(|spawner| {
        // Spawned once, so it is not refused.
        let _ = run(device, MEMORY.take()).map(|task| spawner.spawn(task));
    })
}

#[embassy_executor::task]
async fn run(device: Program, memory: &'static mut Memory) -> ! {
    device.run(memory, &mut NoRoom).await
}

// SAFETY: interrupts are told apart by number, and each handler touches its own device only.
#[exception]
unsafe fn DefaultHandler(number: i16) {
    match u8::try_from(number) {
        Ok(cmsdk_uart::IRQ) => cmsdk_uart::on_interrupt(),
        Ok(alarm::IRQ) => {
            alarm::acknowledge();
            clock::on_alarm();
        }
        _ => qemu_support::unexpected_interrupt(number),
    }
}
