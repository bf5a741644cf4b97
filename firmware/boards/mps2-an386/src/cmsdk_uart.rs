//! The UART of the board, CMSDK APB UART 0: both halves for `embedded-io-async`.
//!
//! QEMU holds the line back while a byte waits, so nothing is lost without a buffer.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorType, Read, Write};

/// Interrupt number of a byte that has arrived.
pub const IRQ: u8 = 0;

const BASE: usize = 0x4000_4000;
const DATA: usize = 0x00;
const STATE: usize = 0x04;
const CONTROL: usize = 0x08;
const INTERRUPT: usize = 0x0C;
const DIVIDER: usize = 0x10;

const TO_SEND_FULL: u32 = 1 << 0;
const RECEIVED: u32 = 1 << 1;
/// Transmitter and receiver are on.
const BOTH: u32 = 1 << 0 | 1 << 1;
/// A byte that has arrived interrupts.
const ON_ARRIVAL: u32 = 1 << 3;

static WAKER: AtomicWaker = AtomicWaker::new();

fn read(register: usize) -> u32 {
    // SAFETY: `register` is one of the constants above, all inside the UART's window.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`; the UART has no access to memory.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

/// Starts the UART; to be called once.
pub fn start() -> (Reader, Writer) {
    write(DIVIDER, 16);
    write(CONTROL, BOTH);
    (Reader, Writer)
}

/// To be called from the interrupt.
pub fn on_interrupt() {
    write(CONTROL, BOTH);
    write(INTERRUPT, RECEIVED);
    WAKER.wake();
}

/// The half that receives.
pub struct Reader;

/// The half that sends.
pub struct Writer;

impl ErrorType for Reader {
    type Error = Infallible;
}

impl ErrorType for Writer {
    type Error = Infallible;
}

impl Read for Reader {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|cx| {
            WAKER.register(cx.waker());
            let mut len = 0;
            for to in &mut *buffer {
                if read(STATE) & RECEIVED == 0 {
                    break;
                }
                *to = read(DATA) as u8;
                len += 1;
            }
            if len > 0 || buffer.is_empty() {
                return Poll::Ready(Ok(len));
            }
            write(CONTROL, BOTH | ON_ARRIVAL);
            // What has arrived in between is seen now, if it did not interrupt.
            if read(STATE) & RECEIVED != 0 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await
    }
}

impl Write for Writer {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|cx| {
            let mut len = 0;
            for &byte in bytes {
                if read(STATE) & TO_SEND_FULL != 0 {
                    break;
                }
                write(DATA, byte.into());
                len += 1;
            }
            if len > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(len));
            }
            // The byte before is still leaving: a matter of moments, so ask again.
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
