//! The Ethernet controller of the LM3S6965, for a driver of `embassy-net`.

use qemu_support::ethernet::{Controller, Words, drain};

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
/// Both FIFOs put two bytes of length before a frame; received frames are followed by a check
/// sequence.
const LENGTH_BYTES: usize = 2;
const CHECK_BYTES: usize = 4;

fn read(register: usize) -> u32 {
    // SAFETY: `register` is one of the constants above, all inside the controller's window; reading
    // takes at most a word from its FIFO.
    unsafe { ((BASE + register) as *const u32).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`; the controller has no access to memory.
    unsafe { ((BASE + register) as *mut u32).write_volatile(value) }
}

/// The controller.
pub struct Stellaris;

impl Controller for Stellaris {
    const BEFORE: usize = LENGTH_BYTES;

    fn start() -> [u32; 2] {
        // Transmit: enable, pad, add the check sequence, full duplex. Receive: enable, all
        // multicast, drop bad frames.
        write(TRANSMIT_CONTROL, 0x17);
        write(RECEIVE_CONTROL, 1 << 0 | 1 << 1 | 1 << 3);
        [read(ADDRESS_LOW), read(ADDRESS_HIGH)]
    }

    fn is_waiting() -> bool {
        read(PACKETS) & 0x3F != 0
    }

    fn clear() {
        write(ACKNOWLEDGE, RECEIVED);
    }

    fn interrupt(on: bool) {
        write(INTERRUPT_MASK, if on { RECEIVED } else { 0 });
    }

    fn has_room() -> bool {
        read(TRANSMIT_REQUEST) & 1 == 0
    }

    fn receive(words: &mut Words) -> usize {
        words[0] = read(DATA);
        let in_fifo = (words[0] & 0xFFFF) as usize;
        drain(in_fifo.div_ceil(4).saturating_sub(1), || read(DATA), &mut words[1..]);
        in_fifo.saturating_sub(LENGTH_BYTES + CHECK_BYTES)
    }

    fn send(words: &mut Words, len: usize) {
        // The controller wants the length without the header.
        let payload = len.saturating_sub(HEADER_BYTES) as u32;
        words[0] = words[0] & !0xFFFF | payload;
        for word in &words[..(LENGTH_BYTES + len).div_ceil(4)] {
            write(DATA, *word);
        }
        write(TRANSMIT_REQUEST, 1);
    }
}
