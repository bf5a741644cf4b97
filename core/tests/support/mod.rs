//! A pipe in memory, and a whole session over it.
#![allow(dead_code, clippy::expect_used, clippy::await_holding_refcell_ref)]

use core::cell::RefCell;
use core::convert::Infallible;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use rand_core::Rng;
use sharelet_core::network::{Activation, Layer, Network};
use sharelet_core::session::{CounterError, SessionCounter};

/// A seed that differs from run to run and is printed.
pub fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let seed = u64::try_from(now & u128::from(u64::MAX)).expect("masked");
    println!("seed {seed}");
    seed
}

struct Channel {
    bytes: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    log: Vec<u8>,
}

/// One end of a bounded pipe.
#[derive(Clone)]
pub struct Pipe {
    incoming: Rc<RefCell<Channel>>,
    outgoing: Rc<RefCell<Channel>>,
}

impl Pipe {
    /// Two ends; either direction holds `capacity` bytes.
    pub fn pair(capacity: usize) -> (Self, Self) {
        let channel = || Rc::new(RefCell::new(Channel { bytes: VecDeque::new(), capacity, closed: false, log: Vec::new() }));
        let (a, b) = (channel(), channel());
        (Self { incoming: a.clone(), outgoing: b.clone() }, Self { incoming: b, outgoing: a })
    }

    /// Closes both directions.
    pub fn close(&self) {
        self.incoming.borrow_mut().closed = true;
        self.outgoing.borrow_mut().closed = true;
    }

    /// Everything that was written here.
    pub fn sent(&self) -> Vec<u8> {
        self.outgoing.borrow().log.clone()
    }

    /// Everything that was written at the other end.
    pub fn received(&self) -> Vec<u8> {
        self.incoming.borrow().log.clone()
    }
}

impl ErrorType for Pipe {
    type Error = Infallible;
}

impl Read for Pipe {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        loop {
            let mut channel = self.incoming.borrow_mut();
            let len = buffer.len().min(channel.bytes.len());
            if len > 0 || channel.closed {
                for (to, from) in buffer.iter_mut().zip(channel.bytes.drain(..len)) {
                    *to = from;
                }
                return Ok(len);
            }
            drop(channel);
            yield_now().await;
        }
    }
}

impl Write for Pipe {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        loop {
            let mut channel = self.outgoing.borrow_mut();
            let len = bytes.len().min(channel.capacity.saturating_sub(channel.bytes.len()));
            if len > 0 || bytes.is_empty() || channel.closed {
                let len = if channel.closed { bytes.len() } else { len };
                channel.bytes.extend(&bytes[..len]);
                channel.log.extend(&bytes[..len]);
                return Ok(len);
            }
            drop(channel);
            yield_now().await;
        }
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A counter in memory.
pub struct Counter {
    pub next: u64,
    pub broken: bool,
}

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(self.next)
    }

    async fn consume(&mut self, session: u64) -> Result<(), CounterError> {
        if self.broken {
            return Err(CounterError);
        }
        self.next = session + 1;
        Ok(())
    }
}

/// A network with random weights.
pub struct Model {
    pub network: Network<8>,
    pub weights: Vec<Vec<u32>>,
    pub biases: Vec<Vec<u32>>,
}

impl Model {
    pub fn random(widths: &[u16], last_gated: bool, rng: &mut impl Rng) -> Self {
        let mut layers: Vec<Layer> = widths
            .windows(2)
            .map(|pair| Layer {
                inputs: pair[0],
                outputs: pair[1],
                weight_frac_bits: 10,
                shift: 8 + (rng.next_u32() % 3) as u8,
                activation: if rng.next_u32().is_multiple_of(4) { Activation::Identity } else { Activation::Relu },
            })
            .collect();
        if let Some(last) = layers.last_mut().filter(|_| !last_gated) {
            (last.shift, last.activation) = (0, Activation::Identity);
        }
        let mut words = |count: u16| (0..count).map(|_| rng.next_u32()).collect::<Vec<_>>();
        let weights = layers.iter().map(|layer| (0..layer.outputs).flat_map(|_| words(layer.inputs)).collect()).collect();
        let biases = layers.iter().map(|layer| words(layer.outputs)).collect();
        let network = Network::new(8, 1 << 20, &layers).expect("valid");
        Self { network, weights, biases }
    }

    pub fn twin(&self, input: &[u32]) -> Vec<u32> {
        let width = self.network.max_width();
        let (mut scratch, mut out) = (vec![0; width], vec![0; width]);
        self.network.twin(self, input, &mut scratch, &mut out).expect("sized").to_vec()
    }
}

impl sharelet_core::network::Affine for Model {
    fn affine(&self, layer: usize, input: &[u32], out: &mut [u32]) {
        sharelet_core::protocol::linear::twin(&self.weights[layer], &self.biases[layer], input, out);
    }
}
