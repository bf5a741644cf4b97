//! Between two servers that train.

use sharelet_core::binding::Order;
use sharelet_core::session::wire::control::DeviceId;
use sharelet_host::data::openings::Openings;
use sharelet_host::server::training::wire::{
    self, Hello, MAX_MESSAGE_BYTES, Message, Prepares, Start, VERSION, Verdict,
};
use sharelet_host::store::datasets::{Descriptor, Part};
use sharelet_train::labels::Labels;

use super::{Vectors, at_end, counted, encoded, reader, with};

fn vectors() -> Vectors {
    Vectors::of("training", VERSION, 4)
}

fn descriptor(keys: Option<[u8; 32]>) -> Descriptor {
    let upload = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
    Descriptor {
        dataset: "pumps".parse().unwrap(),
        rows: 300,
        columns: vec!["flow".to_owned(), "heat".to_owned()],
        labels: Labels::Classes { classes: 3 },
        label_columns: vec!["fault".to_owned()],
        frac_bits: 20,
        standardised: true,
        magnitude_bits: [0, 21],
        uploads: vec![Part {
            id: upload,
            owner: "north".parse().unwrap(),
            rows: 300,
            openings: Openings::default(),
        }],
        keys,
    }
}

fn hello(party: u8) -> Hello {
    let (magic, version) = Hello::magic();
    let config = vec![("training.epochs".to_owned(), "3".to_owned())];
    let again = party == 1;
    Hello {
        magic,
        version,
        party,
        prepares: Prepares::Dealer,
        config,
        train: descriptor(again.then_some([7; 32])),
        test: again.then(|| descriptor(None)),
        resume: again,
        checkpoints: again.then(|| ([9; 16], vec![50, 100])),
        finished: again.then_some([9; 16]),
    }
}

#[tokio::test]
async fn messages() {
    let vectors = vectors();
    for party in [0, 1] {
        let (value, what) = (hello(party), "both ways, first: what must be the same");
        let bytes = encoded(Message, &value).await;
        let bytes = vectors.frame(&format!("hello_{party}"), what, &value, &bytes);
        let mut reader = reader(&bytes);
        assert_eq!(wire::receive_hello(&mut reader).await.unwrap(), value);
        at_end(&mut reader).await;
    }
    let start = Start {
        run: [0x11; 16],
        step: 50,
        first: 1 << 40,
        device: DeviceId::new("server-0").unwrap(),
        key: [0x5a; 8],
        order: Order::from_bytes([0xe0; 16]),
    };
    let what = "server 0 to server 1: where the run begins, ordered (e0)";
    vectors.message("start", what, Message, start).await;

    let go = encoded(Message, &Verdict::Go).await;
    let bytes = vectors.frame("go", "both ways: go on", &Verdict::Go, &go);
    let mut read = reader(&bytes);
    wire::receive_verdict(&mut read).await.unwrap();
    at_end(&mut read).await;
    let stop = Verdict::Stop("no\u{1b}[2J checkpoints".to_owned());
    let bytes = encoded(Message, &stop).await;
    vectors.message("stop", "both ways: no, and why", Message, stop).await;
    let refused = wire::receive_verdict(&mut reader(&bytes)).await.unwrap_err();
    assert_eq!(format!("{refused:?}"), "Refused(\"no[2J checkpoints\")", "without what steers");
}

#[tokio::test]
async fn bad_messages() {
    let hello = encoded(Message, &hello(0)).await;
    let go = encoded(Message, &Verdict::Go).await;
    let device = DeviceId::new("server-0").unwrap();
    let no_order = encoded(Message, &([0x11; 16], 50_u64, 7_u64, device, [0x5a; 8])).await;
    let too_long = u32::try_from(MAX_MESSAGE_BYTES + 1).unwrap().to_le_bytes();
    for (name, due, error, bytes) in [
        ("hello_magic", "Hello", "NotSharelet", with(&hello, 7, b"U")),
        ("hello_version", "Hello", "Version { theirs: 9 }", with(&hello, 8, &[9])),
        ("hello_empty", "Hello", "NotSharelet", vec![0; 4]),
        ("hello_long", "Hello", "NotSharelet", too_long.to_vec()),
        ("hello_cut", "Hello", "Closed", hello[..20].to_vec()),
        (
            "hello_trailing",
            "Hello",
            "NotSharelet",
            with(&[&hello[..], &[0]].concat(), 0, &[hello[0] + 1]),
        ),
        ("hello_party", "Hello", "NotSharelet", with(&hello, 10, &[255; 20])),
        ("not_a_message", "Hello", "NotSharelet", b"GET / HTTP/1.1\r\n".to_vec()),
        ("closed", "Verdict", "Closed", Vec::new()),
        ("length_cut", "Verdict", "Closed", go[..2].to_vec()),
        ("verdict_unknown", "Verdict", "NotSharelet", vec![1, 0, 0, 0, 2]),
        ("verdict_trailing", "Verdict", "NotSharelet", vec![2, 0, 0, 0, 0, 0]),
        ("start_name", "Start", "NotSharelet", [&[66, 0, 0, 0][..], &counted(0, 66)].concat()),
        ("start_no_order", "Start", "NotSharelet", no_order),
    ] {
        vectors().bad(name, due, error, &bytes);
    }
    let played = vectors().play_bad(async |due, mut reader| {
        let reader = &mut reader;
        match due {
            "Hello" => wire::receive_hello(reader).await.map(drop),
            "Verdict" => wire::receive_verdict(reader).await,
            "Start" => wire::receive::<Start>(reader).await.map(drop),
            due => panic!("{due}"),
        }
    });
    assert_eq!(played.await, 14);
}
