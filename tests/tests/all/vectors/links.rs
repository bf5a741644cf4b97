//! Known answers for the links between PCs: every message of dealer, owners of data and servers,
//! as files in `vectors/<protocol>-v<version>/`.
//!
//! `UPDATE_VECTORS=1` writes them anew, which is right only together with a new version of the
//! protocol. The files, not the code that wrote them, are then read; `bad_*` files must fail with
//! the error that they name.

mod alone;
mod dealer;
mod servers;
mod shared;
mod upload;

use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::Cursor;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sharelet_link::frame::{self, FrameError, Protocol};
use sharelet_link::{Connection, Reader, Writer};
use sharelet_testkit::hex::{self, Folder};
use tokio::io::AsyncReadExt as _;

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(60);

/// A reader of bytes, after which the peer has closed the connection.
fn reader(bytes: &[u8]) -> Reader {
    Connection::new(Cursor::new(bytes.to_vec()), tokio::io::sink(), LONG).reader
}

/// What is written.
async fn written(write: impl AsyncFnOnce(&mut Writer)) -> Vec<u8> {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut writer = Connection::new(tokio::io::empty(), near, LONG).writer;
    write(&mut writer).await;
    drop(writer);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).await.unwrap();
    bytes
}

/// Nothing is left to read.
async fn at_end(reader: &mut Reader) {
    let read = embedded_io_async::Read::read(reader, &mut [0]).await;
    assert_eq!(read.unwrap(), 0, "bytes are left");
}

/// A first frame that says nothing else.
async fn greeting<P: Protocol>(kind: P) -> Vec<u8> {
    written(async |writer| frame::greet(writer, kind, &[]).await.unwrap()).await
}

/// A frame of these bytes.
async fn framed<P: Protocol>(kind: P, body: &[u8]) -> Vec<u8> {
    written(async |writer| frame::send_bytes(writer, kind, body).await.unwrap()).await
}

/// A frame with this message.
async fn encoded<P: Protocol>(kind: P, message: &impl Serialize) -> Vec<u8> {
    framed(kind, &frame::encode(kind, message).unwrap()).await
}

/// Reads a message, which must be all there is.
async fn read<T: DeserializeOwned, P: Protocol>(
    reader: &mut Reader,
    kind: P,
) -> Result<T, FrameError<P>> {
    let message = frame::receive(reader, kind).await?;
    at_end(reader).await;
    Ok(message)
}

/// `count` bytes that count up.
fn counted(from: u8, count: usize) -> Vec<u8> {
    (from..).take(count).collect()
}

/// Changes bytes from `at` on.
fn with(bytes: &[u8], at: usize, put: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + put.len()].copy_from_slice(put);
    bytes
}

/// A frame whose body lacks its last byte.
fn shorter(bytes: &[u8]) -> Vec<u8> {
    with(&bytes[..bytes.len() - 1], 1, &[bytes[1] - 1])
}

/// A frame whose body has a byte too many.
fn longer(bytes: &[u8]) -> Vec<u8> {
    with(&[bytes, &[0]].concat(), 1, &[bytes[1] + 1])
}

/// The header of a frame, and what there is of its body.
fn headed<P: Protocol>(kind: P, length: u32, body: &[u8]) -> Vec<u8> {
    [&[kind.number()][..], &length.to_le_bytes(), body].concat()
}

fn wrong_length(kind: impl Debug, expected: usize, found: u32) -> String {
    format!("WrongLength {{ kind: {kind:?}, expected: {expected}, found: {found} }}")
}

/// The vectors of one protocol, whose headers are so long.
struct Vectors {
    folder: Folder,
    header: usize,
}

impl Vectors {
    fn of(protocol: &str, version: u16, header: usize) -> Self {
        Self { folder: Folder::named(&format!("{protocol}-v{version}")), header }
    }

    /// Checks the file of a frame; leaves the file's bytes.
    fn frame(&self, name: &str, what: &str, value: &impl Debug, bytes: &[u8]) -> Vec<u8> {
        let (header, body) = bytes.split_at(self.header);
        let text = format!(
            "# {what}\n# value: {value:?}\n# header\n{}# body\n{}",
            hex::encode(header),
            hex::encode(body)
        );
        self.raw(name, &text)
    }

    /// Checks the file of a message, which is read from it.
    async fn message<T, P: Protocol>(&self, name: &str, what: &str, kind: P, value: T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let bytes = self.frame(name, what, &value, &encoded(kind, &value).await);
        assert_eq!(read::<T, P>(&mut reader(&bytes), kind).await.unwrap(), value, "{name}");
    }

    /// Checks the files of all refusals, which come where `due` is due; there is none of number
    /// `next`.
    async fn refusals<P>(&self, what: &str, due: P, refusals: &[(&str, P::Refusal)], next: u8)
    where
        P: Protocol<Refusal: PartialEq>,
    {
        for (name, refusal) in refusals {
            let bytes = encoded(P::REFUSE, refusal).await;
            let bytes = self.frame(&format!("refuse_{name}"), what, refusal, &bytes);
            let told = frame::receive_bytes(&mut reader(&bytes), due, 0).await.unwrap_err();
            assert!(matches!(told, FrameError::Refused(told) if told == *refusal), "{name}");
        }
        for fields in 0..3 {
            let body = [&[next][..], &[0; 2][..fields]].concat();
            let refusal = frame::decode::<_, P::Refusal>(P::REFUSE, &body);
            assert!(refusal.is_err(), "a refusal has no vector");
        }
    }

    /// Checks a file whose text is this; leaves its bytes.
    fn raw(&self, name: &str, text: &str) -> Vec<u8> {
        self.folder.check(&format!("{name}.hex"), text)
    }

    /// Checks a file that must be refused where `due` is due.
    fn bad(&self, name: &str, due: &str, error: &str, bytes: &[u8]) {
        self.raw(
            &format!("bad_{name}"),
            &format!("# due: {due}\n# error: {error}\n{}", hex::encode(bytes)),
        );
    }

    /// Plays the files that must be refused; returns how many there are.
    async fn play_bad<E: Debug>(self, read: impl AsyncFn(&str, Reader) -> Result<(), E>) -> usize {
        let files = self.folder.bad();
        for (name, text) in &files {
            let error = read(hex::field(text, "due").unwrap(), reader(&hex::decode(text))).await;
            let error = error.expect_err(name);
            assert_eq!(format!("{error:?}"), hex::field(text, "error").unwrap(), "{name}");
        }
        files.len()
    }

    /// The first bytes of the files of single messages.
    fn kinds(&self) -> BTreeSet<u8> {
        let mut names = self.folder.names();
        names.retain(|name| !name.starts_with("bad_") && !name.starts_with("upload_"));
        names.iter().map(|name| hex::decode(&self.folder.read(name))[0]).collect()
    }
}
