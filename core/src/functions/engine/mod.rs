//! One program, five readings.
//!
//! A function of several protocols is written once, as a program over an [`Engine`]. What it means
//! depends on the engine that runs it:
//!
//! * [`party::Party`]: a computing party; slices hold its shares, and messages go over a [`Link`];
//! * [`offline::Offline`]: no data at all; the dealer makes the correlations that the parties will
//!   spend, `P0` expands its half beforehand, or the cost is counted;
//! * [`twin::Twin`]: plaintext; slices hold the values themselves.
//!
//! Programs must not look at what slices hold: they add, multiply by public constants, and call
//! protocols, the same ones in the same order whatever the data.

pub mod offline;
pub mod party;
pub mod twin;

use core::fmt;
use core::future::Future;

use rand_core::CryptoRng;

use crate::correlation::LengthError;
use crate::functions::protocol::{Messages, Protocol};
use crate::functions::record::{Half, Layout, Truth};
use crate::ring::Ring;
use crate::step::StepError;

/// Runs protocols.
pub trait Engine {
    /// What can go wrong.
    type Error: From<StepError>;

    /// A public constant as this engine represents it: one party holds it, the other zero.
    fn constant<R: Ring>(&self, value: R) -> R;

    /// What both parties and the dealer have agreed on.
    fn settings(&self) -> Settings;

    /// How comparisons are made: the kind of correlations that the source hands out.
    fn comparison(&self) -> Comparison {
        self.settings().comparison
    }

    /// How programs truncate.
    fn truncation(&self) -> Truncation {
        self.settings().truncation
    }

    /// Runs one protocol.
    ///
    /// # Errors
    /// Slices that do not belong together are refused before anything is sent.
    fn run<P: Protocol>(
        &mut self,
        protocol: &P,
        data: P::Data<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> {
        self.run_both((protocol, data), (&Nothing, ()))
    }

    /// Runs two protocols that do not depend on each other in the same rounds.
    ///
    /// # Errors
    /// As [`Engine::run`].
    fn run_both<P: Protocol, Q: Protocol>(
        &mut self,
        first: (&P, P::Data<'_>),
        second: (&Q, Q::Data<'_>),
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// What the parties and the dealer of a run have agreed on, in public: a run's messages and
/// correlations follow from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// What comparisons are made of.
    pub comparison: Comparison,
    /// How programs truncate.
    pub truncation: Truncation,
}

impl From<Comparison> for Settings {
    fn from(comparison: Comparison) -> Self {
        Self { comparison, ..Self::default() }
    }
}

impl From<Truncation> for Settings {
    fn from(truncation: Truncation) -> Self {
        Self { truncation, ..Self::default() }
    }
}

/// How programs drop bits of shared numbers: see [`crate::functions::program::truncation`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Truncation {
    /// Rounded down or one unit more, by chance of a mask: a message each.
    #[default]
    OneUnit,
    /// Rounded down, always: 2 messages, 3 at `k = 64`. Results depend on nothing but the
    /// arguments, so a run that is repeated with other correlations ends with the same bits, which
    /// are the twin's.
    Exact,
}

/// What comparisons are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Comparison {
    /// Dealt tables: few rounds, for parties with a dealer.
    #[default]
    Tables,
    /// Shared bits of the mask and multi-fan-in ANDs: correlations that two parties can also make
    /// alone.
    Bits,
    /// No mask: the parties' own shares, compared by oblivious transfer. What two parties prepare
    /// who are alone.
    Ot,
}

/// Carries messages: both parties send, then both receive, at the same time.
pub trait Link {
    /// What can go wrong on the way.
    type Error;

    /// Sends a message and receives the peer's, each in two parts that follow each other. Both know
    /// how long these are: in a protocol of one length, while preparing not always. Must not wait
    /// for the one before doing the other.
    ///
    /// # Errors
    /// The transport's; the link is then of no further use.
    fn exchange(
        &mut self,
        own: [&[u8]; 2],
        peer: [&mut [u8]; 2],
    ) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Why an engine stopped. `E` is the link's error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EngineError<E> {
    /// A caller's mistake: nothing was sent by this call, of a protocol or of a program.
    Step(StepError),
    /// The correlations are used up, or are not those of this program. Found by the first of a
    /// program's protocols that lacks some, which may be after messages of others; likewise
    /// `WorkTooSmall` and `TooLong`. `Usage` tells beforehand.
    Correlations(LengthError),
    /// The message buffers are too small.
    WorkTooSmall {
        /// Bytes that are needed: three times the longest message.
        needed_bytes: usize,
        /// Bytes that were given.
        found_bytes: usize,
    },
    /// More operations than a session has positions for, or more elements than an operation can
    /// address.
    TooLong,
    /// The link failed.
    Link(E),
}

impl<E> From<StepError> for EngineError<E> {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

impl<E> From<LengthError> for EngineError<E> {
    fn from(error: LengthError) -> Self {
        Self::Correlations(error)
    }
}

impl<E: fmt::Display> fmt::Display for EngineError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(error) => error.fmt(f),
            Self::Correlations(error) => {
                write!(
                    f,
                    "the correlations do not fit the program: {error}; deal for the same program \
                     and sizes"
                )
            }
            Self::WorkTooSmall { needed_bytes, found_bytes } => {
                write!(
                    f,
                    "{found_bytes} bytes of message buffers where {needed_bytes} are needed; ask \
                     `Usage::work_bytes` for the size"
                )
            }
            Self::TooLong => write!(
                f,
                "more operations or elements than one session has keystream for; use several \
                 sessions"
            ),
            Self::Link(error) => write!(f, "the link to the peer failed: {error}"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for EngineError<E> {}

/// A protocol without elements, for an engine to run beside another.
#[derive(Clone, Copy, Debug)]
struct Nothing;

impl Protocol for Nothing {
    type Data<'d> = ();

    fn elements(&self, (): &()) -> Result<usize, StepError> {
        Ok(0)
    }
    fn layout(&self) -> Layout {
        Layout::default()
    }
    fn rounds(&self) -> usize {
        0
    }
    fn message_bytes(&self, _round: usize, _elements: usize) -> usize {
        0
    }
    fn deal<G: CryptoRng>(&self, _truth: &mut Truth<'_>, _rng: &mut G) {}
    fn step<H: Half>(
        &self,
        _round: usize,
        _half: &mut H,
        (): &mut (),
        _messages: &mut Messages<'_>,
    ) {
    }
    fn twin_rounded(&self, (): &mut (), _up: &mut impl FnMut() -> bool) {}
}

/// Bytes of message buffers of one operation: both messages of a round, and what is remembered.
fn work_bytes(protocol: &impl Protocol, elements: usize) -> usize {
    protocol.max_message_bytes(elements).saturating_mul(3)
}

/// The most elements of one operation: their records must be addressable by a 32-bit block number.
fn expect_addressable<E>(protocol: &impl Protocol, elements: usize) -> Result<(), EngineError<E>> {
    let layout = protocol.layout();
    let fits = elements
        .checked_mul(layout.bytes().max(1).next_multiple_of(64))
        .is_some_and(|bytes| bytes <= (u32::MAX as usize).saturating_mul(64) / 2);
    if fits { Ok(()) } else { Err(EngineError::TooLong) }
}
