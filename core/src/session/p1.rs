//! `P1`'s side of a connection: the host.
//!
//! The host's program answers the handshake ([`receive_hello`], [`welcome`]), grants sessions
//! ([`receive_request`], [`grant`]), and runs one [`P1`] per session. Reading and writing are
//! separate halves of the connection, so that a layer wider than every buffer in between cannot
//! stall both parties.

use core::fmt;
use core::future::Future;
use core::ops::Range;
use core::pin::pin;

use embassy_futures::select::{Either, select};
use embedded_io_async::{Read, Write};

use super::{
    SessionError, check_refusal, expect_bulk, expect_control, first_frame, flush, gate, linear,
    read_control, read_exact, write_all, write_bulk_header, write_control, write_control_body,
};
use crate::ring::{Ring, read_le_slice, write_le_slice};
use crate::session::gate::opened_bytes;
use crate::session::network::{Affine, Network};
use crate::session::packed::{pack, packed_bytes, unpack};
use crate::session::piece::PIECE_ELEMS;
use crate::session::wire::WireError;
use crate::session::wire::control::{self, Answer, Grant, Hello, MAX_CONTROL_BYTES, Request};
use crate::session::wire::frame::{HEADER_BYTES, Header, Kind};
use crate::share;

/// Bytes of a piece of ring elements.
const PIECE_BYTES: usize = PIECE_ELEMS * u32::BYTES;

/// Reads the device's first message.
///
/// # Errors
/// [`SessionError::Wire`] if it is not a sharelet device of this version.
pub async fn receive_hello(io: &mut impl Read) -> Result<Hello, SessionError> {
    let mut buffer = [0; MAX_CONTROL_BYTES];
    Ok(control::parse_hello(
        read_control(io, Kind::Hello, &mut buffer).await.map_err(first_frame)?,
    )?)
}

/// Sends the network's description, the seed of `E` and the id of `A`. `buffer` has room for
/// [`control::max_welcome_bytes`].
///
/// # Errors
/// [`SessionError`].
pub async fn welcome<const L: usize>(
    io: &mut impl Write,
    network: &Network<L>,
    model_seed: &[u8; 32],
    masked_id: &[u8; 32],
    buffer: &mut [u8],
) -> Result<(), SessionError> {
    let used = control::emit_welcome(network, model_seed, masked_id, buffer)
        .ok_or(WireError::Malformed)?;
    write_control_body(io, Kind::Welcome, buffer.get(..used).unwrap_or(&[])).await
}

/// Waits for the device to want a session; `None` if it closed the connection instead.
///
/// # Errors
/// [`SessionError`], also the device's refusal.
pub async fn receive_request(io: &mut impl Read) -> Result<Option<Request>, SessionError> {
    let mut header = [0; HEADER_BYTES];
    let (first, rest) = header.split_at_mut(1);
    match read_exact(io, first).await {
        Err(SessionError::Closed) => return Ok(None),
        other => other?,
    }
    read_exact(io, rest).await?;
    let header = check_refusal(io, Header::parse(header)?).await?;
    expect_control(header, Kind::Request)?;
    let mut buffer = [0; MAX_CONTROL_BYTES];
    Ok(Some(control::parse(super::read_control_body(io, header, &mut buffer).await?)?))
}

/// Grants a session. Its number must have been recorded as used before.
///
/// # Errors
/// [`SessionError`].
pub async fn grant(io: &mut impl Write, session: u64) -> Result<(), SessionError> {
    write_control(io, Kind::Grant, &Grant { session }).await
}

/// The slices that a session of the host works on, of at least the lengths of [`ScratchSizes`].
pub struct Scratch<'s> {
    /// The device's first messages of all gates and accumulators.
    pub masked: &'s mut [u32],
    /// What every layer takes, as `P1` knows it, `d + h_1`: later layers may ask for it again.
    pub vectors: &'s mut [u32],
    /// A layer's output.
    pub output: &'s mut [u32],
    /// The host's opened bits of a layer.
    pub own_bits: &'s mut [u8],
    /// The device's opened bits of a layer.
    pub peer_bits: &'s mut [u8],
}

impl fmt::Debug for Scratch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch(<redacted>)")
    }
}

/// Lengths of the slices of a [`Scratch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchSizes {
    /// Elements of `masked`.
    pub masked_elems: usize,
    /// Elements of `vectors`.
    pub vectors_elems: usize,
    /// Elements of `output`.
    pub width_elems: usize,
    /// Bytes of `own_bits` and of `peer_bits`.
    pub bits_bytes: usize,
}

impl ScratchSizes {
    /// What sessions of `network` need.
    #[must_use]
    pub fn of<const L: usize>(network: &Network<L>) -> Self {
        let layers = || network.layers().iter().enumerate();
        let masked = layers().filter(|&(index, _)| is_masked(network, index));
        let bits = layers().filter_map(|(index, layer)| {
            network.gate(index).map(|digits| opened_bytes(&digits, layer.outputs().into()))
        });
        Self {
            masked_elems: masked.map(|(_, layer)| usize::from(layer.outputs())).sum(),
            vectors_elems: network.vectors_elems(),
            width_elems: network.max_width(),
            bits_bytes: bits.max().unwrap_or(0),
        }
    }
}

/// Whether the device sends its shares of the accumulators of layer `index` while preparing: it
/// keeps those that are the answer.
fn is_masked<const L: usize>(network: &Network<L>, index: usize) -> bool {
    network.has_gate(index) || index + 1 < network.layers().len()
}

/// A session of the host.
pub struct P1<'n, M, const L: usize> {
    network: &'n Network<L>,
    model: &'n M,
    answer: Answer,
}

impl<'n, M: Affine, const L: usize> P1<'n, M, L> {
    /// A session on `network`, whose weights `model` has; `answer` says who learns the result of
    /// [`Ready::infer`].
    #[must_use]
    pub fn new(network: &'n Network<L>, model: &'n M, answer: Answer) -> Self {
        Self { network, model, answer }
    }

    /// Takes the device's first messages of all gates and accumulators.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then dead.
    pub async fn prepare<'s>(
        self,
        reader: &mut impl Read,
        scratch: Scratch<'s>,
    ) -> Result<Prepared<'n, 's, M, L>, SessionError> {
        let mut masked = &mut *scratch.masked;
        for (index, layer) in self.network.layers().iter().enumerate() {
            if !is_masked(self.network, index) {
                continue;
            }
            let outputs = usize::from(layer.outputs());
            let (words, rest) = core::mem::take(&mut masked)
                .split_at_mut_checked(outputs)
                .ok_or(too_short(outputs))?;
            masked = rest;
            let width_bits = layer.gate_bits.into();
            expect_bulk(reader, Kind::Prepared, index, packed_bytes(outputs, width_bits)).await?;
            receive_packed(reader, width_bits, words).await?;
        }
        Ok(Prepared { session: self, scratch })
    }
}

fn too_short(expected_elems: usize) -> SessionError {
    SessionError::Step(crate::step::StepError::LengthMismatch { expected_elems, found_elems: 0 })
}

/// A session that waits for the device's input, perhaps for long.
pub struct Prepared<'n, 's, M, const L: usize> {
    session: P1<'n, M, L>,
    scratch: Scratch<'s>,
}

/// A session whose input has begun to arrive.
pub struct Ready<'n, 's, M, const L: usize> {
    session: P1<'n, M, L>,
    scratch: Scratch<'s>,
}

impl<'n, 's, M: Affine, const L: usize> Prepared<'n, 's, M, L> {
    /// Waits for the first bytes of the input.
    ///
    /// # Errors
    /// [`SessionError`]; [`SessionError::Closed`] if the device went away instead.
    pub async fn input(self, reader: &mut impl Read) -> Result<Ready<'n, 's, M, L>, SessionError> {
        expect_bulk(reader, Kind::Input, 0, self.session.network.inputs() * u32::BYTES).await?;
        Ok(Ready { session: self.session, scratch: self.scratch })
    }
}

impl<'s, M: Affine, const L: usize> Ready<'_, 's, M, L> {
    /// The online phase. `corrections` is what the dealer sent for this session.
    ///
    /// Returns the answer if the host is to learn it.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then dead.
    pub async fn infer(
        self,
        reader: &mut impl Read,
        writer: &mut impl Write,
        corrections: &[u8],
    ) -> Result<Option<&'s mut [u32]>, SessionError> {
        let answer = self.session.answer;
        let result = self.evaluate(reader, writer, corrections, &[], Some(answer)).await?;
        Ok(answer.to_host().then_some(result))
    }

    /// The online phase on an input of which `share` is `P1`'s share, with a `P0` that calls
    /// [`infer_shared`](super::p0::Prepared::infer_shared).
    ///
    /// Returns `P1`'s share of the answer, which nobody learns: `P0` has the other.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then dead.
    pub async fn infer_shared(
        self,
        reader: &mut impl Read,
        writer: &mut impl Write,
        corrections: &[u8],
        share: &[u32],
    ) -> Result<&'s mut [u32], SessionError> {
        let inputs = self.session.network.inputs();
        if share.len() != inputs {
            return Err(SessionError::InputWidth { network: inputs, found: share.len() });
        }
        self.evaluate(reader, writer, corrections, share, None).await
    }

    /// The online phase. `share` is added to the input that `P0` masked; without a policy the
    /// answer stays shared.
    ///
    /// Returns the answer if the host learns it, and its share of it otherwise.
    async fn evaluate(
        self,
        reader: &mut impl Read,
        writer: &mut impl Write,
        corrections: &[u8],
        share: &[u32],
        policy: Option<Answer>,
    ) -> Result<&'s mut [u32], SessionError> {
        let Self { session: P1 { network, model, .. }, scratch } = self;
        let to_host = policy.is_some_and(Answer::to_host);
        let Scratch { masked, vectors, output, own_bits, peer_bits } = scratch;
        let mut corrections = Corrections(corrections);
        let mut masked = &*masked;
        let input = slice(vectors, network.vector(0))?;
        receive_words(reader, input).await?;
        // `d + h_1`, as for every later layer.
        share::open(input, share);
        let last = network.layers().len().saturating_sub(1);
        for (index, layer) in network.layers().iter().enumerate() {
            let (outputs, parts) = (usize::from(layer.outputs()), network.parts(index));
            let place = network.vector(index + 1);
            let (known, next) =
                vectors.split_at_mut_checked(place.start).ok_or(too_short(outputs))?;
            let y = slice(output, 0..outputs)?;
            model.affine(
                index,
                &parts,
                |source| known.get(network.vector(usize::from(source))).unwrap_or(&[]),
                y,
            );
            let correction_bytes = linear::correction_bytes::<u32>(&parts);
            // A map whose weights are public needs none.
            if correction_bytes > 0 {
                let correction = corrections.take(correction_bytes);
                linear::correct(linear::Received::new::<u32>(&parts, correction)?, y)?;
            }

            // The next layer's input, or the device's share of the answer.
            let next = slice(next, 0..if index < last || to_host { outputs } else { 0 })?;
            let kind = if index < last { Kind::Input } else { Kind::Output };
            let Some(digits) = network.gate(index) else {
                if index < last {
                    // `u_0 - r + y_1`, as a gate's results would come.
                    let (known, rest) =
                        masked.split_at_checked(outputs).ok_or(too_short(outputs))?;
                    masked = rest;
                    next.iter_mut().zip(known).for_each(|(next, &known)| *next = known);
                    share::open(next, y);
                } else if to_host {
                    expect_bulk(reader, kind, index, size_of_val(next)).await?;
                    receive_words(reader, next).await?;
                }
                continue;
            };
            let bits = opened_bytes(&digits, outputs);
            let own_bits = own_bits.get_mut(..bits).ok_or(too_short(outputs))?;
            let peer_bits = peer_bits.get_mut(..bits).ok_or(too_short(outputs))?;
            let (peer_masked, rest) = masked.split_at_checked(outputs).ok_or(too_short(outputs))?;
            masked = rest;
            let received_bytes = outputs * gate::correction_bytes::<u32>(&digits);
            let received = gate::Received::new::<u32>(
                digits,
                layer.outputs(),
                corrections.take(received_bytes),
            )?;
            let opened = gate::open_p1(received, peer_masked, own_bits, y)?;
            let piece_bits = opened_bytes(&digits, PIECE_ELEMS);
            let send = send_gate(writer, index, (y, digits.width_bits()), own_bits, piece_bits);
            let layer_of_reply = if index < last { index + 1 } else { index };
            let receive =
                receive_gate_reply(reader, kind, layer_of_reply, peer_bits, piece_bits, next);
            both_ways(receive, send).await?;
            gate::finish_p1(opened, own_bits, peer_bits, y)?;
            if let Some(part) = network.carried(index) {
                part.shape.add_product(&[], 1, known.get(network.vector(index)).unwrap_or(&[]), y);
            }
            if index < last {
                // `d + h_1`: the only product that the host needs is with this sum.
                share::open(next, y);
            }
        }
        corrections.finish()?;
        let own = slice(output, 0..network.outputs())?;
        let Some(policy) = policy else { return Ok(own) };
        let to_device = if policy.to_device() { &*own } else { &[] };
        write_bulk_header(writer, Kind::Answer, last, size_of_val(to_device)).await?;
        send_words(writer, to_device).await?;
        flush(writer).await?;
        if !to_host {
            return Ok(own);
        }
        let opened = slice(vectors, network.vector(last + 1))?;
        share::open(opened, own);
        Ok(opened)
    }
}

/// Receives and sends at once.
///
/// A device that sends nonsense ends both, even if it does not read any more. One that reads no
/// more may have said why: its refusal is worth more than the transport's error.
async fn both_ways(
    receive: impl Future<Output = Result<(), SessionError>>,
    send: impl Future<Output = Result<(), SessionError>>,
) -> Result<(), SessionError> {
    let (mut receive, mut send) = (pin!(receive), pin!(send));
    match select(receive.as_mut(), send.as_mut()).await {
        Either::First(received) => {
            received?;
            send.await
        }
        Either::Second(sent) => {
            receive.await?;
            sent
        }
    }
}

/// Elements `range` of a scratch slice.
fn slice(words: &mut [u32], range: Range<usize>) -> Result<&mut [u32], SessionError> {
    let elems = range.end;
    words.get_mut(range).ok_or(too_short(elems))
}

/// The dealer's corrections of a session, read front to back.
struct Corrections<'a>(&'a [u8]);

impl<'a> Corrections<'a> {
    /// The next `len` bytes; fewer if the end comes first, which the reader of the piece then
    /// refuses.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (piece, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        piece
    }

    /// Nothing may be left.
    fn finish(self) -> Result<(), SessionError> {
        match self.0.len() {
            0 => Ok(()),
            found_bytes => {
                Err(crate::correlation::LengthError { expected_bytes: 0, found_bytes }.into())
            }
        }
    }
}

pub(super) async fn send_words<R: Ring>(
    writer: &mut impl Write,
    words: &[R],
) -> Result<(), SessionError> {
    let mut bytes = [0; PIECE_BYTES];
    for words in words.chunks(PIECE_BYTES / R::BYTES) {
        let bytes = bytes.get_mut(..size_of_val(words)).unwrap_or(&mut []);
        write_le_slice(words, bytes);
        write_all(writer, bytes).await?;
    }
    Ok(())
}

pub(super) async fn receive_words<R: Ring>(
    reader: &mut impl Read,
    words: &mut [R],
) -> Result<(), SessionError> {
    let mut bytes = [0; PIECE_BYTES];
    for words in words.chunks_mut(PIECE_BYTES / R::BYTES) {
        let bytes = bytes.get_mut(..size_of_val(words)).unwrap_or(&mut []);
        read_exact(reader, bytes).await?;
        read_le_slice(bytes, words);
    }
    Ok(())
}

/// Words of `width_bits`, piece by piece.
async fn receive_packed(
    reader: &mut impl Read,
    width_bits: u32,
    words: &mut [u32],
) -> Result<(), SessionError> {
    let mut bytes = [0; PIECE_BYTES];
    for words in words.chunks_mut(PIECE_ELEMS) {
        let bytes = packed(&mut bytes, words.len(), width_bits);
        read_exact(reader, bytes).await?;
        unpack(bytes, width_bits, words);
    }
    Ok(())
}

/// The bytes of a piece's packed words.
fn packed(bytes: &mut [u8; PIECE_BYTES], elements: usize, width_bits: u32) -> &mut [u8] {
    bytes.get_mut(..packed_bytes(elements, width_bits)).unwrap_or(&mut [])
}

/// `z`, packed, and the host's opened bits, piece by piece.
async fn send_gate(
    writer: &mut impl Write,
    layer: usize,
    (z, width_bits): (&[u32], u32),
    bits: &[u8],
    piece_bits: usize,
) -> Result<(), SessionError> {
    let z_bytes = packed_bytes(z.len(), width_bits);
    write_bulk_header(writer, Kind::Gate, layer, z_bytes + bits.len()).await?;
    let mut bytes = [0; PIECE_BYTES];
    for (z, bits) in z.chunks(PIECE_ELEMS).zip(bits.chunks(piece_bits.max(1))) {
        let bytes = packed(&mut bytes, z.len(), width_bits);
        pack(z, width_bits, bytes);
        write_all(writer, bytes).await?;
        write_all(writer, bits).await?;
    }
    flush(writer).await
}

/// The device's opened bits and masked words, piece by piece. `words` is empty if only bits are
/// due.
async fn receive_gate_reply(
    reader: &mut impl Read,
    kind: Kind,
    layer: usize,
    bits: &mut [u8],
    piece_bits: usize,
    words: &mut [u32],
) -> Result<(), SessionError> {
    expect_bulk(reader, kind, layer, bits.len() + size_of_val(words)).await?;
    let mut words = words.chunks_mut(PIECE_ELEMS);
    for bits in bits.chunks_mut(piece_bits.max(1)) {
        read_exact(reader, bits).await?;
        receive_words(reader, words.next().unwrap_or(&mut [])).await?;
    }
    Ok(())
}

impl<M, const L: usize> fmt::Debug for P1<'_, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P1").field("network", self.network).finish_non_exhaustive()
    }
}

impl<M, const L: usize> fmt::Debug for Prepared<'_, '_, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prepared(<redacted>)")
    }
}

impl<M, const L: usize> fmt::Debug for Ready<'_, '_, M, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ready(<redacted>)")
    }
}
