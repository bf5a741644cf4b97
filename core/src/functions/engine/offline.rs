//! What happens to a program before there is data: it is counted, dealt, and expanded.

use core::convert::Infallible;

use rand_core::CryptoRng;

use super::{Engine, EngineError, Settings, expect_addressable, work_bytes};
use crate::correlation::{LengthError, Position};
use crate::functions::protocol::Protocol;
use crate::functions::record;
use crate::keystream::{Keystream, Rounds};
use crate::ring::Ring;

/// What a program costs either party, to the byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Usage {
    /// Messages that either party sends; they cross, so these are also the rounds.
    pub messages: u64,
    /// Bytes that either party sends.
    pub online_bytes: u64,
    /// Bytes from the dealer to `P1`; `P0` gets none.
    pub dealt_bytes: u64,
    /// Bytes that `P0`'s half takes where it is expanded.
    pub expanded_bytes: u64,
    /// Positions that are used, one per protocol.
    pub operations: u32,
    /// Bytes of message buffers that a party needs.
    pub work_bytes: usize,
}

/// What an offline run does with an operation.
pub trait Task {
    /// Handles one operation of `elements` records, at least one.
    ///
    /// # Errors
    /// [`LengthError`] if there is no room; `TooLong` if there is no position.
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>>;

    /// Handles two operations that run in the same rounds; either may be without elements.
    ///
    /// # Errors
    /// As [`Task::operation`].
    fn operations<P: Protocol, Q: Protocol>(
        &mut self,
        (first, elements_1): (&P, usize),
        (second, elements_2): (&Q, usize),
    ) -> Result<(), EngineError<Infallible>> {
        if elements_1 > 0 {
            self.operation(first, elements_1)?;
        }
        if elements_2 > 0 {
            self.operation(second, elements_2)?;
        }
        Ok(())
    }
}

/// Runs a program without data: slices have their lengths, but what they hold means nothing.
pub struct Offline<T> {
    task: T,
    settings: Settings,
}

impl<T: Task> Offline<T> {
    /// An offline run of a program that parties will run with the same settings.
    pub fn new(task: T, settings: impl Into<Settings>) -> Self {
        Self { task, settings: settings.into() }
    }

    /// The task, when the program is over.
    pub fn into_task(self) -> T {
        self.task
    }
}

impl<T: Task> Engine for Offline<T> {
    type Error = EngineError<Infallible>;

    fn constant<R: Ring>(&self, _value: R) -> R {
        R::ZERO
    }

    fn settings(&self) -> Settings {
        self.settings
    }

    async fn run_both<P: Protocol, Q: Protocol>(
        &mut self,
        (first, data_1): (&P, P::Data<'_>),
        (second, data_2): (&Q, Q::Data<'_>),
    ) -> Result<(), Self::Error> {
        let (elements_1, elements_2) = (first.elements(&data_1)?, second.elements(&data_2)?);
        expect_addressable(first, elements_1)?;
        expect_addressable(second, elements_2)?;
        self.task.operations((first, elements_1), (second, elements_2))
    }
}

/// Counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count(pub Usage);

impl Task for Count {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        let (usage, layout) = (&mut self.0, protocol.layout());
        for round in 0..protocol.rounds() {
            usage.messages += 1;
            usage.online_bytes += protocol.message_bytes(round, elements) as u64;
        }
        usage.dealt_bytes += (layout.bytes() * elements) as u64;
        usage.expanded_bytes += layout.expanded_bytes(elements) as u64;
        usage.operations += 1;
        usage.work_bytes = usage.work_bytes.max(work_bytes(protocol, elements));
        Ok(())
    }

    fn operations<P: Protocol, Q: Protocol>(
        &mut self,
        (first, elements_1): (&P, usize),
        (second, elements_2): (&Q, usize),
    ) -> Result<(), EngineError<Infallible>> {
        let mut parts = [Self::default(), Self::default()];
        let [part_1, part_2] = &mut parts;
        if elements_1 > 0 {
            part_1.operation(first, elements_1)?;
        }
        if elements_2 > 0 {
            part_2.operation(second, elements_2)?;
        }
        let usage = &mut self.0;
        usage.messages += parts.iter().map(|part| part.0.messages).max().unwrap_or(0);
        usage.work_bytes = usage
            .work_bytes
            .max(parts.iter().fold(0, |sum, part| sum.saturating_add(part.0.work_bytes)));
        for Self(part) in parts {
            usage.online_bytes += part.online_bytes;
            usage.dealt_bytes += part.dealt_bytes;
            usage.expanded_bytes += part.expanded_bytes;
            usage.operations += part.operations;
        }
        Ok(())
    }
}

/// Where an offline run stands: the session, the operation, and the room that is left.
struct Place<'a, C: Rounds> {
    keystream: &'a Keystream<C>,
    session: u64,
    operation: Option<u16>,
    rest: &'a mut [u8],
}

impl<'a, C: Rounds> Place<'a, C> {
    fn next(
        &mut self,
        expected_bytes: usize,
    ) -> Result<(Position, &'a mut [u8]), EngineError<Infallible>> {
        let layer = self.operation.ok_or(EngineError::TooLong)?;
        let found_bytes = self.rest.len();
        let (out, rest) = core::mem::take(&mut self.rest)
            .split_at_mut_checked(expected_bytes)
            .ok_or(LengthError { expected_bytes, found_bytes })?;
        self.rest = rest;
        self.operation = layer.checked_add(1);
        Ok((Position { session: self.session, layer }, out))
    }
}

/// The dealer: writes `P1`'s corrections, front to back.
pub struct Deal<'a, C: Rounds, G> {
    place: Place<'a, C>,
    rng: G,
}

impl<'a, C: Rounds, G: CryptoRng> Deal<'a, C, G> {
    /// Deals session `session` under `P0`'s keystream, to `out`: see [`Usage::dealt_bytes`].
    ///
    /// A session is dealt once: two sets of corrections under one keystream show their difference.
    pub fn new(keystream: &'a Keystream<C>, session: u64, rng: G, out: &'a mut [u8]) -> Self {
        Self { place: Place { keystream, session, operation: Some(0), rest: out }, rng }
    }
}

impl<C: Rounds, G: CryptoRng> Task for Deal<'_, C, G> {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        let layout = protocol.layout();
        let (position, out) = self.place.next(layout.bytes() * elements)?;
        record::deal(
            self.place.keystream,
            position,
            layout,
            elements,
            &mut self.rng,
            out,
            |truth, rng| protocol.deal(truth, rng),
        )?;
        Ok(())
    }
}

/// `P0` with memory to spare: expands its half, front to back, for [`super::party::Expanded`].
pub struct Expand<'a, C: Rounds>(Place<'a, C>);

impl<'a, C: Rounds> Expand<'a, C> {
    /// Expands the half of session `session` to `out`: see [`Usage::expanded_bytes`].
    pub fn new(
        keystream: &'a Keystream<C>,
        token: crate::correlation::SessionToken,
        out: &'a mut [u8],
    ) -> Self {
        Self(Place { keystream, session: token.number(), operation: Some(0), rest: out })
    }
}

impl<C: Rounds> Task for Expand<'_, C> {
    fn operation<P: Protocol>(
        &mut self,
        protocol: &P,
        elements: usize,
    ) -> Result<(), EngineError<Infallible>> {
        let layout = protocol.layout();
        let (position, out) = self.0.next(layout.expanded_bytes(elements))?;
        record::expand(self.0.keystream, position, layout, elements, out)?;
        Ok(())
    }
}

crate::correlation::redacted!(Expand<'_, C>);
crate::correlation::redacted!([T] Offline<T>, [C: Rounds, G] Deal<'_, C, G>);
