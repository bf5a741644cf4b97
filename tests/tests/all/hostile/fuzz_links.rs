//! The same for the frames between PCs: dealer, owners of data, servers.

use core::time::Duration;
use std::io::Cursor;

use rand_core::Rng as _;
use serde::de::DeserializeOwned;
use sharelet_host::data::description::Description;
use sharelet_host::dealer::wire::{self as dealer, Kind as Dealt};
use sharelet_host::server::shared::asking;
use sharelet_host::server::shared::wire::{Begin, Greeting, Turn};
use sharelet_host::server::training::wire::{self as training, Message, Start};
use sharelet_host::upload::wire::{self as upload, Kind as Uploaded};
use sharelet_link::frame::{self, Header, Protocol};
use sharelet_link::{Connection, Reader};
use sharelet_testkit::hex::{self, Folder};
use sharelet_train::tensor::offline::Plan;

use super::fuzz::{below, fuzz, mutate};

fn reader(bytes: &[u8]) -> Reader {
    let silent = Duration::from_secs(60);
    Connection::new(Cursor::new(bytes.to_vec()), tokio::io::sink(), silent).reader
}

/// Reads frame after frame, and every kind where it may be due.
async fn frames<P: Protocol>(bytes: &[u8]) {
    let mut all = reader(bytes);
    while let Ok(Some(header)) = Header::<P>::read_or_end(&mut all).await {
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

async fn to_and_from_a_dealer(bytes: &[u8]) {
    frames::<Dealt>(bytes).await;
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

async fn to_and_from_an_owner(bytes: &[u8]) {
    frames::<Uploaded>(bytes).await;
    message::<_, upload::Refusal>(bytes, Uploaded::Refuse).await;
    message::<_, Description>(bytes, Uploaded::Begin).await;
    message::<_, upload::Standing>(bytes, Uploaded::Standing).await;
    let _ = upload::read_welcome(&mut reader(bytes)).await;
}

async fn between_servers(bytes: &[u8]) {
    frames::<Message>(bytes).await;
    let _ = training::receive_hello(&mut reader(bytes)).await;
    let _ = training::receive_verdict(&mut reader(bytes)).await;
    message::<_, Start>(bytes, Message).await;
    message::<_, Greeting>(bytes, Message).await;
    message::<_, Begin>(bytes, Message).await;
    message::<_, Turn>(bytes, Message).await;
    let _ = asking::receive(&mut reader(bytes)).await;
}

#[test]
fn readers_of_frames() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let protocols = ["dealer-v3", "upload-v1", "training-v3", "shared-v3"].map(|name| {
        let folder = Folder::named(name);
        let mut names = folder.names();
        names.sort_unstable();
        names.iter().map(|name| hex::decode(&folder.read(name))).collect::<Vec<_>>()
    });
    fuzz(100, |rng| {
        let recorded = &protocols[below(rng, protocols.len())];
        let mut bytes = recorded[below(rng, recorded.len())].clone();
        if rng.next_u32().is_multiple_of(4) {
            rng.fill_bytes(&mut bytes);
        }
        mutate(&mut bytes, rng);
        runtime.block_on(async {
            to_and_from_a_dealer(&bytes).await;
            to_and_from_an_owner(&bytes).await;
            between_servers(&bytes).await;
        });
    });
}
