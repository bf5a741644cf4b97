//! Two parties and their dealer in one process.
//!
//! A [`Program`] is written once. [`run`] has it dealt, and run by both parties on shares;
//! [`count`] says what that costs, before anything runs; [`twin`] runs it on plaintext.

use core::cell::RefCell;
use core::convert::Infallible;
use core::error::Error;
use core::future::Future;
use std::collections::VecDeque;
use std::rc::Rc;

use embassy_futures::join::join;
use embassy_futures::{block_on, yield_now};
use rand_core::CryptoRng;
use sharelet_core::correlation::SessionToken;
use sharelet_core::functions::engine::offline::{Count, Deal, Offline, Usage};
use sharelet_core::functions::engine::party::{Party, Received, Seeded};
use sharelet_core::functions::engine::twin::Twin;
use sharelet_core::functions::engine::{Engine, Link, Settings};
use sharelet_core::keystream::{ChaCha12, Key, Keystream};
use sharelet_core::ring::Ring;

/// What goes wrong while a program runs.
pub type Failed = Box<dyn Error>;

/// A function of shared words, written once for whoever runs it.
pub trait Program {
    /// The ring of its words.
    type Ring: Ring;

    /// Takes its arguments in `words`, and leaves its results there. What `words` hold is a share,
    /// a plaintext word, or nothing at all: a program must not look at it.
    ///
    /// # Errors
    /// The engine's.
    fn run<E: Engine>(
        &self,
        engine: &mut E,
        words: &mut Vec<Self::Ring>,
    ) -> impl Future<Output = Result<(), E::Error>>;
}

/// What both parties have after a run.
pub struct Ran<R> {
    /// The shares of the arguments, `P0`'s and `P1`'s.
    pub arguments: [Vec<R>; 2],
    /// The shares of the results, `P0`'s and `P1`'s.
    pub shares: [Vec<R>; 2],
    /// The messages that each has sent.
    pub sent: [Vec<Vec<u8>>; 2],
    /// What was said beforehand that it would cost.
    pub usage: Usage,
}

impl<R> core::fmt::Debug for Ran<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ran").field("usage", &self.usage).finish_non_exhaustive()
    }
}

impl<R: Ring> Ran<R> {
    /// The results.
    #[must_use]
    pub fn open(&self) -> Vec<R> {
        let [own, peer] = &self.shares;
        own.iter().zip(peer).map(|(&own, &peer)| own.add(peer)).collect()
    }
}

/// Shares of `words`: `P0`'s are random, `P1`'s are what is missing.
pub fn share<R: Ring>(words: &[R], rng: &mut impl CryptoRng) -> [Vec<R>; 2] {
    let own: Vec<R> = words.iter().map(|_| R::from_u64(rng.next_u64())).collect();
    let peer = words.iter().zip(&own).map(|(&word, &own)| word.sub(own)).collect();
    [own, peer]
}

/// What a program costs for so many words.
///
/// # Errors
/// The program's: sizes that it does not take.
pub fn count<P: Program>(program: &P, words: usize) -> Result<Usage, Failed> {
    let mut counting = Offline::new(Count::default(), Settings::default());
    block_on(program.run(&mut counting, &mut vec![P::Ring::ZERO; words]))?;
    Ok(counting.into_task().0)
}

/// The program on plaintext.
///
/// # Errors
/// The program's.
pub fn twin<P: Program>(program: &P, words: &[P::Ring]) -> Result<Vec<P::Ring>, Failed> {
    let mut words = words.to_vec();
    block_on(program.run(&mut Twin::default(), &mut words))?;
    Ok(words)
}

/// Shares `words`, deals for the program, and has both parties run it.
///
/// # Errors
/// The program's.
pub fn run<P: Program>(
    program: &P,
    words: &[P::Ring],
    rng: &mut impl CryptoRng,
) -> Result<Ran<P::Ring>, Failed> {
    const SESSION: u64 = 7;
    let usage = count(program, words.len())?;

    // Beforehand: the dealer has P0's key, and writes P1's half.
    let keystream = Keystream::<ChaCha12>::new(&Key::generate(rng));
    let mut dealt = vec![0; usize::try_from(usage.dealt_bytes)?];
    let arguments = share(words, rng);
    let [mut words_0, mut words_1] = arguments.clone();
    let task = Deal::new(&keystream, SESSION, &mut *rng, &mut dealt);
    let mut dealing = Offline::new(task, Settings::default());
    block_on(program.run(&mut dealing, &mut vec![P::Ring::ZERO; words.len()]))?;

    let (link_0, link_1) = Wire::pair();
    let (mut work_0, mut work_1) = (vec![0; usage.work_bytes], vec![0; usage.work_bytes]);
    let source_0 = Seeded::new(&keystream, SessionToken::consumed(SESSION));
    let mut party_0 = Party::new(source_0, link_0, &mut work_0, Settings::default());
    let source_1 = Received::new(&dealt);
    let mut party_1 = Party::new(source_1, link_1, &mut work_1, Settings::default());
    let ended = block_on(join(
        program.run(&mut party_0, &mut words_0),
        program.run(&mut party_1, &mut words_1),
    ));
    ended.0?;
    ended.1?;
    let sent = [party_0.into_parts().1.sent, party_1.into_parts().1.sent];
    Ok(Ran { arguments, shares: [words_0, words_1], sent, usage })
}

type Bytes = Rc<RefCell<VecDeque<u8>>>;

/// One end of a wire, which remembers what was sent.
struct Wire {
    incoming: Bytes,
    outgoing: Bytes,
    sent: Vec<Vec<u8>>,
}

impl Wire {
    fn pair() -> (Self, Self) {
        let (there, back) = (Bytes::default(), Bytes::default());
        let end = Self { incoming: there.clone(), outgoing: back.clone(), sent: Vec::default() };
        (end, Self { incoming: back, outgoing: there, sent: Vec::default() })
    }
}

impl Link for Wire {
    type Error = Infallible;

    async fn exchange(&mut self, own: [&[u8]; 2], peer: [&mut [u8]; 2]) -> Result<(), Infallible> {
        self.outgoing.borrow_mut().extend(own.concat());
        self.sent.push(own.concat());
        for part in peer {
            while self.incoming.borrow().len() < part.len() {
                yield_now().await;
            }
            let mut incoming = self.incoming.borrow_mut();
            let len = part.len();
            part.iter_mut().zip(incoming.drain(..len)).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}
