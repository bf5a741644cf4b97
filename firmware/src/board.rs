//! What a board provides: small contracts, one idea each.

use core::fmt::{self, Display};
use core::future::Future;

pub use sharelet_core::session::p0::Identity;
pub use sharelet_core::session::{CounterError, SessionCounter};

pub use sharelet_core::transport::Counts;

/// Most values of a reading, and of an answer. Layers between may be wider: they are streamed.
pub const MAX_WIDTH: usize = 1024;

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
    /// values it is, up to [`MAX_WIDTH`].
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

/// Why a key page is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum KeyError {
    /// No page was written.
    Missing,
    /// The page is of a version that this firmware does not know.
    UnknownVersion,
    /// The check sum does not fit.
    Damaged,
    /// The name is empty or has characters that names do not have.
    BadName,
}

impl Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "there is no key page; provision the device",
            Self::UnknownVersion => {
                "the key page is of another version; provision the device with the tool for this \
                 firmware"
            }
            Self::Damaged => "the key page is damaged; write it again",
            Self::BadName => {
                "the name in the key page is not one; provision the device with letters, digits, \
                 `.`, `-` and `_`"
            }
        })
    }
}

/// Where the provisioned name and key are.
pub trait KeyStore {
    /// Reads them. They are asked for at every connection, and wiped when it ends.
    ///
    /// # Errors
    /// [`KeyError`], if the device was not provisioned or its page is damaged.
    fn identity(&mut self) -> Result<Identity, KeyError>;
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
