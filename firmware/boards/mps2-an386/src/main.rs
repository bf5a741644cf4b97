//! The MPS2 board with image AN386: a Cortex-M4F, under QEMU.
#![no_std]
#![no_main]

mod alarm;
#[path = "../../emulated.rs"]
mod emulated;
mod lan9118;

use lan9118::{IRQ as ETHERNET_IRQ, Lan9118 as Controller};
use qemu_support::files::PageAt;

const NAME: &str = "mps2-an386";
const TICK_NANOS: u32 = 40;
/// The last page of flash, outside the program's memory map.
// SAFETY: it is flash, placed there by QEMU's loader or a flash tool, and the program does not
// write to flash.
const KEY_PAGE: PageAt = unsafe { PageAt::at(0xF_F000) };
