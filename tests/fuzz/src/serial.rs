//! A serial line: what arrives is the same however it is cut, and what is sent arrives; over a
//! transport in two halves, as hosts have it, a channel takes any bytes.
//!
//! The first byte says how many bytes arrive at once.

use std::sync::LazyLock;

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use sharelet_channel::Halves;
use sharelet_channel::serial::{Decoded, Decoder, Mark, encode};
use sharelet_core::Answer;
use sharelet_faults::parties::Way;
use sharelet_faults::runs::Runs;

use crate::script::{Script, run as to_end};

static RUNS: LazyLock<Runs> = LazyLock::new(Runs::new);

/// Bytes of a connection, and the mark behind them.
type Part = (Vec<u8>, Option<Mark>);

/// A transport of two halves.
#[derive(Clone)]
struct Both<'a>(Script<'a>);

impl<'a> Both<'a> {
    fn halves(&self) -> Halves<Script<'a>, Script<'a>> {
        Halves { reader: self.0.clone(), writer: self.0.clone() }
    }
}

impl ErrorType for Both<'_> {
    type Error = ErrorKind;
}

impl Read for Both<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.halves().read(buffer).await
    }
}

impl Write for Both<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.halves().write(bytes).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.halves().flush().await
    }
}

/// What a line that comes in such pieces is.
fn decoded(line: &[u8], piece: usize) -> Vec<Part> {
    let (mut decoder, mut all) = (Decoder::new(), vec![(Vec::new(), None)]);
    for piece in line.chunks(piece) {
        let mut rest = &mut piece.to_vec()[..];
        while !rest.is_empty() {
            let Decoded { taken, len, mark } = decoder.decode(rest);
            assert!(taken > 0 && taken <= rest.len() && len <= taken);
            let (bytes, end) = all.last_mut().unwrap();
            bytes.extend_from_slice(&rest[..len]);
            if mark.is_some() {
                *end = mark;
                all.push((Vec::new(), None));
            }
            rest = &mut rest[taken..];
        }
    }
    all
}

/// What is sent on a line with room for so many bytes at once.
fn encoded(mut bytes: &[u8], room: usize) -> Vec<u8> {
    let (mut all, mut line) = (Vec::new(), vec![0; room]);
    while !bytes.is_empty() {
        let (taken, written) = encode(bytes, &mut line);
        assert!(taken > 0, "{room} bytes take one");
        all.extend_from_slice(&line[..written]);
        bytes = &bytes[taken..];
    }
    all
}

pub fn run(bytes: &[u8]) {
    let Some((piece, line)) = bytes.split_first() else { return };
    let piece = usize::from(*piece) + 1;
    let parts = decoded(line, piece);
    assert_eq!(parts, decoded(line, line.len().max(1)));
    for (said, _) in &parts {
        let again = encoded(said, piece + 1);
        assert_eq!(decoded(&again, piece), [(said.clone(), None)]);
    }
    assert_eq!(decoded(&encoded(line, piece + 1), piece), [(line.to_vec(), None)]);
    // What a device says on the line, where a channel begins with every connection.
    for (said, _) in parts {
        let (script, [_, mut rng]) = (Script::new(&said), Runs::rngs(0));
        let _ = to_end(RUNS.parties().host(Way::Psk, Both(script), Answer::Device, &mut rng));
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let [up, _] = RUNS.honest(Way::Psk, Answer::Device);
    let begun = [&Mark::Begin(7).bytes()[..], &encoded(&up, 64)].concat();
    let line = [&begun[..], &Mark::End.bytes(), &begun[..20], &begun].concat();
    let parts = decoded(&line, 16);
    assert_eq!(parts[1], (up.clone(), Some(Mark::End)));
    assert_eq!(parts.last().unwrap().0, up);
    [0, 6, 255].map(|piece| [&[piece][..], &line].concat()).into()
}
