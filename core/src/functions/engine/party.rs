//! A computing party.

use super::{Engine, EngineError, Link, Settings, expect_addressable, work_bytes};
use crate::correlation::{LengthError, Position, SessionToken};
use crate::functions::protocol::{Messages, Protocol};
use crate::functions::record::{Derived, Half, Layout, Stored};
use crate::keystream::{Keystream, Rounds};
use crate::ring::Ring;
use crate::share::Party as Side;

/// Hands out a party's halves, operation by operation.
pub trait Source {
    /// A half of one operation's records.
    type Half: Half;

    /// Whose halves these are.
    fn party(&self) -> Side;

    /// The half of the next operation: `elements` records. `None` if no position is left.
    ///
    /// # Errors
    /// [`LengthError`] if the correlations are used up.
    fn next(&mut self, layout: Layout, elements: usize) -> Result<Option<Self::Half>, LengthError>;
}

/// `P0`'s source: a key and a session. A correlation is computed where it is read.
pub struct Seeded<'k, C: Rounds> {
    keystream: &'k Keystream<C>,
    session: u64,
    operation: Option<u16>,
}

impl<'k, C: Rounds> Seeded<'k, C> {
    /// The correlations of a session, under the key that `P0` shares with the dealer.
    #[must_use]
    pub fn new(keystream: &'k Keystream<C>, token: SessionToken) -> Self {
        Self { keystream, session: token.number(), operation: Some(0) }
    }
}

impl<C: Rounds> Source for Seeded<'_, C> {
    type Half = Derived<C>;

    fn party(&self) -> Side {
        Side::P0
    }

    fn next(
        &mut self,
        layout: Layout,
        _elements: usize,
    ) -> Result<Option<Derived<C>>, LengthError> {
        let Some(layer) = self.operation else { return Ok(None) };
        self.operation = layer.checked_add(1);
        Ok(Some(Derived::new(self.keystream, Position { session: self.session, layer }, layout)))
    }
}

/// `P1`'s source: what the dealer wrote, front to back; or either party's, of what both have made.
pub struct Received<'a> {
    party: Side,
    rest: &'a [u8],
}

impl<'a> Received<'a> {
    /// The dealer's bytes for a whole program.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { party: Side::P1, rest: bytes }
    }

    /// The half of a whole program that `party` has made with its peer.
    #[must_use]
    pub fn made(party: Side, bytes: &'a [u8]) -> Self {
        Self { party, rest: bytes }
    }

    /// Bytes that are not spent yet.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Source for Received<'a> {
    type Half = Stored<'a>;

    fn party(&self) -> Side {
        self.party
    }

    fn next(&mut self, layout: Layout, elements: usize) -> Result<Option<Stored<'a>>, LengthError> {
        let bytes = take(&mut self.rest, layout.bytes() * elements)?;
        Stored::made(self.party, layout, elements, bytes).map(Some)
    }
}

/// `P0`'s source where memory is cheap: its half, expanded beforehand by
/// [`super::offline::Expand`].
pub struct Expanded<'a> {
    rest: &'a [u8],
}

impl<'a> Expanded<'a> {
    /// The expanded half of a whole program.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Source for Expanded<'a> {
    type Half = Stored<'a>;

    fn party(&self) -> Side {
        Side::P0
    }

    fn next(&mut self, layout: Layout, elements: usize) -> Result<Option<Stored<'a>>, LengthError> {
        let bytes = take(&mut self.rest, layout.expanded_bytes(elements))?;
        Stored::expanded(layout, elements, bytes).map(Some)
    }
}

fn take<'a>(rest: &mut &'a [u8], expected_bytes: usize) -> Result<&'a [u8], LengthError> {
    let (taken, left) = rest
        .split_at_checked(expected_bytes)
        .ok_or(LengthError { expected_bytes, found_bytes: rest.len() })?;
    *rest = left;
    Ok(taken)
}

crate::correlation::redacted!(Received<'_>, Expanded<'_>);
crate::correlation::redacted!(Seeded<'_, C>);
crate::correlation::redacted!([S, L] Party<'_, S, L>);

/// A computing party: its source of correlations, its link to the peer, and room for messages.
pub struct Party<'w, S, L> {
    source: S,
    link: L,
    work: &'w mut [u8],
    settings: Settings,
}

impl<'w, S: Source, L: Link> Party<'w, S, L> {
    /// A party. `work` holds messages: see [`super::offline::Usage::work_bytes`].
    pub fn new(source: S, link: L, work: &'w mut [u8], settings: impl Into<Settings>) -> Self {
        Self { source, link, work, settings: settings.into() }
    }

    /// The source and the link, when the program is over.
    pub fn into_parts(self) -> (S, L) {
        (self.source, self.link)
    }

    /// The link, for messages between protocols.
    pub fn link(&mut self) -> &mut L {
        &mut self.link
    }
}

impl<S: Source, L: Link> Engine for Party<'_, S, L> {
    type Error = EngineError<L::Error>;

    fn constant<R: Ring>(&self, value: R) -> R {
        self.source.party().constant(value)
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
        let found_bytes = self.work.len();
        let (bytes_1, bytes_2) = (work_bytes(first, elements_1), work_bytes(second, elements_2));
        let needed_bytes = bytes_1.saturating_add(bytes_2);
        let too_small = EngineError::WorkTooSmall { needed_bytes, found_bytes };
        let Some((work_1, rest)) = self.work.split_at_mut_checked(bytes_1) else {
            return Err(too_small);
        };
        let Some(work_2) = rest.get_mut(..bytes_2) else { return Err(too_small) };
        let mut first = Running::new(first, data_1, elements_1, work_1, &mut self.source)?;
        let mut second = Running::new(second, data_2, elements_2, work_2, &mut self.source)?;
        for round in 0..first.rounds().max(second.rounds()) {
            let [(own_1, peer_1), (own_2, peer_2)] = [first.step(round), second.step(round)];
            if own_1.len() + own_2.len() > 0 {
                self.link
                    .exchange([own_1, own_2], [peer_1, peer_2])
                    .await
                    .map_err(EngineError::Link)?;
            }
        }
        first.finish();
        second.finish();
        Ok(())
    }
}

/// A protocol in the middle of its rounds.
struct Running<'r, 'd, P: Protocol, H> {
    protocol: &'r P,
    data: P::Data<'d>,
    elements: usize,
    half: Option<H>,
    messages: Messages<'r>,
}

impl<'r, 'd, P: Protocol, H: Half> Running<'r, 'd, P, H> {
    /// Takes the protocol's correlations; one without elements takes none.
    fn new<E, S: Source<Half = H>>(
        protocol: &'r P,
        data: P::Data<'d>,
        elements: usize,
        work: &'r mut [u8],
        source: &mut S,
    ) -> Result<Self, EngineError<E>> {
        let longest = work.len() / 3;
        let (own, rest) = work.split_at_mut_checked(longest).unwrap_or_default();
        let (peer, opened) = rest.split_at_mut_checked(longest).unwrap_or_default();
        let half = match elements {
            0 => None,
            _ => Some(source.next(protocol.layout(), elements)?.ok_or(EngineError::TooLong)?),
        };
        Ok(Self { protocol, data, elements, half, messages: Messages { own, peer, opened } })
    }

    fn rounds(&self) -> usize {
        if self.half.is_some() { self.protocol.rounds() } else { 0 }
    }

    /// The message of a round, and the room for the peer's; empty when the protocol is through.
    fn step(&mut self, round: usize) -> (&[u8], &mut [u8]) {
        if round >= self.rounds() {
            return Default::default();
        }
        if let Some(half) = &mut self.half {
            self.protocol.step(round, half, &mut self.data, &mut self.messages);
        }
        let bytes = self.protocol.message_bytes(round, self.elements);
        let Messages { own, peer, .. } = &mut self.messages;
        (own.get(..bytes).unwrap_or(&[]), peer.get_mut(..bytes).unwrap_or(&mut []))
    }

    fn finish(mut self) {
        if let Some(half) = &mut self.half {
            self.protocol.step(self.protocol.rounds(), half, &mut self.data, &mut self.messages);
        }
    }
}
