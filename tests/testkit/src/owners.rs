//! Owners of data, and servers in memory that they share it with.

#![allow(missing_docs, missing_debug_implementations)]

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use sharelet_core::share::Party;
use sharelet_host::data::description::{Description, UploadId};
use sharelet_host::data::keys::{KeyHash, KeySecret};
use sharelet_host::data::name::Name;
use sharelet_host::data::openings::{Opening, Openings};
use sharelet_host::data::shares::{self, Encoded};
use sharelet_host::data::{Options, Table};
use sharelet_host::store::datasets::Datasets;
use sharelet_host::upload::owner::{self, Outcome, OwnerError, Upload};
use sharelet_host::upload::server::{Collector, MOST_ELEMS};
use sharelet_link::Connection;
use sharelet_link::fault::{Fault, FaultyWriter, ShortReader};
use sharelet_link::service::{Limits, Service as _, Visit};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PARTIES: [Party; 2] = [Party::P0, Party::P1];

/// What an owner has.
pub struct Data {
    pub description: Description,
    pub encoded: Encoded,
    pub keys: Vec<KeyHash>,
    pub table: Table,
}

impl Data {
    /// Its keys are hashed under `secret`.
    pub fn new(dataset: &str, owner: &str, table: Table, frac_bits: u8, secret: &[u8]) -> Self {
        let encoded = shares::encode(&table, frac_bits).unwrap();
        let secret = KeySecret::new(secret.to_vec().into()).unwrap();
        let (dataset, owner) = (name(dataset), name(owner));
        let keys = table.keys.as_ref().map_or(Vec::new(), |keys| secret.hash(&dataset, keys));
        let id = UploadId::random().unwrap();
        let description =
            owner::describe(&table, id, dataset, owner.clone(), frac_bits, open(owner));
        Self { description, encoded, keys, table }
    }

    pub fn upload(&self) -> Upload<'_> {
        Upload { description: &self.description, encoded: &self.encoded, keys: &self.keys }
    }
}

/// Everything, the model to its owner.
fn open(owner: Name) -> Openings {
    Openings::of(&[Opening::Loss, Opening::Accuracy, Opening::Model(owner)], 1).unwrap()
}

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A table from the text of a file `a.csv`.
pub fn csv(text: &str, options: &Options) -> Table {
    Table::from_bytes(text.as_bytes(), Path::new("a.csv"), None, options).unwrap()
}

/// A connection to a server that takes `most` numbers, with a fault in what the owner sends and in
/// what the server answers.
pub fn connect(
    datasets: &Arc<Datasets>,
    most: u64,
    [up, down]: [Fault; 2],
    stall: Duration,
) -> (Connection, JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (near_reader, near_writer) = tokio::io::split(near);
    let (far_reader, far_writer) = tokio::io::split(far);
    let (reader, writer) =
        (ShortReader::new(near_reader, 1), FaultyWriter::new(near_writer, up, 7));
    let ours = Connection::new(far_reader, FaultyWriter::new(far_writer, down, 7), stall);
    let collector = Collector::new(datasets.clone(), most);
    let limits = Limits { stall, first: stall, idle: stall, ..Limits::default() };
    let visit = Visit::alone(limits, CancellationToken::new());
    let task = tokio::spawn(async move {
        let _ = collector.converse(ours, visit).await;
    });
    (Connection::new(reader, writer, stall), task)
}

/// Shares with two servers, called `s0` and `s1`, over such connections.
pub async fn share_over(
    data: &Data,
    [(zero, zero_task), (one, one_task)]: [(Connection, JoinHandle<()>); 2],
) -> Result<Outcome, OwnerError> {
    let servers = [("s0".into(), zero), ("s1".into(), one)];
    let shared = owner::share(data.upload(), servers, &mut |_| ()).await;
    zero_task.await.unwrap();
    one_task.await.unwrap();
    shared
}

/// Shares with two servers where nothing goes wrong.
pub async fn share(data: &Data, datasets: [Arc<Datasets>; 2]) {
    let stall = Duration::from_secs(20);
    let connect = |datasets| connect(&datasets, MOST_ELEMS, [Fault::None; 2], stall);
    share_over(data, datasets.map(connect)).await.unwrap();
}
