//! What a board provides: small contracts, one idea each.

use core::fmt::{self, Display};
use core::future::Future;

use embedded_storage_async::nor_flash::NorFlash;
#[cfg(feature = "device")]
pub use sharelet_core::session::keep::{NoRoom, NotKept, Room, WRITE_WORDS};
pub use sharelet_core::session::{CounterError, SessionCounter};
pub use sharelet_core::transport::Counts;
use sharelet_flash::StoreError;
use sharelet_flash::page::KeyPage;
use sharelet_flash::ratchets::{Ratchets, Step};

/// A complete inference.
#[derive(Clone, Copy, Debug)]
pub struct Inference<'a> {
    /// How many readings were used before, those that were refused among them.
    pub index: u32,
    /// The answer, two's complement; empty if the device does not learn it.
    pub values: &'a [u32],
    /// Its fraction bits.
    pub frac_bits: u8,
    /// What the online phase sent and received.
    pub traffic: Counts,
    /// What the online phase executed, if the board has a meter.
    pub instructions: u64,
}

impl Inference<'_> {
    /// The position of the largest value; `None` if the device does not learn the answer.
    #[must_use]
    pub fn class(&self) -> Option<usize> {
        let largest = self.values.iter().enumerate().max_by_key(|(_, value)| value.cast_signed());
        largest.map(|(index, _)| index)
    }
}

/// A source of readings.
pub trait Sensor {
    /// Why there is no reading.
    type Error: Display;

    /// How many values a reading has, if the sensor does not follow the network. A network of
    /// another input width is refused at the handshake. With `None` the host chooses how many
    /// values it is, up to what the board's memory takes.
    fn width(&self) -> Option<usize> {
        None
    }

    /// Waits for a reading and writes it to `features`, which has the length the network takes.
    ///
    /// The values are checked afterwards: if one is not finite, or outside the range that the host
    /// states, the reading is refused. The session then goes on with zeros, the sink is told
    /// instead of getting the answer, and the host notices nothing. If the host is to learn the
    /// answer, another reading is taken instead, and it may notice the pause.
    ///
    /// # Errors
    /// The board's own; the device task reports it and reads again after a pause.
    fn read(&mut self, features: &mut [f32]) -> impl Future<Output = Result<(), Self::Error>>;
}

/// There are no random bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NoRandom;

impl Display for NoRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of random bytes fails; nothing was sent, and it is tried again")
    }
}

/// A source of random bytes: the chip's generator. Channels take 32 from it for each connection.
/// A closure that fills a slice is one.
pub trait Random {
    /// Fills `bytes` with uniform bytes that nobody can predict, none of which was given before.
    ///
    /// # Errors
    /// [`NoRandom`]: the device then does not connect.
    fn fill(&mut self, bytes: &mut [u8]) -> impl Future<Output = Result<(), NoRandom>>;
}

impl<F: AsyncFnMut(&mut [u8]) -> Result<(), NoRandom>> Random for F {
    async fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        self(bytes).await
    }
}

/// Where the steps of provisioned keys come from.
pub trait Steps {
    /// The next step; it counts as used, also after a power cut.
    ///
    /// # Errors
    /// [`StoreError`]: the device then does not connect.
    fn step(&mut self) -> impl Future<Output = Result<Step, StoreError>>;
}

impl<F: NorFlash> Steps for Ratchets<F> {
    async fn step(&mut self) -> Result<Step, StoreError> {
        Ratchets::step(self).await
    }
}

impl<S: Steps> Steps for Option<S> {
    async fn step(&mut self) -> Result<Step, StoreError> {
        self.as_mut().ok_or(StoreError::Missing)?.step().await
    }
}

/// For boards whose channels are made by static keys.
#[derive(Clone, Copy, Debug)]
pub struct NoSteps;

impl Steps for NoSteps {
    async fn step(&mut self) -> Result<Step, StoreError> {
        Err(StoreError::Missing)
    }
}

/// What channels are made with.
#[derive(Debug)]
pub struct Keys<N, R = NoSteps> {
    /// Name, keys and peers.
    pub page: KeyPage,
    /// Random bytes.
    pub random: N,
    /// Steps, if the page has provisioned keys.
    pub ratchets: R,
}

impl<N: Random> Keys<N> {
    /// For a page with static keys.
    pub fn new(page: KeyPage, random: N) -> Self {
        Self { page, random, ratchets: NoSteps }
    }
}

/// Where results and incidents go: a display, a relay, a log. A closure that takes an [`Inference`]
/// is one.
pub trait AnswerSink {
    /// A session is prepared, and waits for a reading. Traffic and instructions are those of the
    /// preparation.
    fn prepared(&mut self, session: u64, traffic: Counts, instructions: u64) {
        let _ = (session, traffic, instructions);
    }

    /// An inference is complete.
    fn answer(&mut self, inference: &Inference<'_>);

    /// Something failed: a name for programs, a sentence for people. The device task will try
    /// again, with the next session number if a session was lost. `Reading` comes in place of an
    /// answer; a sink that then takes as long as for an answer keeps it from the host.
    fn failed(&mut self, name: &'static str, reason: &dyn Display) {
        let _ = (name, reason);
    }
}

impl<F: FnMut(&Inference<'_>)> AnswerSink for F {
    fn answer(&mut self, inference: &Inference<'_>) {
        self(inference);
    }
}

/// Counts instructions or cycles, for figures in reports.
pub trait InstructionMeter {
    /// A count that only ever grows.
    fn instructions(&self) -> u64;
}

/// For boards that do not count.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl InstructionMeter for NoMeter {
    fn instructions(&self) -> u64 {
        0
    }
}
