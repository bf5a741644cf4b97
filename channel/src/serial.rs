//! Connections over a serial line, which knows only bytes.
//!
//! What either end sends is stuffed as by SLIP (RFC 1055): [`MARK`] and [`ESCAPE`] do not occur in
//! it. A mark and a number begin a connection, a mark and 0 end it:
//!
//! ```text
//! device -> host:  C0 n, then bytes of the connection           n: 1 to 127, another each time
//! host -> device:  C0 n, then bytes of the connection           what came before is nobody's
//! either:          C0 00                                        this was all
//! ```
//!
//! So an end that restarts, in the middle of whatever, is understood at once. Nothing here is
//! secret or proved: the bytes of the connection are those of a channel. Its peers notice when one
//! is lost, added or changed.

/// Begins a mark.
pub const MARK: u8 = 0xC0;
/// Stands before what a byte with a meaning of its own is sent as.
pub const ESCAPE: u8 = 0xDB;
const ESCAPED_MARK: u8 = 0xDC;
const ESCAPED_ESCAPE: u8 = 0xDD;
/// The largest number of a connection; the next one is 1.
pub const MAX_NUMBER: u8 = 127;

/// What is said between the bytes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The connection with this number begins; one that was there is over.
    Begin(u8),
    /// The connection is over: by the peer's word, or because the line garbled a byte.
    End,
}

impl Mark {
    /// Its bytes on the line.
    #[must_use]
    pub const fn bytes(self) -> [u8; 2] {
        match self {
            Self::Begin(number) => [MARK, number],
            Self::End => [MARK, 0],
        }
    }
}

/// The number after `number`.
#[must_use]
pub const fn next_number(number: u8) -> u8 {
    if number >= MAX_NUMBER { 1 } else { number + 1 }
}

/// Stuffs the first of `bytes` into `line`, as many as it takes. How many they were, and the bytes
/// in `line` that they have become.
pub fn encode(bytes: &[u8], line: &mut [u8]) -> (usize, usize) {
    let (mut taken, mut written) = (0, 0);
    for &byte in bytes {
        let (first, second) = match byte {
            MARK => (ESCAPE, Some(ESCAPED_MARK)),
            ESCAPE => (ESCAPE, Some(ESCAPED_ESCAPE)),
            byte => (byte, None),
        };
        let len = 1 + usize::from(second.is_some());
        let Some(room) = line.get_mut(written..).and_then(|line| line.get_mut(..len)) else {
            break;
        };
        for (to, from) in room.iter_mut().zip([first, second.unwrap_or(0)]) {
            *to = from;
        }
        taken += 1;
        written += len;
    }
    (taken, written)
}

/// What the last byte was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Byte,
    Escape,
    Mark,
}

/// Takes stuffing off what arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder(Last);

/// What bytes of the line were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the line that were looked at: all, or those up to the first mark and with it.
    pub taken: usize,
    /// Bytes of the connection, which now lie at the beginning.
    pub len: usize,
    /// The mark that they end with.
    pub mark: Option<Mark>,
}

impl Decoder {
    /// At the beginning of a line.
    #[must_use]
    pub const fn new() -> Self {
        Self(Last::Byte)
    }

    /// Turns the bytes of `line` up to the first mark into bytes of the connection, in place.
    pub fn decode(&mut self, line: &mut [u8]) -> Decoded {
        let mut len = 0;
        for at in 0..line.len() {
            let byte = line.get(at).copied().unwrap_or_default();
            let (last, decoded, mark) = match (self.0, byte) {
                (_, MARK) => (Last::Mark, None, None),
                (Last::Mark, 1..=MAX_NUMBER) => (Last::Byte, None, Some(Mark::Begin(byte))),
                (Last::Mark, _) => (Last::Byte, None, Some(Mark::End)),
                (Last::Escape, ESCAPED_MARK) => (Last::Byte, Some(MARK), None),
                (Last::Escape, ESCAPED_ESCAPE) => (Last::Byte, Some(ESCAPE), None),
                (Last::Escape, _) => (Last::Byte, None, Some(Mark::End)),
                (Last::Byte, ESCAPE) => (Last::Escape, None, None),
                (Last::Byte, byte) => (Last::Byte, Some(byte), None),
            };
            self.0 = last;
            if let Some((to, from)) = line.get_mut(len).zip(decoded) {
                *to = from;
                len += 1;
            }
            if mark.is_some() {
                return Decoded { taken: at + 1, len, mark };
            }
        }
        Decoded { taken: line.len(), len, mark: None }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    fn encoded(mut bytes: &[u8], room: usize) -> Vec<u8> {
        let (mut all, mut line) = (Vec::new(), std::vec![0; room]);
        while !bytes.is_empty() {
            let (taken, written) = encode(bytes, &mut line);
            assert!(taken > 0, "{room} bytes take one");
            all.extend_from_slice(&line[..written]);
            bytes = &bytes[taken..];
        }
        all
    }

    /// What arrives, in pieces of at most `piece` bytes, with the marks between.
    fn decoded(line: &[u8], piece: usize) -> Vec<(Vec<u8>, Option<Mark>)> {
        let (mut decoder, mut all) = (Decoder::new(), std::vec![(Vec::new(), None)]);
        for piece in line.chunks(piece) {
            let mut piece = piece.to_vec();
            while !piece.is_empty() {
                let Decoded { taken, len, mark } = decoder.decode(&mut piece);
                let (bytes, ends) = all.last_mut().unwrap();
                bytes.extend_from_slice(&piece[..len]);
                if mark.is_some() {
                    *ends = mark;
                    all.push((Vec::new(), None));
                }
                piece.drain(..taken);
            }
        }
        all
    }

    #[test]
    fn what_is_sent_arrives_in_whatever_pieces_and_has_no_mark_in_it() {
        for seed in 0..64 {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let len = (rng.next_u32() % 300) as usize;
            let bytes: Vec<u8> = (0..len)
                .map(|_| match rng.next_u32() % 3 {
                    0 => MARK,
                    1 => ESCAPE,
                    _ => rng.next_u32().to_le_bytes()[0],
                })
                .collect();
            let line = encoded(&bytes, 2 + (rng.next_u32() % 40) as usize);
            assert!(!line.contains(&MARK), "seed {seed}");
            let piece = 1 + (rng.next_u32() % 9) as usize;
            assert_eq!(decoded(&line, piece), [(bytes, None)], "seed {seed}");
        }
    }

    #[test]
    fn an_end_that_restarts_anywhere_is_understood() {
        let first = encoded(&[1, MARK, 2, ESCAPE, 3], 64);
        for cut in 0..=first.len() {
            let begin = Mark::Begin(7);
            let line = [&first[..cut], &begin.bytes(), b"new", &Mark::End.bytes()].concat();
            let all = decoded(&line, 4);
            assert_eq!(all[0].1, Some(begin), "cut after {cut}");
            assert_eq!(all[1], (b"new".to_vec(), Some(Mark::End)), "cut after {cut}");
        }
        // The mark itself is cut.
        let line = [&[MARK][..], &Mark::Begin(MAX_NUMBER).bytes()].concat();
        assert_eq!(decoded(&line, 1)[0].1, Some(Mark::Begin(MAX_NUMBER)));
    }

    #[test]
    fn a_garbled_byte_ends_the_connection() {
        assert_eq!(decoded(&[5, ESCAPE, 6, 7], 8)[0], (std::vec![5], Some(Mark::End)));
        assert_eq!(decoded(&[MARK, 200], 8)[0].1, Some(Mark::End));
    }

    #[test]
    fn numbers_go_round_without_zero() {
        let mut number = 0;
        for _ in 0..300 {
            number = next_number(number);
            assert!((1..=MAX_NUMBER).contains(&number));
        }
        assert_eq!(next_number(MAX_NUMBER), 1);
    }
}
