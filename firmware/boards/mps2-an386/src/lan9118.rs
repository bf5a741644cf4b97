//! The LAN9118 Ethernet controller of the board, for a driver of `embassy-net`.

use qemu_support::ethernet::{Controller, FRAME_BYTES, Words, drain};

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

/// The controller.
pub struct Lan9118;

impl Controller for Lan9118 {
    const BEFORE: usize = 0;

    fn start() -> [u32; 2] {
        write(HW_CFG, 1 << 20 | 5 << 16);
        write(FIFO_INT, 0);
        write(IRQ_CFG, 0x111);
        write(TX_CFG, 1 << 1);
        write_mac(MAC_CR, 1 << 20 | 1 << 3 | 1 << 2);
        [read_mac(MAC_ADDRL), read_mac(MAC_ADDRH)]
    }

    fn is_waiting() -> bool {
        read(RX_FIFO_INF) >> 16 & 0xFF != 0
    }

    /// The bit is sticky.
    fn clear() {
        write(INT_STS, RX_STATUS_LEVEL);
    }

    fn interrupt(on: bool) {
        write(INT_EN, if on { RX_STATUS_LEVEL } else { 0 });
    }

    /// Frames leave at once under emulation, so there is always room for one.
    fn has_room() -> bool {
        read(TX_FIFO_INF) as u16 as usize >= FRAME_BYTES + 16
    }

    fn receive(words: &mut Words) -> usize {
        // The length counts the frame check sequence, which is dropped.
        let length = (read(RX_STATUS) >> 16 & 0x3FFF) as usize;
        drain(length.div_ceil(4), || read(RX_DATA), words);
        length.saturating_sub(4)
    }

    fn send(words: &mut Words, len: usize) {
        write(TX_DATA, 1 << 13 | 1 << 12 | len as u32);
        write(TX_DATA, len as u32);
        for word in &words[..len.div_ceil(4)] {
            write(TX_DATA, *word);
        }
        while read(TX_FIFO_INF) >> 16 & 0xFF != 0 {
            read(TX_STATUS);
        }
    }
}
