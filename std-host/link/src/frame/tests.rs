#![allow(clippy::unwrap_used, clippy::panic)]

use core::time::Duration;
use std::io::Cursor;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::Connection;

const STALL: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Hello = 1,
    Refuse = 2,
    Ask = 3,
    Bulk = 9,
}

impl Protocol for Kind {
    const MAGIC: [u8; 4] = *b"TEST";
    const VERSION: u16 = 3;
    const PEERS: &'static str = "test";
    const KINDS: &'static [(Self, usize)] =
        &[(Self::Hello, 16), (Self::Refuse, 8), (Self::Ask, 5), (Self::Bulk, 1 << 31)];
    const REFUSE: Self = Self::Refuse;
    type Refusal = u8;

    fn number(self) -> u8 {
        self as u8
    }
}

/// The same bytes without a kind.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Message;

impl Protocol for Message {
    const MAGIC: [u8; 4] = *b"TEST";
    const VERSION: u16 = 3;
    const PEERS: &'static str = "test";
    const KINDS: &'static [(Self, usize)] = &[(Self, 5)];
    const REFUSE: Self = Self;
    const HAS_KINDS: bool = false;
    type Refusal = u8;

    fn number(self) -> u8 {
        0
    }
}

fn reader(bytes: &[u8]) -> Reader {
    Connection::new(Cursor::new(bytes.to_vec()), tokio::io::sink(), STALL).reader
}

async fn sent<P: Protocol>(kind: P, body: &[u8]) -> (Vec<u8>, Result<(), FrameError<P>>) {
    let (near, mut far) = tokio::io::duplex(1 << 12);
    let mut writer = Connection::new(tokio::io::empty(), near, STALL).writer;
    let ended = send_bytes(&mut writer, kind, body).await;
    drop(writer);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    (bytes, ended)
}

#[tokio::test]
async fn no_body_is_longer_than_its_kind_allows() {
    let (bytes, ended) = sent(Kind::Ask, &[7; 5]).await;
    ended.unwrap();
    assert_eq!(bytes, [3, 5, 0, 0, 0, 7, 7, 7, 7, 7]);
    assert_eq!(receive_bytes(&mut reader(&bytes), Kind::Ask, 5).await.unwrap(), [7; 5]);

    let (bytes, ended) = sent(Kind::Ask, &[7; 6]).await;
    let wrong = FrameError::WrongLength { kind: Kind::Ask, expected: 5, found: 6 };
    assert_eq!(format!("{:?}", ended.unwrap_err()), format!("{wrong:?}"));
    assert!(bytes.is_empty());
    // Refused on sight: the body has not come.
    let read = Header::expect(&mut reader(&[3, 6, 0, 0, 0]), Kind::Ask).await;
    assert_eq!(format!("{:?}", read.unwrap_err()), format!("{wrong:?}"));
    let read = Header::expect(&mut reader(&[6, 0, 0, 0]), Message).await;
    assert!(matches!(read, Err(FrameError::NotSharelet)), "{read:?}");
    let read = read_greeting(&mut reader(&[1, 17, 0, 0, 0]), Kind::Hello).await;
    assert!(matches!(read, Err(FrameError::NotSharelet)), "{read:?}");
}

#[tokio::test]
async fn memory_grows_as_bytes_arrive() {
    // No machine has the memory that is announced.
    let error = read_body(&mut reader(&[1; 3]), usize::MAX / 2).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let long = vec![1; STEP_BYTES + 3];
    assert_eq!(read_body(&mut reader(&long), long.len()).await.unwrap(), long);
}

#[tokio::test]
async fn a_refusal_comes_instead_of_an_answer() {
    let read = receive::<_, u8>(&mut reader(&[2, 1, 0, 0, 0, 44]), Kind::Ask).await;
    assert!(matches!(read, Err(FrameError::Refused(44))), "{read:?}");
    // Where a refusal is due, it is a message as any other.
    assert_eq!(
        receive::<_, u8>(&mut reader(&[2, 1, 0, 0, 0, 44]), Kind::Refuse).await.unwrap(),
        44
    );
}

#[tokio::test]
async fn a_session_is_checked() {
    let (near, mut far) = tokio::io::duplex(1 << 12);
    let mut writer = Connection::new(tokio::io::empty(), near, STALL).writer;
    send_numbered(&mut writer, Kind::Bulk, 5, [b"ab", b"", b"c"]).await.unwrap();
    drop(writer);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    let read = async |bytes: &[u8], session, expected| {
        receive_numbered(&mut reader(bytes), Kind::Bulk, session, expected).await
    };
    assert_eq!(read(&bytes, 5, 3).await.unwrap(), b"abc");
    assert!(matches!(
        read(&bytes, 6, 3).await,
        Err(FrameError::WrongSession { expected: 6, found: 5 })
    ));
    assert!(matches!(read(&bytes, 5, 4).await, Err(FrameError::WrongLength { .. })));
    for at in 5..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert!(matches!(read(&bad, 5, 3).await, Err(FrameError::Checksum { session: 5 })), "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_trickles_ends() {
    let (mut near, far) = tokio::io::duplex(64);
    let mut reader = Connection::over(far, STALL).reader;
    tokio::spawn(async move {
        for byte in [3, 5, 0, 0, 0, 7, 7, 7, 7, 7] {
            near.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_secs(8)).await;
        }
    });
    let read = receive_bytes(&mut reader, Kind::Ask, 5).await;
    assert!(matches!(read, Err(FrameError::TimedOut)), "{read:?}");
}
