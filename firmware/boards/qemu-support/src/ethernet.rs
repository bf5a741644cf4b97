//! What the Ethernet controllers of both boards share: a driver for `embassy-net` over a few
//! registers.

use core::marker::PhantomData;
use core::task::Context;

use embassy_net::driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

/// Bytes of the longest frame, without its check sequence.
pub const FRAME_BYTES: usize = 1514;
const WORDS: usize = (2 + FRAME_BYTES).div_ceil(4);
/// Room for a frame, and for what a FIFO puts before it.
pub type Words = [u32; WORDS];

static WAKER: AtomicWaker = AtomicWaker::new();

/// A controller that hands frames over in FIFOs of words. A board has one.
pub trait Controller {
    /// Bytes that both FIFOs put before a frame; at most 2.
    const BEFORE: usize;

    /// Starts the receiver and the transmitter. Its address, low word first.
    fn start() -> [u32; 2];
    /// Whether a frame is waiting.
    fn is_waiting() -> bool;
    /// Clears the status bit of an arrival.
    fn clear();
    /// Lets the interrupt of an arrival through, or stops it.
    fn interrupt(on: bool);
    /// Whether a frame can be sent.
    fn has_room() -> bool;
    /// Takes a frame from the receive FIFO; its bytes, without the check sequence.
    fn receive(words: &mut Words) -> usize;
    /// Puts a frame of `len` bytes into the transmit FIFO.
    fn send(words: &mut Words, len: usize);
}

/// To be called from the controller's interrupt: stops further ones until the driver has looked.
pub fn on_interrupt<C: Controller>() {
    C::interrupt(false);
    WAKER.wake();
}

/// Reads `count` words of a FIFO; those that have no room are dropped.
pub fn drain(count: usize, read: impl Fn() -> u32, words: &mut [u32]) {
    for index in 0..count {
        let word = read();
        if let Some(slot) = words.get_mut(index) {
            *slot = word;
        }
    }
}

/// The driver. There is one: [`Ethernet::start`] must be called once.
pub struct Ethernet<C> {
    address: [u8; 6],
    received: Words,
    to_send: Words,
    controller: PhantomData<C>,
}

impl<C: Controller> Ethernet<C> {
    /// Space for the driver, for a static.
    #[must_use]
    pub const fn new() -> Self {
        let (received, to_send) = ([0; WORDS], [0; WORDS]);
        Self { address: [0; 6], received, to_send, controller: PhantomData }
    }

    /// Starts the controller.
    pub fn start(&mut self) {
        let [low, high] = C::start().map(u32::to_le_bytes);
        self.address = [low[0], low[1], low[2], low[3], high[0], high[1]];
    }
}

impl<C: Controller> Default for Ethernet<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: Controller> Driver for Ethernet<C> {
    type RxToken<'a>
        = Received<'a, C>
    where
        C: 'a;
    type TxToken<'a>
        = ToSend<'a, C>
    where
        C: 'a;

    fn receive(&mut self, cx: &mut Context) -> Option<(Received<'_, C>, ToSend<'_, C>)> {
        if !C::is_waiting() {
            WAKER.register(cx.waker());
            // The status bit is set on arrival only: clear, look again, then enable.
            C::clear();
            if !C::is_waiting() {
                C::interrupt(true);
                return None;
            }
        }
        Some((Received(&mut self.received, PhantomData), ToSend(&mut self.to_send, PhantomData)))
    }

    fn transmit(&mut self, cx: &mut Context) -> Option<ToSend<'_, C>> {
        if !C::has_room() {
            // The frame before is still leaving: a matter of a hundred microseconds, so ask again.
            cx.waker().wake_by_ref();
            return None;
        }
        Some(ToSend(&mut self.to_send, PhantomData))
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
pub struct Received<'a, C>(&'a mut Words, PhantomData<C>);

impl<C: Controller> RxToken for Received<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let frame = C::receive(self.0).min(FRAME_BYTES);
        f(&mut bytes_mut(self.0)[C::BEFORE..C::BEFORE + frame])
    }
}

/// Room for a frame in the transmit FIFO.
pub struct ToSend<'a, C>(&'a mut Words, PhantomData<C>);

impl<C: Controller> TxToken for ToSend<'_, C> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let len = len.min(FRAME_BYTES);
        let result = f(&mut bytes_mut(self.0)[C::BEFORE..C::BEFORE + len]);
        C::send(self.0, len);
        result
    }
}

fn bytes_mut(words: &mut Words) -> &mut [u8] {
    // SAFETY: words are initialised bytes without padding, bytes have no alignment, and the borrow
    // is handed on.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), WORDS * 4) }
}
