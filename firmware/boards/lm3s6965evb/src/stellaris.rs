//! The Ethernet controller of the LM3S6965, as a driver for `embassy-net`.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

/// Interrupt number of the controller.
pub const IRQ: u8 = 42;

const BASE: usize = 0x4004_8000;
const ACKNOWLEDGE: usize = 0x00;
const INTERRUPT_MASK: usize = 0x04;
const RECEIVE_CONTROL: usize = 0x08;
const TRANSMIT_CONTROL: usize = 0x0C;
const DATA: usize = 0x10;
const ADDRESS_LOW: usize = 0x14;
const ADDRESS_HIGH: usize = 0x18;
const PACKETS: usize = 0x34;
const TRANSMIT_REQUEST: usize = 0x38;

const RECEIVED: u32 = 1 << 0;
const HEADER_BYTES: usize = 14;
const FRAME_BYTES: usize = 1514;
/// Both FIFOs put two bytes of length before a frame; received frames are followed by a check
/// sequence.
const LENGTH_BYTES: usize = 2;
const CHECK_BYTES: usize = 4;
const FIFO_WORDS: usize = (LENGTH_BYTES + FRAME_BYTES).div_ceil(4);

static WAKER: AtomicWaker = AtomicWaker::new();

fn read(register: usize) -> u32 {
    // SAFETY: `register` is one of the constants above, all inside the controller's window; reading
    // takes at most a word from its FIFO.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`; the controller has no access to memory.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

/// To be called from the controller's interrupt: stops further ones until the driver has looked.
pub fn on_interrupt() {
    write(INTERRUPT_MASK, 0);
    WAKER.wake();
}

/// The controller. There is one: [`Stellaris::start`] must be called once.
pub struct Stellaris {
    address: [u8; 6],
    received: [u32; FIFO_WORDS],
    to_send: [u32; FIFO_WORDS],
}

impl Stellaris {
    /// Space for the driver, for a static.
    #[must_use]
    pub const fn new() -> Self {
        Self { address: [0; 6], received: [0; FIFO_WORDS], to_send: [0; FIFO_WORDS] }
    }

    /// Starts the receiver and the transmitter.
    pub fn start(&mut self) {
        // Transmit: enable, pad, add the check sequence, full duplex. Receive: enable, all
        // multicast, drop bad frames.
        write(TRANSMIT_CONTROL, 0x17);
        write(RECEIVE_CONTROL, 1 << 0 | 1 << 1 | 1 << 3);
        let [low, high] = [read(ADDRESS_LOW).to_le_bytes(), read(ADDRESS_HIGH).to_le_bytes()];
        self.address = [low[0], low[1], low[2], low[3], high[0], high[1]];
    }
}

fn waiting() -> bool {
    read(PACKETS) & 0x3F != 0
}

impl Driver for Stellaris {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, cx: &mut Context) -> Option<(Received<'_>, ToSend<'_>)> {
        if !waiting() {
            WAKER.register(cx.waker());
            // The status bit is set on arrival only: clear, look again, then enable.
            write(ACKNOWLEDGE, RECEIVED);
            if !waiting() {
                write(INTERRUPT_MASK, RECEIVED);
                return None;
            }
        }
        Some((Received(&mut self.received), ToSend(&mut self.to_send)))
    }

    fn transmit(&mut self, cx: &mut Context) -> Option<ToSend<'_>> {
        if read(TRANSMIT_REQUEST) & 1 != 0 {
            // The frame before is still leaving: a matter of a hundred microseconds, so ask again.
            cx.waker().wake_by_ref();
            return None;
        }
        Some(ToSend(&mut self.to_send))
    }

    fn link_state(&mut self, _cx: &mut Context) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME_BYTES;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame in the receive FIFO.
pub struct Received<'a>(&'a mut [u32; FIFO_WORDS]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        self.0[0] = read(DATA);
        let in_fifo = (self.0[0] & 0xFFFF) as usize;
        for index in 1..in_fifo.div_ceil(4) {
            let word = read(DATA);
            if let Some(slot) = self.0.get_mut(index) {
                *slot = word;
            }
        }
        let frame = in_fifo.saturating_sub(LENGTH_BYTES + CHECK_BYTES).min(FRAME_BYTES);
        f(&mut bytes_mut(self.0)[LENGTH_BYTES..LENGTH_BYTES + frame])
    }
}

/// Room for a frame in the transmit FIFO.
pub struct ToSend<'a>(&'a mut [u32; FIFO_WORDS]);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let len = len.min(FRAME_BYTES);
        let fifo = bytes_mut(self.0);
        let result = f(&mut fifo[LENGTH_BYTES..LENGTH_BYTES + len]);
        // The controller wants the length without the header.
        let payload = len.saturating_sub(HEADER_BYTES) as u16;
        fifo[..LENGTH_BYTES].copy_from_slice(&payload.to_le_bytes());
        for word in &self.0[..(LENGTH_BYTES + len).div_ceil(4)] {
            write(DATA, *word);
        }
        write(TRANSMIT_REQUEST, 1);
        result
    }
}

fn bytes_mut(words: &mut [u32; FIFO_WORDS]) -> &mut [u8] {
    // SAFETY: words are initialised bytes without padding, bytes have no alignment, and the borrow
    // is handed on.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), FIFO_WORDS * 4) }
}
