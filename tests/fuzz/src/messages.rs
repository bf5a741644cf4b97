//! Readers of single messages: of sessions, of queries, and of the frames between PCs.

use core::time::Duration;
use std::io::Cursor;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::session::data_party::Query;
use sharelet_core::session::network::Network;
use sharelet_core::session::wire::control::{self, Grant, Hello, Refusal, Request};
use sharelet_core::session::wire::frame::Header;
use sharelet_core::session::wire::query::{QueryHeader, Recipient, Status};
use sharelet_core::session::wire::servers::{Evaluate, parse_console_hello, parse_server_hello};
use sharelet_core::session::wire::task::{TASK_BYTES, Task};
use sharelet_core::session::{CounterError, servers};
use sharelet_core::{DeviceId, Identity, Key, SessionCounter};
use sharelet_host::alone::wire::{self as alone, Message as Alone};
use sharelet_host::data::description::Description;
use sharelet_host::dealer::wire::{self as dealer, Kind as Dealt};
use sharelet_host::server::shared::asking;
use sharelet_host::server::shared::wire::{Begin, Greeting, Turn};
use sharelet_host::server::training::wire::{self as training, Message, Start};
use sharelet_host::upload::wire::{self as upload, Kind as Uploaded};
use sharelet_link::frame::{self, Header as FrameHeader, Protocol};
use sharelet_link::{Connection, Reader};
use sharelet_train::tensor::offline::Plan;

use crate::script::{Script, run};
use crate::seeds::vectors;

const OUTPUTS: usize = 7;

/// Everything that is one message of fixed or stated length; what is read is written back.
pub fn control(bytes: &[u8]) {
    if let Some(header) = bytes.first_chunk() {
        let parsed = Header::parse(*header);
        let _ = parsed.map(|header| assert_eq!(&header.emit(), bytes.first_chunk().unwrap()));
    }
    let _ = control::parse_hello(bytes);
    let mut network = Network::<8>::default();
    if control::parse_welcome(bytes, &mut network).is_ok() {
        assert_eq!(network.validate(), Ok(()));
        // Whatever a network says, its costs are counted in bounded time.
        let _ = network.blocks(1 << 20);
    }
    let _ = control::parse::<Hello>(bytes);
    let _ = control::parse::<Request>(bytes);
    let _ = control::parse::<Grant>(bytes);
    let _ = control::parse::<Refusal>(bytes);
    let _ = control::parse::<Network<8>>(bytes);
    let _ = control::parse::<Evaluate>(bytes);
    let _ = parse_server_hello(bytes);
    let _ = parse_console_hello(bytes);
    for task in [Task::from_bytes(bytes), Task::of_either_ring(bytes)].into_iter().flatten() {
        assert_eq!(task.to_bytes()[..], bytes[..task.to_bytes().len()]);
    }
    if let Ok(task) = Task::before_exponents(bytes) {
        assert_eq!(task.to_bytes_before_exponents()[..], bytes[..TASK_BYTES]);
    }
    if let Some(header) = bytes.first_chunk() {
        let parsed = QueryHeader::parse(*header);
        assert!(parsed.is_err() || parsed.is_ok_and(|parsed| parsed.emit() == *header));
    }
    if let Some(status) = bytes.first_chunk() {
        assert!(Status::parse(*status).is_none_or(|parsed| parsed.emit() == *status));
    }
}

pub fn control_seeds() -> Vec<Vec<u8>> {
    let frames = vectors("v");
    let bodies = frames.iter().filter_map(|frame| frame.get(6..).map(<[u8]>::to_vec));
    bodies.chain(frames.iter().cloned()).filter(|bytes| bytes.len() < 1000).collect()
}

struct Counter;

impl SessionCounter for Counter {
    async fn next(&mut self) -> Result<u64, CounterError> {
        Ok(0)
    }

    async fn consume(&mut self, _: u64) -> Result<(), CounterError> {
        Ok(())
    }
}

static QUERIES: LazyLock<[Query<ChaCha8>; 2]> = LazyLock::new(|| {
    let identity = Identity::new(DeviceId::new("pump-07").unwrap(), &Key::from_bytes([1; 32]));
    let task = Task {
        ring_bits: 32,
        input_frac_bits: 8,
        output_frac_bits: 16,
        inputs: 3,
        outputs: OUTPUTS as u16,
        input_limit: 1 << 12,
        model: [5; 16],
    };
    [Recipient::DataParty, Recipient::Console]
        .map(|recipient| run(Query::begin(&identity, &mut Counter, task, recipient)).unwrap())
});

/// What data parties, consoles and two servers read of one another.
pub fn queries(bytes: &[u8]) {
    let script = || Script::new(bytes);
    run(async {
        for query in QUERIES.iter() {
            let _ = query.receive(&mut script(), &mut [0_u32; OUTPUTS]).await;
            let mut answers = [0_u32; OUTPUTS];
            let _ = query.receive_both(&mut script(), &mut script(), &mut answers).await;
        }
        if let Some((header, rest)) = bytes.split_first_chunk() {
            let _ = servers::receive_opening(&mut Script::new(rest), *header).await;
        }
        let _ = servers::receive_server_hello(&mut script()).await;
        let _ = servers::receive_evaluate(&mut script()).await;
        let _ = servers::receive_delivery(&mut script(), &mut [0_u32; OUTPUTS]).await;
        let _ = servers::receive_confirmation(&mut script()).await;
    });
}

pub fn query_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vectors("v");
    seeds.retain(|bytes| bytes.len() < 200);
    seeds
}

fn reader(bytes: &[u8]) -> Reader {
    let silent = Duration::from_secs(60);
    Connection::new(Cursor::new(bytes.to_vec()), tokio::io::sink(), silent).reader
}

/// Reads frame after frame, and every kind where it may be due.
async fn all<P: Protocol>(bytes: &[u8]) {
    let mut all = reader(bytes);
    while let Ok(Some(header)) = FrameHeader::<P>::read_or_end(&mut all).await {
        let most = P::KINDS.iter().find(|(kind, _)| *kind == header.kind).unwrap().1;
        let Ok(body) = header.body(&mut all).await else { break };
        assert!(body.len() <= most);
    }
    for (kind, _) in P::KINDS {
        let _ = frame::read_greeting(&mut reader(bytes), *kind).await;
        let _ = frame::receive_bytes(&mut reader(bytes), *kind, 24).await;
        let numbered = frame::receive_numbered(&mut reader(bytes), *kind, 7, 16).await;
        assert!(numbered.is_err() || bytes.len() >= 16 + frame::NUMBERED_BYTES);
    }
}

async fn message<P: Protocol, T: DeserializeOwned>(bytes: &[u8], kind: P) {
    let _ = frame::receive::<P, T>(&mut reader(bytes), kind).await;
}

async fn dealers(bytes: &[u8]) {
    all::<Dealt>(bytes).await;
    message::<_, dealer::Refusal>(bytes, Dealt::Refuse).await;
    message::<_, dealer::Status>(bytes, Dealt::Status).await;
    message::<_, dealer::StatusIs>(bytes, Dealt::StatusIs).await;
    message::<_, dealer::Offer>(bytes, Dealt::Offer).await;
    message::<_, dealer::Deal>(bytes, Dealt::Deal).await;
    message::<_, dealer::Dealing>(bytes, Dealt::Dealing).await;
    message::<_, dealer::Ordered<dealer::Train>>(bytes, Dealt::Train).await;
    message::<_, dealer::Ordered<dealer::Serve>>(bytes, Dealt::Serve).await;
    let _ = dealer::receive_correction(&mut reader(bytes), 7, 16).await;
    let _ = dealer::receive_session(&mut reader(bytes), 7, &Plan::default()).await;
}

async fn owners(bytes: &[u8]) {
    all::<Uploaded>(bytes).await;
    message::<_, upload::Refusal>(bytes, Uploaded::Refuse).await;
    message::<_, Description>(bytes, Uploaded::Begin).await;
    message::<_, upload::Standing>(bytes, Uploaded::Standing).await;
    let _ = upload::read_welcome(&mut reader(bytes)).await;
}

async fn device_and_host(bytes: &[u8]) {
    all::<Alone>(bytes).await;
    message::<_, alone::Hello>(bytes, Alone::Hello).await;
    message::<_, alone::Welcome>(bytes, Alone::Welcome).await;
    message::<_, alone::Stocked>(bytes, Alone::Stock).await;
    message::<_, alone::Want>(bytes, Alone::Want).await;
    message::<_, alone::Refusal>(bytes, Alone::Refuse).await;
}

async fn two_servers(bytes: &[u8]) {
    all::<Message>(bytes).await;
    let _ = training::receive_hello(&mut reader(bytes)).await;
    let _ = training::receive_verdict(&mut reader(bytes)).await;
    message::<_, Start>(bytes, Message).await;
    message::<_, Greeting>(bytes, Message).await;
    message::<_, Begin>(bytes, Message).await;
    message::<_, Turn>(bytes, Message).await;
    let _ = asking::receive(&mut reader(bytes)).await;
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
}

/// Frames to and from dealers, owners of data, and between servers.
pub fn frames(bytes: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            dealers(bytes).await;
            owners(bytes).await;
            device_and_host(bytes).await;
            two_servers(bytes).await;
        });
    });
}

pub fn frame_seeds() -> Vec<Vec<u8>> {
    let names = ["dealer-v", "upload-v", "training-v", "shared-v"];
    let all = names.into_iter().flat_map(vectors);
    all.filter(|bytes| bytes.len() < 2000).collect()
}
