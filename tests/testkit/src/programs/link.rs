//! Links in memory: to the other party, to a peer that sends noise, and to nobody.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::yield_now;
use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sharelet_core::functions::engine::Link;

/// What is between two parties, and what has passed.
#[derive(Debug, Default)]
pub struct Wire {
    waiting: [VecDeque<Vec<u8>>; 2],
    stopped: [bool; 2],
    /// The messages of either party.
    pub sent: [Vec<Vec<u8>>; 2],
}

impl Wire {
    /// Party `side` sends nothing more.
    pub fn stop(&mut self, side: usize) {
        self.stopped[side] = true;
    }
}

/// The peer sends nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// A party's end.
#[derive(Debug)]
pub enum End {
    /// The other party, at the other end of the wire; whose end this is.
    Party(usize, Rc<RefCell<Wire>>),
    /// A peer that answers with random bytes.
    Noise(Box<ChaCha12Rng>),
    /// Nobody: counts attempts, which fail.
    Nobody(u64),
}

impl Link for End {
    type Error = Stopped;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), Stopped> {
        match self {
            Self::Nobody(attempts) => {
                *attempts += 1;
                Err(Stopped)
            }
            Self::Noise(rng) => {
                peer.into_iter().for_each(|part| rng.fill_bytes(part));
                Ok(())
            }
            Self::Party(side, wire) => {
                let message = own.concat();
                {
                    let mut wire = wire.borrow_mut();
                    wire.sent[*side].push(message.clone());
                    wire.waiting[*side].push_back(message);
                }
                let received = receive(wire, 1 - *side).await?;
                let [first, second] = peer;
                let due = first.len() + second.len();
                assert_eq!(received.len(), due, "messages that cross are of one length");
                first.copy_from_slice(&received[..first.len()]);
                second.copy_from_slice(&received[first.len()..]);
                Ok(())
            }
        }
    }
}

async fn receive(wire: &RefCell<Wire>, from: usize) -> Result<Vec<u8>, Stopped> {
    loop {
        let (message, stopped) = {
            let mut wire = wire.borrow_mut();
            (wire.waiting[from].pop_front(), wire.stopped[from])
        };
        match message {
            Some(message) => return Ok(message),
            None if stopped => return Err(Stopped),
            None => yield_now().await,
        }
    }
}
