//! The device task.

use core::convert::Infallible;
use core::fmt;
use core::marker::PhantomData;

use embassy_net::tcp::{ConnectError, TcpSocket};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Duration, TimeoutError, Timer, with_timeout};
use embedded_io_async::{Read, Write};
use sharelet_channel::Role;
use sharelet_core::fixed::{FixedError, encode_or_zero};
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
use crate::link::{KeyError, LINK, LinkError, Links, close};

/// Most work of a session, in keystream blocks of 16 weights each: about 130 million instructions.
const MAX_BLOCKS: u64 = 1 << 18;
const SOCKET_BYTES: usize = 4096;
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
    received: [u8; SOCKET_BYTES],
    to_send: [u8; SOCKET_BYTES],
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
        Self {
            received: [0; SOCKET_BYTES],
            to_send: [0; SOCKET_BYTES],
            words,
            keystream: PhantomData,
        }
    }
}

impl<const INPUTS: usize, const OUTPUTS: usize, const LAYERS: usize, X: Rounds> Default
    for Memory<INPUTS, OUTPUTS, LAYERS, X>
{
    fn default() -> Self {
        Self::new()
    }
}

/// Where the host is, and how long to wait for what.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The host's address and port.
    pub host: IpEndpoint,
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

impl Settings {
    /// The answer to the device alone; 10 s to connect, 30 s for a phase, pauses from 0.5 s to 60
    /// s; 2^18 blocks, which are some 130 million instructions.
    #[must_use]
    pub fn new(host: impl Into<IpEndpoint>) -> Self {
        Self {
            host: host.into(),
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
pub struct Device<S, K, C, A, M> {
    /// The network stack; another task runs it.
    pub stack: Stack<'static>,
    /// Addresses and times.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
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
            Self::Connect(ConnectError::TimedOut) => {
                f.write_str("the host does not answer; check its address and the network")
            }
            Self::Connect(ConnectError::NoRoute) => {
                f.write_str("there is no way to the host; check its address and the gateway")
            }
            Self::Connect(_) => {
                f.write_str("the host refuses connections; check its port and that it runs")
            }
            Self::Timeout(phase) => {
                write!(f, "{}: the host did not finish in time; look at its log", phase.name())
            }
            Self::Key(error) => write!(f, "{error}"),
            Self::Link(error) => write!(f, "{error}"),
            Self::Session(error) => write!(f, "{error}"),
            Self::Sensor(error) => write!(f, "{error}"),
            Self::Reading(error) => write!(f, "{error}"),
        }
    }
}

impl<S, N, R, C, A, M> Device<S, Keys<N, R>, C, A, M>
where
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
        let Self { stack, settings, sensor, keys, counter, mut sink, meter } = self;
        match Links::new(keys, Role::Device, [Role::Host]) {
            Ok(keys) => {
                Device { stack, settings, sensor, keys, counter, sink, meter }
                    .serve_all(memory, room)
                    .await
            }
            Err(error) => loop {
                let error = DeviceError::<S::Error>::Key(error);
                sink.failed(error.name(), &error);
                Timer::after(settings.longest_pause).await;
            },
        }
    }
}

impl<S, N, R, C, A, M> Device<S, Links<N, R, 1>, C, A, M>
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
        mut self,
        memory: &mut Memory<I, O, L, X>,
        room: &mut (impl Room + ?Sized),
    ) -> ! {
        let mut progress = Progress::default();
        let mut pause = self.settings.shortest_pause;
        loop {
            let before = progress.sessions;
            let Err(error) = self.serve(memory, room, &mut progress).await;
            if progress.sessions != before {
                pause = self.settings.shortest_pause;
            }
            defmt::warn!(
                "{=str}{=str}; next attempt in {=u64} ms",
                LINK,
                error.name(),
                pause.as_millis()
            );
            self.sink.failed(error.name(), &error);
            Timer::after(pause).await;
            pause = (pause * 2).min(self.settings.longest_pause);
        }
    }

    /// One connection, from its opening to its end.
    async fn serve<const I: usize, const O: usize, const L: usize, X: Rounds>(
        &mut self,
        memory: &mut Memory<I, O, L, X>,
        room: &mut (impl Room + ?Sized),
        progress: &mut Progress,
    ) -> Result<Infallible, DeviceError<S::Error>> {
        let Settings { host, connect_timeout, phase_timeout, .. } = self.settings;
        let Memory { received, to_send, words, .. } = memory;
        let up = with_timeout(connect_timeout, self.stack.wait_config_up());
        up.await.map_err(|TimeoutError| DeviceError::NetworkDown)?;
        let mut socket = TcpSocket::new(self.stack, received, to_send);
        socket.set_timeout(Some(phase_timeout));
        socket.set_keep_alive(Some(phase_timeout / 3));
        socket.set_nagle_enabled(false);
        let connected = with_timeout(connect_timeout, socket.connect(host));
        connected
            .await
            .map_err(|TimeoutError| DeviceError::Timeout(Phase::Connect))?
            .map_err(DeviceError::Connect)?;
        let mut attempt = self.keys.attempt().await.map_err(DeviceError::Link)?;
        let opened = with_timeout(connect_timeout, self.keys.open(0, &mut attempt, &mut socket));
        let result = match opened.await {
            Ok(Ok(mut link)) => {
                let result = self.converse::<I, O, L, X>(&mut link, words, room, progress).await;
                let _ = with_timeout(CLOSE_TIMEOUT, close(&mut link)).await;
                result
            }
            Ok(Err(error)) => Err(DeviceError::Link(error)),
            Err(TimeoutError) => Err(DeviceError::Timeout(Phase::Channel)),
        };
        // The host should learn that this connection is over, and why if it was told; but not at
        // the price of waiting.
        socket.close();
        let _ = with_timeout(CLOSE_TIMEOUT, socket.flush()).await;
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
        defmt::info!(
            "{=str}connected as {}: {=usize} inputs, {=usize} outputs",
            LINK,
            identity.id(),
            inputs,
            outputs
        );
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
                    defmt::info!(
                        "{=str}E of {=usize} layers is kept, {=usize} words, {=str}",
                        LINK,
                        layers,
                        words,
                        how
                    );
                    if damaged > 0 {
                        defmt::warn!(
                            "{=str}E of {=usize} layers does not match its digest",
                            LINK,
                            damaged
                        );
                    }
                }
                // The session does without, as without a room.
                Err(TimeoutError) => {
                    defmt::warn!("{=str}E is not kept: raise `phase_timeout`", LINK);
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
            defmt::info!("{=str}session {=u64} is prepared", LINK, prepared.session());
            if prepared.kept_layers() < kept {
                defmt::warn!("{=str}E of a layer was damaged, and is made anew", LINK);
            }
            self.sink.prepared(prepared.session(), prepared.io_mut().take(), instructions);

            let frac_bits = prepared.network().output_frac_bits();
            let (input_frac_bits, limit) =
                (prepared.network().input_frac_bits(), prepared.network().input_limit());
            let encoded = self.read(features, input_frac_bits, limit, input, progress).await;

            let before = self.meter.instructions();
            let values;
            (connected, values) =
                within(phase_timeout, Phase::Infer, prepared.infer(input)).await?;
            let instructions = self.meter.instructions() - before;
            let traffic = connected.io_mut().take();
            let index = progress.readings;
            defmt::info!(
                "{=str}reading {=u32}: {=u64} bytes up, {=u64} down",
                LINK,
                index,
                traffic.sent_bytes,
                traffic.received_bytes
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
        frac_bits: u8,
        limit: u32,
        input: &mut [u32],
        progress: &mut Progress,
    ) -> Result<(), FixedError> {
        loop {
            let error = match self.sensor.read(features).await {
                Ok(()) => match encode_or_zero(features, frac_bits, limit, input) {
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

    fn failed(&mut self, error: &DeviceError<S::Error>) {
        defmt::warn!("{=str}{=str}", LINK, error.name());
        self.sink.failed(error.name(), error);
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
