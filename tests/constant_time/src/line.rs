//! A line between two parties, on which everything is public: whoever sits there reads it.

use core::cell::RefCell;
use core::convert::Infallible;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use embedded_io_async::{ErrorType, Read, Write};
use sharelet_core::functions::engine::Link;

use crate::secret::{public, sent};

type Bytes = Rc<RefCell<VecDeque<u8>>>;

/// One end.
#[derive(Clone)]
pub struct Line {
    incoming: Bytes,
    outgoing: Bytes,
    /// The number of a byte that is changed on its way from here.
    changed: Option<usize>,
}

impl Line {
    pub fn pair() -> (Self, Self) {
        let (there, back) = (Bytes::default(), Bytes::default());
        let end = Self { incoming: there.clone(), outgoing: back.clone(), changed: None };
        (end, Self { incoming: back, outgoing: there, changed: None })
    }

    /// Changes the byte with this number of those that are written from now on.
    pub fn change(&mut self, at: usize) {
        self.changed = Some(at);
    }
}

impl ErrorType for Line {
    type Error = Infallible;
}

impl Read for Line {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        while self.incoming.borrow().is_empty() && !buffer.is_empty() {
            yield_now().await;
        }
        let mut incoming = self.incoming.borrow_mut();
        let len = buffer.len().min(incoming.len());
        buffer.iter_mut().zip(incoming.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }
}

impl Write for Line {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        // What is on the line, everybody sees.
        let mut bytes = public(bytes.to_vec());
        if let Some(at) = self.changed {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
            self.changed = at.checked_sub(bytes.len());
        }
        self.outgoing.borrow_mut().extend(bytes.iter());
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl Link for Line {
    type Error = Infallible;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), Infallible> {
        for part in own {
            sent(part);
            self.write_all(part).await?;
        }
        for part in peer {
            self.read_exact(part).await.expect("a peer that sends as much");
        }
        Ok(())
    }
}
