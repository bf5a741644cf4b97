//! A small fuzzer without tools: random and mutated bytes for every reader, from a printed seed,
//! for a bounded time.
//!
//! `FUZZ_SECONDS=600 cargo test -p sharelet-tests --release --test all fuzz::` searches longer.

use core::time::Duration;
use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use rand_core::Rng;
use sharelet_core::keystream::ChaCha8;
use sharelet_core::session::data_party::Query;
use sharelet_core::session::network::Network;
use sharelet_core::session::servers;
use sharelet_core::session::wire::control::{self, Answer, Grant, Hello, Refusal, Request};
use sharelet_core::session::wire::frame::Header;
use sharelet_core::session::wire::query::{QueryHeader, QueryId, Reason, Recipient, Status};
use sharelet_core::session::wire::servers::{
    Evaluate, ServerHello, parse_console_hello, parse_server_hello,
};
use sharelet_core::session::wire::task::Task;
use sharelet_testkit::model::Model;
use sharelet_testkit::outsource::task;
use sharelet_testkit::party::{Counter, Setup};
use sharelet_testkit::pipe::{End, Script, run};
use sharelet_testkit::{frames, printed_seed, rng};

/// Calls `each` until the time is over, and `least` times on a machine that is busy.
pub(super) fn fuzz(least: u64, mut each: impl FnMut(&mut ChaCha12Rng)) {
    let seconds =
        std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(2);
    let mut rng = rng(printed_seed());
    let (start, mut rounds) = (Instant::now(), 0);
    while rounds < least || start.elapsed() < Duration::from_secs(seconds) {
        each(&mut rng);
        rounds += 1;
    }
}

/// A number below `bound`.
pub(super) fn below(rng: &mut ChaCha12Rng, bound: usize) -> usize {
    usize::try_from(rng.next_u64() % bound.max(1) as u64).unwrap()
}

/// Changes a few bytes, and sometimes the length.
pub(super) fn mutate(bytes: &mut Vec<u8>, rng: &mut ChaCha12Rng) {
    for _ in 0..=below(rng, 5) {
        let at = below(rng, bytes.len());
        let byte = rng.next_u32().to_le_bytes()[0];
        match rng.next_u32() % 6 {
            _ if bytes.is_empty() => bytes.push(byte),
            0 => bytes.insert(at, byte),
            1 => drop(bytes.remove(at)),
            2 => bytes.truncate(at),
            // Values at the ends of ranges.
            3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(rng, 5)],
            4 => bytes[at] ^= 1 << (byte % 8),
            _ => bytes[at] = byte,
        }
    }
}

#[test]
fn readers_of_messages() {
    fuzz(1_000, |rng| {
        let mut bytes = vec![0; below(rng, 130)];
        rng.fill_bytes(&mut bytes);
        if let Some(header) = bytes.first_chunk() {
            let _ = Header::parse(*header)
                .map(|header| assert_eq!(&header.emit(), bytes.first_chunk().unwrap()));
        }
        let model = Model::random(&[3, 2, 2], rng.next_u32() % 2 == 0, rng);
        let mut buffer = [0; 256];
        let used = control::emit_welcome(&model.network, &[3; 32], &[4; 32], &mut buffer).unwrap();
        let mut welcome = buffer[..used].to_vec();
        mutate(&mut welcome, rng);
        for bytes in [&bytes, &welcome] {
            let _ = control::parse_hello(bytes);
            let mut network = Network::<8>::default();
            if control::parse_welcome(bytes, &mut network).is_ok() {
                assert_eq!(network.validate(), Ok(()));
            }
            let _ = control::parse::<Hello>(bytes);
            let _ = control::parse::<Request>(bytes);
            let _ = control::parse::<Grant>(bytes);
            let _ = control::parse::<Refusal>(bytes);
            let _ = control::parse::<Network<8>>(bytes);
            let _ = control::parse::<Evaluate>(bytes);
            let _ = parse_server_hello(bytes);
            let _ = parse_console_hello(bytes);
            if let Ok(task) = Task::from_bytes(bytes) {
                assert_eq!(task.to_bytes()[..], bytes[..task.to_bytes().len()]);
            }
            let header = bytes
                .first_chunk()
                .and_then(|bytes| QueryHeader::parse(*bytes).ok().map(|header| (header, bytes)));
            assert!(header.is_none_or(|(header, bytes)| header.emit() == *bytes));
            let status = bytes
                .first_chunk()
                .and_then(|bytes| Status::parse(*bytes).map(|status| (status, bytes)));
            assert!(status.is_none_or(|(status, bytes)| status.emit() == *bytes));
        }
    });
}

/// What a data party, a console and two servers read from one another.
#[test]
fn readers_of_queries_and_greetings() {
    let mut made = rng(71);
    let setup = Setup::random(Model::random(&[3, 70], false, &mut made), Answer::Device, &mut made);
    let task = task(&setup.model);
    let mut recorded = Vec::new();
    for recipient in [Recipient::DataParty, Recipient::Console] {
        let mut frame = Script::new(&[], End::Closed);
        let sent = frame.sent();
        run(async {
            servers::greet(&mut frame, &ServerHello { party: 1, instance: 7, task }).await.unwrap();
            servers::evaluate(&mut frame, &Evaluate { id: QueryId([3; 8]), recipient })
                .await
                .unwrap();
            servers::deliver(&mut frame, QueryId([3; 8]), &[5_u32; 70]).await.unwrap();
            servers::confirm(&mut frame, QueryId([3; 8])).await.unwrap();
        });
        recorded.extend(frames::split(&sent.borrow()).iter().map(frames::Frame::bytes));
    }
    let queries = [Recipient::DataParty, Recipient::Console].map(|recipient| {
        let mut counter = Counter::default();
        run(Query::<ChaCha8>::begin(&setup.identity(), &mut counter, task, recipient)).unwrap()
    });
    fuzz(1_000, |rng| {
        let mut bytes = match rng.next_u32() % 3 {
            0 => recorded[below(rng, recorded.len())].clone(),
            1 => Status::Refused(Reason::Busy).emit().to_vec(),
            _ => vec![rng.next_u32().to_le_bytes()[0]; below(rng, 600)],
        };
        mutate(&mut bytes, rng);
        let script = || Script::new(&bytes, End::Closed);
        run(async {
            for query in &queries {
                let _ = query.receive(&mut script(), &mut [0_u32; 70]).await;
                let _ = query.receive_both(&mut script(), &mut script(), &mut [0_u32; 70]).await;
            }
            if let Some((header, rest)) = bytes.split_first_chunk() {
                let mut rest = Script::new(rest, End::Closed);
                let _ = servers::receive_opening(&mut rest, *header).await;
            }
            let _ = servers::receive_server_hello(&mut script()).await;
            let _ = servers::receive_evaluate(&mut script()).await;
            let _ = servers::receive_delivery(&mut script(), &mut [0_u32; 70]).await;
            let _ = servers::receive_confirmation(&mut script()).await;
        });
    });
}

#[test]
fn both_sides_of_a_session() {
    let mut made = rng(70);
    let models = [Model::random(&[3, 5, 2], true, &mut made), Model::of_every_shape(&mut made)];
    let cases = models.map(|model| {
        let setup = Setup::random(model, Answer::Both, &mut made);
        let input: Vec<u32> = (0..setup.model.network.inputs()).map(|_| made.next_u32()).collect();
        let honest = setup.honest::<ChaCha8>(&input, 1000);
        let corrections = setup.corrections::<ChaCha8>();
        (setup, input, honest, corrections)
    });
    fuzz(100, |rng| {
        let (setup, input, honest, corrections) = &cases[below(rng, 2)];
        let [mut host, mut device] = [honest.host.clone(), honest.device.clone()];
        mutate(&mut host, rng);
        mutate(&mut device, rng);
        // A changed welcome may describe another valid network: what the device sends is then
        // frames of it.
        let run = setup.device_against::<ChaCha8>(&host, End::Closed, input);
        let _ = frames::split(&run.sent);
        let _ = setup.host_against(&device, End::Closed, corrections);
    });
}
