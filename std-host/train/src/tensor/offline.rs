//! A program before there is data: it is counted, and dealt.

use core::convert::Infallible;

use rand_core::CryptoRng;
use sharelet_core::binding::Binding;
use sharelet_core::correlation::LengthError;
use sharelet_core::functions::engine::offline::{Count, Offline, Task, Usage};
use sharelet_core::functions::engine::{EngineError, Settings, Truncation};
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::functions::record::Layout;
use sharelet_core::keystream::{ChaCha12, Key, Keystream};

use super::dealing::Records;
use super::memory::Memory;
use super::words::Words;
use super::{Bilinear, Machine, Masked, Program, Runner, Tensors, add, check};

/// What a program takes of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Messages, bytes and records.
    pub usage: Usage,
    /// Words of masks.
    pub mask_elems: usize,
    /// Words of maps of masks, which the dealer sends.
    pub product_elems: usize,
    /// Multiply-adds of the maps in plaintext; a party makes twice as many.
    pub multiply_adds: u64,
    /// Records of every operation.
    pub(super) operations: Vec<(Layout, usize)>,
}

/// Counts, and writes down the records.
#[derive(Default)]
struct Operations {
    count: Count,
    list: Vec<(Layout, usize)>,
}

impl Task for Operations {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        self.list.push((protocol.layout(), elements));
        self.count.operation(protocol, elements)
    }

    fn operations<P: Protocol, Q: Protocol>(
        &mut self,
        first: (&P, usize),
        second: (&Q, usize),
    ) -> Result<(), EngineError<Infallible>> {
        self.list.extend(
            [(first.0.layout(), first.1), (second.0.layout(), second.1)]
                .into_iter()
                .filter(|(_, elements)| *elements > 0),
        );
        self.count.operations(first, second)
    }
}

impl Plan {
    /// Bytes from the dealer to `P1`.
    #[must_use]
    pub const fn dealt_bytes(&self) -> u64 {
        SEED_BYTES as u64 + self.usage.dealt_bytes + 8 * self.product_elems as u64
    }

    /// Counts a program. It is run without data.
    ///
    /// # Errors
    /// The program's sizes are wrong.
    pub fn of<P: Program>(
        program: &mut P,
        settings: impl Into<Settings>,
    ) -> Result<Self, EngineError<Infallible>> {
        Ok(Self::counted(program, settings)?.0)
    }

    /// Counts a program; beside that, what it leaves, in its sizes.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub fn counted<P: Program>(
        program: &mut P,
        settings: impl Into<Settings>,
    ) -> Result<(Self, P::Output), EngineError<Infallible>> {
        let machine = Machine::new(Offline::new(Operations::default(), settings), Sizes::default());
        let (output, engine, sizes) = run(program, machine)?;
        let Sizes { mask_elems, product_elems, multiply_adds } = sizes;
        let Operations { count: Count(usage), list: operations } = engine.into_task();
        Ok((Self { usage, mask_elems, product_elems, multiply_adds, operations }, output))
    }
}

/// Bytes of the seed of `P1`'s masks.
const SEED_BYTES: usize = 32;

/// What the dealer sends to `P1` for a session.
pub struct Dealt {
    /// The seed of `P1`'s masks.
    pub(super) seed: [u8; SEED_BYTES],
    /// Records of element-wise protocols, from byte `first` on.
    pub(super) records: Memory,
    pub(super) first: usize,
    /// Shares of maps of masks.
    pub(super) products: Vec<u64>,
}

impl Dealt {
    /// The seed of `P1`'s masks.
    #[must_use]
    pub const fn seed(&self) -> &[u8; SEED_BYTES] {
        &self.seed
    }

    /// Records of element-wise protocols.
    #[must_use]
    pub fn records(&self) -> &[u8] {
        self.records.get(self.first..).unwrap_or_default()
    }

    /// Shares of maps of masks, as bytes.
    #[must_use]
    pub fn product_bytes(&self) -> Vec<u8> {
        self.products.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// What [`Dealt::seed`], [`Dealt::records`] and [`Dealt::product_bytes`] say, one after the
    /// other.
    ///
    /// # Errors
    /// [`LengthError`] if it is not as long as the plan says.
    pub fn parse(plan: &Plan, mut bytes: Vec<u8>) -> Result<Self, LengthError> {
        let expected_bytes = usize::try_from(plan.dealt_bytes()).unwrap_or(usize::MAX);
        let wrong = LengthError { expected_bytes, found_bytes: bytes.len() };
        if bytes.len() != expected_bytes {
            return Err(wrong);
        }
        let products = bytes.split_off(bytes.len() - 8 * plan.product_elems);
        let (words, _) = products.as_chunks();
        let products = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let seed = *bytes.first_chunk().ok_or(wrong)?;
        Ok(Self { seed, records: bytes.into(), first: SEED_BYTES, products })
    }
}

redacted!(Dealt);

/// Runs a program to its end. Nothing waits where there is no peer.
///
/// # Errors
/// The engine's.
pub fn run<P: Program, E: Runner, T: Tensors>(
    program: &mut P,
    mut machine: Machine<E, T>,
) -> Result<(P::Output, E, T), E::Error> {
    let output = block_on(program.run(&mut machine))?;
    let (engine, tensors) = machine.into_parts();
    Ok((output, engine, tensors))
}

/// Polls a future that never waits.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    let mut future = core::pin::pin!(future);
    loop {
        if let core::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Deals a session: fresh randomness from `rng`, under the key that `P0` shares with the dealer,
/// bound to the program.
///
/// Leaves what `P1` gets, and the program's output as the dealer has it: masks of what was opened.
///
/// A session is dealt once: two sets of corrections under one keystream show their difference.
///
/// # Errors
/// The program's sizes are wrong.
pub fn deal<P: Program>(
    plan: &Plan,
    program: &mut P,
    truncation: Truncation,
    binding: &Binding<ChaCha12>,
    session: u64,
    rng: &mut impl CryptoRng,
) -> Result<(Dealt, P::Output), EngineError<Infallible>> {
    let keystream = &binding.session(session);
    let mut seed = [0; SEED_BYTES];
    rng.fill_bytes(&mut seed);
    let mut records = Memory::of(usize::try_from(plan.usage.dealt_bytes).unwrap_or(usize::MAX));
    let masks_1 =
        Words::expand(&Keystream::<ChaCha12>::new(&Key::from_bytes(seed)), 0, plan.mask_elems);
    let words_0 = Words::expand(keystream, session, plan.mask_elems + plan.product_elems);
    let tensors = Products { words_0, masks_1, products: Vec::with_capacity(plan.product_elems) };
    let engine = Offline::new(Records::new(keystream, session, rng, &mut records), truncation);
    let (output, engine, Products { products, .. }) = run(program, Machine::new(engine, tensors))?;
    engine.into_task().finish()?;
    Ok((Dealt { seed, records, first: 0, products }, output))
}

/// Counts words; tensors have their lengths and hold nothing.
#[derive(Debug, Default)]
pub struct Sizes {
    mask_elems: usize,
    product_elems: usize,
    multiply_adds: u64,
}

impl Tensors for Sizes {
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        self.mask_elems += elems;
        Ok(vec![0; elems])
    }

    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError> {
        check(map, x.mask.len(), y.mask.len())?;
        self.product_elems += map.out_elems();
        self.multiply_adds += map.multiply_adds();
        Ok(vec![0; map.out_elems()])
    }
}

/// The dealer's tensors: whole masks, and what of their maps is `P1`'s.
struct Products {
    words_0: Words,
    masks_1: Words,
    products: Vec<u64>,
}

impl Tensors for Products {
    fn mask(&mut self, elems: usize) -> Result<Vec<u64>, LengthError> {
        let mut mask = self.words_0.take(elems)?;
        for (mask, share) in mask.iter_mut().zip(self.masks_1.take(elems)?) {
            *mask = mask.wrapping_add(share);
        }
        Ok(mask)
    }

    fn product(&mut self, map: &Bilinear, x: &Masked, y: &Masked) -> Result<Vec<u64>, LengthError> {
        let mut product = vec![0; map.out_elems()];
        add(map, &x.mask, &y.mask, &mut product)?;
        let share = self.words_0.take(map.out_elems())?;
        self.products
            .extend(product.iter().zip(share).map(|(product, share)| product.wrapping_sub(share)));
        Ok(product)
    }
}
