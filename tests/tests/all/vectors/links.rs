//! Known answers for the links between PCs: every message of dealer, owners of data and servers,
//! as files in `vectors/<protocol>-v<version>/`.
//!
//! `UPDATE_VECTORS=1` writes them anew, which is right only together with a new version of the
//! protocol. The files, not the code that wrote them, are then read; `bad_*` files must fail with
//! the error that they name.

mod dealer;
mod servers;
mod shared;
mod upload;

use core::fmt::Debug;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::Cursor;

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

/// `count` bytes that count up.
fn counted(from: u8, count: usize) -> Vec<u8> {
    (from..).take(count).collect()
}

/// Changes bytes from `at` on.
fn with(mut bytes: Vec<u8>, at: usize, put: &[u8]) -> Vec<u8> {
    bytes[at..at + put.len()].copy_from_slice(put);
    bytes
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

    /// Checks the file of a message; leaves the file's bytes.
    fn message(&self, name: &str, what: &str, value: &impl Debug, bytes: &[u8]) -> Vec<u8> {
        let (header, body) = bytes.split_at(self.header);
        let text = format!(
            "# {what}\n# value: {value:?}\n# header\n{}# body\n{}",
            hex::encode(header),
            hex::encode(body)
        );
        self.raw(name, &text)
    }

    /// Checks a file whose text is this; leaves its bytes.
    fn raw(&self, name: &str, text: &str) -> Vec<u8> {
        let name = format!("{name}.hex");
        self.folder.check(&name, text);
        hex::decode(&self.folder.read(&name))
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
        let mut names = self.folder.names();
        names.retain(|name| name.starts_with("bad_"));
        for name in &names {
            let text = self.folder.read(name);
            let error = read(hex::field(&text, "due").unwrap(), reader(&hex::decode(&text))).await;
            let error = error.expect_err(name);
            assert_eq!(format!("{error:?}"), hex::field(&text, "error").unwrap(), "{name}");
        }
        names.len()
    }

    /// The first bytes of the files of single messages.
    fn kinds(&self) -> BTreeSet<u8> {
        let mut names = self.folder.names();
        names.retain(|name| !name.starts_with("bad_") && !name.starts_with("upload_"));
        names.iter().map(|name| hex::decode(&self.folder.read(name))[0]).collect()
    }
}
