//! Between owners of data and a server, and two whole uploads.

use std::io::Cursor;

use sha2::{Digest as _, Sha256};
use sharelet_core::share::Party;
use sharelet_host::data::description::{Description, UploadId};
use sharelet_host::data::name::Name;
use sharelet_host::data::openings::{Opening, Openings};
use sharelet_host::store::datasets::{Datasets, Disagreement};
use sharelet_host::upload::server::{Collector, MOST_ELEMS};
use sharelet_host::upload::wire::{self, Kind, Refusal, Standing, VERSION, Welcome};
use sharelet_link::service::{Limits, Service as _, Visit};
use sharelet_link::{Connection, frame};
use sharelet_testkit::hex;
use sharelet_train::labels::Labels;
use tokio::io::AsyncReadExt as _;
use tokio_util::sync::CancellationToken;

use super::{
    LONG, Vectors, at_end, counted, encoded, framed, greeting, headed, longer, read, reader,
    shorter, with, written, wrong_length,
};

fn vectors() -> Vectors {
    Vectors::of("upload", VERSION, 5)
}

fn id() -> UploadId {
    "000102030405060708090a0b0c0d0e0f".parse().unwrap()
}

fn name(name: &str) -> Name {
    name.parse().unwrap()
}

fn description() -> Description {
    Description {
        id: id(),
        dataset: name("pumps"),
        owner: name("north"),
        rows: 2,
        columns: vec!["flow".to_owned(), "heat".to_owned()],
        labels: Labels::Binary,
        label_columns: vec!["fault".to_owned()],
        frac_bits: 16,
        keyed: true,
        standardised: false,
        feature_bits: 22,
        target_bits: 21,
        openings: Openings::of(&[Opening::Loss, Opening::Model(name("north"))], 12).unwrap(),
    }
}

fn welcome(party: Party) -> Welcome {
    Welcome::of(party, 1 << 31)
}

#[tokio::test]
async fn greetings_and_control_messages() {
    let bytes = greeting(Kind::Hello).await;
    let bytes = vectors().frame("hello", "owner to server, first", &VERSION, &bytes);
    let mut hello = reader(&bytes);
    frame::read_hello(&mut hello, Kind::Hello).await.unwrap();
    at_end(&mut hello).await;
    for party in [Party::P0, Party::P1] {
        let welcome = welcome(party);
        let bytes = written(async |writer| wire::welcome(writer, &welcome).await.unwrap()).await;
        let name = format!("welcome_{}", welcome.party);
        let bytes = vectors().frame(&name, "server to owner, first", &welcome, &bytes);
        let mut reader = reader(&bytes);
        assert_eq!(wire::read_welcome(&mut reader).await.unwrap(), welcome);
        at_end(&mut reader).await;
    }
    let vectors = vectors();
    let what = "owner to server: what becomes public of the upload";
    vectors.message("begin", what, Kind::Begin, description()).await;
    let labels = [Labels::None, Labels::Numbers { per_row: 3 }, Labels::Classes { classes: 10 }];
    for (name, labels) in ["none", "numbers", "classes"].into_iter().zip(labels) {
        let label_columns = match labels {
            Labels::Numbers { .. } => ["x", "y", "z"].map(str::to_owned).to_vec(),
            Labels::None => Vec::new(),
            _ => description().label_columns,
        };
        let description = Description { labels, label_columns, keyed: false, ..description() };
        vectors.message(&format!("begin_{name}"), what, Kind::Begin, description).await;
    }
    let what = "server to owner: how far the upload is";
    vectors.message("standing_new", what, Kind::Standing, Standing::New).await;
    vectors.message("standing_stored", what, Kind::Standing, Standing::Stored).await;
    vectors.message("standing_registered", what, Kind::Standing, Standing::Registered).await;
}

#[tokio::test]
async fn frames_of_bytes() {
    for (name, what, kind, body) in [
        ("send", "owner to server: keys and share follow", Kind::Send, counted(0, 0)),
        ("finish", "owner to server: SHA-256 of all that was sent", Kind::Finish, counted(0, 32)),
        ("stored", "server to owner: all of it is durable", Kind::Stored, counted(0, 0)),
        ("commit", "owner to server: the other has it, too", Kind::Commit, counted(0, 0)),
        ("registered", "server to owner: part of the dataset", Kind::Registered, counted(0, 0)),
        ("keys", "owner to server: hashed keys", Kind::Keys, counted(0, 32)),
        ("seed", "owner to server 0: the seed of its share", Kind::Seed, counted(0x20, 32)),
        ("piece", "owner to server 1: words", Kind::Piece, counted(0x40, 24)),
    ] {
        let value = format!("{} bytes that count up", body.len());
        let bytes = vectors().frame(name, what, &value, &framed(kind, &body).await);
        let mut reader = reader(&bytes);
        assert_eq!(frame::receive_bytes(&mut reader, kind, body.len()).await.unwrap(), body);
        at_end(&mut reader).await;
    }
}

#[tokio::test]
async fn refusals() {
    let disagree = |what| Refusal::Disagree { other: name("south"), what };
    let column =
        Disagreement::Column { position: 2, expected: "flow".into(), found: "heat".into() };
    let (binary, numbers) = (Labels::Binary, Labels::Numbers { per_row: 3 });
    let refusals = [
        ("version", Refusal::Version { ours: 700 }),
        ("description", Refusal::Description),
        ("too_large", Refusal::TooLarge { found: 1 << 40, most: 1 << 31 }),
        ("under_way", Refusal::UnderWay),
        ("registered", Refusal::Registered { upload: id() }),
        ("other_upload", Refusal::OtherUpload),
        ("disagree_frac_bits", disagree(Disagreement::FracBits { expected: 16, found: 20 })),
        ("disagree_keys", disagree(Disagreement::Keys)),
        ("disagree_column_count", disagree(Disagreement::ColumnCount { expected: 3, found: 300 })),
        ("disagree_column", disagree(column)),
        ("disagree_column_twice", disagree(Disagreement::ColumnTwice { name: "flow".into() })),
        ("disagree_labels", disagree(Disagreement::Labels { expected: binary, found: numbers })),
        (
            "disagree_label_column",
            disagree(Disagreement::LabelColumn { expected: "y".into(), found: "z".into() }),
        ),
        ("disagree_labels_twice", disagree(Disagreement::LabelsTwice)),
        ("disagree_rows", disagree(Disagreement::Rows { expected: 300, found: 299 })),
        ("disagree_key", disagree(Disagreement::Key { row: 70 })),
        ("not_stored", Refusal::NotStored),
        ("digest", Refusal::Digest),
        ("state", Refusal::State),
        ("protocol", Refusal::Protocol),
        ("busy", Refusal::Busy),
        ("shutting_down", Refusal::ShuttingDown),
        ("too_slow", Refusal::TooSlow),
        ("not_yours", Refusal::NotYours),
    ];
    vectors().refusals("server to owner: no, and why", Kind::Stored, &refusals, 15).await;
}

#[tokio::test]
async fn every_kind_has_a_vector() {
    assert_eq!(vectors().kinds(), (1..=10).chain(16..=18).collect());
}

#[tokio::test]
async fn bad_messages() {
    let hello = greeting(Kind::Hello).await;
    let welcome =
        written(async |writer| wire::welcome(writer, &welcome(Party::P1)).await.unwrap()).await;
    let begin = encoded(Kind::Begin, &description()).await;
    for (name, due, error, bytes) in [
        ("hello_magic", "Hello", "NotSharelet", with(&hello, 8, b"D")),
        ("hello_version", "Hello", "Version { theirs: 9 }", with(&hello, 9, &[9])),
        ("hello_short", "Hello", "Malformed { kind: Hello }", shorter(&hello)),
        ("hello_long", "Hello", "Malformed { kind: Hello }", longer(&hello)),
        ("hello_huge", "Hello", "NotSharelet", headed(Kind::Hello, 1025, &[])),
        ("hello_cut", "Hello", "Closed", hello[..8].to_vec()),
        ("hello_other", "Hello", "NotSharelet", begin.clone()),
        ("not_a_frame", "Hello", "NotSharelet", b"GET / HTTP/1.1\r\n".to_vec()),
        ("welcome_magic", "Welcome", "NotSharelet", with(&welcome, 8, b"D")),
        ("welcome_version", "Welcome", "Version { theirs: 9 }", with(&welcome, 9, &[9])),
        ("welcome_short", "Welcome", "Malformed { kind: Welcome }", shorter(&welcome)),
        ("welcome_long", "Welcome", "Malformed { kind: Welcome }", longer(&welcome)),
        ("empty", "Begin", "Closed", Vec::new()),
        ("header_cut", "Begin", "Closed", begin[..3].to_vec()),
        ("begin_cut", "Begin", "Closed", begin[..30].to_vec()),
        ("begin_trailing", "Begin", "Malformed { kind: Begin }", longer(&begin)),
        ("begin_short", "Begin", "Malformed { kind: Begin }", shorter(&begin)),
        ("begin_name", "Begin", "Malformed { kind: Begin }", with(&begin, 22, b"/")),
        ("unknown_kind", "Begin", "UnknownFrame { kind: 11 }", with(&begin, 0, &[11])),
        (
            "begin_long",
            "Begin",
            &wrong_length(Kind::Begin, 1_742_368, 1_742_369),
            headed(Kind::Begin, 1_742_369, &[]),
        ),
        ("unexpected", "Finish", "UnexpectedFrame { expected: Finish, found: Begin }", begin),
        (
            "finish_short",
            "Finish",
            &wrong_length(Kind::Finish, 32, 31),
            framed(Kind::Finish, &[0; 31]).await,
        ),
        (
            "keys_long",
            "Keys",
            &wrong_length(Kind::Keys, 65_536, 65_537),
            headed(Kind::Keys, 65_537, &[]),
        ),
        (
            "keys_short",
            "Keys",
            &wrong_length(Kind::Keys, 32, 16),
            framed(Kind::Keys, &[0; 16]).await,
        ),
        (
            "piece_long",
            "Piece",
            &wrong_length(Kind::Piece, 524_288, 524_289),
            headed(Kind::Piece, 524_289, &[]),
        ),
        ("piece_cut", "Piece", "Closed", headed(Kind::Piece, 24, &[0; 23])),
        ("refuse_unknown", "Finish", "Malformed { kind: Refuse }", headed(Kind::Refuse, 1, &[99])),
    ] {
        vectors().bad(name, due, error, &bytes);
    }
    let played = vectors().play_bad(async |due, mut reader| {
        let reader = &mut reader;
        match due {
            "Hello" => frame::read_hello(reader, Kind::Hello).await,
            "Welcome" => wire::read_welcome(reader).await.map(drop),
            "Begin" => read::<Description, _>(reader, Kind::Begin).await.map(drop),
            "Finish" => frame::receive_bytes(reader, Kind::Finish, 32).await.map(drop),
            "Keys" => frame::receive_bytes(reader, Kind::Keys, 32).await.map(drop),
            "Piece" => frame::receive_bytes(reader, Kind::Piece, 24).await.map(drop),
            due => panic!("{due}"),
        }
    });
    assert_eq!(played.await, 27);
}

/// An upload from the greeting to the end: what the owner sends, and what the server answers.
#[tokio::test]
async fn whole_uploads() {
    for party in [Party::P0, Party::P1] {
        let described = frame::encode(Kind::Begin, &description()).unwrap();
        let keys = counted(0, 32);
        let (kind, share) = match party {
            Party::P0 => (Kind::Seed, counted(0x20, 32)),
            Party::P1 => (Kind::Piece, counted(0x40, 48)),
        };
        let digest = Sha256::digest([&described[..], &keys, &share].concat());
        let frames = [
            greeting(Kind::Hello).await,
            framed(Kind::Begin, &described).await,
            framed(Kind::Send, &[]).await,
            framed(Kind::Keys, &keys).await,
            framed(kind, &share).await,
            framed(Kind::Finish, &digest).await,
            framed(Kind::Commit, &[]).await,
        ];
        let number = welcome(party).party;
        let text: Vec<_> = frames.iter().map(|frame| hex::encode(frame)).collect();
        let text = format!("# what an owner sends to server {number}\n{}", text.concat());
        let owner = vectors().raw(&format!("upload_{number}_owner"), &text);

        let folder = tempfile::tempdir().unwrap();
        let datasets = Datasets::open(folder.path(), party).unwrap();
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let connection = Connection::new(Cursor::new(owner), near, LONG);
        let visit = Visit::alone(Limits::default(), CancellationToken::new());
        Collector::new(datasets, MOST_ELEMS).converse(connection, visit).await.unwrap();
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).await.unwrap();
        let text = format!("# what server {number} answers\n{}", hex::encode(&answer));
        vectors().raw(&format!("upload_{number}_server"), &text);
    }
}
