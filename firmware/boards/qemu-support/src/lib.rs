//! What the two emulated boards share: time, an executor, and the PC's files in place of sensor,
//! flash and display.
//!
//! A board adds its memory map, its Ethernet controller, the timer that wakes it, and a `main`.
#![no_std]

pub mod args;
pub mod clock;
#[cfg(feature = "constant")]
pub mod constant;
#[cfg(feature = "cuts")]
pub mod cuts;
#[cfg(feature = "data-party")]
pub mod data_party;
#[cfg(feature = "device")]
pub mod device;
pub mod ethernet;
pub mod executor;
#[cfg(any(feature = "cuts", not(feature = "static-keys")))]
pub mod file_flash;
pub mod files;
#[cfg(feature = "idle")]
pub mod idle;
pub mod memory;
#[cfg(feature = "cuts")]
pub mod power;
pub mod report;
#[cfg(any(feature = "device", feature = "data-party", feature = "idle"))]
pub mod started;
#[cfg(feature = "device")]
pub mod twin;

use core::panic::PanicInfo;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use defmt_semihosting as _;

/// Lets interrupt `number` through.
pub fn enable_interrupt(number: u8) {
    #[derive(Clone, Copy)]
    struct Number(u8);
    // SAFETY: `Number` is used here alone, with the numbers that the boards' manuals give.
    unsafe impl InterruptNumber for Number {
        fn number(self) -> u16 {
            self.0.into()
        }
    }
    // SAFETY: the boards call this before their executor runs, outside critical sections.
    unsafe { NVIC::unmask(Number(number)) };
}

/// Ends the emulator after an interrupt that no one handles.
pub fn unexpected_interrupt(number: i16) -> ! {
    defmt::error!("interrupt {=i16} has no handler", number);
    semihosting::process::exit(1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) =
        info.location().map_or(("?", 0), |location| (location.file(), location.line()));
    defmt::error!("panic at {=str}:{=u32}", file, line);
    semihosting::process::exit(1)
}
