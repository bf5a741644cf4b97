//! Known answers of what data parties, two servers and a console send, as files; see `vectors`.

use core::fmt::Write as _;

use sharelet_core::keystream::{ChaCha12, Key};
use sharelet_core::session::data_party::Query;
use sharelet_core::session::p0::Identity;
use sharelet_core::session::servers::{self, Opening};
use sharelet_core::session::wire::control::DeviceId;
use sharelet_core::session::wire::frame::HEADER_BYTES;
use sharelet_core::session::wire::query::{
    QUERY_HEADER_BYTES, QueryHeader, QueryId, Reason, Recipient, Status,
};
use sharelet_core::session::wire::servers::{ConsoleHello, Evaluate, ServerHello};
use sharelet_core::session::wire::task::{Task, TaskError};
use sharelet_testkit::hex;
use sharelet_testkit::party::Counter;
use sharelet_testkit::pipe::{End, Script, run};

const TASK: Task = Task {
    ring_bits: 32,
    input_frac_bits: 8,
    output_frac_bits: 18,
    inputs: 3,
    outputs: 2,
    input_limit: 1 << 20,
    model: [
        0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e,
        0x3f,
    ],
};

/// A peer that sends these bytes, and closes.
fn script(bytes: &[u8]) -> Script<'_> {
    Script::new(bytes, End::Closed)
}

fn written(write: impl AsyncFnOnce(&mut Script<'_>)) -> Vec<u8> {
    let mut script = script(&[]);
    let sent = script.sent();
    run(write(&mut script));
    sent.take()
}

fn check(name: &str, what: &str, bytes: &[u8]) -> Vec<u8> {
    hex::check(name, &format!("# {what}\n{}", hex::encode(bytes)))
}

#[test]
fn tasks() {
    let bytes = check("task.hex", &format!("a task file: {TASK:?}"), &TASK.to_bytes());
    assert_eq!(Task::from_bytes(&bytes), Ok(TASK));
    for (name, at, value, error) in [
        ("magic", 0, b'X', TaskError::NotATask),
        ("version", 4, 3, TaskError::Version { found: 3 }),
        ("columns", 4, 2, TaskError::Columns),
        ("scale", 6, 9, TaskError::Damaged),
        ("sum", 35, 0, TaskError::Damaged),
    ] {
        let mut bad = TASK.to_bytes();
        bad[at] = value;
        let what = format!("a task file that is refused: {error:?}");
        let bad = check(&format!("refused_task_{name}.hex"), &what, &bad);
        assert_eq!(Task::from_bytes(&bad), Err(error));
    }
}

/// Both packets of a query under a fixed key and number.
#[test]
fn queries() {
    let key: [u8; 32] = core::array::from_fn(|i| u8::try_from(i).unwrap());
    let identity =
        Identity::<ChaCha12>::new(DeviceId::new("pump-07").unwrap(), &Key::from_bytes(key));
    let input = [256, -777, 1_000_000].map(i32::cast_unsigned);
    for (name, recipient) in [("device", Recipient::DataParty), ("console", Recipient::Console)] {
        let mut counter = Counter { next: 0x0102_0304, ..Counter::default() };
        let query = run(Query::begin(&identity, &mut counter, TASK, recipient)).unwrap();
        let seed = written(async |script| query.send_seed(script).await.unwrap());
        let masked =
            written(async |script| query.send_masked(script, &mut input.clone()).await.unwrap());
        let about = "of a data party with key 00 to 1f, number 0x01020304, 12 rounds";
        let what = format!("packet to server 0 {about}");
        let seed = check(&format!("query_{name}_server_0.hex"), &what, &seed);
        let what =
            format!("packet to server 1 {about}; the input is {:?}", input.map(u32::cast_signed));
        let masked = check(&format!("query_{name}_server_1.hex"), &what, &masked);
        let mut opened = [0; 3];
        let seed_key = Key::from_bytes(seed[QUERY_HEADER_BYTES..].try_into().unwrap());
        sharelet_core::session::data_party::expand_seed::<ChaCha12, u32>(&seed_key, &mut opened);
        for (word, bytes) in opened.iter_mut().zip(masked[QUERY_HEADER_BYTES..].chunks_exact(4)) {
            *word = word.wrapping_add(u32::from_le_bytes(bytes.try_into().unwrap()));
        }
        assert_eq!(opened, input);
        let headers = [&seed, &masked]
            .map(|bytes| QueryHeader::parse(*bytes.first_chunk().unwrap()).unwrap());
        assert!(
            headers.iter().all(|header| header.id == query.id() && header.recipient == recipient)
        );
    }
    let header = QueryHeader {
        half: sharelet_core::session::wire::query::Half::Seed,
        recipient: Recipient::DataParty,
        task: TASK.id(),
        id: QueryId([9; 8]),
    };
    for (name, at, value, reason) in [
        ("version", 0, 0xD2, Reason::Version),
        ("tag", 0, 0x11, Reason::Malformed),
        ("kind", 1, 4, Reason::Malformed),
    ] {
        let mut bad = header.emit();
        bad[at] = value;
        let what = format!("the header of a query that is refused: {reason:?}");
        let bad = check(&format!("refused_query_{name}.hex"), &what, &bad);
        assert_eq!(QueryHeader::parse(bad.try_into().unwrap()), Err(reason));
    }
}

#[test]
fn statuses() {
    let mut text = "# what a server says in place of an answer\n".to_owned();
    let mut expected = Vec::new();
    for number in 0..=u8::MAX {
        if let Some(status) = Status::parse([0xA5, number, !number]) {
            writeln!(text, "# {status:?}").unwrap();
            text += &hex::encode(&status.emit());
            expected.push(status);
        }
    }
    let read: Vec<_> = hex::check("statuses.hex", &text)
        .chunks(3)
        .map(|bytes| Status::parse(bytes.try_into().unwrap()).unwrap())
        .collect();
    assert_eq!(read, expected);
    assert_eq!(read.len(), 15);
}

#[test]
fn between_servers_and_to_a_console() {
    let hello = ServerHello { party: 1, instance: 0x0102_0304_0506_0708, task: TASK };
    let bytes = written(async |script| servers::greet(script, &hello).await.unwrap());
    let bytes =
        check("server_hello.hex", &format!("either way, and to a console: {hello:?}"), &bytes);
    assert_eq!(run(servers::receive_server_hello(&mut script(&bytes))), Ok(hello));

    let console = ConsoleHello { name: DeviceId::new("control-room").unwrap() };
    let bytes = written(async |script| servers::greet_as_console(script, &console).await.unwrap());
    let bytes = check("console_hello.hex", "console to server: control-room", &bytes);
    let (header, body) = bytes.split_at(HEADER_BYTES);
    let opening = run(servers::receive_opening(&mut script(body), header.try_into().unwrap()));
    let Ok(Opening::Console(read)) = opening else { panic!("no console") };
    assert_eq!(read.name, console.name);

    let query = Evaluate { id: QueryId([1, 2, 3, 4, 5, 6, 7, 8]), recipient: Recipient::Console };
    let bytes = written(async |script| servers::evaluate(script, &query).await.unwrap());
    let what = format!("server 0 to server 1, ahead of the input: {query:?}");
    let bytes = check("evaluate.hex", &what, &bytes);
    assert_eq!(run(servers::receive_evaluate(&mut script(&bytes))), Ok(Some(query)));

    let bytes = written(async |script| {
        servers::deliver(script, query.id, &[1_u32, u32::MAX]).await.unwrap()
    });
    let bytes =
        check("deliver.hex", "server to console: query 0102030405060708, share [1, -1]", &bytes);
    let mut share = [0; 2];
    let read = run(servers::receive_delivery(&mut script(&bytes), &mut share));
    assert_eq!((read, share), (Ok(query.id), [1, u32::MAX]));

    let bytes = written(async |script| servers::confirm(script, query.id).await.unwrap());
    let bytes = check("delivered.hex", "console to server: query 0102030405060708", &bytes);
    assert_eq!(run(servers::receive_confirmation(&mut script(&bytes))), Ok(query.id));
}
