//! The MPS2 board with image AN386: a Cortex-M4F, under QEMU.
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
mod lan9118;

#[cfg(not(feature = "constant"))]
use lan9118::{IRQ as ETHERNET_IRQ, Lan9118 as Controller};
#[cfg(not(feature = "constant"))]
use qemu_support::files::{PageAt, RoomAt};

const NAME: &str = "mps2-an386";
const TICK_NANOS: u32 = 40;
/// The watchdog.
#[cfg(any(feature = "cuts", feature = "constant"))]
const WATCHDOG: usize = 0x4000_8000;
/// Its interrupt: the one that cannot be masked.
#[cfg(feature = "cuts")]
const WATCHDOG_EXCEPTION: i16 = -14;
/// The last page of flash, outside the program's memory map.
// SAFETY: it is flash, placed there by QEMU's loader or a flash tool, and the program does not
// write to flash.
#[cfg(not(feature = "constant"))]
const KEY_PAGE: PageAt = unsafe { PageAt::at(0xF_F000) };
/// RAM of the emulated board beyond its memory map, as a larger part has it: 1.25 MB.
// SAFETY: there is RAM, and the memory map ends before it.
#[cfg(not(feature = "constant"))]
const ROOM: RoomAt = unsafe { RoomAt::at(0x2004_0000, 0x5_0000) };
