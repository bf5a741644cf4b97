//! The LM3S6965 evaluation board: a Cortex-M3 with 256 KB of flash and 64 KB of RAM, under QEMU.
#![no_std]
#![no_main]

#[cfg(not(feature = "constant"))]
mod alarm;
#[cfg(feature = "constant")]
#[path = "../../alone.rs"]
mod alone;
#[cfg(not(feature = "constant"))]
#[path = "../../emulated.rs"]
mod emulated;
#[cfg(not(feature = "constant"))]
mod stellaris;

#[cfg(not(feature = "constant"))]
use qemu_support::files::{PageAt, RoomAt};
#[cfg(not(feature = "constant"))]
use stellaris::{IRQ as ETHERNET_IRQ, Stellaris as Controller};

const NAME: &str = "lm3s6965evb";
const TICK_NANOS: u32 = 80;
/// The watchdog.
#[cfg(any(feature = "cuts", feature = "constant"))]
const WATCHDOG: usize = 0x4000_0000;
/// Its interrupt: masked in critical sections.
#[cfg(feature = "cuts")]
const WATCHDOG_EXCEPTION: i16 = 18;
/// The last page of flash, outside the program's memory map.
// SAFETY: it is flash, placed there by QEMU's loader or a flash tool, and the program does not
// write to flash.
#[cfg(not(feature = "constant"))]
const KEY_PAGE: PageAt = unsafe { PageAt::at(0x3_FC00) };
/// All of its RAM is the program's.
#[cfg(not(feature = "constant"))]
const ROOM: RoomAt = RoomAt::NONE;
