//! The LAN9118 Ethernet controller of the board, as a driver for `embassy-net`.

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

/// Interrupt number of the controller.
pub const IRQ: u8 = 13;

const BASE: usize = 0x4020_0000;
const RX_DATA: usize = 0x00;
const TX_DATA: usize = 0x20;
const RX_STATUS: usize = 0x40;
const TX_STATUS: usize = 0x48;
const IRQ_CFG: usize = 0x54;
const INT_STS: usize = 0x58;
const INT_EN: usize = 0x5C;
const FIFO_INT: usize = 0x68;
const TX_CFG: usize = 0x70;
const HW_CFG: usize = 0x74;
const RX_FIFO_INF: usize = 0x7C;
const TX_FIFO_INF: usize = 0x80;
const MAC_CMD: usize = 0xA4;
const MAC_DATA: usize = 0xA8;

const MAC_CR: u32 = 1;
const MAC_ADDRH: u32 = 2;
const MAC_ADDRL: u32 = 3;

/// A frame is waiting: the receive status FIFO is above its level, which is 0.
const RX_STATUS_LEVEL: u32 = 1 << 3;
const FRAME_BYTES: usize = 1514;
const FRAME_WORDS: usize = FRAME_BYTES.div_ceil(4) + 1;

static WAKER: AtomicWaker = AtomicWaker::new();

fn read(register: usize) -> u32 {
    // SAFETY: `register` is one of the constants above, all inside the controller's window; reading
    // takes at most a word from one of its FIFOs.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`; the controller has no access to memory.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

fn read_mac(index: u32) -> u32 {
    write(MAC_CMD, 1 << 31 | 1 << 30 | index);
    read(MAC_DATA)
}

fn write_mac(index: u32, value: u32) {
    write(MAC_DATA, value);
    write(MAC_CMD, 1 << 31 | index);
}

/// To be called from the controller's interrupt: stops further ones until the driver has looked.
pub fn on_interrupt() {
    write(INT_EN, 0);
    WAKER.wake();
}

/// The controller. There is one: [`Lan9118::start`] must be called once.
pub struct Lan9118 {
    address: [u8; 6],
    received: [u32; FRAME_WORDS],
    to_send: [u32; FRAME_WORDS],
}

impl Lan9118 {
    /// Space for the driver, for a static.
    #[must_use]
    pub const fn new() -> Self {
        Self { address: [0; 6], received: [0; FRAME_WORDS], to_send: [0; FRAME_WORDS] }
    }

    /// Starts the receiver and the transmitter.
    pub fn start(&mut self) {
        write(HW_CFG, 1 << 20 | 5 << 16);
        write(FIFO_INT, 0);
        write(IRQ_CFG, 0x111);
        write(TX_CFG, 1 << 1);
        write_mac(MAC_CR, 1 << 20 | 1 << 3 | 1 << 2);
        let [low, high] = [read_mac(MAC_ADDRL).to_le_bytes(), read_mac(MAC_ADDRH).to_le_bytes()];
        self.address = [low[0], low[1], low[2], low[3], high[0], high[1]];
    }
}

fn waiting() -> bool {
    read(RX_FIFO_INF) >> 16 & 0xFF != 0
}

impl Driver for Lan9118 {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, cx: &mut Context) -> Option<(Received<'_>, ToSend<'_>)> {
        if !waiting() {
            WAKER.register(cx.waker());
            // The status bit is sticky and set on arrival only: clear, look again, then enable.
            write(INT_STS, RX_STATUS_LEVEL);
            if !waiting() {
                write(INT_EN, RX_STATUS_LEVEL);
                return None;
            }
        }
        Some((Received(&mut self.received), ToSend(&mut self.to_send)))
    }

    fn transmit(&mut self, _cx: &mut Context) -> Option<ToSend<'_>> {
        // Frames leave at once under emulation, so there is always room for one.
        (read(TX_FIFO_INF) as u16 as usize >= FRAME_BYTES + 16).then_some(ToSend(&mut self.to_send))
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
pub struct Received<'a>(&'a mut [u32; FRAME_WORDS]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        // The length counts the frame check sequence, which is dropped.
        let length = (read(RX_STATUS) >> 16 & 0x3FFF) as usize;
        for index in 0..length.div_ceil(4) {
            let word = read(RX_DATA);
            if let Some(slot) = self.0.get_mut(index) {
                *slot = word;
            }
        }
        f(&mut bytes_mut(self.0)[..length.saturating_sub(4).min(FRAME_BYTES)])
    }
}

/// Room for a frame in the transmit FIFO.
pub struct ToSend<'a>(&'a mut [u32; FRAME_WORDS]);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let len = len.min(FRAME_BYTES);
        let result = f(&mut bytes_mut(self.0)[..len]);
        write(TX_DATA, 1 << 13 | 1 << 12 | len as u32);
        write(TX_DATA, len as u32);
        for word in &self.0[..len.div_ceil(4)] {
            write(TX_DATA, *word);
        }
        while read(TX_FIFO_INF) >> 16 & 0xFF != 0 {
            read(TX_STATUS);
        }
        result
    }
}

fn bytes_mut(words: &mut [u32; FRAME_WORDS]) -> &mut [u8] {
    // SAFETY: words are initialised bytes without padding, bytes have no alignment, and the borrow
    // is handed on.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), FRAME_WORDS * 4) }
}
