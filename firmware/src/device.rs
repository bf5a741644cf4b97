//! The device task.

use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;

use embassy_time::{Duration, TimeoutError, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use sharelet_channel::Role;
use sharelet_core::fixed::{FixedError, FracBits, encode_or_zero};
use sharelet_core::keystream::{ChaCha12, Rounds};
use sharelet_core::session::keep::{Keeping, Room};
use sharelet_core::session::network::Network;
use sharelet_core::session::p0::{Policy, connect};
pub use sharelet_core::session::wire::control::Answer;
use sharelet_core::session::wire::control::Refusal;
use sharelet_core::session::{SessionError, refuse};
use sharelet_core::transport::Counting;

use crate::board::{AnswerSink, InstructionMeter, Random, Sensor, SessionCounter, Steps};
pub use crate::board::{Inference, Keys};
use crate::connector::{ConnectError, Connection, Connector};
use crate::link::{KeyError, LinkError, Links, close};
use crate::log::{info, warning};

/// Most work of a session, in keystream blocks of 16 weights each: about 130 million instructions.
const MAX_BLOCKS: u64 = 1 << 18;
/// A connection that fails gets this long to say so.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The memory that the device task works in; a board puts one in a static.
///
/// Its bounds are those of the networks that the board takes: values of a reading, values of an
/// answer, and layers, five at least. Vectors between are not bounded by it: they are streamed.
/// `X` is how the board makes its keystream.
pub struct Memory<
    const INPUTS: usize,
    const OUTPUTS: usize,
    const LAYERS: usize,
    X: Rounds = ChaCha12,
> {
    words: Words<INPUTS, OUTPUTS>,
    keystream: PhantomData<X>,
}

struct Words<const INPUTS: usize, const OUTPUTS: usize> {
    features: [f32; INPUTS],
    input: [u32; INPUTS],
    output: [u32; OUTPUTS],
}

impl<const INPUTS: usize, const OUTPUTS: usize, const LAYERS: usize, X: Rounds>
    Memory<INPUTS, OUTPUTS, LAYERS, X>
{
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        let words = Words { features: [0.0; INPUTS], input: [0; INPUTS], output: [0; OUTPUTS] };
        Self { words, keystream: PhantomData }
    }
}

impl<const INPUTS: usize, const OUTPUTS: usize, const LAYERS: usize, X: Rounds> Default
    for Memory<INPUTS, OUTPUTS, LAYERS, X>
{
    fn default() -> Self {
        Self::new()
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The network must be up, and the host must accept, within this time.
    pub connect_timeout: Duration,
    /// Who learns the answer; the host must have been started with the same.
    pub answer: Answer,
    /// The host must finish a handshake, a preparation or an inference within this time.
    pub phase_timeout: Duration,
    /// Pause after the first failure; it doubles with every further one ...
    pub shortest_pause: Duration,
    /// ... up to this.
    pub longest_pause: Duration,
    /// Most work of a session, in keystream blocks of 16 weights each; a network that takes more is
    /// refused.
    pub max_blocks: u64,
}

impl Default for Settings {
    /// The answer to the device alone; 10 s to connect, 30 s for a phase, pauses from 0.5 s to 60
    /// s; 2^18 blocks, which are some 130 million instructions.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            answer: Answer::Device,
            phase_timeout: Duration::from_secs(30),
            shortest_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            max_blocks: MAX_BLOCKS,
        }
    }
}

/// What the device task is made of. A board fills it in and calls [`Device::run`].
pub struct Device<T, S, K, C, A, M> {
    /// How the host is reached: [`Tcp`](crate::tcp::Tcp), [`Serial`](crate::serial::Serial), or a
    /// transport of the board's own.
    pub connector: T,
    /// Times and bounds.
    pub settings: Settings,
    /// Source of readings.
    pub sensor: S,
    /// [`Keys`]: the page of a device that is paired with its host, and random bytes.
    pub keys: K,
    /// Session numbers.
    pub counter: C,
    /// Where answers go.
    pub sink: A,
    /// Counts instructions, or does not.
    pub meter: M,
}

/// What the device is made of but for its connector, which a connection borrows.
struct Task<S, N, R, C, A, M> {
    settings: Settings,
    sensor: S,
    keys: Links<N, R, 1>,
    counter: C,
    sink: A,
    meter: M,
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Sessions that ran to their end, whether or not their readings were refused.
    sessions: u32,
    /// Readings that were answered or refused.
    readings: u32,
}

/// Why something failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError<S> {
    /// No link or no address in time.
    NetworkDown,
    /// The host was not reached.
    Connect(ConnectError),
    /// The host did not finish in time.
    Timeout(Phase),
    /// The key page does not serve a device.
    Key(KeyError),
    /// There is no channel to the host.
    Link(LinkError),
    /// The session failed.
    Session(SessionError),
    /// The sensor gave no reading.
    Sensor(S),
    /// The sensor gave a reading that the model is not made for.
    Reading(FixedError),
}

/// Parts of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Phase {
    /// Reaching the host.
    Connect,
    /// Proving to one another who they are.
    Channel,
    /// Agreeing on the network.
    Handshake,
    /// What does not depend on the reading.
    Prepare,
    /// What does.
    Infer,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Channel => "channel",
            Self::Handshake => "handshake",
            Self::Prepare => "prepare",
            Self::Infer => "infer",
        }
    }
}

impl<S> DeviceError<S> {
    /// A word for programs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::NetworkDown => "NetworkDown",
            Self::Connect(_) => "Connect",
            Self::Timeout(_) => "Timeout",
            Self::Key(_) => "Key",
            Self::Link(error) => error.name(),
            Self::Session(error) => error.name(),
            Self::Sensor(_) => "Sensor",
            Self::Reading(_) => "Reading",
        }
    }
}

impl<S: fmt::Display> fmt::Display for DeviceError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkDown => {
                f.write_str("no link or no address; check the cable and the DHCP server")
            }
            Self::Connect(error) => error.fmt(f),
            Self::Timeout(phase) => {
                write!(f, "{}: the host did not finish in time; look at its log", phase.name())
            }
            Self::Key(error) => error.fmt(f),
            Self::Link(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Sensor(error) => error.fmt(f),
            Self::Reading(error) => error.fmt(f),
        }
    }
}

impl<T, S, N, R, C, A, M> Device<T, S, Keys<N, R>, C, A, M>
where
    T: Connector,
    S: Sensor,
    N: Random,
    R: Steps,
    C: SessionCounter,
    A: AnswerSink,
    M: InstructionMeter,
{
    /// Infers for ever: what fails is reported to the sink and tried again after a pause.
    ///
    /// In `room` the masked half of the weights is kept, as far as it goes; [`NoRoom`] is none, and
    /// all is made anew in every preparation. RAM is a room as it is.
    ///
    /// [`NoRoom`]: crate::board::NoRoom
    pub async fn run<const I: usize, const O: usize, const L: usize, X: Rounds>(
        self,
        memory: &mut Memory<I, O, L, X>,
        room: &mut (impl Room + ?Sized),
    ) -> ! {
        let Self { mut connector, settings, sensor, keys, counter, mut sink, meter } = self;
        match Links::new(keys, Role::Device, [Role::Host]) {
            Ok(keys) => {
                let mut task = Task { settings, sensor, keys, counter, sink, meter };
                task.serve_all(&mut connector, memory, room).await
            }
            Err(error) => loop {
                let error = DeviceError::<S::Error>::Key(error);
                sink.failed(error.name(), &error);
                Timer::after(settings.longest_pause).await;
            },
        }
    }
}

impl<S, N, R, C, A, M> Task<S, N, R, C, A, M>
where
    S: Sensor,
    N: Random,
    R: Steps,
    C: SessionCounter,
    A: AnswerSink,
    M: InstructionMeter,
{
    /// Connection after connection.
    async fn serve_all<const I: usize, const O: usize, const L: usize, X: Rounds>(
        &mut self,
        connector: &mut impl Connector,
        memory: &mut Memory<I, O, L, X>,
        room: &mut (impl Room + ?Sized),
    ) -> ! {
        let mut progress = Progress::default();
        let mut pause = self.settings.shortest_pause;
        loop {
            let before = progress.sessions;
            let Err(error) = self.serve(connector, memory, room, &mut progress).await;
            if progress.sessions != before {
                pause = self.settings.shortest_pause;
            }
            self.failed(&error);
            info!("the next attempt is in {} ms", pause.as_millis());
            Timer::after(pause).await;
            pause = (pause * 2).min(self.settings.longest_pause);
        }
    }

    /// One connection, from its opening to its end.
    async fn serve<const I: usize, const O: usize, const L: usize, X: Rounds>(
        &mut self,
        connector: &mut impl Connector,
        memory: &mut Memory<I, O, L, X>,
        room: &mut (impl Room + ?Sized),
        progress: &mut Progress,
    ) -> Result<Infallible, DeviceError<S::Error>> {
        let Settings { connect_timeout, phase_timeout, .. } = self.settings;
        let up = with_timeout(connect_timeout, connector.up());
        up.await.map_err(|TimeoutError| DeviceError::NetworkDown)?;
        let connected = with_timeout(connect_timeout, connector.connect(phase_timeout));
        let mut connection = connected
            .await
            .map_err(|TimeoutError| DeviceError::Timeout(Phase::Connect))?
            .map_err(DeviceError::Connect)?;
        let mut attempt = self.keys.attempt().await.map_err(DeviceError::Link)?;
        let opened = self.keys.open(0, &mut attempt, &mut connection);
        let result = match with_timeout(connect_timeout, opened).await {
            Ok(Ok(mut link)) => {
                let words = &mut memory.words;
                let result = self.converse::<I, O, L, X>(&mut link, words, room, progress).await;
                let _ = with_timeout(CLOSE_TIMEOUT, close(&mut link)).await;
                result
            }
            Ok(Err(error)) => Err(DeviceError::Link(error)),
            Err(TimeoutError) => Err(DeviceError::Timeout(Phase::Channel)),
        };
        // The host should learn that this connection is over, and why if it was told; but not at
        // the price of waiting.
        let _ = with_timeout(CLOSE_TIMEOUT, connection.close()).await;
        result
    }

    /// A handshake, then session after session until something fails.
    async fn converse<const I: usize, const O: usize, const L: usize, X: Rounds>(
        &mut self,
        link: impl Read + Write,
        words: &mut Words<I, O>,
        room: &mut (impl Room + ?Sized),
        progress: &mut Progress,
    ) -> Result<Infallible, DeviceError<S::Error>> {
        let Settings { answer, phase_timeout, max_blocks, .. } = self.settings;
        let Words { features, input, output } = words;
        let policy = Policy {
            host: self.keys.proved(0),
            answer,
            inputs: self.sensor.width(),
            max_outputs: O,
            max_blocks,
        };
        let mut network = Network::<L>::default();
        let identity = self.keys.identity::<X>();
        let handshake = connect(Counting::new(link), &identity, policy, &mut network);
        let mut connected = within(phase_timeout, Phase::Handshake, handshake).await?;
        let (inputs, outputs) = (connected.network().inputs(), connected.network().outputs());
        info!("connected as {}: {} inputs, {} outputs", identity.id(), inputs, outputs);
        let (Some(features), Some(input)) = (features.get_mut(..inputs), input.get_mut(..inputs))
        else {
            // The reason matters more than whether it still reaches the host.
            let sensor = u16::try_from(I).unwrap_or(u16::MAX);
            let refusal = refuse(connected.io_mut(), Refusal::InputWidth { sensor });
            let _ = with_timeout(CLOSE_TIMEOUT, refusal).await;
            return Err(DeviceError::Session(SessionError::InputWidth {
                network: inputs,
                found: I,
            }));
        };
        if !room.words().is_empty() {
            match with_timeout(phase_timeout, connected.keep(room)).await {
                Ok(keeping) => {
                    let Keeping { layers, words, written, damaged } = keeping;
                    let how = if written { "written" } else { "found" };
                    info!("E of {} layers is kept, {} words, {}", layers, words, how);
                    if damaged > 0 {
                        warning!("E of {} layers does not match its digest", damaged);
                    }
                }
                // The session does without, as without a room.
                Err(TimeoutError) => {
                    warning!("E is not kept: raise `phase_timeout`");
                }
            }
        }

        loop {
            connected.io_mut().take();
            let kept = connected.kept_layers();
            let before = self.meter.instructions();
            let preparation = connected.prepare(&mut self.counter, output);
            let mut prepared = within(phase_timeout, Phase::Prepare, preparation).await?;
            let instructions = self.meter.instructions() - before;
            info!("session {} is prepared", prepared.session());
            if prepared.kept_layers() < kept {
                warning!("E of a layer was damaged, and is made anew");
            }
            self.sink.prepared(prepared.session(), prepared.io_mut().take(), instructions);

            let frac_bits = prepared.network().output_frac_bits();
            let (scale, limit) =
                (prepared.network().input_scale(), prepared.network().input_limit());
            let encoded = self.read(features, scale, limit, input, progress).await;

            let before = self.meter.instructions();
            let values;
            (connected, values) =
                within(phase_timeout, Phase::Infer, prepared.infer(input)).await?;
            let instructions = self.meter.instructions() - before;
            let traffic = connected.io_mut().take();
            let index = progress.readings;
            info!(
                "reading {}: {} bytes up, {} down",
                index, traffic.sent_bytes, traffic.received_bytes
            );
            match encoded {
                Ok(()) => {
                    self.sink.answer(&Inference { index, values, frac_bits, traffic, instructions })
                }
                // It was zeros that were inferred.
                Err(error) => self.failed(&DeviceError::Reading(error)),
            }
            progress.sessions = progress.sessions.wrapping_add(1);
            progress.readings = index.wrapping_add(1);
        }
    }

    /// Waits for a reading. The host chooses which ones fit, so it must not notice one that does
    /// not: zeros are inferred in its place. A host that learns the answers would take theirs for
    /// an answer; for it the device reads again.
    async fn read(
        &mut self,
        features: &mut [f32],
        scale: impl FracBits,
        limit: u32,
        input: &mut [u32],
        progress: &mut Progress,
    ) -> Result<(), FixedError> {
        loop {
            let error = match self.sensor.read(features).await {
                Ok(()) => match encode_or_zero(features, scale, limit, input) {
                    Err(error) if self.settings.answer.to_host() => {
                        progress.readings = progress.readings.wrapping_add(1);
                        DeviceError::Reading(error)
                    }
                    encoded => return encoded,
                },
                Err(error) => DeviceError::Sensor(error),
            };
            self.failed(&error);
            Timer::after(self.settings.shortest_pause).await;
        }
    }

    #[cold]
    fn failed(&mut self, error: &DeviceError<S::Error>) {
        let name = error.name();
        warning!("{}", name);
        self.sink.failed(name, error);
    }
}

async fn within<T, S>(
    limit: Duration,
    phase: Phase,
    step: impl Future<Output = Result<T, SessionError>>,
) -> Result<T, DeviceError<S>> {
    let done = with_timeout(limit, step);
    done.await.map_err(|TimeoutError| DeviceError::Timeout(phase))?.map_err(DeviceError::Session)
}
