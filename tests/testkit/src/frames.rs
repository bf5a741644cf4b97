//! Frames of a session: made one by one, and cut out of a recorded stream.

use serde::Serialize;
use sharelet_core::session::network::Network;
use sharelet_core::session::wire::control::{self, Answer, Refusal};
use sharelet_core::session::wire::frame::{HEADER_BYTES, Header, Kind};
use sharelet_core::session::wire::task::Field;

/// Room for the body of any message here.
const MOST_BYTES: usize = 1024;

/// Names the masked model of every set-up.
pub const MASKED_ID: [u8; 32] = [0x1d; 32];

/// Every refusal that there is, and its name in a file.
pub const REFUSALS: [(&str, Refusal); 26] = [
    ("version", Refusal::Version { ours: 700 }),
    ("unknown_device", Refusal::UnknownDevice),
    ("answer_mismatch", Refusal::AnswerMismatch { ours: Answer::Both }),
    ("rounds_mismatch", Refusal::RoundsMismatch { ours: 20 }),
    ("too_many_layers", Refusal::TooManyLayers { limit: 8 }),
    ("answer_too_wide", Refusal::AnswerTooWide { limit: 300 }),
    ("too_much_work", Refusal::TooMuchWork { limit: 1 << 40 }),
    ("public_answer", Refusal::PublicAnswer),
    ("input_width", Refusal::InputWidth { sensor: 24 }),
    ("bad_network", Refusal::BadNetwork),
    ("session_number", Refusal::SessionNumber),
    ("no_correlations", Refusal::NoCorrelations),
    ("protocol", Refusal::Protocol),
    ("shutting_down", Refusal::ShuttingDown),
    ("busy", Refusal::Busy),
    ("same_party", Refusal::SameParty { ours: 1 }),
    ("task_mismatch", Refusal::TaskMismatch { field: Field::OutputScale }),
    ("no_half", Refusal::NoHalf),
    ("halves_differ", Refusal::HalvesDiffer),
    ("unknown_console", Refusal::UnknownConsole),
    ("too_slow", Refusal::TooSlow),
    ("no_order", Refusal::NoOrder),
    ("quota", Refusal::Quota),
    ("no_model", Refusal::NoModel),
    ("model_replaced", Refusal::ModelReplaced),
    ("too_many_columns", Refusal::TooManyColumns),
];

/// A frame of `kind` for `layer`.
pub fn frame(kind: Kind, layer: u8, body: &[u8]) -> Vec<u8> {
    let body_bytes = u32::try_from(body.len()).expect("fits");
    [&Header { kind, layer, body_bytes }.emit(), body].concat()
}

/// A control message.
pub fn control<T: Serialize>(kind: Kind, message: &T) -> Vec<u8> {
    let mut body = [0; MOST_BYTES];
    let used = control::emit(message, &mut body).expect("fits");
    frame(kind, 0, &body[..used])
}

/// A handshake message, with magic and version before it.
pub fn handshake<T: Serialize>(kind: Kind, message: &T) -> Vec<u8> {
    let mut body = [0; MOST_BYTES];
    let used = control::emit_handshake(message, &mut body).expect("fits");
    frame(kind, 0, &body[..used])
}

/// A host's welcome.
pub fn welcome<const L: usize>(network: &Network<L>, model_seed: &[u8; 32]) -> Vec<u8> {
    let mut body = vec![0; control::max_welcome_bytes(L)];
    let used = control::emit_welcome(network, model_seed, &MASKED_ID, &mut body).expect("fits");
    frame(Kind::Welcome, 0, &body[..used])
}

/// A frame of a recorded stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its header.
    pub header: Header,
    /// Where its header begins in the stream.
    pub start: usize,
    /// Its body.
    pub body: Vec<u8>,
}

impl Frame {
    /// The frame's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        [&self.header.emit()[..], &self.body].concat()
    }

    /// Where the frame ends in the stream.
    pub fn end(&self) -> usize {
        self.start + HEADER_BYTES + self.body.len()
    }
}

/// The frames of a stream that a party sent; a last frame that is cut short is left out.
pub fn split(stream: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut start = 0;
    while let Some((header, rest)) = stream[start..].split_first_chunk::<HEADER_BYTES>() {
        let header = Header::parse(*header).expect("a recorded header");
        let Some(body) = rest.get(..usize::try_from(header.body_bytes).expect("fits")) else {
            break;
        };
        frames.push(Frame { header, start, body: body.to_vec() });
        start += HEADER_BYTES + body.len();
    }
    frames
}

/// The stream of frames.
pub fn join(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}
