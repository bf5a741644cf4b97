//! Every engine as one type: a program is compiled once for all of them, where the compiler would
//! otherwise make a copy for each. Protocols know which engine runs them.

use core::convert::Infallible;
use core::fmt;

use rand_chacha::ChaCha12Rng;
use sharelet_core::functions::engine::offline::{Count, Deal, Expand, Offline, Usage};
use sharelet_core::functions::engine::party::{Expanded, Party, Received, Seeded};
use sharelet_core::functions::engine::twin::{Rounding, Twin};
use sharelet_core::functions::engine::{Engine, EngineError, Settings};
use sharelet_core::functions::protocol::Protocol;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::ring::Ring;
use sharelet_prepare::Plan;

use super::link::{End, Stopped};

/// An engine.
#[allow(missing_docs)]
#[allow(clippy::large_enum_variant, reason = "one lives at a time")]
pub enum Any<'a> {
    Count(Offline<Count>),
    Deal(Offline<Deal<'a, ChaCha8, ChaCha12Rng>>),
    Expand(Offline<Expand<'a, ChaCha8>>),
    Plan(Offline<Plan>),
    Twin(Twin),
    Rounding(Rounding<Box<dyn FnMut() -> bool>>),
    Seeded(Party<'a, Seeded<'a, ChaCha8>, End>),
    Expanded(Party<'a, Expanded<'a>, End>),
    Received(Party<'a, Received<'a>, End>),
}

/// Does the same with whichever engine it is.
macro_rules! with {
    ($any:expr, $engine:ident => $work:expr) => {
        match $any {
            Any::Count($engine) => $work,
            Any::Deal($engine) => $work,
            Any::Expand($engine) => $work,
            Any::Plan($engine) => $work,
            Any::Twin($engine) => $work,
            Any::Rounding($engine) => $work,
            Any::Seeded($engine) => $work,
            Any::Expanded($engine) => $work,
            Any::Received($engine) => $work,
        }
    };
}

impl Engine for Any<'_> {
    type Error = EngineError<Stopped>;

    fn constant<R: Ring>(&self, value: R) -> R {
        with!(self, engine => engine.constant(value))
    }

    fn settings(&self) -> Settings {
        with!(self, engine => engine.settings())
    }

    async fn run_both<P: Protocol, Q: Protocol>(
        &mut self,
        first: (&P, P::Data<'_>),
        second: (&Q, Q::Data<'_>),
    ) -> Result<(), Self::Error> {
        with!(self, engine => engine.run_both(first, second).await.map_err(linked))
    }
}

impl fmt::Debug for Any<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Any")
    }
}

/// The error of an engine, as that of one with a link.
trait Linked {
    fn linked(self) -> Stopped;
}

impl Linked for Infallible {
    fn linked(self) -> Stopped {
        match self {}
    }
}

impl Linked for Stopped {
    fn linked(self) -> Stopped {
        self
    }
}

fn linked<E: Linked>(error: EngineError<E>) -> EngineError<Stopped> {
    match error {
        EngineError::Link(error) => EngineError::Link(error.linked()),
        EngineError::Step(error) => EngineError::Step(error),
        EngineError::Correlations(error) => EngineError::Correlations(error),
        EngineError::WorkTooSmall { needed_bytes, found_bytes } => {
            EngineError::WorkTooSmall { needed_bytes, found_bytes }
        }
        EngineError::TooLong => EngineError::TooLong,
        _ => unreachable!("all errors are named here"),
    }
}

/// Where a party has its correlations from.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Origin<'a> {
    Seeded(Seeded<'a, ChaCha8>),
    Expanded(Expanded<'a>),
    Received(Received<'a>),
}

impl<'a> Any<'a> {
    /// A party with these correlations.
    pub fn party(origin: Origin<'a>, end: End, work: &'a mut [u8], settings: Settings) -> Self {
        match origin {
            Origin::Seeded(source) => Self::Seeded(Party::new(source, end, work, settings)),
            Origin::Expanded(source) => Self::Expanded(Party::new(source, end, work, settings)),
            Origin::Received(source) => Self::Received(Party::new(source, end, work, settings)),
        }
    }

    /// The link of `P1`, and bytes of its correlations that are not spent.
    pub fn received(self) -> Option<(End, usize)> {
        let Self::Received(party) = self else { return None };
        let (source, end) = party.into_parts();
        Some((end, source.left_bytes()))
    }

    /// What was counted.
    pub fn counted(self) -> Option<Usage> {
        let Self::Count(engine) = self else { return None };
        Some(engine.into_task().0)
    }

    /// What two parties have to make.
    pub fn planned(self) -> Option<Plan> {
        let Self::Plan(engine) = self else { return None };
        Some(engine.into_task())
    }
}
