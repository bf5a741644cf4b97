//! The chip's flash, with words whose write was cut.
//!
//! Such a word has a wrong error code. Reading it is a bus fault, at every start again. Here the
//! fault is ignored while a word is read, and the flash is asked whether the code was right
//! (RM0433, 4.3.9 and 4.7.7; Armv7-M, B1.5.15: `BFHFNMIGN`).

use core::arch::asm;

use cortex_m::peripheral::SCB;
use embassy_stm32::flash::{Blocking, Flash};
use embassy_stm32::pac::{FLASH, flash::Bank};
use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError as _, NorFlashErrorKind, ReadNorFlash,
};

/// Where the processor sees the flash.
const BASE: usize = 0x0800_0000;
const BYTES: usize = 2048 * 1024;
const IGNORE_BUS_FAULTS: u32 = 1 << 8;

/// Both banks of flash.
pub struct EccFlash(pub Flash<'static, Blocking>);

fn banks() -> [Bank; 2] {
    [FLASH.bank(0), FLASH.bank(1)]
}

/// Forgets wrong error codes that were seen before.
fn clear() {
    for bank in banks() {
        bank.ccr().write(|clear| clear.set_clr_dbeccerr(true));
    }
}

impl EccFlash {
    /// Reads, unless a word's error code is wrong.
    pub fn blocking_read(&mut self, offset: u32, to: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let offset = offset as usize;
        if offset.checked_add(to.len()).is_none_or(|end| end > BYTES) {
            return Err(NorFlashErrorKind::OutOfBounds);
        }
        clear();
        // SAFETY: the bytes are flash. The fault mask is set for these reads alone, so that a bus
        // fault of theirs, and no other, is ignored; what they then give is not used.
        unsafe {
            let ccr = &(*SCB::PTR).ccr;
            asm!("cpsid f");
            ccr.modify(|ccr| ccr | IGNORE_BUS_FAULTS);
            asm!("dsb", "isb");
            for (byte, address) in to.iter_mut().zip(BASE + offset..) {
                *byte = (address as *const u8).read_volatile();
            }
            asm!("dsb", "isb");
            ccr.modify(|ccr| ccr & !IGNORE_BUS_FAULTS);
            asm!("dsb", "cpsie f", "isb");
        }
        let wrong = banks().iter().any(|bank| bank.sr().read().dbeccerr());
        clear();
        if wrong { Err(NorFlashErrorKind::Other) } else { Ok(()) }
    }
}

impl ErrorType for EccFlash {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for EccFlash {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        self.blocking_read(offset, bytes)
    }

    fn capacity(&self) -> usize {
        BYTES
    }
}

impl NorFlash for EccFlash {
    const WRITE_SIZE: usize = 32;
    const ERASE_SIZE: usize = 128 * 1024;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        self.0.blocking_erase(from, to).map_err(|error| error.kind())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        self.0.blocking_write(offset, bytes).map_err(|error| error.kind())
    }
}
