//! A recorded stream, cut into frames.

use sharelet_core::session::wire::frame::{HEADER_BYTES, Header};

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
