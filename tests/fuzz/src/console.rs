//! Whoever reads what two servers say, against servers that say any bytes: the console, a data
//! party that asks for itself or for the console, and an owner that shares data.
//!
//! The first byte says who reads; behind two bytes for its length is what server 0 says, and then
//! what server 1 does. Consoles and data parties connect by TCP, so those are over loopback.

use core::time::Duration;
use std::io::Cursor;
use std::sync::LazyLock;

use sharelet_core::ring::Ring;
use sharelet_core::session::servers;
use sharelet_core::session::wire::query::{QueryId, Recipient, Status};
use sharelet_core::session::wire::servers::ServerHello;
use sharelet_core::{CounterError, DeviceId, Identity, Key, SessionCounter, Task};
use sharelet_host::console::{self, Console};
use sharelet_host::device::data_party::{self, DataParty};
use sharelet_host::device::{DeviceError, Events, Inference, Sensor};
use sharelet_host::upload::owner::{self, Outcome};
use sharelet_link::pauses::Pauses;
use sharelet_link::{Connection, Counts, Route, Writer};
use sharelet_model::readings::{Readings, ReadingsError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::seeds::{tagged, untagged};
use crate::served::{LONGEST, RUNTIME, STALL};
use crate::upload::{Owned, examples, honest};

/// The console, two data parties, and two owners.
const READERS: usize = 5;
/// Answers that a console waits for.
const ANSWERS: usize = 2;
/// How long servers stay that may not be honest.
const MOMENT: Duration = Duration::from_millis(10);
const OUTPUTS: u16 = 3;
const SOON: Pauses =
    Pauses { shortest: Duration::from_millis(1), longest: Duration::from_millis(1) };

static OWNED: LazyLock<[Owned; 2]> = LazyLock::new(examples);

const fn task(ring_bits: u8) -> Task {
    Task {
        ring_bits,
        input_frac_bits: 8,
        output_frac_bits: 16,
        inputs: 2,
        outputs: OUTPUTS,
        input_limit: 1 << 12,
        model: [5; 16],
    }
}

/// What both servers say.
fn both(bytes: &[u8]) -> Option<[&[u8]; 2]> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    Some(rest.split_at(length).into())
}

pub fn run(bytes: &[u8]) {
    let Some((reader, bytes)) = untagged(bytes, READERS) else { return };
    let Some(said) = both(bytes) else { return };
    drop(read(reader, said, MOMENT));
}

/// What a reader makes of it: values, or how much was done; nothing if it does not end well.
fn read(reader: usize, said: [&[u8]; 2], stay: Duration) -> Option<Vec<u64>> {
    RUNTIME.block_on(async {
        let read = async {
            match reader {
                0 => console(said, stay).await,
                1 => data_party(Recipient::DataParty, said).await,
                2 => data_party(Recipient::Console, said).await,
                owned => owner(&OWNED[owned - 3], said).await,
            }
        };
        tokio::time::timeout(LONGEST, read).await.expect("a reader that goes on for ever")
    })
}

/// Two servers that speak to the first who comes, and then no more. It ends when one comes again.
struct Servers {
    listeners: [TcpListener; 2],
    /// How long they stay when all is said: a console goes on with what one has said only as long
    /// as both are there.
    stay: Duration,
}

impl Servers {
    async fn new(stay: Duration) -> (Self, [String; 2]) {
        let listen = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listeners = [listen().await, listen().await];
        let addresses =
            [0, 1].map(|party: usize| listeners[party].local_addr().unwrap().to_string());
        (Self { listeners, stay }, addresses)
    }

    async fn speak(&self, party: usize, said: &[u8]) {
        let listener = &self.listeners[party];
        if let Ok((mut stream, _)) = listener.accept().await {
            // It may be gone before it has heard all.
            let _ = stream.write_all(said).await;
            tokio::time::sleep(self.stay).await;
            let _ = stream.shutdown().await;
            let mut heard = Vec::new();
            tokio::select! {
                _ = stream.read_to_end(&mut heard) => {}
                _ = listener.accept() => return,
            }
        }
        let _ = listener.accept().await;
    }

    async fn speak_once(&self, [zero, one]: [&[u8]; 2]) {
        tokio::select! {
            () = self.speak(0, zero) => {}
            () = self.speak(1, one) => {}
        }
    }
}

async fn console(said: [&[u8]; 2], stay: Duration) -> Option<Vec<u64>> {
    let (servers, addresses) = Servers::new(stay).await;
    let settings = console::Settings {
        count: Some(ANSWERS),
        pauses: SOON,
        ..console::Settings::new(addresses, Route::insecure_plaintext(None))
    };
    let mut values = Vec::new();
    let sink = |answer: console::ConsoleAnswer| {
        values.extend(answer.values);
        Ok(())
    };
    let mut console = Console::new(settings, DeviceId::new("operator").unwrap(), sink);
    let (stop, mut told) = (CancellationToken::new(), None);
    tokio::select! {
        ended = console.run(&stop) => told = ended.ok(),
        () = servers.speak_once(said) => {}
    }
    drop(console);
    assert!(told.is_none_or(|told| told == ANSWERS));
    told.map(|_| values)
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

struct One(Readings);

impl Sensor for One {
    fn width(&self) -> Option<usize> {
        None
    }

    fn readings(&mut self, _: usize) -> Result<&Readings, ReadingsError> {
        Ok(&self.0)
    }
}

#[derive(Default)]
struct Answers(Vec<u64>);

impl Events for Answers {
    fn connected(&mut self, _: usize) {}

    fn prepared(&mut self, _: u64, _: Counts, _: Duration) {}

    fn answer(&mut self, inference: &Inference<'_>) -> std::io::Result<()> {
        self.0.extend_from_slice(inference.values);
        Ok(())
    }

    fn refused(&mut self, _: &DeviceError) -> std::io::Result<()> {
        Ok(())
    }

    fn failed(&mut self, _: &DeviceError, _: Duration) {}
}

async fn data_party(recipient: Recipient, said: [&[u8]; 2]) -> Option<Vec<u64>> {
    let (servers, addresses) = Servers::new(Duration::ZERO).await;
    let settings = data_party::Settings {
        recipient,
        retries: 0,
        ..data_party::Settings::new(addresses, Route::insecure_plaintext(None))
    };
    let mut party = DataParty {
        settings,
        identity: Identity::new(DeviceId::new("pump").unwrap(), &Key::from_bytes([1; 32])),
        counter: Counter,
        task: task(32),
        exponents: Vec::new(),
        sensor: One(Readings::new(2, vec![1.0, 2.0]).unwrap()),
        events: Answers::default(),
    };
    let stop = CancellationToken::new();
    let asked = tokio::select! {
        asked = party.run(&stop) => asked.ok(),
        () = servers.speak_once(said) => None,
    };
    asked.map(|_| party.events.0)
}

async fn owner(owned: &Owned, said: [&[u8]; 2]) -> Option<Vec<u64>> {
    let servers = said.map(|said| {
        let said = Cursor::new(said.to_vec());
        ("a server".to_owned(), Connection::new(said, tokio::io::sink(), STALL))
    });
    let shared = owner::share(owned.upload(), servers, &mut |_| ()).await;
    (shared.ok()? == Outcome::Sent).then(Vec::new)
}

/// What a server says.
fn spoken(speak: impl AsyncFnOnce(&mut Writer)) -> Vec<u8> {
    RUNTIME.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let mut connection = Connection::over(near, STALL);
        speak(&mut connection.writer).await;
        drop(connection);
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.unwrap();
        said
    })
}

/// What honest servers say to a console: two answers, in either order.
fn to_console<R: Ring>(ring_bits: u8) -> [Vec<u8>; 2] {
    [0, 1].map(|party| {
        spoken(async |writer| {
            let hello = ServerHello { party, instance: 7, task: task(ring_bits) };
            servers::greet(writer, &hello).await.unwrap();
            for number in [party, 1 - party] {
                let share = [u64::from(number), 1, 2].map(R::from_u64);
                servers::deliver(writer, QueryId([number; 8]), &share).await.unwrap();
            }
        })
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let answer = [1_u32, 2, 3].map(u32::to_le_bytes).as_flattened().to_vec();
    let accepted = Status::Accepted.emit().to_vec();
    let mut seeds: Vec<_> = [
        (0, to_console::<u32>(32), 6),
        (0, to_console::<u64>(64), 6),
        (1, [answer.clone(), answer], 3),
        (2, [accepted.clone(), accepted], 0),
    ]
    .into();
    let owners = OWNED.iter().zip(3..);
    seeds.extend(owners.map(|(owned, reader)| (reader, honest(owned)[1].clone(), 0)));
    let all = seeds.into_iter().map(|(reader, [zero, one], values)| {
        let read = read(reader, [&zero, &one], LONGEST);
        assert_eq!(read.map(|read| read.len()), Some(values), "reader {reader}");
        let length = u16::try_from(zero.len()).unwrap().to_le_bytes();
        tagged(reader, &[&length[..], &zero, &one].concat())
    });
    all.collect()
}
