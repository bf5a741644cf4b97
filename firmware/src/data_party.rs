//! The data party of two servers: a packet to each, two answers back, and sleep until the next
//! reading.
//!
//! Connections go outwards only and last as long as a query. There is no handshake: what is asked
//! is in the [`Task`] that the device was given. A reading is asked again, under the next number,
//! until it has an answer.

use core::convert::Infallible;
use core::fmt;

use embassy_time::{Duration, Instant, Timer, with_deadline, with_timeout};
use sharelet_channel::Role;
use sharelet_core::fixed::{FixedError, encode_or_zero};
use sharelet_core::keystream::ChaCha12;
use sharelet_core::session::SessionError;
use sharelet_core::session::data_party::Query;
pub use sharelet_core::session::wire::query::Recipient;
pub use sharelet_core::session::wire::task::Task;
use sharelet_core::transport::{Counting, Counts};

pub use crate::board::Keys;
use crate::board::{
    AnswerSink, Inference, InstructionMeter, Random, Sensor, SessionCounter, Steps,
};
use crate::connector::{ConnectError, Connection, Connector};
use crate::link::{KeyError, LinkError, Links, close};
use crate::log::warning;

/// A connection that has done its work gets this long to say so.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory that the task works in; a board puts one in a static. Its bounds are those of the
/// tasks that the board takes: values of a reading, and values of an answer.
pub struct Memory<const INPUTS: usize, const OUTPUTS: usize> {
    features: [f32; INPUTS],
    input: [u32; INPUTS],
    answer: [u32; OUTPUTS],
}

impl<const INPUTS: usize, const OUTPUTS: usize> Memory<INPUTS, OUTPUTS> {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self { features: [0.0; INPUTS], input: [0; INPUTS], answer: [0; OUTPUTS] }
    }
}

impl<const INPUTS: usize, const OUTPUTS: usize> Default for Memory<INPUTS, OUTPUTS> {
    fn default() -> Self {
        Self::new()
    }
}

/// Who gets the answers, and how long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Who gets the answers.
    pub recipient: Recipient,
    /// A query must be answered within this time, from the wait for the network on.
    pub timeout: Duration,
    /// Pause after the first failure; it doubles with every further one ...
    pub shortest_pause: Duration,
    /// ... up to this.
    pub longest_pause: Duration,
}

impl Default for Settings {
    /// The answers to the device; 30 s for an answer, pauses from 0.5 s to 60 s.
    fn default() -> Self {
        Self {
            recipient: Recipient::DataParty,
            timeout: Duration::from_secs(30),
            shortest_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
        }
    }
}

/// What the task is made of. A board fills it in and calls [`DataParty::run`].
pub struct DataParty<T, S, K, C, A, M> {
    /// How server 0 is reached, and how server 1: both at the same time.
    pub connectors: [T; 2],
    /// The recipient, and times.
    pub settings: Settings,
    /// What is asked.
    pub task: Task,
    /// Source of readings.
    pub sensor: S,
    /// [`Keys`]: the page of a data party that is paired with both servers, and random bytes.
    pub keys: K,
    /// Numbers of queries.
    pub counter: C,
    /// Where answers go.
    pub sink: A,
    /// Counts instructions, or does not.
    pub meter: M,
}

/// What the data party is made of but for its connectors, which connections borrow.
struct Asking<S, N, R, C, A, M> {
    settings: Settings,
    task: Task,
    sensor: S,
    keys: Links<N, R, 2>,
    counter: C,
    sink: A,
    meter: M,
}

/// Why something failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DataPartyError {
    /// No link or no address, no server, or no answer in time.
    Timeout(Phase),
    /// A server was not reached.
    Connect(ConnectError),
    /// The key page does not serve a data party.
    Key(KeyError),
    /// There is no channel to a server.
    Link(u8, LinkError),
    /// The counter, before a server was asked.
    Counter,
    /// A server.
    Server(u8, SessionError),
    /// The task is wider than the board's memory.
    TooWide,
    /// A reading that the model is not made for.
    Reading(FixedError),
}

/// A phase that has a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Until the network is up.
    Network,
    /// Until both servers accept.
    Connect,
    /// Until both answers are there.
    Answer,
}

impl DataPartyError {
    /// A word for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Timeout(Phase::Network) => "NetworkDown",
            Self::Timeout(_) => "Timeout",
            Self::Connect(_) => "Connect",
            Self::Key(_) => "Key",
            Self::Link(_, error) => error.name(),
            Self::Counter => "Counter",
            Self::Server(_, SessionError::Query(_)) => "Refused",
            Self::Server(_, SessionError::Closed) => "Closed",
            Self::Server(..) => "Transport",
            Self::TooWide => "InputWidth",
            Self::Reading(_) => "Reading",
        }
    }
}

/// Short, since sentences for everything would take more flash than the data party itself: a
/// server's reason is its number, which `docs/wire-format.md` explains.
impl fmt::Display for DataPartyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout(Phase::Network) => "check the cable and the DHCP server",
            Self::Timeout(Phase::Connect) | Self::Connect(_) => {
                "check both addresses, and that the servers run"
            }
            Self::Timeout(Phase::Answer) => "no answer in time; see the servers' logs",
            Self::Key(KeyError::StaticKeys) => "build with static-keys, or provision keys without",
            Self::Key(_) => "provision a data party, with two servers as its peers",
            Self::Link(server, LinkError::Channel(error)) => {
                return write!(f, "server {server}: {}; see its log", error.name());
            }
            Self::Link(_, LinkError::Random(_)) => "the source of random bytes fails",
            Self::Link(_, LinkError::Ratchet(_)) => "no step was recorded, nothing was sent",
            Self::Counter => "the counter was not recorded, nothing was sent",
            Self::Server(party, SessionError::Query(reason)) => {
                return write!(f, "server {party} refused: reason {}", *reason as u8);
            }
            Self::Server(party, _) => return write!(f, "server {party}; see its log"),
            Self::TooWide => "the task is wider than the board's memory",
            Self::Reading(_) => "not finite, or beyond the model's range",
        })
    }
}

impl<T, S, N, R, C, A, M> DataParty<T, S, Keys<N, R>, C, A, M>
where
    T: Connector,
    S: Sensor,
    N: Random,
    R: Steps,
    C: SessionCounter,
    A: AnswerSink,
    M: InstructionMeter,
{
    /// Asks for ever: what fails is reported to the sink and tried again after a pause.
    pub async fn run<const I: usize, const O: usize>(self, memory: &mut Memory<I, O>) -> ! {
        let Self { mut connectors, settings, task, sensor, keys, counter, mut sink, meter } = self;
        match Links::new(keys, Role::DataParty, [Role::Server0, Role::Server1]) {
            Ok(keys) => {
                let mut party = Asking { settings, task, sensor, keys, counter, sink, meter };
                party.serve(&mut connectors, memory).await
            }
            Err(error) => loop {
                let error = DataPartyError::Key(error);
                sink.failed(error.name(), &error);
                Timer::after(settings.longest_pause).await;
            },
        }
    }
}

impl<S, N, R, C, A, M> Asking<S, N, R, C, A, M>
where
    S: Sensor,
    N: Random,
    R: Steps,
    C: SessionCounter,
    A: AnswerSink,
    M: InstructionMeter,
{
    /// Reading after reading, in the memory that there is.
    async fn serve<const I: usize, const O: usize>(
        &mut self,
        connectors: &mut [impl Connector; 2],
        memory: &mut Memory<I, O>,
    ) -> ! {
        let (inputs, outputs) = (usize::from(self.task.inputs), usize::from(self.task.outputs));
        let Memory { features, input, answer } = memory;
        let (Some(features), Some(input), Some(answer)) =
            (features.get_mut(..inputs), input.get_mut(..inputs), answer.get_mut(..outputs))
        else {
            loop {
                self.failed(&DataPartyError::TooWide);
                Timer::after(self.settings.longest_pause).await;
            }
        };
        let Ok(never) = self.ask_all(connectors, features, input, answer).await;
        match never {}
    }

    /// Reading after reading.
    async fn ask_all(
        &mut self,
        connectors: &mut [impl Connector; 2],
        features: &mut [f32],
        input: &mut [u32],
        answer: &mut [u32],
    ) -> Result<Infallible, Infallible> {
        let mut index = 0_u32;
        loop {
            while let Err(error) = self.sensor.read(features).await {
                self.sink.failed("Sensor", &error);
                Timer::after(self.settings.shortest_pause).await;
            }
            let mut pause = self.settings.shortest_pause;
            while let Err(error) = self.reading(index, connectors, features, input, answer).await {
                self.failed(&error);
                Timer::after(pause).await;
                pause = (pause * 2).min(self.settings.longest_pause);
            }
            index = index.wrapping_add(1);
        }
    }

    /// One reading, to its answer or its refusal.
    async fn reading(
        &mut self,
        index: u32,
        connectors: &mut [impl Connector; 2],
        features: &[f32],
        input: &mut [u32],
        answer: &mut [u32],
    ) -> Result<(), DataPartyError> {
        let before = self.meter.instructions();
        let Task { input_frac_bits, input_limit, .. } = self.task;
        let encoded = encode_or_zero(features, input_frac_bits, input_limit, input);
        // The servers must not notice a reading that the model is not made for. The console would
        // take the answer to zeros for one: for it, the reading is left out.
        let to_console = self.settings.recipient == Recipient::Console;
        if encoded.is_ok() || !to_console {
            let traffic = self.ask(connectors, input, answer).await?;
            let instructions = self.meter.instructions() - before;
            if encoded.is_ok() {
                let values: &[u32] = if to_console { &[] } else { answer };
                let frac_bits = self.task.output_frac_bits;
                self.sink.answer(&Inference { index, values, frac_bits, traffic, instructions });
            }
        }
        if let Err(error) = encoded {
            self.failed(&DataPartyError::Reading(error));
        }
        Ok(())
    }

    /// One query, over connections of its own.
    async fn ask(
        &mut self,
        connectors: &mut [impl Connector; 2],
        input: &mut [u32],
        answer: &mut [u32],
    ) -> Result<Counts, DataPartyError> {
        let timeout = self.settings.timeout;
        let deadline = Instant::now() + timeout;
        for connector in &mut *connectors {
            let up = with_deadline(deadline, connector.up()).await;
            up.map_err(|_| DataPartyError::Timeout(Phase::Network))?;
        }
        let [first, second] = connectors;
        let late = |_| DataPartyError::Timeout(Phase::Connect);
        let first = with_deadline(deadline, first.connect(timeout)).await.map_err(late)?;
        let mut first = first.map_err(DataPartyError::Connect)?;
        let second = with_deadline(deadline, second.connect(timeout)).await;
        let asked =
            match second.map_err(late).and_then(|second| second.map_err(DataPartyError::Connect)) {
                Ok(mut second) => {
                    let talk = self.talk(&mut first, &mut second, input, answer);
                    let asked = with_deadline(deadline, talk).await;
                    let _ = with_timeout(CLOSE_TIMEOUT, second.close()).await;
                    asked.unwrap_or(Err(DataPartyError::Timeout(Phase::Answer)))
                }
                Err(error) => Err(error),
            };
        let _ = with_timeout(CLOSE_TIMEOUT, first.close()).await;
        asked
    }

    /// The query, over a connection to each server.
    async fn talk(
        &mut self,
        first: &mut impl Connection,
        second: &mut impl Connection,
        input: &mut [u32],
        answer: &mut [u32],
    ) -> Result<Counts, DataPartyError> {
        let recipient = self.settings.recipient;
        let identity = self.keys.identity::<ChaCha12>();
        let attempt = self.keys.attempt().await;
        let mut attempt = attempt.map_err(|error| DataPartyError::Link(0, error))?;
        let opened = self.keys.open(0, &mut attempt, first).await;
        let mut link_0 = opened.map_err(|error| DataPartyError::Link(0, error))?;
        let opened = self.keys.open(1, &mut attempt, second).await;
        let mut link_1 = opened.map_err(|error| DataPartyError::Link(1, error))?;
        let query = Query::begin(&identity, &mut self.counter, self.task, recipient);
        let query = query.await.map_err(|_| DataPartyError::Counter)?;
        answer.fill(0);
        let (mut io_0, mut io_1) = (Counting::new(&mut link_0), Counting::new(&mut link_1));
        query.send_seed(&mut io_0).await.map_err(|error| DataPartyError::Server(0, error))?;
        query
            .send_masked(&mut io_1, input)
            .await
            .map_err(|error| DataPartyError::Server(1, error))?;
        let received = query.receive_both(&mut io_0, &mut io_1, answer).await;
        received.map_err(|(party, error)| DataPartyError::Server(party, error))?;
        let (first, second) = (io_0.take(), io_1.take());
        let closed = async {
            close(&mut link_0).await;
            close(&mut link_1).await;
        };
        let _ = with_timeout(CLOSE_TIMEOUT, closed).await;
        Ok(Counts {
            sent_bytes: first.sent_bytes + second.sent_bytes,
            received_bytes: first.received_bytes + second.received_bytes,
            // Both are under way at the same time.
            round_trips: first.round_trips.max(second.round_trips),
        })
    }

    #[cold]
    fn failed(&mut self, error: &DataPartyError) {
        let name = error.name();
        warning!("{}", name);
        self.sink.failed(name, error);
    }
}
