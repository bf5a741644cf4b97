//! A server that takes data, against an owner that sends any bytes. The first byte says which of
//! the two servers it is.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use sharelet_core::share::Party;
use sharelet_host::data::description::Description;
use sharelet_host::data::keys::{KeyHash, KeySecret};
use sharelet_host::data::labels::LabelKind;
use sharelet_host::data::openings::{Opening, Openings};
use sharelet_host::data::shares::{self, Encoded};
use sharelet_host::data::{Options, Table};
use sharelet_host::store::datasets::Datasets;
use sharelet_host::upload::owner::{self, Upload};
use sharelet_host::upload::server::Collector;
use sharelet_link::Connection;
use sharelet_link::service::Service as _;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::seeds::{tagged, untagged};
use crate::served::{RUNTIME, STALL, hears, visit};

const PARTIES: [Party; 2] = [Party::P0, Party::P1];
/// Numbers of an upload, at most.
const MOST_ELEMS: u64 = 1 << 12;

fn collector(folder: &Path, party: usize) -> Arc<Collector> {
    let datasets = Datasets::open(&folder.join("state"), PARTIES[party]).unwrap();
    Collector::new(datasets, MOST_ELEMS)
}

pub fn run(bytes: &[u8]) {
    let Some((party, bytes)) = untagged(bytes, PARTIES.len()) else { return };
    let folder = TempDir::new().unwrap();
    let _ = hears(collector(folder.path(), party), bytes);
}

/// A stream, and what was written to it.
struct Tapped {
    stream: DuplexStream,
    written: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = written {
            self.written.lock().unwrap().extend_from_slice(&bytes[..length]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What an owner shares.
pub struct Owned {
    pub description: Description,
    pub encoded: Encoded,
    pub keys: Vec<KeyHash>,
}

impl Owned {
    pub fn new(text: &str, options: &Options) -> Self {
        let table = Table::from_bytes(text.as_bytes(), Path::new("a.csv"), None, options).unwrap();
        let encoded = shares::encode(&table, 20).unwrap();
        let [dataset, owner] = ["visits", "clinic"].map(|name| name.parse().unwrap());
        let secret = KeySecret::new(b"a secret of the owners".to_vec().into()).unwrap();
        let keys = table.keys.as_ref().map_or(Vec::new(), |keys| secret.hash(&dataset, keys));
        let openings = Openings::of(&[Opening::Loss], 1).unwrap();
        let id = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let description = owner::describe(&table, id, dataset, owner, 20, openings);
        Self { description, encoded, keys }
    }

    pub fn upload(&self) -> Upload<'_> {
        let Self { description, encoded, keys } = self;
        Upload { description, encoded, keys }
    }
}

/// What an honest owner says to either server, and what they say to it.
pub fn honest(owned: &Owned) -> [[Vec<u8>; 2]; 2] {
    let folders = [(); 2].map(|()| TempDir::new().unwrap());
    let tapes = [(); 4].map(|()| Arc::<Mutex<Vec<u8>>>::default());
    let tapped = |stream, tape: usize| {
        Connection::over(Tapped { stream, written: tapes[tape].clone() }, STALL)
    };
    RUNTIME.block_on(async {
        let [(zero, one_end), (one, other_end)] = [(); 2].map(|()| tokio::io::duplex(1 << 20));
        let serve = |party: usize, end| {
            let (collector, end) =
                (collector(folders[party].path(), party), tapped(end, 2 + party));
            async move { collector.converse(end, visit()).await }
        };
        let servers = [("s0".to_owned(), tapped(zero, 0)), ("s1".to_owned(), tapped(one, 1))];
        let said = &mut |_| ();
        let (zero, one) = (serve(0, one_end), serve(1, other_end));
        let (shared, ..) = tokio::join!(owner::share(owned.upload(), servers, said), zero, one);
        shared.expect("an honest owner");
    });
    let [zero, one, from_zero, from_one] = tapes.map(|tape| tape.lock().unwrap().clone());
    [[zero, one], [from_zero, from_one]]
}

/// Tables with labels, and with keys.
pub fn examples() -> [Owned; 2] {
    let labelled =
        Options { labels: vec!["y".to_owned()], kind: LabelKind::Classes(3), ..Options::default() };
    let keyed = Options { key: Some("id".to_owned()), ..Options::default() };
    [Owned::new("x,y\n0.5,1\n-2,0\n3,2\n", &labelled), Owned::new("id,x\np,30\nq,40\n", &keyed)]
}

pub fn seeds() -> Vec<Vec<u8>> {
    let examples = examples();
    let said = examples.iter().flat_map(|owned| honest(owned)[0].clone().into_iter().enumerate());
    said.map(|(party, bytes)| tagged(party, &bytes)).collect()
}
