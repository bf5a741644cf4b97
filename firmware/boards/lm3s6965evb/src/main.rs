//! The LM3S6965 evaluation board: a Cortex-M3 with 256 KB of flash and 64 KB of RAM, under QEMU.
#![no_std]
#![no_main]

mod alarm;
#[path = "../../emulated.rs"]
mod emulated;
mod stellaris;

use qemu_support::files::PageAt;
use stellaris::{IRQ as ETHERNET_IRQ, Stellaris as Controller};

const NAME: &str = "lm3s6965evb";
const TICK_NANOS: u32 = 80;
/// The last page of flash, outside the program's memory map.
// SAFETY: it is flash, placed there by QEMU's loader or a flash tool, and the program does not
// write to flash.
const KEY_PAGE: PageAt = unsafe { PageAt::at(0x3_FC00) };
