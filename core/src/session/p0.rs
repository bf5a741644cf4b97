//! `P0`'s side of a connection: the device.
//!
//! [`connect`] shakes hands; [`Connected::prepare`] takes a session number and does everything that
//! does not depend on the input; [`Prepared::infer`] is the online phase, one round trip per layer.
//! Nothing that leaves the device depends on the input without a one-time mask over it, whatever
//! the host sends.
//!
//! Memory: a tile of [`TILE_ELEMS`] ring elements while preparing, and another for the kernel of a
//! layer of windows; two pieces while inferring, and those tiles where a max-pool carries a vector
//! over; and the caller's answer buffer, which holds the device's share of the answer in between.

use core::fmt;

use embassy_futures::yield_now;
use embedded_io_async::{Read, Write};
use zeroize::Zeroize;

use super::{
    ORDER_SESSIONS, SessionCounter, SessionError, expect_bulk, first_frame, flush, gate, linear,
    read_control, read_exact, read_message, refuse, write_all, write_bulk_header, write_control,
    write_control_body,
};
use crate::binding::Binding;
use crate::correlation::SessionToken;
use crate::keystream::{ChaCha12, Key, KeyId, Keystream, Rounds};
use crate::ring::{Ring, read_le_slice, write_le_slice};
use crate::session::gate::{MAX_PIECE_OPENED_BYTES, opened_bytes};
use crate::session::keep::{Keeping, Kept, Room};
use crate::session::network::{MAX_COLUMNS, Network, NetworkError};
use crate::session::packed::{pack, packed_bytes, unpack};
use crate::session::phases::{FirstMasks, Follows, Offline, Paused};
use crate::session::piece::PIECE_ELEMS;
use crate::session::wire::WireError;
use crate::session::wire::control::{
    self, Answer, DeviceId, Grant, Hello, Refusal, Request, Welcome, WelcomeError,
    max_welcome_bytes, parse_welcome,
};
use crate::session::wire::frame::Kind;
use crate::shape::TILE_ELEMS;
use crate::share;
use crate::step::StepError;

/// Room for the largest handshake message that a device reads, in bytes per layer.
const WELCOME_LAYER_BYTES: usize = 72 + MAX_COLUMNS.div_ceil(5);
/// Bytes of a piece of ring elements.
const PIECE_BYTES: usize = PIECE_ELEMS * u32::BYTES;

/// What a device is provisioned with: its name and the key that it shares with the dealer.
pub struct Identity<C: Rounds = ChaCha12> {
    id: DeviceId,
    keystream: Keystream<C>,
}

impl<C: Rounds> Identity<C> {
    /// The identity of device `id`.
    #[must_use]
    pub fn new(id: DeviceId, key: &Key) -> Self {
        Self { id, keystream: Keystream::new(key) }
    }

    /// The device's name.
    #[must_use]
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// The public name of its key.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.keystream.key_id()
    }

    /// The keystream under its key.
    pub(super) fn keystream(&self) -> &Keystream<C> {
        &self.keystream
    }
}

impl<C: Rounds> fmt::Debug for Identity<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).field("key", &"<redacted>").finish()
    }
}

/// What the device insists on.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The name that the host has proved, as the dealer knows it: nobody else may fetch the
    /// session's corrections. `None` where links are plaintext: whoever has the order may.
    pub host: Option<DeviceId>,
    /// Who may learn the answer.
    pub answer: Answer,
    /// Values that the sensor gives; a network of another input width is refused. `None` takes any.
    pub inputs: Option<usize>,
    /// Elements that the answer buffer holds; a network with a wider answer is refused.
    pub max_outputs: usize,
    /// Keystream blocks that a session may take, before and after the input is there, see
    /// [`crate::session::cost::SessionCost`]; a network that keeps the device busy for longer is
    /// refused. A block is 16 weights of a dense layer.
    pub max_blocks: u64,
}

/// A connection after the handshake, between two inferences.
pub struct Connected<'d, T, C: Rounds, const L: usize> {
    io: T,
    /// The keystream under the device's key, bound to the network and its masked model.
    binding: Binding<C>,
    model: Keystream<C>,
    network: &'d Network<L>,
    /// `E`, as far as it is kept.
    kept: Kept<'d>,
    answer: Answer,
    /// Who may fetch the corrections.
    host: [u8; 16],
}

/// Shakes hands: says who is there, and gets the network's description.
///
/// `L` bounds the layers, at least 5. The description goes to `network`, whatever is there. One
/// that the device cannot serve is refused with the reason.
///
/// # Errors
/// [`SessionError`]; the connection is then of no further use.
pub async fn connect<'d, T: Read + Write, C: Rounds, const L: usize>(
    mut io: T,
    identity: &'d Identity<C>,
    policy: Policy,
    network: &'d mut Network<L>,
) -> Result<Connected<'d, T, C, L>, SessionError> {
    const {
        assert!(
            max_welcome_bytes(L) <= L * WELCOME_LAYER_BYTES,
            "the room for a welcome is sized by layers, five at least"
        )
    };
    let mut buffer = [[0; WELCOME_LAYER_BYTES]; L];
    let buffer = buffer.as_flattened_mut();
    let key = identity.key_id();
    let hello = Hello { device: identity.id, key, answer: policy.answer, rounds: C::ROUNDS };
    let used = control::emit_handshake(&hello, buffer).ok_or(WireError::Malformed)?;
    write_control_body(&mut io, Kind::Hello, buffer.get(..used).unwrap_or(&[])).await?;

    let body = read_control(&mut io, Kind::Welcome, buffer).await.map_err(first_frame)?;
    let checked = accept(body, policy, network).map(|(welcome, description)| {
        (Binding::of_network(&identity.keystream, description, &welcome.masked_id), welcome)
    });
    buffer.zeroize();
    let (binding, welcome) = match checked {
        Ok(accepted) => accepted,
        Err((error, refusal)) => {
            // The reason matters more than whether it still reaches the host.
            let _ = refuse(&mut io, refusal).await;
            return Err(error);
        }
    };
    let model = Keystream::new(&Key::from_bytes(welcome.model_seed));
    let host = DeviceId::proved(policy.host);
    Ok(Connected { io, binding, model, network, kept: Kept::none(), answer: policy.answer, host })
}

/// Reads a welcome, apart from the future that waits for it: a description takes much of a stack.
#[inline(never)]
fn accept<'b, const L: usize>(
    body: &'b [u8],
    policy: Policy,
    network: &mut Network<L>,
) -> Result<(Welcome, &'b [u8]), (SessionError, Refusal)> {
    let accepted = parse_welcome(body, network).map_err(refusal_of)?;
    check_policy(network, policy)?;
    Ok(accepted)
}

/// What to tell the caller, and what the host.
fn refusal_of(error: WelcomeError) -> (SessionError, Refusal) {
    match error {
        WelcomeError::Wire(error @ WireError::Version { .. }) => {
            (error.into(), Refusal::Version { ours: crate::session::wire::VERSION })
        }
        WelcomeError::Wire(error) => (error.into(), Refusal::Protocol),
        WelcomeError::Network(error @ NetworkError::TooManyLayers { limit }) => (
            SessionError::Network(error),
            Refusal::TooManyLayers { limit: u8::try_from(limit).unwrap_or(u8::MAX) },
        ),
        WelcomeError::Network(error @ NetworkError::TooManyColumns { .. }) => {
            (SessionError::Network(error), Refusal::TooManyColumns)
        }
        WelcomeError::Network(error) => (SessionError::Network(error), Refusal::BadNetwork),
    }
}

fn check_policy<const L: usize>(
    network: &Network<L>,
    policy: Policy,
) -> Result<(), (SessionError, Refusal)> {
    let elems = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    if let Some(found) = policy.inputs.filter(|&inputs| inputs != network.inputs()) {
        let error = SessionError::InputWidth { network: network.inputs(), found };
        return Err((error, Refusal::InputWidth { sensor: elems(found) }));
    }
    if network.outputs() > policy.max_outputs {
        let error =
            SessionError::AnswerTooWide { network: network.outputs(), limit: policy.max_outputs };
        return Err((error, Refusal::AnswerTooWide { limit: elems(policy.max_outputs) }));
    }
    if policy.answer.to_host() && network.opens_a_public_map() {
        return Err((SessionError::PublicAnswer, Refusal::PublicAnswer));
    }
    let limit = policy.max_blocks;
    let blocks = network.blocks(limit);
    if blocks > limit {
        return Err((
            SessionError::TooMuchWork { network: blocks, limit },
            Refusal::TooMuchWork { limit },
        ));
    }
    Ok(())
}

impl<'d, T: Read + Write, C: Rounds, const L: usize> Connected<'d, T, C, L> {
    /// The host's network.
    pub fn network(&self) -> &'d Network<L> {
        self.network
    }

    /// The transport.
    pub fn io_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Keeps `E` of as many layers as `room` takes, so that they need not be made in every
    /// preparation. They are written, unless the room holds them.
    ///
    /// Nothing changes for the host. Layers that cannot be kept are made from the seed.
    pub async fn keep<Q: Room + ?Sized>(&mut self, room: &'d mut Q) -> Keeping {
        let (kept, keeping) = Kept::new(room, &self.model, self.network).await;
        self.kept = kept;
        keeping
    }

    /// Layers of which `E` is kept. Fewer than before, if words that were kept were damaged.
    pub fn kept_layers(&self) -> usize {
        self.kept.layers()
    }

    /// Takes a session number and does everything that does not depend on the input: the products
    /// `E r + a_0`, and the first message of every gate. To be called while the device is idle.
    ///
    /// `answer` holds at least [`Network::outputs`] elements, and is in use until the inference is
    /// done.
    ///
    /// # Errors
    /// [`SessionError`]; the session's number is then used, and the connection of no further use.
    pub async fn prepare<'b>(
        mut self,
        counter: &mut impl SessionCounter,
        answer: &'b mut [u32],
    ) -> Result<Prepared<'d, 'b, T, C, L>, SessionError> {
        let limit = answer.len();
        let too_wide = SessionError::AnswerTooWide { network: self.network.outputs(), limit };
        let answer = answer.get_mut(..self.network.outputs()).ok_or(too_wide)?;

        let next = counter.next().await?;
        let order = self.binding.order(&self.host, next, ORDER_SESSIONS);
        let request = Request { next_session: next, order };
        write_control(&mut self.io, Kind::Request, &request).await?;
        let Grant { session } = read_message(&mut self.io, Kind::Grant).await?;
        let in_reach = session.checked_sub(next).is_some_and(|skip| skip <= ORDER_SESSIONS.into());
        if !in_reach || session == u64::MAX {
            let _ = refuse(&mut self.io, Refusal::SessionNumber).await;
            return Err(SessionError::SessionNumber { next, granted: session });
        }
        counter.consume(session).await?;

        self.kept.check_some(&self.model, self.network);
        let keystream = self.binding.session(session);
        let mut offline = Offline::new(&keystream, SessionToken::consumed(session));
        for (index, layer) in self.network.layers().iter().enumerate() {
            let (rows, masks) =
                offline.layer(&self.model, self.network.parts(index), follows(self.network, index));
            let rows = rows.with_kept(self.kept.layer(self.network, index));
            if let FirstMasks::None = masks {
                keep_share(rows, answer).await?;
                continue;
            }
            let bytes = packed_bytes(layer.outputs().into(), layer.gate_bits.into());
            write_bulk_header(&mut self.io, Kind::Prepared, index, bytes).await?;
            send_masked(&mut self.io, rows, masks, layer.gate_bits.into()).await?;
        }
        flush(&mut self.io).await?;
        Ok(Prepared { paused: offline.pause(), connected: self, keystream, answer })
    }
}

/// What the accumulators of layer `index` go to.
fn follows<const L: usize>(network: &Network<L>, index: usize) -> Follows {
    match network.has_gate(index) {
        true => Follows::Gate,
        false if index + 1 < network.layers().len() => Follows::Layer,
        false => Follows::Answer,
    }
}

/// The first message of a layer's gate, `u_0 + r_0` of its width; or, where it has none, the masked
/// input of the next layer, `u_0 - r`: piece by piece.
async fn send_masked<C: Rounds>(
    io: &mut impl Write,
    rows: linear::Rows<'_, C>,
    mut masks: FirstMasks<'_, C>,
    width_bits: u32,
) -> Result<(), SessionError> {
    let (mut tile, mut words, mut bytes) = ([0; TILE_ELEMS], [0; PIECE_ELEMS], [0; PIECE_BYTES]);
    for rows in rows {
        let len = rows.len();
        let (words, bytes) = piece_of(&mut words, &mut bytes, len);
        linear::prepare(rows, &mut tile, words)?;
        match &mut masks {
            FirstMasks::Gate(masks) => gate::mask(next(masks)?, words)?,
            FirstMasks::Input(masks) => linear::mask(next(masks)?, words)?,
            FirstMasks::None => return Err(no_masks()),
        }
        let bytes = bytes.get_mut(..packed_bytes(len, width_bits)).unwrap_or(&mut []);
        pack(words, width_bits, bytes);
        write_all(io, bytes).await?;
        // A piece takes a while; let the network stack and the rest of the program have their turn.
        yield_now().await;
    }
    Ok(())
}

/// The next piece; there are as many of masks as of what they mask.
fn next<T>(pieces: &mut impl Iterator<Item = T>) -> Result<T, SessionError> {
    pieces.next().ok_or(no_masks())
}

fn no_masks() -> SessionError {
    StepError::LengthMismatch { expected_elems: PIECE_ELEMS, found_elems: 0 }.into()
}

/// The share of the last accumulator, which is the device's share of the answer.
async fn keep_share<C: Rounds>(
    rows: linear::Rows<'_, C>,
    answer: &mut [u32],
) -> Result<(), SessionError> {
    let mut tile = [0; TILE_ELEMS];
    for (rows, words) in rows.zip(answer.chunks_mut(PIECE_ELEMS)) {
        linear::prepare(rows, &mut tile, words)?;
        yield_now().await;
    }
    Ok(())
}

/// The first `len` elements of a piece's buffers.
fn piece_of<'p>(
    words: &'p mut [u32; PIECE_ELEMS],
    bytes: &'p mut [u8; PIECE_BYTES],
    len: usize,
) -> (&'p mut [u32], &'p mut [u8]) {
    (words.get_mut(..len).unwrap_or(&mut []), bytes.get_mut(..len * u32::BYTES).unwrap_or(&mut []))
}

/// A session that waits for its input.
pub struct Prepared<'d, 'b, T, C: Rounds, const L: usize> {
    connected: Connected<'d, T, C, L>,
    keystream: Keystream<C>,
    paused: Paused,
    answer: &'b mut [u32],
}

impl<'d, 'b, T: Read + Write, C: Rounds, const L: usize> Prepared<'d, 'b, T, C, L> {
    /// The host's network.
    pub fn network(&self) -> &'d Network<L> {
        self.connected.network
    }

    /// The session's number.
    pub fn session(&self) -> u64 {
        self.paused.session()
    }

    /// As [`Connected::kept_layers`].
    pub fn kept_layers(&self) -> usize {
        self.connected.kept_layers()
    }

    /// The transport.
    pub fn io_mut(&mut self) -> &mut T {
        &mut self.connected.io
    }

    /// Evaluates the network on `input`, [`Network::inputs`] words of fixed point.
    ///
    /// Returns the connection and the answer: words with [`Network::output_frac_bits`] fraction
    /// bits, or an empty slice if the device is not to learn it.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then dead, and the connection of no further use. An input
    /// of the wrong width is refused before a byte is sent, but it, too, ends the session: check it
    /// against [`Prepared::network`] first.
    pub async fn infer(
        self,
        input: &[u32],
    ) -> Result<(Connected<'d, T, C, L>, &'b mut [u32]), SessionError> {
        let policy = self.connected.answer;
        self.evaluate(input, Some(policy)).await
    }

    /// Evaluates the network on `share`, `P0`'s share of an input, with a `P1` that calls
    /// [`infer_shared`](super::p1::Ready::infer_shared).
    ///
    /// Returns the connection and `P0`'s share of the answer, which nobody learns: `P1` has the
    /// other.
    ///
    /// # Errors
    /// As [`Prepared::infer`].
    pub async fn infer_shared(
        self,
        share: &[u32],
    ) -> Result<(Connected<'d, T, C, L>, &'b mut [u32]), SessionError> {
        self.evaluate(share, None).await
    }

    /// The online phase; without a policy the answer stays shared, and no message follows the last
    /// layer's.
    async fn evaluate(
        self,
        input: &[u32],
        policy: Option<Answer>,
    ) -> Result<(Connected<'d, T, C, L>, &'b mut [u32]), SessionError> {
        let Self { mut connected, keystream, paused, answer } = self;
        let mut online = paused.resume(&keystream);
        let Connected { io, model, network, .. } = &mut connected;
        let to_host = policy.is_some_and(Answer::to_host);
        if input.len() != network.inputs() {
            return Err(SessionError::InputWidth { network: network.inputs(), found: input.len() });
        }
        let mut pending: Option<Gate<'_, C>> = None;
        for (index, layer) in network.layers().iter().enumerate() {
            let inputs = (!network.takes_accumulators(index)).then_some(layer.inputs());
            let (masks, tables) = online.layer((inputs, layer.outputs()), network.gate(index));
            match (pending, masks) {
                (Some(gate), Some(masks)) => {
                    pass_gate(io, index - 1, gate, masks, layer.inputs()).await?;
                }
                (None, Some(masks)) => send_input(io, input, masks).await?,
                // The host has it since the preparation.
                (None, None) => {}
                (Some(_), None) => return Err(no_masks()),
            }
            let carried = network.carried(index).map(|part| online.carried(model, part));
            pending = tables.map(|tables| Gate { tables, carried });
        }
        let last = network.layers().len().saturating_sub(1);
        match pending {
            Some(gate) => pass_last_gate(io, last, gate, answer, to_host).await?,
            None if to_host => send_output(io, last, answer).await?,
            None => flush(io).await?,
        }
        let Some(policy) = policy else { return Ok((connected, answer)) };
        let answer = receive_answer(io, last, answer, policy).await?;
        Ok((connected, answer))
    }
}

/// The masked input of the first layer.
async fn send_input<C: Rounds>(
    io: &mut impl Write,
    input: &[u32],
    masks: linear::InputMasks<'_, C>,
) -> Result<(), SessionError> {
    let (mut words, mut bytes) = ([0; PIECE_ELEMS], [0; PIECE_BYTES]);
    write_bulk_header(io, Kind::Input, 0, size_of_val(input)).await?;
    for (masks, input) in masks.zip(input.chunks(PIECE_ELEMS)) {
        let (words, bytes) = piece_of(&mut words, &mut bytes, input.len());
        words.iter_mut().zip(input).for_each(|(word, &input)| *word = input);
        linear::mask(masks, words)?;
        write_le_slice(words, bytes);
        write_all(io, bytes).await?;
    }
    flush(io).await
}

/// A layer's gate, and what is added to its results.
struct Gate<'k, C: Rounds> {
    tables: gate::Tables<'k, C>,
    carried: Option<linear::Rows<'k, C>>,
}

/// A piece of a gate as it is worked on.
struct GatePiece {
    words: [u32; PIECE_ELEMS],
    bytes: [u8; PIECE_BYTES],
    peer_bits: [u8; MAX_PIECE_OPENED_BYTES],
    own_bits: [u8; MAX_PIECE_OPENED_BYTES],
}

impl GatePiece {
    const fn new() -> Self {
        Self {
            words: [0; PIECE_ELEMS],
            bytes: [0; PIECE_BYTES],
            peer_bits: [0; MAX_PIECE_OPENED_BYTES],
            own_bits: [0; MAX_PIECE_OPENED_BYTES],
        }
    }

    /// Reads `z` and the host's opened bits, sends the device's, and returns its share of the
    /// result.
    async fn pass<T: Read + Write, C: Rounds>(
        &mut self,
        io: &mut T,
        tables: gate::TablePiece<'_, C>,
        carried: Option<linear::RowPiece<'_, C>>,
    ) -> Result<&mut [u32], SessionError> {
        let (bits, width_bits) =
            (opened_bytes(tables.digits(), tables.len()), tables.digits().width_bits());
        let (words, bytes) = piece_of(&mut self.words, &mut self.bytes, tables.len());
        let bytes = bytes.get_mut(..packed_bytes(words.len(), width_bits)).unwrap_or(&mut []);
        let peer_bits = self.peer_bits.get_mut(..bits).unwrap_or(&mut []);
        let own_bits = self.own_bits.get_mut(..bits).unwrap_or(&mut []);
        read_exact(io, bytes).await?;
        read_exact(io, peer_bits).await?;
        unpack(bytes, width_bits, words);
        gate::finish_p0(tables, peer_bits, own_bits, words)?;
        write_all(io, own_bits).await?;
        if let Some(carried) = carried {
            linear::carry(carried, &mut [0; TILE_ELEMS], words)?;
        }
        Ok(words)
    }

    /// Sends the first `len` words.
    async fn send(&mut self, io: &mut impl Write, len: usize) -> Result<(), SessionError> {
        let (words, bytes) = piece_of(&mut self.words, &mut self.bytes, len);
        write_le_slice(words, bytes);
        write_all(io, bytes).await
    }
}

/// The gate of a hidden layer: `z` in; opened bits, and the masked input of the next layer, out.
async fn pass_gate<T: Read + Write, C: Rounds>(
    io: &mut T,
    layer: usize,
    gate: Gate<'_, C>,
    masks: linear::InputMasks<'_, C>,
    outputs: u16,
) -> Result<(), SessionError> {
    let Gate { tables, mut carried } = gate;
    let outputs = usize::from(outputs);
    let bits = opened_bytes(tables.digits(), outputs);
    let z = packed_bytes(outputs, tables.digits().width_bits());
    expect_bulk(io, Kind::Gate, layer, z + bits).await?;
    write_bulk_header(io, Kind::Input, layer + 1, bits + outputs * u32::BYTES).await?;
    let mut piece = GatePiece::new();
    for (tables, masks) in tables.zip(masks) {
        let len = tables.len();
        let carried = carried.as_mut().and_then(Iterator::next);
        linear::mask(masks, piece.pass(io, tables, carried).await?)?;
        piece.send(io, len).await?;
        yield_now().await;
    }
    flush(io).await
}

/// The gate of the last layer: `z` in; opened bits, and the share of the answer if the host is to
/// learn it, out.
async fn pass_last_gate<T: Read + Write, C: Rounds>(
    io: &mut T,
    layer: usize,
    gate: Gate<'_, C>,
    answer: &mut [u32],
    to_host: bool,
) -> Result<(), SessionError> {
    let Gate { tables, mut carried } = gate;
    let (bits, words) = (opened_bytes(tables.digits(), answer.len()), size_of_val(answer));
    let z = packed_bytes(answer.len(), tables.digits().width_bits());
    expect_bulk(io, Kind::Gate, layer, z + bits).await?;
    write_bulk_header(io, Kind::Output, layer, bits + if to_host { words } else { 0 }).await?;
    let mut piece = GatePiece::new();
    for (tables, answer) in tables.zip(answer.chunks_mut(PIECE_ELEMS)) {
        let carried = carried.as_mut().and_then(Iterator::next);
        let passed = piece.pass(io, tables, carried).await?;
        answer.iter_mut().zip(passed).for_each(|(word, &mut passed)| *word = passed);
        if to_host {
            piece.send(io, answer.len()).await?;
        }
    }
    flush(io).await
}

/// The share of an answer that no gate precedes, for the host.
async fn send_output(
    io: &mut impl Write,
    layer: usize,
    answer: &[u32],
) -> Result<(), SessionError> {
    write_bulk_header(io, Kind::Output, layer, size_of_val(answer)).await?;
    let mut bytes = [0; PIECE_BYTES];
    for words in answer.chunks(PIECE_ELEMS) {
        let bytes = bytes.get_mut(..size_of_val(words)).unwrap_or(&mut []);
        write_le_slice(words, bytes);
        write_all(io, bytes).await?;
    }
    flush(io).await
}

/// The host's share of the answer, or its word that it is done.
async fn receive_answer<'b>(
    io: &mut impl Read,
    layer: usize,
    answer: &'b mut [u32],
    policy: Answer,
) -> Result<&'b mut [u32], SessionError> {
    if !policy.to_device() {
        expect_bulk(io, Kind::Answer, layer, 0).await?;
        answer.fill(0);
        return Ok(&mut []);
    }
    expect_bulk(io, Kind::Answer, layer, size_of_val(answer)).await?;
    let (mut words, mut bytes) = ([0; PIECE_ELEMS], [0; PIECE_BYTES]);
    for own in answer.chunks_mut(PIECE_ELEMS) {
        let (words, bytes) = piece_of(&mut words, &mut bytes, own.len());
        read_exact(io, bytes).await?;
        read_le_slice(bytes, words);
        share::open(own, words);
    }
    Ok(answer)
}

impl<T, C: Rounds, const L: usize> fmt::Debug for Connected<'_, T, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connected").field("network", &self.network).finish_non_exhaustive()
    }
}

impl<T, C: Rounds, const L: usize> fmt::Debug for Prepared<'_, '_, T, C, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("session", &self.paused.session()).finish_non_exhaustive()
    }
}
