//! A session in one process, and every message that passes its wire: for who wants to see it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::{ErrorType, Read, Write};
use sharelet_core::keystream::{ChaCha12, Keystream};
use sharelet_core::session::deal::correction_bytes;
use sharelet_core::session::p0::{self, Identity, Policy};
use sharelet_core::session::p1::{self, P1, ScratchSizes};
use sharelet_core::session::wire::control::{Answer, DeviceId, max_welcome_bytes};
use sharelet_core::session::wire::frame::{HEADER_BYTES, Header, Kind};
use sharelet_core::session::{CounterError, SessionCounter, SessionError};
use sharelet_model::{MAX_LAYERS, Model};
use tokio::io::{DuplexStream, ReadHalf, WriteHalf};

use crate::dealer::masked::{self, MaskedModel};
use crate::dealer::{deal_session, wire::Refusal};
use crate::host::Buffers;
use crate::host::kernel::Vectorised;
use crate::store::StoreError;
use crate::store::key::random_key;

/// Room on the wire, in bytes.
const WIRE_BYTES: usize = 1 << 16;

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// Keys cannot be drawn.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dealer does not deal for the network.
    #[error("{0}")]
    Dealer(Refusal),
    /// A party's error.
    #[error("{0}")]
    Session(#[from] SessionError),
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `P0`.
    Device,
    /// `P1`.
    Host,
}

/// A message.
pub struct Message {
    /// Who sends it; the other one gets it.
    pub from: Side,
    /// What it is.
    pub kind: Kind,
    /// The layer that it belongs to.
    pub layer: u8,
    /// Its bytes without the header.
    pub body: Vec<u8>,
}

impl core::fmt::Debug for Message {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { from, kind, layer, .. } = self;
        let mut debug = f.debug_struct("Message");
        debug.field("from", from).field("kind", kind).field("layer", layer).finish_non_exhaustive()
    }
}

/// What has passed.
pub struct Trace {
    /// Bytes from the dealer to the host, before anything else.
    pub dealt_bytes: usize,
    /// Messages, in the order in which they were complete.
    pub messages: Vec<Message>,
    /// What the device has learned; empty if it is not to.
    pub answer: Vec<u32>,
}

impl core::fmt::Debug for Trace {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Trace").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// What was written so far, cut into messages.
#[derive(Default)]
struct Wire {
    device: Vec<u8>,
    host: Vec<u8>,
    messages: Vec<Message>,
}

impl Wire {
    fn write(&mut self, from: Side, bytes: &[u8]) {
        let pending = match from {
            Side::Device => &mut self.device,
            Side::Host => &mut self.host,
        };
        pending.extend_from_slice(bytes);
        while let Some((head, rest)) = pending.split_first_chunk::<HEADER_BYTES>() {
            // What the parties write are frames.
            let Ok(header) = Header::parse(*head) else { return };
            let length = usize::try_from(header.body_bytes).unwrap_or(usize::MAX);
            let Some(body) = rest.get(..length) else { return };
            let Header { kind, layer, .. } = header;
            self.messages.push(Message { from, kind, layer, body: body.to_vec() });
            pending.drain(..HEADER_BYTES + length);
        }
    }
}

/// One way of the wire, and what is written on it.
struct Recorded {
    writer: FromTokio<WriteHalf<DuplexStream>>,
    side: Side,
    wire: Arc<Mutex<Wire>>,
}

impl ErrorType for Recorded {
    type Error = io::Error;
}

impl Write for Recorded {
    async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(buf).await?;
        let bytes = buf.get(..written).unwrap_or_default();
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).write(self.side, bytes);
        Ok(written)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }
}

/// Both ways, as a device has them.
struct Both {
    reader: FromTokio<ReadHalf<DuplexStream>>,
    writer: Recorded,
}

impl Both {
    /// The device's end, and the host's.
    fn pair(wire: &Arc<Mutex<Wire>>) -> [Self; 2] {
        let (device, host) = tokio::io::duplex(WIRE_BYTES);
        [(device, Side::Device), (host, Side::Host)].map(|(stream, side)| {
            let (reader, writer) = tokio::io::split(stream);
            let (reader, writer) = (FromTokio::new(reader), FromTokio::new(writer));
            Self { reader, writer: Recorded { writer, side, wire: wire.clone() } }
        })
    }
}

impl ErrorType for Both {
    type Error = io::Error;
}

impl Read for Both {
    async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buf).await
    }
}

impl Write for Both {
    async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.writer.write(buf).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.writer.flush().await
    }
}

/// The only session of a key.
struct First;

impl SessionCounter for First {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(0)
    }

    async fn consume(&mut self, _session: u64) -> Result<(), CounterError> {
        Ok(())
    }
}

/// Runs a session of `model` with fresh keys; `input` are its words.
///
/// # Errors
/// [`TraceError`].
pub async fn session(model: &Model, input: &[u32], answer: Answer) -> Result<Trace, TraceError> {
    let (seed, key) = (random_key()?, random_key()?);
    let network = &model.network;
    masked::check(network).map_err(TraceError::Dealer)?;
    let matrices = masked::mask(model, &Keystream::<ChaCha12>::new(&seed), &mut |_| ());
    let id = masked::id(&masked::description(network), &matrices);
    let offered = MaskedModel::new(id, network.clone(), &matrices);
    let binding = offered.bind(&Keystream::new(&key));
    let corrections = deal_session(&offered, &binding, 0).map_err(TraceError::Dealer)?;
    let wire = Arc::new(Mutex::new(Wire::default()));
    let [device_end, host_end] = Both::pair(&wire);
    let device = async {
        let name = DeviceId::new("device").ok_or(SessionError::Closed)?;
        let identity: Identity = Identity::new(name, &key);
        let policy = Policy {
            host: None,
            answer,
            inputs: Some(input.len()),
            max_outputs: network.outputs(),
            max_blocks: u64::MAX,
        };
        let mut met = sharelet_core::Network::<MAX_LAYERS>::default();
        let mut own = vec![0; network.outputs()];
        let connected = p0::connect(device_end, &identity, policy, &mut met).await?;
        let prepared = connected.prepare(&mut First, &mut own).await?;
        let (_, answer) = prepared.infer(input).await?;
        Ok::<_, SessionError>(answer.to_vec())
    };
    let host = async {
        let Both { mut reader, mut writer } = host_end;
        p1::receive_hello(&mut reader).await?;
        let buffer = &mut vec![0; max_welcome_bytes(MAX_LAYERS)];
        p1::welcome(&mut writer, network, seed.expose(), &id, buffer).await?;
        if p1::receive_request(&mut reader).await?.is_none() {
            return Ok(());
        }
        p1::grant(&mut writer, 0).await?;
        let mut buffers = Buffers::new(ScratchSizes::of(network));
        let kernel = Vectorised(model);
        let host = P1::new(network, &kernel, answer);
        let prepared = host.prepare(&mut reader, buffers.scratch()).await?;
        let ready = prepared.input(&mut reader).await?;
        ready.infer(&mut reader, &mut writer, &corrections).await?;
        Ok::<_, SessionError>(())
    };
    let (answer, hosted) = tokio::join!(device, host);
    hosted?;
    let answer = answer?;
    let messages =
        core::mem::take(&mut wire.lock().unwrap_or_else(PoisonError::into_inner).messages);
    Ok(Trace { dealt_bytes: correction_bytes(network), messages, answer })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sharelet_core::session::network::{Activation, Layer, Network};

    /// 3 inputs, 2 hidden, 2 outputs.
    fn model() -> Model {
        let layers = [
            Layer::dense(3, 2, 4, 4, Activation::Relu),
            Layer::dense(2, 2, 4, 0, Activation::Identity),
        ];
        let network = Network::new(4, 1 << 10, &layers).expect("a network");
        let words = |values: &[i32]| values.iter().map(|value| value.cast_unsigned()).collect();
        Model {
            network,
            weights: vec![words(&[3, -2, 1, 0, 5, -4]), words(&[1, -1, 2, 3])],
            biases: vec![words(&[16, -32]), words(&[1, 2])],
            labels: Vec::new(),
            scores: None,
            name: "two layers".to_owned(),
        }
    }

    #[tokio::test]
    async fn every_message_of_a_session_is_there() {
        let (model, input) = (model(), [48, 16, -32_i32].map(|word| word.cast_unsigned()));
        let trace = session(&model, &input, Answer::Device).await.expect("runs");
        assert_eq!(trace.answer, model.infer(&input).expect("fits"));
        let said: Vec<_> = trace
            .messages
            .iter()
            .map(|message| (message.from, message.kind, message.layer))
            .collect();
        let (device, host) = (Side::Device, Side::Host);
        assert_eq!(
            said,
            [
                (device, Kind::Hello, 0),
                (host, Kind::Welcome, 0),
                (device, Kind::Request, 0),
                (host, Kind::Grant, 0),
                (device, Kind::Prepared, 0),
                (device, Kind::Input, 0),
                (host, Kind::Gate, 0),
                (device, Kind::Input, 1),
                (host, Kind::Answer, 1),
            ]
        );
        assert_eq!(trace.dealt_bytes, correction_bytes(&model.network));
        // The reading is never on the wire, and no message is the same twice.
        let again = session(&model, &input, Answer::Device).await.expect("runs");
        for (one, other) in trace.messages.iter().zip(&again.messages).skip(5) {
            assert_ne!(one.body, other.body, "{one:?}");
        }
    }
}
